// Bound expressions and plans. A bound expression has its type; it can be computed here (eval) or written as SQLite
// SQL (emit), where everything that SQLite does otherwise than SQL Server is a call of the function ts(n, ...).
#pragma once

#include "tsql_session.h"

#include <functional>
#include <memory>

namespace sqlserver {

struct bound;
struct binder;
using bound_ptr = std::shared_ptr<bound>;

struct eval_context {
    frame &f;
    const std::vector<value> *row = nullptr; // of OUTPUT, CHECK, computed columns: what bound_kind::field reads
};

using scalar_function = value (*)(const bound &self, std::vector<value> &args, eval_context &c);

enum class bound_kind : uint8_t {
    literal,
    variable,
    field,
    column,
    call,
    and_,
    or_,
    not_,
    is_null,
    compare,
    case_,
    in_list,
    sql,
    nullif_like,
};

struct bound {
    bound_kind kind = bound_kind::literal;
    type_info type;
    bool nullable = true, identity = false, updatable = false;
    bool untyped_null = false;
    bool columns = false;  // needs a row of a query
    bool subquery = false; // only SQLite can compute it
    bool changing = false; // NEWID(): not the same for all rows
    std::string text;      // variable, comparison, SQL, function's detail
    std::string name;      // the column's name for the result
    value literal;
    size_t field = 0;
    scalar_function fn = nullptr;
    bool null_in_null_out = true;
    int style = 0;
    std::vector<bound_ptr> args;
};

// A statement ready for SQLite, or (direct) for eval alone.
struct plan {
    std::string sql;
    std::vector<bound_ptr> params; // ?1, ?2, ...
    std::vector<bound_ptr> calls;  // ts(n, ...)
    std::vector<column> columns;
    std::vector<uint16_t> order;
    bool direct = false;
    std::vector<bound_ptr> items; // direct
    bound_ptr where;
    bound_ptr top;                                           // checked before it runs
    bool has_from = false;                                   // it, or a query inside it, reads from something
    std::vector<std::pair<std::string, std::string>> assign; // SELECT @v = ...: variable, operator
    uint64_t schema_version = 0, temp_version = 0;
    std::string db;
    std::vector<size_t> set_columns; // UPDATE
    bool is_values = false;
    std::vector<std::string> browse_table; // NO_BROWSETABLE: the table of all columns that are no expressions
};

// --- tsql_eval.cpp
value eval(const bound &b, eval_context &c);
bool is_true(const value &v);

// --- tsql_bind.cpp, tsql_bind_functions.cpp
struct source_column {
    std::string name;
    type_info type;
    bool nullable = true, identity = false, updatable = false;
    std::string sql;
};
struct source {
    std::string alias, schema, table, db; // names it answers to
    std::vector<source_column> columns;
    object_ptr object; // of a real table
    std::string sql_alias;
};
struct scope {
    std::vector<source> sources;
    std::vector<size_t> field_base; // fields mode: where a source's columns begin in the row
    scope *outer = nullptr;
    bool aggregates = false; // an aggregate was seen
};
struct cte_entry {
    std::string name, sql_name;
    std::vector<source_column> columns;
};
struct binder {
    frame &f;
    plan &p;
    scope *sc = nullptr;
    bool fields = false; // names are fields of eval_context::row, not SQL
    bool grouped = false;
    int next_alias = 1;
    int views = 0;
    std::vector<cte_entry> ctes = {};
};

bound_ptr bind(binder &b, const expr &e);
bound_ptr bind_typed(binder &b, const expr &e, const type_info &target); // converted to the target
bound_ptr convert_to(bound_ptr e, const type_info &to, bool implicit = true, int style = 0);
bound_ptr make_literal(const type_info &t, value v);
bound_ptr bind_function(binder &b, const expr &e);
bound_ptr bind_aggregate(binder &b, const expr &e, bool &is_aggregate);
bound_ptr bind_binary(const std::string &op, bound_ptr a, bound_ptr b, int32_t line);
bound_ptr bind_global(binder &b, const expr &e);
bound_ptr make_call(scalar_function fn, const type_info &t, std::vector<bound_ptr> args, std::string detail = {});
bound_ptr to_common(std::vector<bound_ptr *> &parts); // all of one type; returns the first
void finish_flags(bound &b);

// --- tsql_translate.cpp
std::string emit(binder &b, const bound_ptr &e, bool lazy = false);
std::string emit_collated(binder &b, const bound_ptr &e);
struct query_columns {
    std::vector<source_column> columns;
};
// The query as SQLite text; `out` gets its columns. `outermost`: TOP and ORDER BY are kept.
std::string translate_query(binder &b, const query &q, std::vector<bound_ptr> &items, bool outermost);
void bind_items(binder &b, const select_core &core, scope &sc, std::vector<bound_ptr> &items);
std::string translate_table(binder &b, const table_ref &t, scope &sc, bool optional);
plan_ptr plan_query(frame &f, const query &q);
plan_ptr plan_browse(frame &f, const query &q); // tsql_browse.cpp
plan_ptr plan_expr(frame &f, const expr &e, const type_info *target, bool condition);
value eval_expr(frame &f, const expr &e, type_info &type);
value eval_as(frame &f, const expr &e, const type_info &type);
bool eval_condition(frame &f, const expr &e);
void bind_source(binder &b, scope &sc, const object_path &path, const std::string &alias, std::string &sql);

struct resolved {
    object_ptr object;
    database *db = nullptr;
    std::string sqlite_schema;
};
bool resolve(frame &f, const object_path &path, resolved &out); // false: no such object
[[noreturn]] void fail_unknown_object(const object_path &path);
std::string path_text(const object_path &path);

// plans kept by session, keyed by a node of the tree and a purpose
session::cached &cached_plan(frame &f, const void *node, int purpose, const std::function<plan_ptr()> &make);
void bind_parameters(frame &f, sqlite3_stmt *st, const plan &p);

// --- tsql_views.cpp: sys.* and INFORMATION_SCHEMA.* as SQLite table-valued functions
struct system_view {
    const char *schema, *name;
    std::vector<source_column> columns;
    void (*rows)(session *s, database *db, std::vector<std::vector<value>> &out);
};
const std::vector<system_view> &all_system_views(); // tsql_system_views.cpp
const system_view *find_system_view(std::string_view schema, std::string_view name);
void register_system_views(session *s, sqlite3 *conn);

} // namespace sqlserver
