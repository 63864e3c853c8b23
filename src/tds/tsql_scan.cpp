// From tokens to statements, and from the beginning of a text to its end.
#include "tds/tsql_scan.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "tds/tsql_scanner.h"
#include "tds/utf16.h"

// --- where a statement is over

static void forget_statement(tsql_scanner &s) {
    s.s = {};
    tsql_head_clear(s);
}

static void statement_over(tsql_scanner &s) {
    tsql_kind kind = s.s.kind;
    if (kind == tsql_kind::none)
        return;
    if (kind == tsql_kind::begin) {
        tsql_not_understood(s);
        tsql_flow_block(s);
    } else if (kind == tsql_kind::end) {
        tsql_flow_end_block(s);
    } else {
        tsql_statement_finish(s);
        if (kind == tsql_kind::if_ || kind == tsql_kind::while_)
            tsql_flow_condition_over(s);
        else
            tsql_flow_completed(s);
    }
    forget_statement(s);
}

static void semicolon(tsql_scanner &s) {
    if (s.s.depth > 0)
        tsql_not_understood(s);
    if (s.s.kind == tsql_kind::if_ || s.s.kind == tsql_kind::while_) {
        tsql_not_understood(s);
        statement_over(s);
        tsql_flow_completed(s);
    } else if (s.s.kind == tsql_kind::exec || s.s.kind == tsql_kind::called) {
        s.s.waits = true; // EXEC p;2 is its second version
    } else {
        statement_over(s);
    }
}

// What stands in front of a colon is no part of the statement before.
static void label(tsql_scanner &s) {
    if (s.last_kind != tsql_token_kind::word || s.s.kind == tsql_kind::none)
        tsql_not_understood(s);
    if (s.s.tokens == 1) {
        s.statements--;
        forget_statement(s);
    } else {
        if (s.s.keeps && !s.head_full && s.head_count > 0)
            s.head_count--;
        statement_over(s);
    }
    tsql_flow_label(s);
}

// --- the first token

static tsql_kind kind_of(tsql_word word) {
    using enum tsql_word;
    switch (word) {
    case select: return tsql_kind::select;
    case insert: return tsql_kind::insert;
    case update: return tsql_kind::update;
    case delete_: return tsql_kind::delete_;
    case merge: return tsql_kind::merge;
    case exec:
    case execute: return tsql_kind::exec;
    case set: return tsql_kind::set;
    case use: return tsql_kind::use;
    case declare: return tsql_kind::declare;
    case if_: return tsql_kind::if_;
    case while_: return tsql_kind::while_;
    case begin: return tsql_kind::begin;
    case end: return tsql_kind::end;
    case commit:
    case rollback:
    case save: return tsql_kind::end_tran;
    case create: return tsql_kind::create;
    case alter: return tsql_kind::alter;
    case drop: return tsql_kind::drop;
    case grant:
    case deny:
    case revoke: return tsql_kind::grant;
    case dbcc: return tsql_kind::dbcc;
    case open: return tsql_kind::open;
    case close: return tsql_kind::close;
    case deallocate: return tsql_kind::deallocate;
    case fetch: return tsql_kind::fetch;
    case print: return tsql_kind::print;
    case raiserror: return tsql_kind::raiserror;
    case throw_: return tsql_kind::throw_;
    case return_: return tsql_kind::return_;
    case goto_:
    case break_:
    case continue_: return tsql_kind::jump;
    case waitfor: return tsql_kind::waitfor;
    case truncate: return tsql_kind::truncate;
    case bulk: return tsql_kind::bulk;
    case readtext:
    case writetext:
    case updatetext: return tsql_kind::text_pointer;
    case setuser: return tsql_kind::setuser;
    case revert: return tsql_kind::revert;
    case get:
    case move:
    case receive:
    case send: return tsql_kind::broker;
    case with: return tsql_kind::with;
    case lineno: return tsql_kind::quiet;
    case add:
    case disable:
    case enable:
    case backup:
    case checkpoint:
    case dump:
    case kill:
    case load:
    case reconfigure:
    case restore:
    case shutdown: return tsql_kind::admin;
    default: return tsql_kind::unknown;
    }
}

