#include "proxy/console/parse.h"

#include <algorithm>
#include <cstring>

#include <strings.h>

#include "proxy/console/commands.h"
#include "proxy/console/reader.h"
#include "tds/bytes.h"
#include "tds/utf16.h"

static console_statement read_statement(console_reader &r);

static console_statement of_verb(console_verb verb) {
    console_statement s;
    s.verb = verb;
    return s;
}

static void skip_statement(console_reader &r) {
    while (!console_at_end(r))
        ++r.at;
}

// Tokens without a blank between them, as in bucket-001: one name.
static std::string take_glued(console_reader &r) {
    std::string name;
    const console_token *last = nullptr;
    for (const console_token *t = console_look(r); t != nullptr && !console_is_symbol(t, ';'); t = console_look(r)) {
        if (last != nullptr && last->end != t->at)
            break;
        name += t->text;
        last = t;
        ++r.at;
    }
    return name;
}

static bool is_variable(const console_token *t) {
    return t != nullptr && t->kind == tsql_token_kind::variable && t->text.size() > 1 && t->text[1] != '@';
}

static std::string take_variable(console_reader &r) {
    r.good = r.good && is_variable(console_look(r));
    return r.good ? console_upper(r.tokens[r.at++].text) : "";
}

static console_query *add_query(console_reader &r, console_statement &s) {
    s.query = std::make_shared<console_query>(console_read_query(r));
    return s.query.get();
}

// ---- transactions ----------------------------------------------------------------------------------------------

static bool take_transaction(console_reader &r) {
    return console_take_word(r, "TRAN") || console_take_word(r, "TRANSACTION");
}

static console_statement read_end_of_transaction(console_reader &r, bool commits) {
    console_statement s = of_verb(commits ? console_verb::commit : console_verb::rollback);
    if (!take_transaction(r))
        console_take_word(r, "WORK");
    else if (!console_at_end(r))
        s.name = take_glued(r);
    if (!commits && !s.name.empty())
        s.verb = console_verb::rollback_named;
    return s;
}

// ---- control flow ----------------------------------------------------------------------------------------------

static void read_body(console_reader &r, std::vector<console_statement> &body) {
    while (r.good && !console_take_word(r, "END")) {
        if (console_take_symbol(r, ';'))
            continue;
        r.good = console_look(r) != nullptr;
        if (r.good)
            body.push_back(read_statement(r));
    }
}

// Behind BEGIN TRY.
static console_statement read_try(console_reader &r) {
    console_statement s = of_verb(console_verb::try_);
    read_body(r, s.body);
    console_expect_word(r, "TRY");
    console_take_symbol(r, ';');
    console_expect_word(r, "BEGIN");
    console_expect_word(r, "CATCH");
    read_body(r, s.otherwise);
    console_expect_word(r, "CATCH");
    return s;
}

static console_statement read_begin(console_reader &r) {
    if (console_take_word(r, "TRY"))
        return read_try(r);
    console_statement s = of_verb(console_verb::block);
    if (!take_transaction(r)) {
        read_body(r, s.body);
        return s;
    }
    s.verb = console_verb::begin;
    if (!console_at_end(r))
        s.name = take_glued(r);
    return s;
}

static console_statement read_if(console_reader &r) {
    console_statement s = of_verb(console_verb::if_);
    s.value.push_back(console_read_expression(r));
    if (r.good)
        s.body.push_back(read_statement(r));
    size_t before = r.at;
    console_take_symbol(r, ';');
    if (console_take_word(r, "ELSE"))
        s.otherwise.push_back(read_statement(r));
    else if (r.good)
        r.at = before;
    return s;
}

static console_statement read_while(console_reader &r) {
    console_statement s = of_verb(console_verb::while_);
    s.value.push_back(console_read_expression(r));
    if (r.good)
        s.body.push_back(read_statement(r));
    return s;
}

static console_statement read_return(console_reader &r) {
    console_statement s = of_verb(console_verb::return_);
    if (!console_at_end(r))
        s.value.push_back(console_read_expression(r));
    return s;
}

// RAISERROR (text, severity, state ...) WITH ..., THROW number, text, state
static console_statement read_raise(console_reader &r) {
    console_statement s = of_verb(console_verb::raise);
    bool brackets = console_take_symbol(r, '(');
    while (r.good && !console_at_end(r)) {
        s.items.emplace_back().value = console_read_expression(r);
        if (!console_take_symbol(r, ','))
            break;
    }
    if (brackets)
        console_expect_symbol(r, ')');
    if (console_take_word(r, "WITH"))
        console_take_name(r);
    return s;
}

