// The T-SQL half of the stand-in SQL Server: what engine.h promises, on top of sessions, statements and SQLite.
#include "engine.h"

#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_types.h"

#include <sqlite3.h>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sqlserver {

// --- the engine

static bool add_database(engine *e, const std::string &name, int32_t id, std::string &error) {
    if (e->databases.count(lower(name)))
        return true;
    auto db = std::make_shared<database>();
    db->name = name;
    db->file = e->options.data_dir + "/" + name + ".db";
    db->id = id;
    db->created = datetime_number(datetime_now(false));
    if (lower(name) == "tempdb")
        for (const char *suffix : {"", "-wal", "-shm"})
            unlink((db->file + suffix).c_str());
    if (!store_create_file(e, *db, error))
        return false;
    e->databases[lower(name)] = db;
    return true;
}

// Databases of an earlier run, oldest first by name.
static bool add_existing(engine *e, std::string &error) {
    std::vector<std::string> names;
    DIR *dir = opendir(e->options.data_dir.c_str());
    if (dir == nullptr) {
        error = e->options.data_dir + ": cannot be opened";
        return false;
    }
    while (dirent *entry = readdir(dir)) {
        std::string name = entry->d_name;
        if (name.size() > 3 && name.compare(name.size() - 3, 3, ".db") == 0)
            names.push_back(name.substr(0, name.size() - 3));
    }
    closedir(dir);
    std::sort(names.begin(), names.end());
    int32_t id = 5;
    for (const std::string &name : names)
        if (e->databases.count(lower(name)) == 0 && !add_database(e, name, id++, error))
            return false;
    for (const std::string &name : e->options.databases)
        if (e->databases.count(lower(name)) == 0 && !add_database(e, name, id++, error))
            return false;
    return true;
}

engine *engine_create(const engine_options &options, std::string &error) {
    auto e = std::make_unique<engine>();
    e->options = options;
    logins_create(e.get());
    e->started = datetime_number(datetime_now(false));
    mkdir(options.data_dir.c_str(), 0700);
    if (sqlite3_open(":memory:", &e->setup) != SQLITE_OK) {
        error = "SQLite cannot be opened";
        return nullptr;
    }
    auto collate = [](void *, int n, const void *a, int m, const void *b) {
        return text_compare({static_cast<const char *>(a), static_cast<size_t>(n)},
                            {static_cast<const char *>(b), static_cast<size_t>(m)});
    };
    sqlite3_create_collation_v2(e->setup, "TS", SQLITE_UTF8, nullptr, collate, nullptr);
    int32_t id = 1;
    bool good = true;
    for (const char *name : {"master", "tempdb", "model", "msdb"})
        good = good && add_database(e.get(), name, id++, error);
    good = good && add_existing(e.get(), error);
    if (!good) {
        sqlite3_close(e->setup);
        return nullptr;
    }
    return e.release();
}

void engine_destroy(engine *e) {
    if (e == nullptr)
        return;
    while (!e->sessions.empty())
        session_close(e->sessions.begin()->second);
    sqlite3_close(e->setup);
    delete e;
}

engine_options &engine_settings(engine *e) {
    return e->options;
}

engine_counters engine_counted(const engine *e) {
    return e->counters;
}

// --- login

static uint16_t free_spid(engine *e) {
    for (uint32_t i = 0; i < 32767; i++) {
        uint16_t spid = e->next_spid;
        e->next_spid = spid >= 32766 ? 51 : static_cast<uint16_t>(spid + 1);
        if (e->sessions.count(spid) == 0)
            return spid;
    }
    return 0;
}

static bool refuse_login(const login_request &r, host &h) {
    h.message(18456, 1, 14, "Login failed for user '" + r.user + "'.", "", 1);
    return false;
}

// The database to begin in. Null: the login has been refused.
static const database *first_database(engine *e, const login_request &r, host &h) {
    std::string db = r.database.empty() ? "master" : r.database;
    if (db.size() > 1 && db.front() == '[' && db.back() == ']')
        db = db.substr(1, db.size() - 2);
    auto found = e->databases.find(lower(db));
    if (found != e->databases.end())
        return found->second.get();
    if (r.database_must_exist) {
        h.message(4060, 1, 11, "Cannot open database \"" + db + "\" requested by the login. The login failed.", "", 1);
        refuse_login(r, h);
        return nullptr;
    }
    h.message(4063, 1, 11,
              "Cannot open database \"" + db +
                  "\" that was requested by the login. Using the user default database \"master\" instead.",
              "", 1);
    return e->databases.at("master").get();
}