// A batch may begin with a procedure's name, without EXEC.
static bool calls_by_name(const tsql_scanner &s, const tsql_token &t) {
    if (s.statements > 0 || s.scope == tsql_scope::body)
        return false;
    if (t.kind == tsql_token_kind::word)
        return tsql_word_begins(t.word) == tsql_begins::never;
    return t.kind == tsql_token_kind::name || t.kind == tsql_token_kind::either || t.symbol == '.'; // ..p
}

static tsql_kind first_kind(const tsql_scanner &s, const tsql_token &t) {
    if (calls_by_name(s, t))
        return tsql_kind::called;
    if (t.symbol == '(')
        return tsql_kind::select;
    return t.kind == tsql_token_kind::word ? kind_of(t.word) : tsql_kind::unknown;
}

// Of which kinds the statement's own function reads the first tokens.
static bool keeps_head(tsql_kind kind) {
    using enum tsql_kind;
    switch (kind) {
    case exec:
    case called:
    case set:
    case use:
    case declare:
    case begin_tran:
    case create:
    case alter:
    case drop:
    case definition:
    case dbcc:
    case open:
    case close:
    case end_tran:
    case waitfor:
    case text_pointer:
    case setuser:
    case revert: return true;
    default: return false;
    }
}

static void begin_statement(tsql_scanner &s, tsql_kind kind, const tsql_token &t) {
    forget_statement(s);
    s.s.kind = kind;
    s.s.tokens = 1;
    s.s.keeps = keeps_head(kind);
    if (s.s.keeps)
        tsql_head_keep(s, t);
}

static void start(tsql_scanner &s, const tsql_token &t) {
    bool is_else = t.kind == tsql_token_kind::word && t.word == tsql_word::else_;
    tsql_flow_statement(s, is_else);
    if (is_else)
        return tsql_flow_else(s);
    tsql_kind kind = first_kind(s, t);
    begin_statement(s, kind, t);
    s.s.depth = t.symbol == '(' ? 1 : 0;
    s.statements += kind == tsql_kind::end ? 0 : 1;
    s.only_select = s.only_select && (kind == tsql_kind::select || kind == tsql_kind::with);
    s.no_count = s.no_count && (kind == tsql_kind::set || kind == tsql_kind::use || kind == tsql_kind::begin ||
                                kind == tsql_kind::end_tran);
    if (kind == tsql_kind::if_)
        tsql_flow_if(s);
    else if (kind == tsql_kind::while_)
        tsql_flow_while(s);
}

// The token behind BEGIN. True: it is a part of that.
static bool after_begin(tsql_scanner &s, const tsql_token &t) {
    s.no_count = s.no_count && (t.word == tsql_word::tran || t.word == tsql_word::transaction);
    switch (t.word) {
    case tsql_word::tran:
    case tsql_word::transaction:
    case tsql_word::distributed: begin_statement(s, tsql_kind::begin_tran, t); return true;
    case tsql_word::dialog:
    case tsql_word::conversation: begin_statement(s, tsql_kind::broker, t); return true;
    case tsql_word::atomic:
        tsql_flow_block(s);
        begin_statement(s, tsql_kind::quiet, t);
        return true;
    case tsql_word::try_: tsql_flow_try(s); break;
    case tsql_word::catch_: tsql_flow_catch(s); break;
    default:
        tsql_flow_block(s);
        forget_statement(s);
        return false;
    }
    forget_statement(s);
    return true;
}

static bool after_end(tsql_scanner &s, const tsql_token &t) {
    switch (t.word) {
    case tsql_word::conversation:
        begin_statement(s, tsql_kind::broker, t);
        s.statements++;
        return true;
    case tsql_word::try_: tsql_flow_end_try(s); break;
    case tsql_word::catch_: tsql_flow_end_catch(s); break;
    default:
        tsql_flow_end_block(s);
        forget_statement(s);
        return false;
    }
    forget_statement(s);
    return true;
}

// --- the others

static bool names_definition(tsql_word word) {
    using enum tsql_word;
    return word == proc || word == procedure || word == function || word == trigger || word == view;
}

