// The statements of the console, one after another.
#include <algorithm>
#include <cstdlib>

#include <strings.h>

#include "base/log.h"
#include "proxy/console/catalog.h"
#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"
#include "proxy/console/run.h"
#include "proxy/proxy.h"
#include "tds/envchange.h"
#include "tds/response.h"
#include "tds/result_build.h"

static constexpr int32_t syntax = 102, denied = 229, no_database = 911, no_begin_for_commit = 3902,
                         no_begin_for_rollback = 3903, too_much = 50007;
static constexpr uint16_t command_select = 0xc1, command_begin = 0xd4, command_commit = 0xd5, command_rollback = 0xd2;
static constexpr uint64_t descriptor_base = uint64_t{0x7463} << 48; // no server's: those count from 0x100000000 or so
static constexpr unsigned statements_max = 5'000;                   // of a request, loops and all

static void run_statement(console_run &r, const console_statement &st);

// ---- transactions ----------------------------------------------------------------------------------------------

// Nothing of the console's is in them; drivers keep count all the same.
static void put_transaction(console_run &r, uint8_t type) {
    if (tds_version_is_wide(r.s->console->version))
        tds_put_transaction(r.out, type, r.s->console->descriptor);
}

void console_begin_transaction(console_run &r) {
    console_session &c = *r.s->console;
    if (c.transactions++ > 0)
        return;
    c.descriptor = descriptor_base + ++r.s->root->descriptors;
    put_transaction(r, tds_env_begin);
}

bool console_end_transaction(console_run &r, bool commits) {
    console_session &c = *r.s->console;
    if (c.transactions == 0) {
        console_fail(r, commits ? no_begin_for_commit : no_begin_for_rollback,
                     commits ? "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION."
                             : "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.");
        return false;
    }
    c.transactions = commits ? c.transactions - 1 : 0;
    if (c.transactions == 0)
        put_transaction(r, commits ? tds_env_commit : tds_env_rollback);
    return true;
}

static void end_transaction(console_run &r, bool commits) {
    if (console_end_transaction(r, commits))
        console_succeed(r, commits ? command_commit : command_rollback);
}

// ---- commands --------------------------------------------------------------------------------------------------

bool console_show_rows(void *who, std::string_view what, console_relation &relation) {
    auto *s = static_cast<client_session *>(who);
    for (const console_shown &shown : console_shown_views()) {
        if (shown.what != what)
            continue;
        for (const console_column &c : shown.command->columns)
            relation.fields.push_back({std::string(c.column.name), console_column_type(c.column)});
        console_call call{s->root, s, shown.command, "", nullptr, nullptr, &relation};
        shown.command->run(call);
        return true;
    }
    return false;
}

static void put_columns(console_run &r, const console_command &command) {
    std::vector<tds_result_column> columns;
    for (const console_column &c : command.columns)
        columns.push_back(c.column);
    if (!columns.empty())
        tds_put_columns(r.out, r.s->console->version, columns);
}

static void show_captured(console_run &r, const console_command &command, console_call &call) {
    console_relation relation;
    for (const console_column &c : command.columns)
        relation.fields.push_back({std::string(c.column.name), console_column_type(c.column)});
    call.tokens = nullptr;
    call.relation = &relation;
    command.run(call);
    console_put_relation(r, std::move(relation));
}

static void run_allowed(console_run &r, const console_command &command, console_call &call) {
    if (r.captured != nullptr && !command.columns.empty())
        return show_captured(r, command, call);
    put_columns(r, command);
    if (!r.s->console->no_rows)
        command.run(call);
    if (call.error != 0)
        return console_fail(r, call.error, call.error_text);
    r.world.steps -= std::min(r.world.steps, call.rows * command.columns.size()); // the next one may be too much
    if (command.columns.empty())
        console_succeed(r);
    else
        console_count(r, command_select, call.rows);
}

