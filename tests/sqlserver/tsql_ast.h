// The syntax tree of a T-SQL batch. Immutable once parsed: shared by all sessions through the parse cache.
#pragma once

#include "engine.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sqlserver {

struct expr;
struct query;
struct stmt;
using expr_ptr = std::shared_ptr<expr>;
using query_ptr = std::shared_ptr<query>;
using stmt_ptr = std::shared_ptr<stmt>;
using object_path = std::vector<std::string>; // server.database.schema.object, any of the first ones missing or empty

enum class expr_kind : uint8_t {
    literal,
    variable,
    global,
    column,
    unary,
    binary,
    compare,
    and_,
    or_,
    not_,
    is_null,
    like,
    between,
    in_list,
    in_query,
    exists,
    subquery,
    quantified,
    case_,
    call,
    cast,
    default_,
    next_row,
};

struct order_item {
    expr_ptr e;
    bool descending = false;
};

struct window {
    std::vector<expr_ptr> partition;
    std::vector<order_item> order;
    std::string frame; // SQLite understands the same text
};

struct expr {
    expr_kind kind = expr_kind::literal;
    int32_t line = 1;
    std::string text; // operator, name of variable, global, function, quantifier
    object_path path; // column
    type_info type;   // literal, cast
    value literal;
    bool negated = false;       // NOT LIKE, NOT IN, IS NOT NULL
    bool distinct = false;      // COUNT(DISTINCT x)
    bool star = false;          // COUNT(*)
    bool try_ = false;          // TRY_CAST
    bool simple_case = false;   // CASE x WHEN: args[0] is x
    bool has_else = false;      // the last of args is the ELSE
    std::vector<expr_ptr> args; // cast: value [, style]
    query_ptr sub;
    std::shared_ptr<window> over;
};

enum class table_kind : uint8_t { named, derived, values, join, apply, function };

struct table_ref;
using table_ptr = std::shared_ptr<table_ref>;
struct table_ref {
    table_kind kind = table_kind::named;
    int32_t line = 1;
    object_path path; // named; a table variable is one part with its @
    std::string alias;
    std::vector<std::string> column_names;
    query_ptr sub;
    std::vector<std::vector<expr_ptr>> rows;
    std::string join; // "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"
    table_ptr left, right;
    expr_ptr on;
    expr_ptr call;
};

struct select_item {
    expr_ptr e;
    std::string alias;
    bool star = false;
    std::string star_of;
    std::string variable; // SELECT @v = e
    std::string assign = "=";
};

struct select_core {
    bool distinct = false;
    expr_ptr top;
    bool top_percent = false;
    std::vector<select_item> items;
    object_path into;
    table_ptr from;
    expr_ptr where;
    std::vector<expr_ptr> group_by;
    expr_ptr having;
    int32_t line = 1;
};

struct cte {
    std::string name;
    std::vector<std::string> columns;
    query_ptr body;
};

struct query {
    std::vector<cte> ctes;
    std::shared_ptr<select_core> core; // or values, or a set operation
    std::vector<std::vector<expr_ptr>> values;
    std::string set_op; // "UNION", "UNION ALL", "EXCEPT", "INTERSECT"
    query_ptr left, right;
    std::vector<order_item> order;
    expr_ptr offset, fetch;
};

struct column_def {
    std::string name;
    type_info type;
    std::string type_name;
    bool nullable = true, null_given = false, identity = false, primary_key = false, unique = false;
    int64_t seed = 1, increment = 1;
    expr_ptr default_value, check, computed;
    std::string default_text, check_text, computed_text, default_name, check_name, key_name;
    std::shared_ptr<struct key_def> reference;
};

struct key_def {
    std::string kind, name; // PK, UQ, F, C, D, IX
    std::vector<std::string> columns;
    std::vector<bool> descending;
    object_path parent;
    std::vector<std::string> parent_columns;
    bool cascade_delete = false, null_delete = false, clustered = false;
    expr_ptr check;
    std::string check_text;
};

struct table_def {
    std::vector<column_def> columns;
    std::vector<key_def> keys;
};

struct declaration {
    std::string name; // lower case, with the @
    type_info type;
    expr_ptr init;
    bool output = false, is_table = false, is_cursor = false;
    std::shared_ptr<table_def> table;
    int32_t line = 1;
};

struct argument {
    std::string name;
    expr_ptr value; // null: DEFAULT
    bool output = false;
};

enum class stmt_kind : uint8_t {
    block,
    select,
    insert,
    update,
    delete_,
    declare,
    set_variable,
    set_option,
    if_,
    while_,
    break_,
    continue_,
    return_,
    goto_,
    label,
    try_,
    throw_,
    raiserror,
    print,
    exec_proc,
    exec_text,
    begin_tran,
    commit,
    rollback,
    save_tran,
    use,
    create_table,
    drop,
    alter_add,
    alter_drop,
    alter_column,
    truncate,
    create_index,
    create_module,
    create_database,
    create_schema,
    waitfor,
    dbcc,
    nothing,
    unsupported,
    alter_constraint,
    execute_as,
    revert,
    declare_cursor,
    set_cursor,
    open_cursor,
    fetch,
    close_cursor,
    deallocate,
    insert_bulk,
    create_key,
    open_key,
    close_key,
};

struct stmt {
    stmt_kind kind = stmt_kind::nothing;
    int32_t line = 1;
    uint32_t at = 0, length = 0; // in the batch's text
    std::string text;            // option name, object kind, module's name, label, ...
    std::vector<std::string> words;
    object_path path;
    std::vector<object_path> paths;
    bool flag = false; // ON, IF EXISTS, WITH NOWAIT, unique, DELAY
    bool alter = false, or_alter = false;
    std::vector<stmt_ptr> body, other; // other: ELSE, CATCH
    expr_ptr e, e2, e3;
    std::vector<expr_ptr> list;
    query_ptr q;
    std::vector<std::string> columns;
    std::vector<select_item> output;
    object_path output_into;
    std::vector<select_item> sets; // UPDATE: alias is the column, or variable
    table_ptr from;
    std::vector<cte> ctes;
    std::vector<declaration> declarations;
    std::vector<argument> arguments;
    std::shared_ptr<table_def> table;
    key_def key;
    std::string source; // CREATE PROCEDURE and VIEW: the whole text
};

struct batch {
    std::vector<stmt_ptr> body;
    std::optional<bool>
        quoted_identifier; // what SET QUOTED_IDENTIFIER in it has left: it acts when the batch is parsed
    std::string text;
};

} // namespace sqlserver
