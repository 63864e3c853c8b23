// What a batch for the admin console says: statements, queries, expressions (parse.h makes them). Plain data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/console/value.h"

struct console_command;
struct console_query;

enum class console_op : uint8_t {
    or_,
    and_, // of all arguments
    not_,
    equal,
    differs,
    less,
    greater,
    at_most,
    at_least,
    add,
    subtract,
    multiply,
    divide,
    modulo,
    bit_and,
    bit_or,
    bit_xor,
    negate,
    complement,
    is_null,
    like,        // text, pattern, maybe the escape
    in,          // the first one of the others, or of `query`
    between,     // the first one, of the second and the third
    exists,      // `query`
    case_simple, // operand, then pairs, then maybe ELSE
    case_when,   // pairs, then maybe ELSE
};

// Where a name was found; looked at again before it is trusted.
struct console_place {
    uint32_t leaf = UINT32_MAX, field = 0;
};

struct console_expression {
    enum class kind_t : uint8_t {
        value,     // `value`
        variable,  // `text`, in upper case
        name,      // of a column: `parts`
        call,      // `text` in upper case, with `arguments`; `parts` are its name as written
        cast,      // CAST, CONVERT: of the first argument to `type`
        operation, // `op` of `arguments`
        query,     // (SELECT ...): `query`
        star,      // COUNT(*)
    } kind = kind_t::value;
    console_op op = console_op::or_;
    bool negated = false;  // NOT of an operation
    bool distinct = false; // of a call
    console_value value;
    std::string text;
    std::vector<std::string> parts;
    console_type type;
    std::vector<console_expression> arguments;
    std::shared_ptr<console_query> query;
    mutable console_place place;
};

struct console_item {
    console_expression value;
    std::string name;     // of its column; of a parameter or a variable its name, in upper case
    bool star = false;    // *, or what value.parts names .*
    bool assigns = false; // to the variable `name`
    bool output = false;  // of a parameter
};

// Of FROM.
struct console_source {
    enum class kind_t : uint8_t { table, function, query, join } kind = kind_t::table;
    enum class join_t : uint8_t { inner, left, right, full, cross_apply, outer_apply } join = join_t::inner;
    std::vector<std::string> parts; // of its name
    std::string alias;
    std::vector<std::string> columns; // (a, b) behind its alias
    std::shared_ptr<console_query> query;
    std::vector<console_source> sides;  // of a join: two
    std::vector<console_expression> on; // none or one
};

struct console_order {
    console_expression value;
    bool descending = false;
};

struct console_select {
    enum class set_t : uint8_t {
        first,
        union_all,
        union_,
        except,
        intersect
    } set = set_t::first; // with those before it
    bool distinct = false;
    std::vector<console_expression> top; // none or one
    std::vector<console_item> items;
    std::vector<std::vector<console_expression>> values; // VALUES (...), (...): has nothing else then
    std::string into;                                    // #table
    std::vector<console_source> from;
    std::vector<console_expression> where, group, having; // where, having: none or one
};

struct console_common { // WITH name (columns) AS (query)
    std::string name;
    std::vector<std::string> columns;
    std::shared_ptr<console_query> query;
};

struct console_query {
    std::vector<console_common> with;
    std::vector<console_select> selects; // at least one
    std::vector<console_order> order;
    std::vector<console_expression> offset, fetch; // none or one
    bool for_xml = false;
};

struct console_column_definition {
    std::string name;
    console_type type;
    bool identity = false;
};

enum class console_verb : uint8_t {
    command,        // `command`, with `argument`
    nothing,        // SET, EXEC sp_reset_connection, SAVE TRAN, an empty statement
    use,            // `name`
    select,         // `query`
    begin,          // a transaction
    commit,         //
    rollback,       //
    rollback_named, // to a savepoint, or of everything: `name`
    call,           // EXEC `name` with `items`; `target`: where its status goes
    run_text,       // EXEC (`value`)
    declare,        // `items`: those with a value get it; `columns`: of a table variable `name`
    assign,         // SET: `items`
    print,          // `value`
    create,         // #table `name`: `columns`
    drop,           // #tables `names`; `if_exists`
    insert,         // into #table `name` (`names`): `query`, or `body`, an EXEC
    erase,          // DELETE, TRUNCATE: from #table `name` where `value`
    update,         // #table `name`: `items`, where `value`
    if_,            // `value`: `body`, else `otherwise`
    while_,         // `value`: `body`
    break_,         //
    continue_,      //
    return_,        //
    try_,           // `body`, then `otherwise` where it fails
    raise,          // RAISERROR, THROW: `items`
    block,          // BEGIN ... END: `body`
};

struct console_statement {
    console_verb verb = console_verb::nothing;
    const console_command *command = nullptr;
    std::string argument; // "": none was given
    std::string name, target;
    std::vector<std::string> names;
    std::vector<console_item> items;
    std::vector<console_column_definition> columns;
    std::vector<console_expression> value; // none or one
    std::shared_ptr<console_query> query;
    std::vector<console_statement> body, otherwise;
    bool if_exists = false;
};

struct console_batch {
    std::vector<console_statement> statements;
    bool good = true;
    std::string near; // not good: the word that does not belong there; "" at the end of the text
    uint32_t line = 1;
};