// CREATE [OR ALTER] PROCEDURE and its like at the beginning of a text: what follows is not run.
static void step_create(tsql_scanner &s, const tsql_token &t) {
    size_t kind_at = tsql_head_word(s, 1) == tsql_word::or_ ? 3 : 1;
    if (s.statements == 1 && s.s.tokens == kind_at && names_definition(t.word))
        s.s.kind = tsql_kind::definition;
}

static void step_select(tsql_scanner &s, const tsql_token &t) {
    bool assigns = s.last_kind == tsql_token_kind::variable && t.kind == tsql_token_kind::symbol && t.symbol != ',';
    if (assigns && !s.s.queried && s.s.depth == 0 && s.s.cases == 0)
        s.only_select = false; // SELECT @v = ..., whose DONE may say something else than @@ROWCOUNT
    if (t.word == tsql_word::compute)
        s.only_select = false; // several DONEs
    if (t.word == tsql_word::from && s.s.depth == 0)
        s.s.queried = true;
}

// INTO of a SELECT: the name behind it is kept.
static bool step_into(tsql_scanner &s, const tsql_token &t) {
    if (t.word != tsql_word::into || s.s.into || tsql_last_word_is(s, {tsql_word::insert, tsql_word::merge}))
        return false;
    s.s.into = s.s.keeps = true;
    tsql_head_clear(s);
    return true;
}

// True: the statement is another one from here on.
static bool step_insert(tsql_scanner &s, const tsql_token &t) {
    if (s.s.tokens == 1 && t.word == tsql_word::bulk)
        s.effect->bulk_load = true;
    if (s.s.sourced || t.kind != tsql_token_kind::word)
        return false;
    bool in_parens = s.s.depth > 0;
    if (t.word == tsql_word::values && !in_parens)
        s.s.sourced = s.s.has_values = true;
    if (t.word == tsql_word::select && (!in_parens || s.last_symbol == '('))
        s.s.sourced = true;
    if ((t.word == tsql_word::exec || t.word == tsql_word::execute) && !in_parens) {
        begin_statement(s, tsql_kind::exec, t);
        s.s.inserts = true;
        return true;
    }
    return false;
}

static void step_declare(tsql_scanner &s, const tsql_token &t) {
    if (t.word == tsql_word::cursor && !tsql_head_is(s, 1, tsql_token_kind::variable))
        s.s.cursor = true;
    if (t.word == tsql_word::select && s.s.depth == 0)
        s.s.queried = true;
    if (s.s.depth > 0 || t.kind != tsql_token_kind::symbol || s.s.cursor)
        return;
    if (t.symbol == '=')
        s.s.assigns = true;
    // One assignment is over: the next one's expression sees what it has left.
    if (t.symbol == ',' && s.s.assigns) {
        for (auto index : {tsql_value_index::rowcount, tsql_value_index::error})
            s.values[index] = std::max(s.values[index], tsql_value::maybe);
        s.s.assigns = false;
    }
}

static void step_set(tsql_scanner &s, const tsql_token &t) {
    if (t.word == tsql_word::cursor && s.last_symbol == '=')
        s.s.cursor = true;
    if (t.word == tsql_word::select && s.s.depth == 0)
        s.s.queried = true;
}

static void step_with(tsql_scanner &s, const tsql_token &t) {
    if (s.s.depth > 0 || t.kind != tsql_token_kind::word || !tsql_follows_with(t.word))
        return;
    s.s.kind = kind_of(t.word);
    s.only_select = s.only_select && s.s.kind == tsql_kind::select;
}

// What stands in parentheses behind FROM may be a statement with OUTPUT.
static void step_in_parens(tsql_scanner &s, const tsql_token &t) {
    using enum tsql_word;
    if (s.last_symbol != '(' || s.opened_by == option ||
        (t.word != insert && t.word != update && t.word != delete_ && t.word != merge))
        return;
    s.effect->writes = s.effect->transactions = true;
    s.only_select = false;
}