session *engine_login(engine *e, const login_request &r, host &h) {
    if (!login_admit(e, r, h))
        return nullptr;
    const database *db = first_database(e, r, h);
    if (db == nullptr)
        return nullptr;
    auto s = std::make_unique<session>();
    s->eng = e;
    s->login = r;
    s->login.password.clear();
    s->login.new_password.clear();
    s->spid = free_spid(e);
    if (s->spid == 0) {
        h.message(17809, 16, 20,
                  "Could not connect because the maximum number of '32767' user connections has already been reached.",
                  "", 1);
        return nullptr;
    }
    s->isolation = e->options.default_isolation;
    s->db = s->login.database = db->name;
    session_defaults(s.get());
    s->login_time = s->batch_time = s->end_time = datetime_number(datetime_now(false));
    e->sessions[s->spid] = s.get();
    h.env_text(env::database, s->db, "master");
    h.message(5701, 2, 0, "Changed database context to '" + s->db + "'.", "", 1);
    if (e->options.language_alone && s->login.language.empty())
        return s.release();
    h.env_text(env::language, s->options.language, "");
    h.message(5703, 1, 0, "Changed language setting to " + s->options.language + ".", "", 1);
    return s.release();
}

static void drop_everything(session *s) {
    for (auto it = s->eng->global_owners.begin(); it != s->eng->global_owners.end();) {
        std::string name = it->first;
        bool mine = it->second == s->spid;
        ++it;
        if (mine)
            drop_temp(s, name, nullptr);
    }
    s->temps.clear(); // their tables live in the connection
    s->temp_version++;
    app_locks_release(s, true, true);
    s->handles.clear();
}

void session_close(session *s) {
    if (s == nullptr)
        return;
    s->active_frame = nullptr;
    if (s->conn != nullptr && s->write_open) {
        sqlite3_exec(s->conn, "ROLLBACK", nullptr, nullptr, nullptr);
        s->eng->schema_version += !s->dirty.empty();
    }
    drop_everything(s);
    store_close(s);
    s->eng->sessions.erase(s->spid);
    delete s;
}

uint16_t session_spid(const session *s) {
    return s->spid;
}

const std::string &session_database(const session *s) {
    return s->db;
}

// --- requests

bool session_resumes(session *s, uint64_t transaction, host &h) {
    if (!s->eng->options.strict_descriptors || s->silent_tran || transaction == s->tran_id)
        return true;
    if (transaction == 0)
        h.message(3989, 1, 16,
                  "New request is not allowed to start because it should come with valid transaction descriptor.", "",
                  1);
    else
        h.message(3971, 1, 16,
                  text_printf("The server failed to resume the transaction. Desc:%llx.",
                              static_cast<unsigned long long>(transaction)),
                  "", 1);
    h.done(done_kind::done, done_error, 0, 0);
    return false;
}

uint64_t session_transaction(const session *s) {
    return s->tran_id;
}

void session_tells_end(uint64_t transaction, host &h) {
    h.message(3926, 1, 10, "The transaction active in this session has been committed or aborted by another session.",
              "", 1);
    h.env_tran(env::ended_tran, 0, transaction);
}

static void set_frame(frame &f, session *s, host &h) {
    f.s = s;
    f.h = &h;
    s->try_depth = s->nest = 0;
    s->done_sent = s->result_open = false;
    s->pending_error.reset();
    s->batch_time = datetime_number(datetime_now(false));
    s->stats.running = true;
    if (s->plans.size() > 256 || s->statements.size() > 256)
        store_forget_plans(s);
    store_make_room(s);
}

static void finish_request(frame &f) {
    session *s = f.s;
    if (s->doomed) {
        sql_error e;
        e.number = 3998;
        e.text = "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.";
        e.line = 1;
        tran_rollback_all(f, true);
        if (!f.h->cancelled())
            send_message(f, e);
    }
    if (s->options.xact_abort && f.h->cancelled()) // an attention ends the transaction only then
        tran_rollback_all(f, true);
    s->stats.running = false;
    s->end_time = datetime_number(datetime_now(false));
}

template <class F> static flow guarded(frame &f, F run) {
    sql_error e;
    try {
        return run();
    } catch (const sql_error &thrown) {
        e = thrown;
    } catch (const std::bad_alloc &) {
        e.number = 701;
        e.severity = 17;
        e.text = "There is insufficient system memory to run this query.";
    }
    e.aborts_batch = true;
    if (e.line == 0)
        e.line = 1;
    return report_error(f, e, nullptr);
}