static void run_command(console_run &r, const console_statement &st) {
    const console_command &command = *st.command;
    if (command.admin_only && !r.s->console->admin)
        return console_fail(
            r, denied, std::string("The ") + command.words + " permission was denied: this user may only look.", 14);
    bool names_bucket = command.argument == console_argument::optional && !st.argument.empty();
    proxy_bucket *bucket = names_bucket ? console_bucket(r.s->root, st.argument) : nullptr;
    if (names_bucket && bucket == nullptr)
        return console_fail(r, no_database, "Bucket '" + st.argument + "' does not exist.");
    if (command.admin_only)
        log_info("console: command", {{"session", r.s->id}, {"command", command.words}, {"argument", st.argument}});
    console_call call{r.s->root, r.s, &command, st.argument, bucket, &r.out, nullptr};
    run_allowed(r, command, call);
}

// ---- USE, SET --------------------------------------------------------------------------------------------------

static void run_use(console_run &r, const console_statement &st) {
    std::string_view spelled;
    if (!console_find_database(st.name, spelled))
        return console_fail(r, no_database,
                            "Database '" + st.name + "' does not exist. Make sure that the name is entered correctly.");
    console_session &c = *r.s->console;
    tds_put_envchange(r.out, tds_env_database, spelled, c.database);
    c.database = r.world.facts.database = spelled;
    console_put_info(r, 5701, 0, "Changed database context to '" + c.database + "'.");
    console_succeed(r);
}

// What keeps statements from being run matters, and how many rows are wanted; nothing else does.
static void run_set(console_run &r, const console_statement &st) {
    static constexpr const char *names[] = {"NOEXEC", "PARSEONLY", "SHOWPLAN_ALL", "SHOWPLAN_TEXT", "SHOWPLAN_XML"};
    console_session &c = *r.s->console;
    for (unsigned i = 0; i < std::size(names); ++i)
        if (st.name == names[i])
            c.not_run = st.if_exists ? c.not_run | 1U << i : c.not_run & ~(1U << i);
    if (st.name == "FMTONLY")
        c.no_rows = st.if_exists;
    if (st.name == "ROWCOUNT")
        c.most_rows = strtoull(st.argument.c_str(), nullptr, 10);
    console_succeed(r);
}

// ---- queries and control flow ----------------------------------------------------------------------------------

static void run_select(console_run &r, const console_statement &st) {
    if (console_assigns(*st.query))
        return console_run_select_assign(r, *st.query);
    console_relation relation = console_run_query(r.world, *st.query);
    if (console_failed(r))
        return;
    if (const std::string &into = console_into(*st.query); !into.empty())
        return console_run_into(r, into, std::move(relation));
    console_put_relation(r, std::move(relation));
}

static void run_print(console_run &r, const console_statement &st) {
    std::string text = console_spell(console_evaluate(r.world, st.value[0], nullptr));
    if (console_failed(r))
        return;
    console_put_info(r, 0, 0, text);
    console_succeed(r);
}

// RAISERROR (text, severity ...), THROW number, text ...; THROW alone: what was caught.
static void run_raise(console_run &r, const console_statement &st) {
    std::vector<console_value> values;
    for (const console_item &item : st.items)
        values.push_back(console_evaluate(r.world, item.value, nullptr));
    if (console_failed(r))
        return;
    if (values.empty())
        return console_fail(r, r.world.caught.number, r.world.caught.text);
    bool text_first = values[0].kind == console_value::kind_t::text;
    std::string text = text_first || values.size() < 2 ? console_spell(values[0]) : console_spell(values[1]);
    bool throws = !text_first && values.size() == 3 && values[1].kind == console_value::kind_t::text;
    int64_t severity = throws || values.size() < 2 ? 16 : values[1].number;
    if (severity > 10)
        return console_fail(r, throws ? static_cast<int32_t>(values[0].number) : 50000, text);
    console_put_info(r, 50000, static_cast<uint8_t>(severity), text);
    console_succeed(r);
}

static void run_if(console_run &r, const console_statement &st) {
    bool holds = console_holds(r.world, st.value[0]);
    if (!console_failed(r))
        console_run_statements(r, holds ? st.body : st.otherwise);
}

static void run_while(console_run &r, const console_statement &st) {
    while (r.flow == console_flow::on && console_holds(r.world, st.value[0])) {
        console_run_statements(r, st.body);
        if (r.flow == console_flow::continues)
            r.flow = console_flow::on;
        if (r.statements > statements_max)
            return;
    }
    if (r.flow == console_flow::breaks)
        r.flow = console_flow::on;
    console_failed(r);
}

