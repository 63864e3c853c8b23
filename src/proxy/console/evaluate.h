// Evaluates the expressions and queries of the admin console. Pure.
//
//      query -> FROM: rows of the catalog and of #tables, joined -> WHERE -> GROUP -> items -> UNION, ORDER -> rows
//
// A query is run as it is written, by nested loops: its tables have a few rows, most of them none. What it may cost is
// counted (console_step).
#pragma once

#include <deque>

#include "proxy/console/world.h"

// One table of FROM, and the row of it that is looked at: nullptr where an outer join has none.
struct console_leaf {
    std::string alias;
    const console_relation *relation = nullptr;
    const console_tuple *row = nullptr;
};

using console_combination = std::vector<const console_tuple *>; // of a row of each leaf

// Where names are looked for: in the leaves, then in those of the query around it.
struct console_scope {
    std::vector<console_leaf> leaves;
    const console_scope *outer = nullptr;
    const std::vector<console_combination> *group = nullptr; // what aggregates count; nullptr: none is allowed
    std::vector<const console_common *> common;              // WITH
};

// Null where there is a problem. `scope`: nullptr outside of queries.
console_value console_evaluate(console_world &, const console_expression &, console_scope *scope);
console_truth console_condition(console_world &, const console_expression &, console_scope *scope);
console_type console_result_type(console_world &, const console_expression &, const console_scope *scope);
// Of IF and WHILE: what is not known does not hold.
bool console_holds(console_world &, const console_expression &);

// To a variable that is declared, as a value of its type; else a problem.
void console_assign(console_world &, const std::string &name, console_value &&);

// Runs it. With a problem the rows are of no use. Items that assign do so row by row.
console_relation console_run_query(console_world &, const console_query &, const console_scope *outer = nullptr);
// The first query's rows go to a #table ("": they do not).
const std::string &console_into(const console_query &);
// Whether its items assign to variables.
bool console_assigns(const console_query &);

// Inside: evaluate.cpp, from.cpp, call.cpp, query.cpp.
bool console_find_name(const console_expression &, const console_scope *, const console_leaf *&, uint32_t &field);
std::vector<console_combination> console_join(console_world &, const std::vector<console_source> &, console_scope &,
                                              std::deque<console_relation> &kept);
void console_look_at(console_scope &, const console_combination &);
bool console_is_aggregate(const console_expression &);
console_value console_aggregate(console_world &, const console_expression &, console_scope &);
console_value console_call_function(console_world &, const console_expression &, console_scope *);
console_type console_call_type(console_world &, const console_expression &, const console_scope *);