void session_batch(session *s, std::string_view sql, host &h) {
    frame f;
    set_frame(f, s, h);
    s->stats.command = std::string(sql.substr(0, 4000));
    f.scope_identity = s->batch_identity;
    flow r = guarded(f, [&] {
        f.tree = cached_parse(s, sql, {}, "");
        if (bool module = !f.tree->body.empty() && f.tree->body[0]->kind == stmt_kind::create_module; !module)
            s->options.quoted_identifier = f.tree->quoted_identifier.value_or(s->options.quoted_identifier);
        statistics_of_compilation(f);
        return run_frame(f, f.tree->body);
    });
    (void)r;
    s->batch_identity = f.scope_identity;
    finish_request(f);
    if (!s->done_sent)
        h.done(done_kind::done, 0, 0xFD, 0);
}

static object_path rpc_path(std::string_view name) {
    parser p;
    p.sql = std::string(name);
    p.tokens = lex(p.sql, true);
    object_path out = path(p);
    if (peek(p).kind != token_kind::end && !is_symbol(p, ";"))
        fail(2812, 16, 62, "Could not find stored procedure '%s'.", p.sql.c_str());
    return out;
}

void session_rpc(session *s, std::string_view name, const std::vector<parameter> &parameters, host &h) {
    frame f;
    set_frame(f, s, h);
    s->stats.command = std::string(name);
    std::vector<call_argument> arguments;
    for (const parameter &p : parameters)
        arguments.push_back({lower(p.name), p.type, p.val, p.output, p.use_default, ""});
    int32_t status = 0;
    f.in_proc = true; // errors before the procedure runs end with DONEINPROC too
    flow r = guarded(f, [&] {
        f.tree = std::make_shared<batch>();
        f.in_proc = true;
        flow result = call_procedure(f, rpc_path(name), arguments, status);
        return result;
    });
    finish_request(f);
    bool failed = r == flow::abort || r == flow::error;
    if (failed)
        h.done(done_kind::done_proc, done_error, 0xE0, 0);
    if (failed)
        return;
    h.return_status(status);
    for (size_t i = 0; i < arguments.size(); i++)
        if (arguments[i].output)
            h.return_value(static_cast<uint16_t>(i), parameters[i].name, arguments[i].type, arguments[i].val);
    h.done(done_kind::done_proc, 0, 0xE0, 0);
}

bool session_awaits_bulk(const session *s) {
    return s->bulk.has_value();
}

void session_forget_bulk(session *s) {
    s->bulk.reset();
}

void session_bulk(session *s, bulk_source &source, host &h) {
    frame f;
    set_frame(f, s, h);
    s->stats.command = "BULK INSERT";
    bulk_load load = *s->bulk;
    flow r = guarded(f, [&] {
        run_bulk_load(f, load, source);
        s->last_error = 0;
        return flow::next;
    });
    (void)r;
    finish_request(f);
}

static void run_tran_request(frame &f, uint16_t request, uint8_t isolation, const std::string &name, bool begin_next,
                             uint8_t next_isolation, const std::string &next_name) {
    session *s = f.s;
    if (request == 5 && isolation >= 1 && isolation <= 5)
        s->isolation = isolation;
    if (request == 5)
        tran_begin(f, name, false);
    else if (request == 7)
        tran_commit(f, false);
    else if (request == 8)
        tran_rollback(f, name, false);
    else if (request == 9)
        tran_save(f, name);
    else
        fail(3989, 16, 1,
             "New request is not allowed to start because it should come with valid transaction descriptor.");
    if ((request != 7 && request != 8) || !begin_next || s->trancount > 0) // to a savepoint: it goes on
        return;
    if (next_isolation >= 1 && next_isolation <= 5)
        s->isolation = next_isolation;
    tran_begin(f, next_name, false);
}

void session_tran(session *s, uint16_t request, uint8_t isolation, std::string_view name, bool begin_next,
                  uint8_t next_isolation, std::string_view next_name, host &h) {
    frame f;
    set_frame(f, s, h);
    s->stats.command = "TM REQUEST";
    flow r = guarded(f, [&] {
        run_tran_request(f, request, isolation, std::string(name), begin_next, next_isolation, std::string(next_name));
        s->rowcount = s->last_error = 0; // as BEGIN, COMMIT and ROLLBACK in text
        return flow::next;
    });
    finish_request(f);
    uint16_t command = request == 5 ? 0xD4 : request == 7 ? 0xD5 : request == 8 ? 0xD2 : 0xD6;
    if (r == flow::next && !s->done_sent)
        h.done(done_kind::done, 0, command, 0);
}

} // namespace sqlserver
