// Recursive descent parser of T-SQL. Entry points at the top; the rest is shared by the parser's own files.
// Errors are sql_error 102, 156, 137 and the like with the line.
#pragma once

#include "tsql_ast.h"
#include "tsql_lexer.h"

#include <set>

namespace sqlserver {

// `known` are the variables that exist already (parameters of sp_executesql or of a procedure), lower case.
std::shared_ptr<const batch> parse_batch(std::string_view sql, bool quoted_identifier,
                                         const std::vector<declaration> &known);
// "@p1 int, @p2 nvarchar(50) output"
std::vector<declaration> parse_parameters(std::string_view text);

struct parser {
    std::string sql;
    std::vector<token> tokens;
    size_t at = 0;
    std::set<std::string> variables, cursors; // cursors: those of them that are cursor variables
    std::vector<std::string> loops;
    int depth = 0;
};

// tsql_parser.cpp: tokens
const token &peek(const parser &p, size_t ahead = 0);
bool is_word(const parser &p, const char *word, size_t ahead = 0); // unquoted word, lower case
bool is_symbol(const parser &p, const char *symbol, size_t ahead = 0);
bool accept_word(parser &p, const char *word);
bool accept_symbol(parser &p, const char *symbol);
void expect_word(parser &p, const char *word);
void expect_symbol(parser &p, const char *symbol);
[[noreturn]] void syntax_error(const parser &p);
bool is_name(const parser &p, size_t ahead = 0); // not a reserved word
std::string name(parser &p);
object_path path(parser &p);
type_info parse_type(parser &p, std::string *user_name = nullptr);
int64_t integer(parser &p);
std::string text_since(const parser &p, size_t first_token);
void check_variable(const parser &p, const token &t);
void enter(parser &p); // guards the recursion, 191

// tsql_parser_expr.cpp
expr_ptr parse_expr(parser &p);
expr_ptr parse_condition(parser &p);

// tsql_parser_query.cpp
query_ptr parse_query(parser &p); // WITH? and ORDER BY included
query_ptr parse_query_body(parser &p);
std::vector<cte> parse_ctes(parser &p);
table_ptr parse_from(parser &p);
table_ptr parse_table(parser &p);
void skip_table_hints(parser &p);
void skip_option(parser &p);
std::vector<select_item> parse_items(parser &p, bool assignments);
std::vector<order_item> parse_order(parser &p);
expr_ptr parse_top(parser &p, bool &percent);

// tsql_parser_stmt.cpp, tsql_parser_ddl.cpp, tsql_parser_dml.cpp
stmt_ptr parse_stmt(parser &p);
stmt_ptr parse_create(parser &p);
stmt_ptr parse_alter(parser &p);
stmt_ptr parse_drop(parser &p);
std::shared_ptr<table_def> parse_table_def(parser &p);
std::vector<declaration> parse_module_parameters(parser &p);
stmt_ptr parse_insert(parser &p);
stmt_ptr parse_update(parser &p);
stmt_ptr parse_delete(parser &p);
stmt_ptr parse_set(parser &p);
stmt_ptr new_stmt(const parser &p, stmt_kind kind);

} // namespace sqlserver
