#include "proxy/console/run.h"

#include <ctime>

#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/proxy.h"
#include "tds/bytes.h"
#include "tds/response.h"
#include "tds/result_build.h"

static constexpr uint16_t command_select = 0xc1;

console_facts console_facts_of(const client_session *s) {
    const console_session &c = *s->console;
    tds_product_version v = proxy_server_version(s->root, s->bucket);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    console_facts f;
    f.user = c.user;
    f.host = c.host;
    f.application = c.application;
    f.database = c.database;
    f.admin = c.admin;
    f.server_name = s->root->instance_id;
    f.product_version = std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.build) + ".0";
    f.version = "tdsbouncer " TDSBOUNCER_VERSION " admin console, speaks as Microsoft SQL Server - " +
                f.product_version + " on Linux";
    f.product_major = v.major;
    f.spid = session_spid(s);
    f.transactions = c.transactions;
    f.last_error = c.last_error;
    f.last_rows = c.last_rows;
    f.unix_time = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    f.started = f.unix_time - static_cast<int64_t>(proxy_now(s->root) - s->root->started);
    return f;
}

void console_put_error(const client_session *s, int32_t number, uint8_t severity, std::string_view text, uint32_t line,
                       std::vector<uint8_t> &tokens) {
    tds_notice notice;
    notice.number = number;
    notice.severity = severity;
    notice.text = text;
    notice.server_name = console_database;
    notice.line = line;
    tds_put_notice(tokens, s->console->version, notice);
}

console_run console_run_begin(client_session *s, std::vector<uint8_t> &out) {
    console_run r{s, out};
    r.world.facts = console_facts_of(s);
    r.world.tables = &s->console->tables;
    r.world.show = console_show_rows;
    r.world.who = s;
    return r;
}

void console_put_done(console_run &r, uint16_t status, uint16_t command, uint64_t rows) {
    if (r.captured != nullptr)
        return;
    r.last_done = r.out.size() + 1;
    tds_put_done(r.out, r.s->console->version, r.in_procedure ? tds_token_doneinproc : tds_token_done,
                 status | tds_done_more, command, rows);
}

void console_fail(console_run &r, int32_t number, std::string_view text, uint8_t severity, uint32_t line) {
    r.s->console->last_error = number;
    r.s->console->last_rows = 0;
    if (r.tries > 0) {
        r.world.caught = {number, std::string(text)};
        r.flow = console_flow::caught;
        return;
    }
    console_put_error(r.s, number, severity, text, line, r.out);
    console_put_done(r, tds_done_error);
}

void console_succeed(console_run &r, uint16_t command) {
    r.s->console->last_error = 0;
    console_put_done(r, 0, command);
}

void console_count(console_run &r, uint16_t command, uint64_t rows) {
    r.s->console->last_error = 0;
    r.s->console->last_rows = static_cast<int64_t>(rows);
    console_put_done(r, tds_done_count, command, rows);
}

bool console_failed(console_run &r) {
    if (r.world.problem.number == 0)
        return false;
    console_problem problem = std::move(r.world.problem);
    r.world.problem = {};
    console_fail(r, problem.number, problem.text);
    return true;
}

void console_put_info(console_run &r, int32_t number, uint8_t severity, std::string_view text) {
    console_put_error(r.s, number, severity, text, 1, r.out);
}

// ---- result sets -----------------------------------------------------------------------------------------------

static std::vector<tds_result_column> columns_of(const console_relation &relation) {
    std::vector<tds_result_column> columns;
    for (const console_field &f : relation.fields)
        columns.push_back({f.name, f.type.base, f.type.units});
    return columns;
}

static void put_value(std::vector<uint8_t> &out, const tds_result_column &c, const console_value &v) {
    int32_t days = 0;
    uint32_t ticks = 0;
    if (console_is_null(v))
        return tds_put_null(out, c);
    switch (c.type) {
    case tds_result_type::text: return tds_put_text(out, c, v.text);
    case tds_result_type::binary: return tds_put_binary(out, c, v.text);
    case tds_result_type::guid: return tds_put_guid(out, v.text);
    case tds_result_type::real: return tds_put_real(out, v.real);
    case tds_result_type::datetime:
        if (!console_read_time(v.text, days, ticks))
            return tds_put_null(out, c);
        return tds_put_datetime(out, days, ticks);
    default: return tds_put_int(out, c, v.number);
    }
}

// What a column cannot hold is a problem before the client has seen any of it. What nobody knows the type of is NULL,
// or text.
static bool fit(console_run &r, console_relation &relation) {
    for (size_t i = 0; i < relation.fields.size(); ++i) {
        console_type &type = relation.fields[i].type;
        bool all_null = true;
        for (const console_tuple &row : relation.rows)
            all_null = all_null && console_is_null(row[i]);
        if (!type.known && !all_null)
            type = console_type_of(tds_result_type::text, console_units_max);
        type.known = true;
        for (console_tuple &row : relation.rows)
            row[i] = console_convert(std::move(row[i]), type, r.world.problem);
    }
    return !console_failed(r);
}

static void capture(console_run &r, console_relation &&relation) {
    uint64_t rows = relation.rows.size();
    if (r.captured->fields.empty())
        r.captured->fields = relation.fields;
    if (relation.fields.size() != r.captured->fields.size())
        return console_fail(r, 213, "Column name or number of supplied values does not match table definition.");
    for (console_tuple &row : relation.rows)
        r.captured->rows.push_back(std::move(row));
    r.s->console->last_rows = static_cast<int64_t>(rows);
}

void console_put_relation(console_run &r, console_relation &&relation) {
    if (r.captured != nullptr)
        return capture(r, std::move(relation));
    if (!fit(r, relation))
        return;
    if (r.s->console->most_rows != 0 && relation.rows.size() > r.s->console->most_rows)
        relation.rows.resize(r.s->console->most_rows);
    if (r.s->console->no_rows)
        relation.rows.clear();
    std::vector<tds_result_column> columns = columns_of(relation);
    tds_put_columns(r.out, r.s->console->version, columns);
    for (const console_tuple &row : relation.rows) {
        tds_put_row(r.out);
        for (size_t i = 0; i < columns.size(); ++i)
            put_value(r.out, columns[i], row[i]);
    }
    console_count(r, command_select, relation.rows.size());
}

void console_last_one(console_run &r) {
    if (r.last_done == 0)
        console_succeed(r);
    set_u16le(r.out, r.last_done, get_u16le(r.out.data() + r.last_done) & ~unsigned{tds_done_more});
}