// ---- variables and #tables -------------------------------------------------------------------------------------

// What stands behind a column's type, or a constraint of the table: up to the comma or the bracket.
static bool skip_definition(console_reader &r) {
    bool identity = false;
    for (int open = 0; r.good;) {
        const console_token *t = console_look(r);
        r.good = t != nullptr;
        if (!r.good || (open == 0 && (console_is_symbol(t, ',') || console_is_symbol(t, ')'))))
            break;
        identity = identity || console_is_word(t, "IDENTITY");
        open += console_is_symbol(t, '(') - console_is_symbol(t, ')');
        ++r.at;
    }
    return identity;
}

static bool begins_constraint(const console_token *t) {
    static constexpr const char *words[] = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "INDEX"};
    return std::any_of(std::begin(words), std::end(words), [t](const char *word) { return console_is_word(t, word); });
}

static void read_definitions(console_reader &r, console_statement &s) {
    console_expect_symbol(r, '(');
    do {
        if (!begins_constraint(console_look(r))) {
            console_column_definition &c = s.columns.emplace_back();
            c.name = console_take_name(r);
            if (r.good)
                c.type = console_read_type(r);
        }
        bool identity = skip_definition(r);
        if (!s.columns.empty())
            s.columns.back().identity = s.columns.back().identity || identity;
    } while (console_take_symbol(r, ','));
    console_expect_symbol(r, ')');
    r.good = r.good && !s.columns.empty();
}

static console_statement read_declare(console_reader &r) {
    console_statement s = of_verb(console_verb::declare);
    do {
        std::string name = take_variable(r);
        console_take_word(r, "AS");
        if (console_take_word(r, "TABLE")) {
            s.name = name;
            r.good = r.good && s.items.empty(); // it stands alone
            read_definitions(r, s);
            return s;
        }
        r.good = r.good && !console_is_word(console_look(r), "CURSOR");
        console_item &item = s.items.emplace_back();
        item.name = std::move(name);
        if (r.good)
            s.columns.push_back({item.name, console_read_type(r), false});
        if (!console_take_word(r, "OUTPUT")) // of sp_executesql's parameters
            console_take_word(r, "OUT");
        item.assigns = console_take_symbol(r, '=');
        if (item.assigns)
            item.value = console_read_expression(r);
    } while (console_take_symbol(r, ','));
    return s;
}

// SET @x = ..., and += and its like.
static console_statement read_assign(console_reader &r) {
    static constexpr struct {
        char16_t symbol;
        console_op op;
    } changes[] = {{'+', console_op::add},    {'-', console_op::subtract}, {'*', console_op::multiply},
                   {'/', console_op::divide}, {'|', console_op::bit_or},   {'&', console_op::bit_and}};
    console_statement s = of_verb(console_verb::assign);
    console_item &item = s.items.emplace_back();
    item.name = take_variable(r);
    console_expression change;
    for (const auto &c : changes)
        if (change.arguments.empty() && console_take_symbol(r, c.symbol)) {
            change.kind = console_expression::kind_t::operation;
            change.op = c.op;
            change.arguments.resize(1);
            change.arguments[0].kind = console_expression::kind_t::variable;
            change.arguments[0].text = item.name;
        }
    console_expect_symbol(r, '=');
    item.value = console_read_expression(r);
    if (!change.arguments.empty()) {
        change.arguments.push_back(std::move(item.value));
        item.value = std::move(change);
    }
    return s;
}

static console_statement read_set(console_reader &r) {
    if (is_variable(console_look(r)))
        return read_assign(r);
    console_statement s;
    r.good = !console_at_end(r);
    if (r.good)
        s.name = console_upper(console_look(r)->text);
    s.if_exists = console_is_word(console_look(r, 1), "ON");
    if (s.name == "ROWCOUNT" && console_look(r, 1) != nullptr)
        s.argument = console_look(r, 1)->text;
    skip_statement(r);
    return s;
}

// #name or @name, whatever stands in front of it: tempdb..#name
static std::string take_table(console_reader &r) {
    if (is_variable(console_look(r)))
        return take_variable(r);
    size_t before = r.at;
    std::string name = console_take_parts(r).back();
    if (!name.starts_with('#')) {
        r.at = before;
        r.good = false;
    }
    return name;
}

static console_statement read_create(console_reader &r) {
    console_statement s = of_verb(console_verb::create);
    console_expect_word(r, "TABLE");
    s.name = take_table(r);
    read_definitions(r, s);
    return s;
}

