// Transactions. BEGIN TRAN starts nothing in SQLite; the first write does BEGIN IMMEDIATE and holds until the end, so
// that an idle transaction blocks nobody. Reads outside a writing transaction see what is committed.
#include "tsql_cursor.h"

#include <sqlite3.h>

namespace sqlserver {

static bool announced(const session *s, bool by_text) {
    return (s->eng->options.announce_text_transactions || !by_text) && s->login.tds_version >= 0x72000000;
}

static void sqlite_quietly(session *s, const char *sql) {
    if (s->conn != nullptr)
        sqlite3_exec(s->conn, sql, nullptr, nullptr, nullptr);
}

static void publish(session *s) {
    if (s->dirty.empty())
        return;
    for (auto &[name, objects] : s->dirty) {
        auto found = s->eng->databases.find(name);
        if (found != s->eng->databases.end())
            found->second->objects = objects;
    }
    s->dirty.clear();
    s->eng->schema_version++;
}

static void forget_changes(session *s) {
    if (!s->dirty.empty())
        s->eng->schema_version++;
    s->dirty.clear();
}

void tran_begin(frame &f, const std::string &name, bool by_text) {
    session *s = f.s;
    if (s->trancount++ > 0)
        return;
    s->tran_id = s->eng->next_tran;
    s->eng->next_tran += uint64_t{1} << 32; // as SQL Server's: 0x3300000001, 0x3400000001
    s->tran_name = name;
    s->doomed = false;
    s->temps_at_begin = s->temps;
    s->silent_tran = !announced(s, by_text);
    if (!s->silent_tran)
        f.h->env_tran(env::begin_tran, s->tran_id, 0);
}

static void end_tran(frame &f, env how, bool by_text) {
    session *s = f.s;
    uint64_t id = s->tran_id;
    s->trancount = 0;
    s->hollow = false;
    s->tran_name.clear();
    s->silent_tran = false;
    s->tran_id = 0;
    s->write_open = s->doomed = false;
    s->savepoints.clear();
    s->temps_at_begin.clear();
    app_locks_release(s, false, true);
    cursors_end_tran(f, how == env::rollback_tran);
    if (announced(s, by_text))
        f.h->env_tran(how, 0, id);
}

[[noreturn]] static void fail_doomed() {
    fail(3930, 16, 1,
         "The current transaction cannot be committed and cannot support operations that write to the log file. Roll "
         "back the transaction.");
}

void tran_commit(frame &f, bool by_text) {
    session *s = f.s;
    if (s->trancount == 0)
        fail(3902, 16, 1, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.");
    if (s->doomed)
        fail_doomed();
    if (s->trancount > 1) {
        s->trancount--;
        return;
    }
    if (s->write_open)
        store_exec(f, "COMMIT");
    publish(s);
    end_tran(f, env::commit_tran, by_text);
}

void tran_rollback_all(frame &f, bool by_text) {
    session *s = f.s;
    if (s->trancount == 0)
        return;
    if (s->write_open)
        sqlite_quietly(s, "ROLLBACK");
    forget_changes(s);
    s->temps = s->temps_at_begin;
    s->temp_version++;
    end_tran(f, env::rollback_tran, by_text);
}

static void rollback_to(frame &f, size_t index) {
    session *s = f.s;
    savepoint &p = s->savepoints[index];
    if (p.real) {
        store_exec(f, "ROLLBACK TO \"u$" + std::to_string(index) + "\"");
    } else if (s->write_open) { // nothing had been written when it was set
        sqlite_quietly(s, "ROLLBACK");
        s->write_open = false;
    }
    s->temps = p.temps;
    s->temp_version++;
    forget_changes(s);
    s->savepoints.resize(index + 1);
}

void tran_rollback(frame &f, const std::string &name, bool by_text) {
    session *s = f.s;
    if (s->trancount == 0 || (s->hollow && s->trancount == 1 && !s->write_open))
        fail(3903, 16, 1, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.");
    if (!name.empty() && !same_name(name, s->tran_name)) {
        if (s->doomed)
            fail(3931, 16, 1,
                 "The current transaction cannot be committed and cannot be rolled back to a savepoint. Roll back the "
                 "entire transaction.");
        for (size_t i = s->savepoints.size(); i-- > 0;)
            if (same_name(s->savepoints[i].name, name))
                return rollback_to(f, i);
        fail(6401, 16, 1, "Cannot roll back %s. No transaction or savepoint of that name was found.", name.c_str());
    }
    tran_rollback_all(f, by_text);
}

void tran_save(frame &f, const std::string &name) {
    session *s = f.s;
    if (s->trancount == 0)
        fail(628, 16, 0, "Cannot issue SAVE TRANSACTION when there is no active transaction.");
    if (s->doomed)
        fail_doomed();
    savepoint p;
    p.name = name;
    p.real = s->write_open;
    p.temps = s->temps;
    if (p.real)
        store_exec(f, "SAVEPOINT \"u$" + std::to_string(s->savepoints.size()) + "\"");
    s->savepoints.push_back(p);
}

void tran_implicit(frame &f) {
    if (f.s->options.implicit_transactions && f.s->trancount == 0)
        tran_begin(f, "", true);
}

void app_locks_release(session *s, bool of_session, bool of_transaction) {
    auto &locks = s->eng->app_locks;
    for (auto it = locks.begin(); it != locks.end();)
        it = it->second.owner == s->spid && (it->second.transaction ? of_transaction : of_session) ? locks.erase(it)
                                                                                                   : std::next(it);
}

bool app_lock_free(const session *s, const std::string &resource, bool exclusive) {
    auto [from, to] = s->eng->app_locks.equal_range(resource);
    for (auto it = from; it != to; ++it)
        if (it->second.owner != s->spid && (exclusive || it->second.exclusive))
            return false;
    return true;
}

// --- one statement

write_scope::write_scope(frame &frame_) : f(frame_) {
    session *s = f.s;
    if (s->doomed)
        fail_doomed();
    tran_implicit(f);
    own = s->trancount == 0;
    if (!s->write_open) {
        if (const database *db = find_database(s, s->db); db != nullptr)
            store_attach(s, *db); // BEGIN IMMEDIATE locks what is attached: not to be outrun between read and write
        store_exec(f, "BEGIN IMMEDIATE");
        s->write_open = true;
    }
    if (!own)
        store_exec(f, "SAVEPOINT statement");
}

void write_scope::commit() {
    session *s = f.s;
    if (own) {
        store_exec(f, "COMMIT");
        s->write_open = false;
        publish(s);
    } else {
        store_exec(f, "RELEASE statement");
    }
    done = true;
}

write_scope::~write_scope() {
    session *s = f.s;
    if (done || s->conn == nullptr)
        return;
    if (own) {
        sqlite_quietly(s, "ROLLBACK");
        s->write_open = false;
        forget_changes(s);
    } else {
        sqlite_quietly(s, "ROLLBACK TO statement; RELEASE statement");
    }
}

} // namespace sqlserver