// True: the token is not to be kept with the head.
static bool step_kind(tsql_scanner &s, const tsql_token &t) {
    switch (s.s.kind) {
    case tsql_kind::with: step_with(s, t); break;
    case tsql_kind::select: step_select(s, t); return step_into(s, t);
    case tsql_kind::insert: return step_insert(s, t);
    case tsql_kind::update:
        if (s.s.tokens == 1 && t.word == tsql_word::statistics)
            s.s.kind = tsql_kind::admin;
        s.s.set_seen = s.s.set_seen || (t.word == tsql_word::set && s.s.depth == 0);
        break;
    case tsql_kind::create:
    case tsql_kind::alter: step_create(s, t); [[fallthrough]];
    case tsql_kind::drop:
        if (s.s.kind != tsql_kind::create && t.text.starts_with(u'#'))
            s.effect->drops_temps = true;
        break;
    case tsql_kind::declare: step_declare(s, t); break;
    case tsql_kind::set: step_set(s, t); break;
    case tsql_kind::grant: s.s.granted = s.s.granted || t.word == tsql_word::to || t.word == tsql_word::from; break;
    case tsql_kind::text_pointer:
        if (s.s.tokens == 1 && t.word == tsql_word::bulk)
            s.effect->bulk_load = true;
        break;
    case tsql_kind::exec:
    case tsql_kind::called: tsql_exec_token(s, t); break;
    default: break;
    }
    return false;
}

static void step_anywhere(tsql_scanner &s, const tsql_token &t) {
    switch (t.word) {
    case tsql_word::case_: s.s.cases++; break;
    case tsql_word::end: s.s.cases -= s.s.cases > 0 ? 1 : 0; break;
    case tsql_word::order:
    case tsql_word::group: s.s.sorted = true; break;
    case tsql_word::openrowset:
    case tsql_word::openquery:
    case tsql_word::opendatasource:
        s.effect->calls = s.effect->transactions = true;
        s.only_select = false;
        s.s.rowset = true;
        break;
    default: break;
    }
}

static void go_on(tsql_scanner &s, const tsql_token &t) {
    if (t.symbol == ')' && s.s.depth == 0)
        tsql_not_understood(s);
    else if (t.symbol == ')')
        s.s.depth--;
    if (s.s.depth > 0)
        step_in_parens(s, t);
    step_anywhere(s, t);
    if (step_kind(s, t))
        return;
    if (t.symbol == '(') {
        s.s.depth++;
        s.opened_by = s.last_word;
    }
    if (s.s.keeps)
        tsql_head_keep(s, t);
    s.s.tokens++;
}

// --- definitions

// A procedure's text up to its AS. Parameters may have one as well, and so does EXECUTE AS; functions need none.
static void define(tsql_scanner &s, const tsql_token &t) {
    using enum tsql_word;
    if (s.s.tokens++ == 0 && t.word != create && t.word != alter)
        tsql_not_understood(s);
    if (s.s.tokens <= 4 && t.word == function)
        s.s.sourced = true;
    if (t.symbol == '(')
        s.s.depth++;
    else if (t.symbol == ')' && s.s.depth > 0)
        s.s.depth--;
    bool over = t.word == as && s.last_kind != tsql_token_kind::variable && !tsql_last_word_is(s, {exec, execute});
    if (s.s.depth > 0 || (!over && !(s.s.sourced && (t.word == begin || t.word == return_))))
        return;
    s.defining = false;
    forget_statement(s);
    if (!over)
        start(s, t);
}

static void take(tsql_scanner &s, const tsql_token &t) {
    if (s.defining)
        return define(s, t);
    if (s.s.kind == tsql_kind::begin && after_begin(s, t))
        return;
    if (s.s.kind == tsql_kind::end && after_end(s, t))
        return;
    if (s.s.waits) {
        s.s.waits = false;
        if (t.kind == tsql_token_kind::number)
            return;
        statement_over(s);
    }
    if (t.symbol == ';' && !(s.s.rowset && s.s.depth > 0)) // OPENROWSET('provider', 'source';'user';'password', ...)
        return semicolon(s);
    if (t.symbol == ':' && s.s.depth == 0)
        return label(s);
    if (s.s.kind != tsql_kind::none && tsql_begins_another(s, t))
        statement_over(s);
    if (s.s.kind == tsql_kind::none)
        start(s, t);
    else
        go_on(s, t);
}