static console_statement read_drop(console_reader &r) {
    console_statement s = of_verb(console_verb::drop);
    console_expect_word(r, "TABLE");
    if (console_take_word(r, "IF")) {
        console_expect_word(r, "EXISTS");
        s.if_exists = true;
    }
    do
        s.names.push_back(take_table(r));
    while (console_take_symbol(r, ','));
    return s;
}

static console_statement read_insert(console_reader &r) {
    console_statement s = of_verb(console_verb::insert);
    console_take_word(r, "INTO");
    s.name = take_table(r);
    bool columns = console_is_symbol(console_look(r), '(') && !console_begins_query(r);
    if (columns && console_take_symbol(r, '(')) {
        do
            s.names.push_back(console_take_name(r));
        while (console_take_symbol(r, ','));
        console_expect_symbol(r, ')');
    }
    const console_token *t = console_look(r);
    bool calls = t != nullptr && (t->word == tsql_word::exec || t->word == tsql_word::execute);
    if (calls)
        s.body.push_back(read_statement(r));
    else if (r.good)
        add_query(r, s);
    return s;
}

static void read_where(console_reader &r, console_statement &s) {
    if (console_take_word(r, "WHERE"))
        s.value.push_back(console_read_expression(r));
}

static console_statement read_erase(console_reader &r, bool all) {
    console_statement s = of_verb(console_verb::erase);
    all ? console_expect_word(r, "TABLE") : (void)console_take_word(r, "FROM");
    s.name = take_table(r);
    if (!all)
        read_where(r, s);
    return s;
}

static console_statement read_update(console_reader &r) {
    console_statement s = of_verb(console_verb::update);
    s.name = take_table(r);
    console_expect_word(r, "SET");
    do {
        console_item &item = s.items.emplace_back();
        item.name = console_take_name(r);
        console_expect_symbol(r, '=');
        item.value = console_read_expression(r);
    } while (console_take_symbol(r, ','));
    read_where(r, s);
    return s;
}

// ---- EXEC ------------------------------------------------------------------------------------------------------

static bool is_reset(const std::string &name) {
    size_t dot = name.rfind('.');
    return strcasecmp(name.c_str() + (dot == std::string::npos ? 0 : dot + 1), "sp_reset_connection") == 0;
}

static console_item read_argument(console_reader &r) {
    console_item item;
    if (is_variable(console_look(r)) && console_is_symbol(console_look(r, 1), '=')) {
        item.name = take_variable(r);
        ++r.at;
    }
    const console_token *t = console_look(r);
    bool bare = console_is_name(t) && !console_is_word(t, "NULL");
    if (bare) // a text without its quotes; DEFAULT is as good as none
        item.value.value = console_is_word(t, "DEFAULT") ? console_value() : console_text_value(t->text);
    r.at += bare;
    if (!bare)
        item.value = console_read_expression(r);
    item.output = console_take_word(r, "OUTPUT") || console_take_word(r, "OUT");
    return item;
}

static console_statement read_run_text(console_reader &r) {
    console_statement s = of_verb(console_verb::run_text);
    s.value.push_back(console_read_expression(r));
    console_expect_symbol(r, ')');
    return s;
}

// EXEC [@status =] name arguments, EXEC ('text')
static console_statement read_exec(console_reader &r) {
    if (console_take_symbol(r, '('))
        return read_run_text(r);
    console_statement s = of_verb(console_verb::call);
    if (is_variable(console_look(r)) && console_is_symbol(console_look(r, 1), '=')) {
        s.target = take_variable(r);
        ++r.at;
    }
    for (const std::string &part : console_take_parts(r))
        s.name += (s.name.empty() ? "" : ".") + part;
    if (console_take_symbol(r, ';')) // name;1
        r.at += r.good && console_look(r) != nullptr && console_look(r)->kind == tsql_token_kind::number ? 1 : 0;
    if (is_reset(s.name))
        s.verb = console_verb::nothing;
    while (r.good && !console_at_end(r)) {
        s.items.push_back(read_argument(r));
        if (!console_take_symbol(r, ','))
            break;
    }
    if (console_take_word(r, "WITH"))
        console_take_name(r); // RECOMPILE
    return s;
}

// ---- commands --------------------------------------------------------------------------------------------------

static bool reads_as(const console_reader &r, const console_command &c) {
    size_t first = strcspn(c.words, " ");
    const console_token *t = console_look(r);
    if (t->text.size() != first || strncasecmp(t->text.c_str(), c.words, first) != 0)
        return false;
    return c.words[first] == '\0' || console_is_word(console_look(r, 1), c.words + first + 1);
}

