// SQLite under a session: its connection, attached databases, collations, the function ts() through which SQLite
// computes what SQL Server does otherwise, own aggregates, statements, waiting for locks.
//
// A database is one file in WAL mode. The connection's main database is empty; every used database is attached.
#include "tsql_bind.h"
#include "tsql_types.h"

#include <sqlite3.h>

#include <cstring>

namespace sqlserver {

// --- values

void store_bind(sqlite3_stmt *st, int i, const value &v, const type_info &t) {
    if (v.null) {
        sqlite3_bind_null(st, i);
        return;
    }
    if (t.id == type_id::sql_variant_) {
        std::string bytes = variant_encode(v);
        sqlite3_bind_blob64(st, i, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
    } else if (t.id == type_id::datetimeoffset_) {
        std::string text = text_printf("%020lld%+05d", static_cast<long long>(datetime_number(v)), v.offset_minutes);
        sqlite3_bind_text(st, i, text.c_str(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    } else if (is_char(t.id) || is_exact(t.id)) {
        sqlite3_bind_text64(st, i, v.text.data(), v.text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else if (is_binary(t.id) || t.id == type_id::uniqueidentifier_) {
        sqlite3_bind_blob64(st, i, v.text.empty() ? "" : v.text.data(), v.text.size(), SQLITE_TRANSIENT);
    } else if (is_float(t.id)) {
        sqlite3_bind_double(st, i, v.f64);
    } else if (is_date(t.id)) {
        sqlite3_bind_int64(st, i, datetime_number(v));
    } else {
        sqlite3_bind_int64(st, i, v.i64);
    }
}

static value from_sqlite(sqlite3_value *x, const type_info &t) {
    value v;
    if (sqlite3_value_type(x) == SQLITE_NULL)
        return v;
    v.null = false;
    bool text = is_char(t.id) || is_exact(t.id) || t.id == type_id::datetimeoffset_;
    if (text || is_binary(t.id) || t.id == type_id::uniqueidentifier_ || t.id == type_id::sql_variant_) {
        const void *bytes = text ? sqlite3_value_text(x) : sqlite3_value_blob(x);
        int n = sqlite3_value_bytes(x);
        if (n > 0)
            v.text.assign(static_cast<const char *>(bytes), static_cast<size_t>(n));
        if (t.id == type_id::sql_variant_)
            return variant_decode(v.text);
        if (t.id == type_id::datetimeoffset_) {
            v = datetime_from_number(strtoll(v.text.substr(0, 20).c_str(), nullptr, 10));
            v.offset_minutes = static_cast<int16_t>(atoi(reinterpret_cast<const char *>(bytes) + 20));
        }
        return v;
    }
    if (is_float(t.id))
        v.f64 = sqlite3_value_double(x);
    else if (is_date(t.id))
        return datetime_from_number(sqlite3_value_int64(x));
    else
        v.i64 = sqlite3_value_int64(x);
    return v;
}

value store_column(sqlite3_stmt *st, int i, const type_info &t) {
    return from_sqlite(sqlite3_column_value(st, i), t);
}

static void result_value(sqlite3_context *c, const value &v, const type_info &t) {
    if (v.null)
        return sqlite3_result_null(c);
    if (t.id == type_id::sql_variant_) {
        std::string bytes = variant_encode(v);
        return sqlite3_result_blob64(c, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
    }
    if (t.id == type_id::datetimeoffset_) {
        std::string text = text_printf("%020lld%+05d", static_cast<long long>(datetime_number(v)), v.offset_minutes);
        return sqlite3_result_text64(c, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    if (is_char(t.id) || is_exact(t.id))
        return sqlite3_result_text64(c, v.text.data(), v.text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    if (is_binary(t.id) || t.id == type_id::uniqueidentifier_)
        return sqlite3_result_blob64(c, v.text.empty() ? "" : v.text.data(), v.text.size(), SQLITE_TRANSIENT);
    if (is_float(t.id))
        return sqlite3_result_double(c, v.f64);
    sqlite3_result_int64(c, is_date(t.id) ? datetime_number(v) : v.i64);
}

// --- functions

static void keep_error(sqlite3_context *c, session *s, const sql_error &e) {
    s->function_error = e;
    sqlite3_result_error(c, "T-SQL error", -1);
}

// ts(n, arguments...): the n-th call of the plan that runs
static void ts_function(sqlite3_context *c, int n, sqlite3_value **args) {
    auto *s = static_cast<session *>(sqlite3_user_data(c));
    size_t index = static_cast<size_t>(sqlite3_value_int64(args[0]));
    if (s->active_plan == nullptr || index >= s->active_plan->calls.size())
        return sqlite3_result_error(c, "no plan", -1);
    const bound &b = *s->active_plan->calls[index];
    try {
        std::vector<value> values(static_cast<size_t>(n - 1));
        for (size_t i = 0; i < values.size(); i++) {
            values[i] = from_sqlite(args[i + 1], b.args[i]->type);
            if (values[i].null && b.null_in_null_out)
                return sqlite3_result_null(c);
        }
        eval_context context{*s->active_frame, nullptr};
        result_value(c, b.fn(b, values, context), b.type);
    } catch (const sql_error &e) {
        keep_error(c, s, e);
    }
}

// SUM and AVG of integers, money and decimals; AVG's second argument is the scale, -1 for integers.
// SQLite's memory is aligned to 8 bytes: a 128-bit magnitude is kept in halves.
struct sum_state {
    bool any, is_decimal, negative;
    int64_t count, integer;
    uint64_t high, low;
    int exact_scale, scale;
};

static decimal sum_exact(const sum_state &st) {
    decimal d;
    d.negative = st.negative;
    d.magnitude = static_cast<unsigned __int128>(st.high) << 64 | st.low;
    d.scale = st.exact_scale;
    return d;
}

static void set_sum_exact(sum_state &st, const decimal &d) {
    st.negative = d.negative;
    st.high = static_cast<uint64_t>(d.magnitude >> 64);
    st.low = static_cast<uint64_t>(d.magnitude);
    st.exact_scale = d.scale;
}

static void sum_add(sqlite3_context *c, sqlite3_value **args, bool minus) {
    auto *st = static_cast<sum_state *>(sqlite3_aggregate_context(c, sizeof(sum_state)));
    if (st == nullptr || sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    st->scale = sqlite3_value_int(args[1]);
    st->count += minus ? -1 : 1;
    st->any = st->count > 0;
    try {
        if (sqlite3_value_type(args[0]) == SQLITE_INTEGER) {
            int64_t n = sqlite3_value_int64(args[0]);
            if (__builtin_add_overflow(st->integer, minus ? -n : n, &st->integer))
                fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type bigint.");
            return;
        }
        decimal d;
        st->is_decimal = true;
        decimal_parse(reinterpret_cast<const char *>(sqlite3_value_text(args[0])), d);
        d.negative = d.negative != minus;
        set_sum_exact(*st, decimal_add(sum_exact(*st), d));
    } catch (const sql_error &e) {
        keep_error(c, static_cast<session *>(sqlite3_user_data(c)), e);
    }
}

static void sum_step(sqlite3_context *c, int, sqlite3_value **args) {
    sum_add(c, args, false);
}
static void sum_inverse(sqlite3_context *c, int, sqlite3_value **args) {
    sum_add(c, args, true);
}

static void sum_value(sqlite3_context *c) {
    auto *st = static_cast<sum_state *>(sqlite3_aggregate_context(c, 0));
    if (st == nullptr || !st->any)
        return sqlite3_result_null(c);
    if (!st->is_decimal)
        return sqlite3_result_int64(c, st->integer);
    decimal d = sum_exact(*st);
    decimal_rescale(d, st->scale);
    std::string text = decimal_text(d);
    sqlite3_result_text64(c, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void avg_value(sqlite3_context *c) {
    auto *st = static_cast<sum_state *>(sqlite3_aggregate_context(c, 0));
    if (st == nullptr || !st->any)
        return sqlite3_result_null(c);
    if (!st->is_decimal)
        return sqlite3_result_int64(c, st->integer / st->count);
    try {
        decimal n;
        n.magnitude = static_cast<unsigned __int128>(st->count);
        std::string text = decimal_text(decimal_divide(sum_exact(*st), n, st->scale));
        sqlite3_result_text64(c, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } catch (const sql_error &e) {
        keep_error(c, static_cast<session *>(sqlite3_user_data(c)), e);
    }
}

// STRING_AGG(text, separator, sort key, descending): rows are kept and sorted at the end.
struct agg_row {
    std::string text, key;
    sqlite3_int64 number;
};
struct agg_state {
    std::vector<agg_row> *rows;
    std::string *separator;
    bool descending;
};

static void string_agg_step(sqlite3_context *c, int n, sqlite3_value **args) {
    auto *st = static_cast<agg_state *>(sqlite3_aggregate_context(c, sizeof(agg_state)));
    if (st == nullptr || sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    auto text = [&](int i) {
        const char *t = reinterpret_cast<const char *>(sqlite3_value_text(args[i]));
        return std::string(t == nullptr ? "" : t);
    };
    if (st->rows == nullptr) {
        st->rows = new std::vector<agg_row>;
        st->separator = new std::string(text(1));
    }
    agg_row row{text(0), "", 0};
    if (n > 2) {
        st->descending = sqlite3_value_int(args[3]) != 0;
        row.number = sqlite3_value_int64(args[2]);
        row.key = sqlite3_value_type(args[2]) == SQLITE_INTEGER ? "" : text(2);
    }
    st->rows->push_back(row);
}

static void string_agg_final(sqlite3_context *c) {
    auto *st = static_cast<agg_state *>(sqlite3_aggregate_context(c, 0));
    if (st == nullptr || st->rows == nullptr)
        return sqlite3_result_null(c);
    std::stable_sort(st->rows->begin(), st->rows->end(), [&](const agg_row &a, const agg_row &b) {
        const agg_row &x = st->descending ? b : a, &y = st->descending ? a : b;
        int by_key = text_compare(x.key, y.key);
        return by_key != 0 ? by_key < 0 : x.number < y.number;
    });
    std::string out;
    for (size_t i = 0; i < st->rows->size(); i++)
        out += (i > 0 ? *st->separator : "") + (*st->rows)[i].text;
    sqlite3_result_text64(c, out.data(), out.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    delete st->rows;
    delete st->separator;
}

static int compare_text(void *, int n, const void *a, int m, const void *b) {
    return text_compare({static_cast<const char *>(a), static_cast<size_t>(n)},
                        {static_cast<const char *>(b), static_cast<size_t>(m)});
}

static int compare_decimal(void *, int n, const void *a, int m, const void *b) {
    decimal x, y;
    decimal_parse({static_cast<const char *>(a), static_cast<size_t>(n)}, x);
    decimal_parse({static_cast<const char *>(b), static_cast<size_t>(m)}, y);
    return decimal_compare(x, y);
}

static int compare_offset(void *, int n, const void *a, int m, const void *b) {
    return memcmp(a, b, static_cast<size_t>(std::min({n, m, 20})));
}

static void like_function(sqlite3_context *c, int n, sqlite3_value **args) {
    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(args[i]) == SQLITE_NULL)
            return sqlite3_result_null(c);
    auto text = [&](int i) {
        const char *t = reinterpret_cast<const char *>(sqlite3_value_text(args[i]));
        return std::string_view(t, static_cast<size_t>(sqlite3_value_bytes(args[i])));
    };
    size_t at = 0;
    uint32_t escape = n > 2 && !text(2).empty() ? utf8_next(text(2), at) : 0;
    sqlite3_result_int(c, text_like(text(0), text(1), escape));
}

// Lets the loop run and notices attention while SQLite computes.
static int progress(void *data) {
    auto *s = static_cast<session *>(data);
    frame *f = s->active_frame;
    const plan *p = s->active_plan;
    bool go_on = f == nullptr || !f->h->cancelled();
    s->active_frame = f;
    s->active_plan = p;
    return go_on ? 0 : 1;
}

sqlite3 *store_open(session *s) {
    if (s->conn != nullptr)
        return s->conn;
    sqlite3 *db = nullptr;
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) !=
        SQLITE_OK) {
        std::string why = db != nullptr ? sqlite3_errmsg(db) : "no memory";
        sqlite3_close(db);
        fail(701, 17, 123, "There is insufficient system memory to run this query: %s", why.c_str());
    }
    s->conn = db;
    sqlite3_extended_result_codes(db, 1);
    sqlite3_exec(db, "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-64", nullptr, nullptr, nullptr);
    sqlite3_create_collation_v2(db, "TS", SQLITE_UTF8, nullptr, compare_text, nullptr);
    sqlite3_create_collation_v2(db, "TD", SQLITE_UTF8, nullptr, compare_decimal, nullptr);
    sqlite3_create_collation_v2(db, "TZ", SQLITE_UTF8, nullptr, compare_offset, nullptr);
    sqlite3_create_function_v2(db, "ts", -1, SQLITE_UTF8, s, ts_function, nullptr, nullptr, nullptr);
    sqlite3_create_function_v2(db, "ts_like", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, s, like_function, nullptr, nullptr,
                               nullptr);
    sqlite3_create_function_v2(db, "ts_like", 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC, s, like_function, nullptr, nullptr,
                               nullptr);
    sqlite3_create_window_function(db, "ts_sum", 2, SQLITE_UTF8, s, sum_step, sum_value, sum_value, sum_inverse,
                                   nullptr);
    sqlite3_create_window_function(db, "ts_avg", 2, SQLITE_UTF8, s, sum_step, avg_value, avg_value, sum_inverse,
                                   nullptr);
    sqlite3_create_function_v2(db, "ts_string_agg", -1, SQLITE_UTF8, s, nullptr, string_agg_step, string_agg_final,
                               nullptr);
    sqlite3_progress_handler(db, 100000, progress, s);
    register_system_views(s, db);
    return db;
}

void store_forget_plans(session *s) {
    for (auto &[key, c] : s->plans)
        sqlite3_finalize(c.st);
    s->plans.clear();
    for (auto &[key, st] : s->statements)
        sqlite3_finalize(st);
    s->statements.clear();
}

void store_close(session *s) {
    store_forget_plans(s);
    sqlite3_close(s->conn);
    s->conn = nullptr;
    s->attached.clear();
    s->write_open = false;
}

const std::string &store_attach(session *s, const database &db) {
    std::string key = lower(db.name);
    auto found = s->attached.find(key);
    if (found != s->attached.end())
        return found->second;
    store_open(s);
    std::string schema = "d" + std::to_string(db.id);
    std::string attach = "ATTACH " + quote_name(db.file, '\'') + " AS " + schema;
    if (sqlite3_exec(s->conn, attach.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(945, 14, 2, "Database '%s' cannot be opened: %s", db.name.c_str(), sqlite3_errmsg(s->conn));
    // refused inside a transaction, which only costs speed
    sqlite3_exec(s->conn, ("PRAGMA " + schema + ".cache_size=-256; PRAGMA " + schema + ".synchronous=OFF").c_str(),
                 nullptr, nullptr, nullptr);
    return s->attached[key] = schema;
}

// SQLite attaches ten at most, and a pooled connection may see a hundred.
void store_make_room(session *s) {
    static constexpr size_t kept = 8;
    if (s->attached.size() <= kept || s->trancount > 0 || s->write_open || !s->cursors.empty() ||
        !s->api_cursors.empty())
        return;
    store_forget_plans(s);
    std::string now = lower(s->db);
    std::erase_if(s->attached, [&](const auto &a) {
        return a.first != now &&
               sqlite3_exec(s->conn, ("DETACH " + a.second).c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    });
}

bool store_create_file(engine *e, database &db, std::string &error) {
    std::string schema = "n";
    std::string attach =
        "ATTACH " + quote_name(db.file, '\'') + " AS n; PRAGMA n.journal_mode=WAL; PRAGMA n.synchronous=OFF";
    if (sqlite3_exec(e->setup, attach.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        error = db.file + ": " + sqlite3_errmsg(e->setup);
        return false;
    }
    auto objects = std::make_shared<catalog>();
    bool good = catalog_load(e->setup, schema, *objects, error);
    db.objects = objects;
    sqlite3 *open = nullptr;
    if (sqlite3_open(db.file.c_str(), &open) == SQLITE_OK)
        sqlite3_exec(open, "PRAGMA synchronous=OFF; SELECT COUNT(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    db.open.reset(open, sqlite3_close);
    sqlite3_exec(e->setup, "DETACH n", nullptr, nullptr, nullptr);
    return good;
}

// --- statements

static bool is_busy(int rc) {
    if (rc == SQLITE_BUSY_SNAPSHOT) // others have written what the transaction has read: no waiting helps
        return false;
    return (rc & 0xFF) == SQLITE_BUSY || (rc & 0xFF) == SQLITE_LOCKED;
}

static void wait_for_lock(frame &f, uint64_t &waited) {
    session *s = f.s;
    if (s->options.lock_timeout >= 0 && waited >= static_cast<uint64_t>(s->options.lock_timeout))
        fail(1222, 16, 45, "Lock request time out period exceeded.");
    uint64_t ms = waited < 5 ? 1 : waited < 50 ? 5 : 20;
    if (!f.h->wait(ms)) {
        sql_error cancelled;
        cancelled.aborts_batch = true;
        throw cancelled;
    }
    waited += ms;
}

[[noreturn]] static void throw_sqlite(frame &f, int rc) {
    session *s = f.s;
    if (s->function_error) {
        sql_error e = *s->function_error;
        s->function_error.reset();
        throw e;
    }
    if ((rc & 0xFF) == SQLITE_INTERRUPT) {
        sql_error cancelled;
        cancelled.aborts_batch = true;
        throw cancelled;
    }
    if ((rc & 0xFF) == SQLITE_CONSTRAINT) {
        sql_error e; // named by the caller, who knows the table
        e.number = 2627;
        e.severity = 14;
        e.text = sqlite3_errmsg(s->conn);
        throw e;
    }
    fail(8624, 16, 1, "Internal error: %s", sqlite3_errmsg(s->conn));
}

bool store_step(frame &f, sqlite3_stmt *st, const plan *p) {
    session *s = f.s;
    uint64_t waited = 0;
    while (true) {
        s->active_frame = &f;
        s->active_plan = p;
        int rc = sqlite3_step(st);
        s->active_plan = nullptr;
        s->active_frame = nullptr;
        if (rc == SQLITE_ROW)
            return true;
        if (rc == SQLITE_DONE)
            return false;
        if (!is_busy(rc)) {
            sqlite3_reset(st);
            throw_sqlite(f, rc);
        }
        sqlite3_reset(st);
        wait_for_lock(f, waited);
    }
}

void store_exec(frame &f, const std::string &sql) {
    store_open(f.s);
    uint64_t waited = 0;
    while (true) {
        int rc = sqlite3_exec(f.s->conn, sql.c_str(), nullptr, nullptr, nullptr);
        if (rc == SQLITE_OK)
            return;
        if (!is_busy(rc))
            throw_sqlite(f, rc);
        wait_for_lock(f, waited);
    }
}

sqlite3_stmt *store_statement(session *s, const std::string &sql) {
    store_open(s);
    auto found = s->statements.find(sql);
    if (found != s->statements.end()) {
        sqlite3_reset(found->second);
        return found->second;
    }
    sqlite3_stmt *st = nullptr;
    if (sqlite3_prepare_v3(s->conn, sql.c_str(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &st,
                           nullptr) != SQLITE_OK)
        fail(8624, 16, 1, "Internal error: %s", sqlite3_errmsg(s->conn));
    return s->statements[sql] = st;
}

session::cached &cached_plan(frame &f, const void *node, int purpose, const std::function<plan_ptr()> &make) {
    session *s = f.s;
    uint64_t key = reinterpret_cast<uint64_t>(node) * 8 + static_cast<uint64_t>(purpose);
    auto found = s->plans.find(key);
    if (found != s->plans.end()) {
        const plan &p = *found->second.p;
        if (p.schema_version == s->eng->schema_version && p.temp_version == s->temp_version && p.db == s->db)
            return found->second;
        sqlite3_finalize(found->second.st);
        s->plans.erase(found);
    }
    if (s->plans.size() >= 128 && s->nest == 0)
        store_forget_plans(s);
    plan_ptr p = make();
    p->schema_version = s->eng->schema_version;
    p->temp_version = s->temp_version;
    p->db = s->db;
    session::cached &c = s->plans[key];
    c.p = p;
    c.keep = f.tree;
    if (p->direct)
        return c;
    store_open(s);
    if (sqlite3_prepare_v3(s->conn, p->sql.c_str(), static_cast<int>(p->sql.size()), SQLITE_PREPARE_PERSISTENT, &c.st,
                           nullptr) != SQLITE_OK) {
        std::string why = sqlite3_errmsg(s->conn), sql = p->sql.substr(0, 1500);
        s->plans.erase(key);
        fail(8624, 16, 1, "Internal error: %s in %s", why.c_str(), sql.c_str());
    }
    return c;
}

void bind_parameters(frame &f, sqlite3_stmt *st, const plan &p) {
    sqlite3_reset(st);
    eval_context c{f, nullptr};
    for (size_t i = 0; i < p.params.size(); i++)
        store_bind(st, static_cast<int>(i) + 1, eval(*p.params[i], c), p.params[i]->type);
}

} // namespace sqlserver