static void on_token(void *who, const tsql_token &t) {
    auto &s = *static_cast<tsql_scanner *>(who);
    if (s.skipping)
        return;
    if (s.s.kind == tsql_kind::definition) {
        tsql_head_keep(s, t);
        return;
    }
    if (t.kind == tsql_token_kind::odd)
        tsql_not_understood(s);
    bool was_defining = s.defining;
    take(s, t);
    if (!was_defining)
        tsql_value_token(s, t);
    s.last_kind = t.kind;
    s.word_before = s.last_word;
    s.last_word = t.word;
    s.last_symbol = t.symbol;
}

static bool on_wants(void *who) {
    return tsql_wants_content(*static_cast<tsql_scanner *>(who));
}
static void on_content(void *who, std::span<const uint8_t> utf16) {
    tsql_inner_content(*static_cast<tsql_scanner *>(who), utf16);
}

// --- texts

tsql_scanner *tsql_scanner_create() {
    return new (std::nothrow) tsql_scanner{};
}
void tsql_scanner_destroy(tsql_scanner *s) {
    delete s;
}

static void begin_values(tsql_scanner &s) {
    for (tsql_value &value : s.values.at)
        value = s.was_empty ? tsql_value::kept : tsql_value::maybe;
    s.call.tokens = 0;
}

void tsql_scan_begin(tsql_scanner *s, tsql_scope scope, tsql_effect &effect) {
    s->scope = scope;
    s->effect = &effect;
    s->nested = s->skipping = s->implicit_on = s->spid = false;
    s->defining = scope == tsql_scope::body;
    s->was_empty = effect.empty;
    s->only_select = s->no_count = true;
    s->statements = 0;
    s->last_kind = tsql_token_kind::odd;
    s->last_word = s->word_before = s->opened_by = tsql_word::none;
    s->last_symbol = 0;
    forget_statement(*s);
    begin_values(*s);
    tsql_flow_begin(*s);
    tsql_tokens_begin(s->tokens, {s, on_token, on_wants, on_content});
}

void tsql_scan_feed(tsql_scanner *s, std::span<const uint8_t> utf16) {
    tsql_tokens_feed(s->tokens, utf16);
}

void tsql_scan_end(tsql_scanner *s) {
    tsql_effect &effect = *s->effect;
    if (!tsql_tokens_end(s->tokens) || s->s.depth > 0 || s->defining)
        tsql_not_understood(*s);
    if (!s->defining)
        statement_over(*s);
    tsql_flow_end(*s);
    effect.empty = effect.empty && s->statements == 0;
    effect.lone_select =
        s->was_empty && s->statements == 1 && s->only_select && s->scope != tsql_scope::body && !s->skipping;
    effect.no_count = s->was_empty && s->statements > 0 && s->no_count && tsql_in_batch(*s) && !s->skipping;
    if (s->spid && (!effect.lone_select || s->nested))
        tsql_turn_on(*s, tsql_spid);
    tsql_sum_marks(effect);
}

void tsql_scan(tsql_scanner *s, tsql_scope scope, std::span<const uint8_t> utf16, tsql_effect &effect) {
    tsql_scan_begin(s, scope, effect);
    tsql_scan_feed(s, utf16);
    tsql_scan_end(s);
}

// The name may be anything: as text it is read only where it can be nothing but a name.
static bool is_plain_name(std::string_view name) {
    for (char c : name)
        if (strchr("'-/*();,=@ \t\r\n", c) != nullptr) // NUL too
            return false;
    return !name.empty();
}

void tsql_call(tsql_scanner *scanner, tsql_scope scope, std::string_view name, tsql_effect &effect) {
    if (!is_plain_name(name)) {
        effect.turned_on |= tsql_unknown;
        effect.calls = effect.writes = effect.transactions = true;
        effect.empty = effect.lone_select = effect.no_count = false;
        return;
    }
    std::string call("EXEC ");
    call.append(name).append(" @unseen,@unseen,@unseen,@unseen,@unseen");
    std::vector<uint8_t> text;
    tds_utf16_append(call, call.size(), text);
    tsql_scan(scanner, scope, text, effect);
}
