// Cursors of the API: sp_cursoropen, sp_cursorfetch and their like, as RPC or by EXEC. See tsql_cursor.h.
//
// Rows carry one more column than the query has, ROWSTAT, hidden: 1, the row is there.
#include "tsql_cursor.h"

#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_types.h"

#include <algorithm>

namespace sqlserver {

namespace {

using arguments_t = std::vector<call_argument>;

constexpr type_info t_max{type_id::nvarchar_, length_max, 0, 0};
constexpr int32_t scroll_kinds = 0x1F, scroll_dynamic = 2, scroll_forward = 4, scroll_static = 8, scroll_fast = 0x10,
                  scroll_parameters = 0x1000, scroll_auto_fetch = 0x2000, scroll_auto_close = 0x4000;
constexpr int32_t concurrency_kinds = 0x0F, read_only = 1, allow_direct = 0x2000;
constexpr int32_t closed_by_itself = 0x10;                                             // the return status then
constexpr int32_t code_name = 2, code_scroll = 4, code_concurrency = 5, code_rows = 6; // of sp_cursoroption

void need(const arguments_t &all, size_t count, const char *procedure, const char *parameter) {
    if (all.size() < count)
        fail(201, 16, 10, "Procedure or function '%s' expects parameter '%s', which was not supplied.", procedure,
             parameter);
}

bool given(const arguments_t &all, size_t i) {
    return i < all.size() && !all[i].val.null && !all[i].use_default;
}

std::string text_at(const arguments_t &all, size_t i) {
    return given(all, i) ? convert(all[i].val, all[i].type, t_max).text : "";
}

int32_t int_at(const arguments_t &all, size_t i, int32_t otherwise = 0) {
    return given(all, i) ? static_cast<int32_t>(convert(all[i].val, all[i].type, t_int).i64) : otherwise;
}

// An output goes back even where the client did not mark it: EXEC decides by the variable.
void give_back(arguments_t &all, size_t i, int64_t n) {
    if (i >= all.size())
        return;
    all[i].type = t_int;
    all[i].val = value_int(n);
}

std::vector<declaration> declared_in(const std::string &parameters) {
    return trim(parameters).empty() ? std::vector<declaration>() : parse_parameters(parameters);
}

// --- opening

struct open_request {
    std::string text, parameters;
    int32_t scroll = 0, concurrency = 0, rows_wanted = 0;
    size_t first_value = 0;              // among the arguments
    size_t cursor_at = 0, scroll_at = 0; // scroll, concurrency and row count are outputs, one behind the other
};

bool plain_select(const batch &b) {
    if (b.body.size() != 1 || b.body[0]->kind != stmt_kind::select)
        return false;
    const query &q = *b.body[0]->q;
    if (q.core == nullptr)
        return true;
    bool assigns = std::any_of(q.core->items.begin(), q.core->items.end(),
                               [](const select_item &i) { return !i.variable.empty(); });
    return q.core->into.empty() && !assigns;
}

// Runs the text and takes its rows. False: it has none, and ran directly.
bool materialise(frame &f, const open_request &q, arguments_t &all, row_set &set, flow &result) {
    std::vector<declaration> declared = declared_in(q.parameters);
    auto tree = cached_parse(f.s, q.text, declared, q.parameters);
    bool one = plain_select(*tree) || (tree->body.size() == 1 && tree->body[0]->kind == stmt_kind::exec_proc);
    if (!one) {
        if ((q.concurrency & allow_direct) == 0)
            fail(16937, 16, 1,
                 "A server cursor is not allowed on a remote stored procedure or stored procedure with more than one "
                 "SELECT statement. Use a default result set or client cursor.");
        f.h->message(16954, 1, 0, "Executing SQL directly; no cursor.", "", 1);
        result = exec_text(f, q.text, declared, q.parameters, all, q.first_value, true);
        return false;
    }
    row_set *outer = f.capture;
    f.capture = &set;
    result = exec_text(f, q.text, declared, q.parameters, all, q.first_value, true);
    f.capture = outer;
    return result == flow::next || result == flow::return_;
}

cursor_ptr new_api_cursor(frame &f, const open_request &q, row_set set) {
    auto c = std::make_shared<cursor>();
    int32_t kind = q.scroll & scroll_kinds;
    c->scroll_option = kind == 0 ? 1 : kind;
    c->scroll = (kind & (scroll_forward | scroll_fast)) == 0;
    c->keyed = (kind & scroll_static) == 0;
    c->dynamic = (kind & (scroll_dynamic | scroll_forward | scroll_fast)) != 0;
    c->auto_close = (q.scroll & scroll_auto_close) != 0 && !c->scroll;
    int32_t asked = q.concurrency & concurrency_kinds;
    c->concurrency = !c->keyed || (kind & scroll_fast) != 0 || asked == 0 ? read_only : asked;
    set.columns.push_back({"ROWSTAT", t_int, false, false, false, true, false, true});
    for (auto &row : set.rows)
        row.push_back(value_int(1));
    c->set = std::move(set);
    c->is_open = true;
    tran_implicit(f);
    return c;
}

void send_buffer(frame &f, const cursor &c, const std::string &table) {
    row_set rows;
    rows.columns = c.set.columns;
    for (int64_t i = 0; i < c.held; i++)
        rows.rows.push_back(c.set.rows[static_cast<size_t>(c.at + i)]);
    f.h->columns(rows.columns);
    if (!table.empty())
        f.h->browse_info({table}, rows.columns);
    for (const auto &row : rows.rows)
        f.h->row(row);
    f.s->rowcount = static_cast<int64_t>(rows.rows.size());
    send_done(f, done_count, 0xC1, rows.rows.size());
}

// The one table that it reads, or nothing.
std::string table_of(frame &f, const open_request &q) {
    auto tree = cached_parse(f.s, q.text, declared_in(q.parameters), q.parameters);
    const stmt &s = *tree->body.at(0);
    bool named = s.kind == stmt_kind::select && s.q->core != nullptr && s.q->core->from != nullptr &&
                 s.q->core->from->kind == table_kind::named;
    return named ? s.q->core->from->path.back() : "";
}

flow open_cursor(frame &f, const open_request &q, arguments_t &all, int32_t &status) {
    row_set set;
    flow result = flow::next;
    bool has_rows = materialise(f, q, all, set, result);
    if (result == flow::error || result == flow::abort)
        return result;
    give_back(all, q.cursor_at, 0);
    if (!has_rows)
        return flow::next;
    auto rows = static_cast<int64_t>(set.rows.size());
    cursor_ptr c = new_api_cursor(f, q, std::move(set));
    if ((q.scroll & scroll_auto_fetch) != 0)
        cursor_move(*c, fetch::next, 0, std::max(q.rows_wanted, 1));
    send_buffer(f, *c, table_of(f, q));
    bool ended = c->auto_close && (q.scroll & scroll_auto_fetch) != 0 && c->at + c->held >= rows;
    if (ended) {
        status = closed_by_itself;
    } else {
        int32_t id = f.s->next_api_cursor;
        f.s->next_api_cursor += 2;
        f.s->api_cursors[id] = c;
        give_back(all, q.cursor_at, id);
    }
    give_back(all, q.scroll_at, c->scroll_option);
    give_back(all, q.scroll_at + 1, c->concurrency);
    give_back(all, q.scroll_at + 2, c->dynamic ? -1 : rows);
    return flow::next;
}

void mark_outputs(arguments_t &all, std::initializer_list<size_t> which) {
    for (size_t i : which)
        if (i < all.size())
            all[i].output = true;
}

void read_options(open_request &q, const arguments_t &all) {
    q.scroll = int_at(all, q.scroll_at);
    q.concurrency = int_at(all, q.scroll_at + 1);
    q.rows_wanted = int_at(all, q.scroll_at + 2);
}

// --- cursors and handles by number

cursor &api_cursor(frame &f, const arguments_t &all, const char *procedure) {
    int32_t id = int_at(all, 0);
    auto found = f.s->api_cursors.find(id);
    if (found == f.s->api_cursors.end())
        fail(16909, 16, 1, "%s: The cursor identifier value provided (%x) is not valid.", procedure,
             static_cast<unsigned>(id));
    return *found->second;
}

const prepared &cursor_handle(frame &f, const arguments_t &all) {
    auto found = f.s->cursor_handles.find(int_at(all, 0));
    if (found == f.s->cursor_handles.end())
        fail(8179, 16, 3, "Could not find prepared statement with handle %d.", int_at(all, 0));
    return found->second;
}

int32_t prepare_cursor(frame &f, const std::string &text, const std::string &parameters) {
    std::optional<sql_error> wrong;
    try {
        cached_parse(f.s, text, declared_in(parameters), parameters);
    } catch (const sql_error &thrown) {
        wrong = thrown; // sent outside of the catch block: sending may switch fibers
    }
    if (wrong && f.s->try_depth == 0)
        send_message(f, *wrong);
    if (wrong)
        fail(8180, 16, 1, "Statement(s) could not be prepared.");
    int32_t handle = f.s->next_cursor_handle++;
    f.s->cursor_handles[handle] = {text, parameters, false, f.s->db};
    return handle;
}

fetch fetch_of(int32_t type) {
    switch (type) {
    case 1: return fetch::first;
    case 2: return fetch::next;
    case 4:
    case 0x200: return fetch::prior;
    case 8: return fetch::last;
    case 0x10: return fetch::absolute;
    case 0x20: return fetch::relative;
    case 0x80: return fetch::refresh;
    default: fail(16902, 16, 1, "sp_cursorfetch: The value of the parameter 'fetchtype' is invalid.");
    }
}

} // namespace

// --- the procedures

// @cursor OUTPUT, @stmt, @scrollopt OUTPUT, @ccopt OUTPUT, @rowcount OUTPUT [, @params, values...]
flow sp_cursoropen(frame &f, arguments_t &all, int32_t &status) {
    need(all, 2, "sp_cursoropen", "@stmt");
    open_request q;
    q.text = text_at(all, 1);
    q.scroll_at = 2;
    read_options(q, all);
    bool parameters = (q.scroll & scroll_parameters) != 0 && all.size() > 5;
    q.parameters = parameters ? text_at(all, 5) : "";
    q.first_value = parameters ? 6 : all.size();
    return open_cursor(f, q, all, status);
}

// @cursor, @fetchtype, @rownum, @nrows
flow sp_cursorfetch(frame &f, arguments_t &all, int32_t &status) {
    cursor &c = api_cursor(f, all, "sp_cursorfetch");
    int32_t type = int_at(all, 1, 2) & 0x3FF, row = int_at(all, 2), count = int_at(all, 3, 20);
    if (!c.is_open)
        fail(16917, 16, 1, "Cursor is not open.");
    if (type == 0x100) { // where it stands, and how many rows there are
        give_back(all, 2, c.at + 1);
        give_back(all, 3, c.dynamic ? -1 : static_cast<int64_t>(c.set.rows.size()));
        return flow::next;
    }
    if (!c.scroll && type != 2 && type != 0x80 && !(type == 1 && c.at < 0))
        fail(16911, 16, 1, "sp_cursorfetch: The fetch type %s cannot be used with forward only cursors.",
             type == 1                    ? "FIRST"
             : type == 4 || type == 0x200 ? "PREVIOUS"
             : type == 8                  ? "LAST"
                                          : "ABSOLUTE");
    tran_implicit(f);
    cursor_move(c, fetch_of(type), row, count);
    send_buffer(f, c, "");
    if (c.auto_close && c.at + c.held >= static_cast<int64_t>(c.set.rows.size())) {
        f.s->api_cursors.erase(int_at(all, 0));
        status = closed_by_itself;
    }
    return flow::next;
}

flow sp_cursorclose(frame &f, arguments_t &all, int32_t &) {
    need(all, 1, "sp_cursorclose", "@cursor");
    if (int_at(all, 0) == -1) {
        f.s->api_cursors.clear();
        return flow::next;
    }
    api_cursor(f, all, "sp_cursorclose");
    f.s->api_cursors.erase(int_at(all, 0));
    return flow::next;
}

// @handle OUTPUT, @params, @stmt, @options [, @scrollopt OUTPUT, @ccopt OUTPUT]
flow sp_cursorprepare(frame &f, arguments_t &all, int32_t &) {
    need(all, 3, "sp_cursorprepare", "@stmt");
    give_back(all, 0, prepare_cursor(f, text_at(all, 2), text_at(all, 1)));
    mark_outputs(all, {0});
    return flow::next;
}

// @handle, @cursor OUTPUT [, @scrollopt OUTPUT, @ccopt OUTPUT, @rowcount OUTPUT, values...]
flow sp_cursorexecute(frame &f, arguments_t &all, int32_t &status) {
    need(all, 2, "sp_cursorexecute", "@cursor");
    const prepared &p = cursor_handle(f, all);
    open_request q;
    q.text = p.text;
    q.parameters = p.parameters;
    q.cursor_at = 1;
    q.scroll_at = 2;
    read_options(q, all);
    q.first_value = std::min<size_t>(5, all.size());
    mark_outputs(all, {1});
    return open_cursor(f, q, all, status);
}

// @handle OUTPUT, @cursor OUTPUT, @params, @stmt, @scrollopt OUTPUT, @ccopt OUTPUT, @rowcount OUTPUT, values...
// The documentation has @options before @scrollopt, JDBC has not: the number of values tells which.
flow sp_cursorprepexec(frame &f, arguments_t &all, int32_t &status) {
    need(all, 4, "sp_cursorprepexec", "@stmt");
    open_request q;
    q.parameters = text_at(all, 2);
    q.text = text_at(all, 3);
    q.cursor_at = 1;
    size_t values = declared_in(q.parameters).size();
    q.scroll_at = all.size() == 8 + values ? 5 : 4;
    read_options(q, all);
    q.first_value = std::min(q.scroll_at + 3, all.size());
    if (given(all, 0))
        f.s->cursor_handles.erase(int_at(all, 0));
    give_back(all, 0, prepare_cursor(f, q.text, q.parameters));
    mark_outputs(all, {0, 1});
    return open_cursor(f, q, all, status);
}

flow sp_cursorunprepare(frame &f, arguments_t &all, int32_t &) {
    need(all, 1, "sp_cursorunprepare", "@handle");
    cursor_handle(f, all);
    f.s->cursor_handles.erase(int_at(all, 0));
    return flow::next;
}

// @cursor, @code, @value: a name, or what is asked
flow sp_cursoroption(frame &f, arguments_t &all, int32_t &) {
    need(all, 3, "sp_cursoroption", "@value");
    cursor &c = api_cursor(f, all, "sp_cursoroption");
    int32_t code = int_at(all, 1);
    if (code == code_name)
        c.name = text_at(all, 2);
    else if (code == code_scroll || code == code_concurrency)
        give_back(all, 2, code == code_scroll ? c.scroll_option : c.concurrency);
    else if (code == code_rows)
        give_back(all, 2, c.dynamic ? -1 : static_cast<int64_t>(c.set.rows.size()));
    return flow::next;
}

// Positioned updates: no row here knows where it came from.
flow sp_cursor(frame &f, arguments_t &all, int32_t &) {
    need(all, 2, "sp_cursor", "@optype");
    api_cursor(f, all, "sp_cursor");
    fail(16929, 16, 1, "The cursor is READ ONLY.");
}

} // namespace sqlserver