static void run_try(console_run &r, const console_statement &st) {
    ++r.tries;
    console_run_statements(r, st.body);
    --r.tries;
    if (r.flow != console_flow::caught)
        return;
    r.flow = console_flow::on;
    console_run_statements(r, st.otherwise);
    r.world.caught = {};
}

static void run_return(console_run &r, const console_statement &st) {
    if (!st.value.empty())
        console_evaluate(r.world, st.value[0], nullptr);
    if (!console_failed(r))
        r.flow = console_flow::returns;
}

static void run_text_of(console_run &r, const console_statement &st) {
    console_value text = console_evaluate(r.world, st.value[0], nullptr);
    if (!console_failed(r))
        console_run_inner(r, console_spell(text), {});
}

static void run_simple(console_run &r, const console_statement &st) {
    switch (st.verb) {
    case console_verb::begin: console_begin_transaction(r); return console_succeed(r, command_begin);
    case console_verb::commit: return end_transaction(r, true);
    case console_verb::rollback_named:
        if (r.s->console->transactions > 0)
            return console_succeed(r, command_rollback);
        [[fallthrough]];
    case console_verb::rollback: return end_transaction(r, false);
    case console_verb::break_: r.flow = console_flow::breaks; return;
    case console_verb::continue_: r.flow = console_flow::continues; return;
    case console_verb::return_: return run_return(r, st);
    default: return st.name.empty() ? console_succeed(r) : run_set(r, st);
    }
}

static void run_one(console_run &r, const console_statement &st) {
    switch (st.verb) {
    case console_verb::command: return run_command(r, st);
    case console_verb::use: return run_use(r, st);
    case console_verb::select: return run_select(r, st);
    case console_verb::call: return console_run_call(r, st);
    case console_verb::run_text: return run_text_of(r, st);
    case console_verb::declare: return console_run_declare(r, st);
    case console_verb::assign: return console_run_assign(r, st);
    case console_verb::print: return run_print(r, st);
    case console_verb::create: return console_run_create(r, st);
    case console_verb::drop: return console_run_drop(r, st);
    case console_verb::insert: return console_run_insert(r, st);
    case console_verb::erase: return console_run_erase(r, st);
    case console_verb::update: return console_run_update(r, st);
    case console_verb::if_: return run_if(r, st);
    case console_verb::while_: return run_while(r, st);
    case console_verb::try_: return run_try(r, st);
    case console_verb::raise: return run_raise(r, st);
    case console_verb::block: return console_run_statements(r, st.body);
    default: return run_simple(r, st);
    }
}

static void run_statement(console_run &r, const console_statement &st) {
    const console_session &c = *r.s->console;
    if (c.not_run != 0 && st.verb != console_verb::nothing)
        return console_succeed(r);
    if (++r.statements > statements_max || !console_step(r.world)) {
        r.flow = console_flow::returns;
        r.world.problem = {};
        return console_fail(r, too_much, "tdsbouncer: this asks too much of the console");
    }
    r.world.facts.transactions = c.transactions;
    r.world.facts.last_error = c.last_error;
    r.world.facts.last_rows = c.last_rows;
    r.world.seen.clear();
    run_one(r, st);
}

void console_run_statements(console_run &r, const std::vector<console_statement> &all) {
    for (const console_statement &st : all) {
        if (r.flow != console_flow::on)
            break;
        run_statement(r, st);
    }
}

void console_fail_syntax(console_run &r, const console_batch &batch) {
    std::string text =
        batch.near.empty() ? "Incorrect syntax at the end of the text." : "Incorrect syntax near '" + batch.near + "'.";
    console_fail(r, syntax, text, 15, batch.line);
}

void console_run_text(console_run &r, std::span<const uint8_t> text) {
    if (!console_step(r.world, text.size() / 8)) {
        console_failed(r);
        return;
    }
    console_batch batch = console_parse(text);
    if (!batch.good)
        return console_fail_syntax(r, batch);
    console_run_statements(r, batch.statements);
    if (r.flow != console_flow::caught) // else it is for the TRY around this text
        r.flow = console_flow::on;
}
