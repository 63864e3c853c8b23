// Runs statements: control flow, variables, errors, transactions, messages.
#include "tsql_bind.h"
#include "tsql_cursor.h"
#include "tsql_functions.h"
#include "tsql_types.h"

#include <algorithm>

namespace sqlserver {

// --- errors

static bool ends_batch_and_tran(int32_t number) {
    static const int32_t all[] = {245, 241, 242, 244, 248, 235, 8114, 8169, 1205, 3930};
    return std::find(std::begin(all), std::end(all), number) != std::end(all);
}

static bool statement_terminated(int32_t number) {
    static const int32_t all[] = {515, 547, 2601, 2627, 2628, 8152, 8115, 220, 544, 512};
    return std::find(std::begin(all), std::end(all), number) != std::end(all);
}

static bool compile_error(const sql_error &e) {
    return e.number == 207 || e.number == 208 || e.number == 209 || e.number == 4104 || e.number == 156 ||
           e.number == 102 || e.number == 137 || e.number == 195 || e.number == 206 || e.number == 257;
}

static uint16_t command_of(const stmt *s) {
    switch (s != nullptr ? s->kind : stmt_kind::nothing) {
    case stmt_kind::select: return 0xC1;
    case stmt_kind::insert: return 0xC3;
    case stmt_kind::delete_: return 0xC4;
    case stmt_kind::update: return 0xC5;
    case stmt_kind::begin_tran: return 0xD4;
    case stmt_kind::commit: return 0xD5;
    case stmt_kind::rollback: return 0xD2;
    case stmt_kind::save_tran: return 0xD6;
    case stmt_kind::create_table: return 0xC6;
    case stmt_kind::drop: return 0xC7;
    case stmt_kind::create_module: return 0xDE;
    case stmt_kind::create_index: return 0xC8;
    case stmt_kind::set_option:
    case stmt_kind::set_variable: return 0xBE;
    case stmt_kind::exec_proc:
    case stmt_kind::exec_text: return 0xE0;
    case stmt_kind::use: return 0xB9;
    default: return 0xFD;
    }
}

flow report_error(frame &f, sql_error e, const stmt *s) {
    session *x = f.s;
    if (e.number == 0 && e.text.empty()) // cancelled
        return flow::abort;
    if (e.line == 0 && s != nullptr)
        e.line = s->line;
    if (e.procedure.empty())
        e.procedure = f.procedure;
    bool raised = s != nullptr && (s->kind == stmt_kind::raiserror);
    bool fatal = ends_batch_and_tran(e.number);
    x->last_error = e.number;
    x->rowcount = 0;
    if (x->try_depth > 0 && e.severity < 20) {
        if (x->trancount > 0 && !raised && (x->options.xact_abort || fatal))
            x->doomed = true;
        if (x->result_open) // a result that has begun must end
            send_done(f, done_error, command_of(s), 0);
        x->pending_error = e;
        return flow::error;
    }
    bool abort = e.aborts_batch || fatal || compile_error(e) || e.severity >= 20 || (x->options.xact_abort && !raised);
    if (x->trancount > 0 && !raised &&
        (fatal || e.rolls_back || (x->options.xact_abort && e.severity < 20 && !compile_error(e))))
        tran_rollback_all(f, true);
    send_message(f, e);
    if (statement_terminated(e.number))
        f.h->message(3621, 0, 0, "The statement has been terminated.", f.procedure, e.line);
    x->done_sent = true;
    x->result_open = false;
    f.h->done(f.in_proc ? done_kind::done_in_proc : done_kind::done, done_error, command_of(s), 0);
    if (e.severity >= 20)
        f.h->close_connection();
    return abort ? flow::abort : flow::next;
}

// --- messages

static std::string raise_text(frame &f, const stmt &s) {
    type_info t;
    value first = eval_expr(f, *s.list[0], t);
    std::string format = is_char(t.id) ? first.text : "Error " + to_text(first, t);
    std::string out;
    size_t next = 3;
    for (size_t i = 0; i < format.size(); i++) {
        if (format[i] != '%') {
            out.push_back(format[i]);
            continue;
        }
        size_t from = i++;
        while (i < format.size() && std::string("-+ #0123456789.*").find(format[i]) != std::string::npos)
            i++;
        bool wide = format.compare(i, 3, "I64") == 0;
        i += wide ? 3 : i < format.size() && (format[i] == 'l' || format[i] == 'h') ? 1 : 0;
        char kind = i < format.size() ? format[i] : '%';
        if (kind == '%') {
            out.push_back('%');
            continue;
        }
        value v;
        if (next < s.list.size())
            v = eval_expr(f, *s.list[next++], t);
        std::string spec = format.substr(from, i - from);
        spec = spec.substr(0, spec.find_first_of("Ilh"));
        if (spec.find('*') != std::string::npos)
            spec = "%";
        if (v.null)
            out += "(null)";
        else if (kind == 's')
            out += text_printf((spec + "s").c_str(), to_text(v, t).c_str());
        else
            out += text_printf((spec + "ll" + (kind == 'i' ? 'd' : kind)).c_str(),
                               static_cast<long long>(convert(v, t, t_bigint).i64));
    }
    return utf16_substring(out, 0, 2047);
}

static void exec_raiserror(frame &f, const stmt &s) {
    sql_error e;
    type_info t;
    value first = eval_expr(f, *s.list[0], t);
    e.number = is_char(t.id) ? 50000 : static_cast<int32_t>(first.i64);
    e.text = raise_text(f, s);
    int64_t severity = eval_as(f, *s.list[1], t_int).i64, state = eval_as(f, *s.list[2], t_int).i64;
    bool log = false, set_error = false;
    for (const std::string &w : s.words) {
        log = log || w == "log";
        set_error = set_error || w == "seterror";
    }
    if (severity > 18 && !log)
        fail(2754, 16, 1,
             "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using "
             "the WITH LOG option.");
    e.severity = static_cast<uint8_t>(std::clamp<int64_t>(severity, 0, 25));
    e.state = static_cast<uint8_t>(std::clamp<int64_t>(state, 0, 255));
    e.line = s.line;
    e.procedure = f.procedure;
    if (e.severity > 10)
        throw e;
    if (e.severity == 10)
        e.severity = 0; // as the server sends it
    send_message(f, e);
    f.s->last_error = set_error ? e.number : 0;
    send_done(f, 0, 0xFD, 0);
}

static void exec_throw(frame &f, const stmt &s) {
    sql_error e;
    if (s.list.empty()) {
        frame *x = &f;
        while (x != nullptr && !x->caught)
            x = x->parent;
        if (x == nullptr)
            fail(10704, 15, 1,
                 "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW "
                 "statement inside a CATCH block, or add error parameters to the THROW statement.");
        e = *x->caught;
    } else {
        e.number = static_cast<int32_t>(eval_as(f, *s.list[0], t_int).i64);
        e.text = eval_as(f, *s.list[1], {type_id::nvarchar_, 2048, 0, 0}).text;
        e.state = static_cast<uint8_t>(eval_as(f, *s.list[2], t_int).i64);
        e.line = s.line;
        if (e.number < 50000)
            fail(35100, 16, 10,
                 "Error number %d in the THROW statement is outside the valid range. Specify an error number in "
                 "the valid range of 50000 to 2147483647.",
                 e.number);
    }
    e.aborts_batch = true;
    throw e;
}

// --- variables

static void exec_declare(frame &f, const stmt &s) {
    bool assigned = false;
    for (const declaration &d : s.declarations) {
        if (d.is_cursor)
            continue;
        if (d.is_table) {
            create_table_variable(f, d);
            continue;
        }
        variable &v = f.variables[d.name];
        if (v.type.id != d.type.id || v.type.length != d.type.length || d.init != nullptr || v.val.null)
            v = {d.type, value()};
        if (d.init != nullptr) {
            v.val = eval_as(f, *d.init, d.type);
            assigned = true;
        }
    }
    if (assigned) {
        f.s->rowcount = 1;
        send_done(f, 0, 0xBE, 0);
    }
}

static void exec_set_variable(frame &f, const stmt &s) {
    const select_item &item = s.sets[0];
    variable &v = f.variables.at(item.variable);
    if (item.assign == "=") {
        value now = eval_as(f, *item.e, v.type);
        f.variables.at(item.variable).val = std::move(now);
    } else {
        plan none;
        binder b{f, none};
        expr self;
        self.kind = expr_kind::variable;
        self.text = item.variable;
        bound_ptr x =
            convert_to(bind_binary(item.assign.substr(0, 1), bind(b, self), bind(b, *item.e), s.line), v.type);
        if (x->subquery)
            fail(1046, 15, 1, "Subqueries are not allowed in this context. Only scalar expressions are allowed.");
        eval_context c{f, nullptr};
        v.val = eval(*x, c);
    }
    f.s->rowcount = 1;
    send_done(f, 0, 0xBE, 0);
}

// --- transactions, waiting

static std::string tran_name(frame &f, const stmt &s) {
    return s.e != nullptr ? eval_as(f, *s.e, t_sysname).text : s.text;
}

static void exec_tran(frame &f, const stmt &s) {
    switch (s.kind) {
    case stmt_kind::begin_tran:
        tran_implicit(f); // and this one is nested in that
        tran_begin(f, tran_name(f, s), true);
        break;
    case stmt_kind::commit: tran_commit(f, true); break;
    case stmt_kind::rollback: tran_rollback(f, tran_name(f, s), true); break;
    default: tran_save(f, tran_name(f, s)); break;
    }
    send_done(f, 0, command_of(&s), 0);
}

static void exec_waitfor(frame &f, const stmt &s) {
    type_info t;
    value v = eval_expr(f, *s.e, t), at;
    if (is_char(t.id) && !datetime_parse(v.text, at))
        fail(148, 15, 1, "Incorrect time syntax in time string '%s' used with WAITFOR.", v.text.c_str());
    if (is_date(t.id))
        at = v;
    int64_t ms = at.ticks / 10000;
    if (!s.flag) {
        ms -= datetime_now(false).ticks / 10000;
        ms += ms < 0 ? 86400000 : 0;
    }
    if (!f.h->wait(static_cast<uint64_t>(ms))) {
        sql_error cancelled;
        cancelled.aborts_batch = true;
        throw cancelled;
    }
    send_done(f, 0, 0xFD, 0);
}

// --- control flow

// IF and WHILE are statements of their own: what they ask is gone for what they run.
static bool test_condition(frame &f, const stmt &s) {
    bool holds = eval_condition(f, *s.e);
    f.s->rowcount = 0;
    f.s->last_error = 0;
    return holds;
}

static flow exec_while(frame &f, const stmt &s) {
    while (test_condition(f, s)) {
        flow r = run_block(f, s.body);
        if (r == flow::break_)
            break;
        if (r != flow::next && r != flow::continue_)
            return r;
        if (f.h->cancelled())
            return flow::abort;
    }
    return flow::next;
}

static flow exec_try(frame &f, const stmt &s) {
    session *x = f.s;
    x->try_depth++;
    int nest = x->nest;
    flow r = run_block(f, s.body);
    x->try_depth--;
    if (r != flow::error)
        return r;
    x->nest = nest;
    auto outer = f.caught;
    f.caught = x->pending_error;
    x->pending_error.reset();
    x->last_error = f.caught->number;
    r = run_block(f, s.other);
    f.caught = outer;
    return r;
}

static flow exec_return(frame &f, const stmt &s) {
    if (s.e != nullptr)
        f.return_status = static_cast<int32_t>(eval_as(f, *s.e, t_int).i64);
    f.s->rowcount = 1; // a simple assignment, as SET @v
    return flow::return_;
}

// As if another process had locked what this one wants, the other way round.
static void perhaps_deadlock(frame &f, const stmt &s) {
    int64_t &left = f.s->eng->options.deadlocks;
    bool changes = s.kind == stmt_kind::insert || s.kind == stmt_kind::update || s.kind == stmt_kind::delete_;
    if (left <= 0 || f.s->trancount == 0 || !changes)
        return;
    left--;
    fail(1205, 13, 51,
         "Transaction (Process ID %d) was deadlocked on lock resources with another process and has been chosen as the "
         "deadlock victim. Rerun the transaction.",
         static_cast<int>(f.s->spid));
}

static flow run_kind(frame &f, const stmt &s) {
    switch (s.kind) {
    case stmt_kind::block: return run_block(f, s.body);
    case stmt_kind::if_: return run_block(f, test_condition(f, s) ? s.body : s.other);
    case stmt_kind::while_: return exec_while(f, s);
    case stmt_kind::break_: return flow::break_;
    case stmt_kind::continue_: return flow::continue_;
    case stmt_kind::return_: return exec_return(f, s);
    case stmt_kind::goto_: return f.goto_label = s.text, flow::goto_;
    case stmt_kind::label: return flow::next;
    case stmt_kind::try_: return exec_try(f, s);
    case stmt_kind::select: exec_select(f, s); break;
    case stmt_kind::insert: exec_insert(f, s); break;
    case stmt_kind::update: exec_update(f, s); break;
    case stmt_kind::delete_: exec_delete(f, s); break;
    case stmt_kind::declare: exec_declare(f, s); break;
    case stmt_kind::set_variable: exec_set_variable(f, s); break;
    case stmt_kind::set_option: exec_set(f, s); break;
    case stmt_kind::throw_: exec_throw(f, s); break;
    case stmt_kind::raiserror: exec_raiserror(f, s); break;
    case stmt_kind::print: {
        type_info t;
        value v = eval_expr(f, *s.e, t);
        f.h->message(0, 1, 0, v.null ? " " : to_text(v, t), f.procedure, s.line);
        send_done(f, 0, 0xF7, 0);
        break;
    }
    case stmt_kind::exec_proc: return exec_procedure(f, s);
    case stmt_kind::exec_text: {
        std::vector<call_argument> none;
        return exec_text(f, eval_as(f, *s.e, {type_id::nvarchar_, length_max, 0, 0}).text, {}, "", none, 0, f.in_proc);
    }
    case stmt_kind::begin_tran:
    case stmt_kind::commit:
    case stmt_kind::rollback:
    case stmt_kind::save_tran: exec_tran(f, s); break;
    case stmt_kind::use: exec_use(f, s); break;
    case stmt_kind::waitfor: exec_waitfor(f, s); break;
    case stmt_kind::dbcc: exec_dbcc(f, s); break;
    case stmt_kind::execute_as: exec_execute_as(f, s); break;
    case stmt_kind::revert: exec_revert(f, s); break;
    case stmt_kind::truncate: exec_truncate(f, s); break;
    case stmt_kind::create_key:
    case stmt_kind::open_key:
    case stmt_kind::close_key: exec_symmetric_key(f, s); break;
    case stmt_kind::insert_bulk: exec_insert_bulk(f, s); break;
    case stmt_kind::set_cursor: exec_set_cursor(f, s); break;
    case stmt_kind::declare_cursor: exec_declare_cursor(f, s); break;
    case stmt_kind::open_cursor: exec_open_cursor(f, s); break;
    case stmt_kind::fetch: exec_fetch(f, s); break;
    case stmt_kind::close_cursor: exec_close_cursor(f, s); break;
    case stmt_kind::deallocate: exec_deallocate(f, s); break;
    case stmt_kind::nothing:
    case stmt_kind::alter_constraint: send_done(f, 0, 0xFD, 0); break;
    case stmt_kind::unsupported: fail(40517, 16, 1, "%s is not supported by this server.", s.text.c_str());
    default: exec_ddl(f, s); break;
    }
    return flow::next;
}

static bool keeps_error(stmt_kind k) {
    return k == stmt_kind::block || k == stmt_kind::if_ || k == stmt_kind::while_ || k == stmt_kind::try_ ||
           k == stmt_kind::return_ || k == stmt_kind::exec_proc || k == stmt_kind::exec_text ||
           k == stmt_kind::declare || k == stmt_kind::label || k == stmt_kind::goto_ || k == stmt_kind::raiserror;
}

// What FMTONLY keeps from running: it asks for the shape of results.
static bool changes_something(stmt_kind k) {
    return k == stmt_kind::insert || k == stmt_kind::update || k == stmt_kind::delete_ || k == stmt_kind::truncate ||
           k == stmt_kind::create_table || k == stmt_kind::drop || k == stmt_kind::create_index ||
           k == stmt_kind::create_module;
}

// @@ROWCOUNT after USE, SET of an option, PRINT, BEGIN TRAN, CREATE and their like is 0.
static bool keeps_rowcount(stmt_kind k) {
    return (keeps_error(k) && k != stmt_kind::raiserror) || k == stmt_kind::select || k == stmt_kind::insert ||
           k == stmt_kind::update || k == stmt_kind::delete_ || k == stmt_kind::set_variable ||
           k == stmt_kind::break_ || k == stmt_kind::continue_ || k == stmt_kind::declare_cursor ||
           k == stmt_kind::fetch;
}

flow run_stmt(frame &f, const stmt &s) {
    sql_error e;
    if (f.h->cancelled())
        return flow::abort;
    if ((f.s->options.noexec || f.s->options.parseonly) && s.kind != stmt_kind::set_option)
        return flow::next;
    if (showplan_instead(f, s))
        return flow::next;
    if (f.s->options.fmtonly && changes_something(s.kind)) {
        send_done(f, 0, command_of(&s), 0);
        return flow::next;
    }
    try {
        perhaps_deadlock(f, s);
        f.has_read |= s.kind == stmt_kind::select || s.kind == stmt_kind::if_;
        flow r = run_kind(f, s);
        if (!keeps_error(s.kind))
            f.s->last_error = 0;
        if (!keeps_rowcount(s.kind))
            f.s->rowcount = 0;
        statistics_after(f, s);
        return r;
    } catch (const sql_error &thrown) {
        e = thrown; // handled outside of the catch block: sending may switch fibers
    } catch (const std::bad_alloc &) {
        e.number = 701;
        e.severity = 17;
        e.text = "There is insufficient system memory to run this query.";
    }
    return report_error(f, e, &s);
}

static bool find_label(const std::vector<stmt_ptr> &body, const std::string &label, size_t &at) {
    for (size_t i = 0; i < body.size(); i++)
        if (body[i]->kind == stmt_kind::label && same_name(body[i]->text, label)) {
            at = i;
            return true;
        }
    return false;
}

flow run_block(frame &f, const std::vector<stmt_ptr> &body) {
    for (size_t i = 0; i < body.size(); i++) {
        flow r = run_stmt(f, *body[i]);
        if (r == flow::goto_ && find_label(body, f.goto_label, i))
            continue;
        if (r != flow::next)
            return r;
    }
    return flow::next;
}

flow run_frame(frame &f, const std::vector<stmt_ptr> &body) {
    flow r = run_block(f, body);
    if (r == flow::goto_) {
        sql_error e;
        e.number = 133;
        e.severity = 15;
        e.text = "A GOTO statement references the label '" + f.goto_label + "' but the label has not been declared.";
        e.aborts_batch = true;
        r = report_error(f, e, nullptr);
    }
    for (const std::string &name : f.own_temps)
        drop_temp(f.s, name, f.h);
    for (auto &[name, o] : f.tables)
        store_exec(f, "DROP TABLE IF EXISTS temp." + quote_name(o->table, '"'));
    if (!f.tables.empty())
        f.s->temp_version++;
    return r;
}

} // namespace sqlserver