static console_statement read_command(console_reader &r) {
    console_statement s = of_verb(console_verb::command);
    for (const console_command &c : console_commands())
        if (reads_as(r, c))
            s.command = &c;
    ++r.at;
    r.good = s.command != nullptr;
    if (!r.good)
        return s;
    r.at += strchr(s.command->words, ' ') != nullptr;
    if (s.command->argument != console_argument::none && !console_at_end(r))
        s.argument = take_glued(r);
    if (s.command->argument == console_argument::required)
        r.good = !s.argument.empty();
    return s;
}

static bool begins_command(const console_token *t) {
    return console_begins_statement(t) &&
           (tsql_word_begins(t->word) != tsql_begins::always || t->word == tsql_word::kill);
}

// ---- statements ------------------------------------------------------------------------------------------------

static console_statement read_use(console_reader &r) {
    console_statement s = of_verb(console_verb::use);
    s.name = console_take_name(r);
    return s;
}

static console_statement read_select(console_reader &r) {
    console_statement s = of_verb(console_verb::select);
    add_query(r, s);
    return s;
}

static console_statement read_print(console_reader &r) {
    console_statement s = of_verb(console_verb::print);
    s.value.push_back(console_read_expression(r));
    return s;
}

// A batch may begin with the name of a procedure.
static console_statement read_other(console_reader &r) {
    const console_token *t = console_look(r);
    if (console_is_word(t, "THROW") && console_take_word(r, "THROW"))
        return read_raise(r);
    if (console_begins_query(r))
        return read_select(r);
    if (r.at == 0 && console_is_name(t) &&
        (strncasecmp(t->text.c_str(), "sp_", 3) == 0 || console_is_symbol(console_look(r, 1), '.')))
        return read_exec(r);
    r.good = false;
    return {};
}

static console_statement read_reserved(console_reader &r) {
    tsql_word word = console_look(r)->word;
    ++r.at;
    switch (word) {
    case tsql_word::set: return read_set(r);
    case tsql_word::save: skip_statement(r); return {};
    case tsql_word::use: return read_use(r);
    case tsql_word::select: --r.at; return read_select(r);
    case tsql_word::if_: return read_if(r);
    case tsql_word::while_: return read_while(r);
    case tsql_word::break_: return of_verb(console_verb::break_);
    case tsql_word::continue_: return of_verb(console_verb::continue_);
    case tsql_word::return_: return read_return(r);
    case tsql_word::print: return read_print(r);
    case tsql_word::raiserror: return read_raise(r);
    case tsql_word::begin: return read_begin(r);
    case tsql_word::commit: return read_end_of_transaction(r, true);
    case tsql_word::rollback: return read_end_of_transaction(r, false);
    case tsql_word::exec:
    case tsql_word::execute: return read_exec(r);
    case tsql_word::declare: return read_declare(r);
    case tsql_word::create: return read_create(r);
    case tsql_word::drop: return read_drop(r);
    case tsql_word::insert: return read_insert(r);
    case tsql_word::delete_: return read_erase(r, false);
    case tsql_word::truncate: return read_erase(r, true);
    case tsql_word::update: return read_update(r);
    default: break;
    }
    --r.at;
    r.good = false;
    return {};
}

static console_statement read_statement(console_reader &r) {
    console_deeper level(r);
    r.good = r.good && console_look(r) != nullptr;
    if (!r.good)
        return {};
    return begins_command(console_look(r))             ? read_command(r)
           : console_begins_statement(console_look(r)) ? read_reserved(r)
                                                       : read_other(r);
}

static uint32_t line_at(std::span<const uint8_t> text, uint64_t unit) {
    uint32_t line = 1;
    for (size_t i = 0; i < std::min<uint64_t>(unit, text.size() / 2); ++i)
        line += get_u16le(text.data() + 2 * i) == '\n';
    return line;
}

static void blame(console_batch &batch, std::span<const uint8_t> text, const console_reader &r) {
    const console_token *t = console_look(r);
    batch.good = false;
    batch.near = t != nullptr ? t->text : "";
    batch.line = line_at(text, t != nullptr ? t->at : UINT64_MAX);
    batch.statements.clear();
}

console_batch console_parse(std::span<const uint8_t> text) {
    console_batch batch;
    console_tokens tokens;
    bool whole = console_cut(text, tokens);
    console_reader r{tokens.all};
    while (r.good && console_look(r) != nullptr) {
        if (console_take_symbol(r, ';'))
            continue;
        batch.statements.push_back(read_statement(r));
        r.good = r.good && console_at_end(r);
    }
    if (!r.good || !whole)
        blame(batch, text, r);
    return batch;
}

console_batch console_parse_utf8(std::string_view text) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    return console_parse(wire);
}
