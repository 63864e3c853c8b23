// Test client: FreeTDS's db-lib API, with real RPC requests and typed parameters.
//
// The same command line, scenarios and output as the other clients (README.md). Host, port and encryption come from
// the section [target] of the freetds.conf that run-client generates.
#include <sybfront.h>

#include <sybdb.h> // after sybfront.h

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

struct options {
    std::string user, password, database, scenario = "login";
    int count = 1, hold_ms = 0, login_timeout = 60, timeout = 60;
};

// The first server error since it was last cleared. Handlers get no connection while dbopen runs, hence per thread.
struct last_error {
    int number = 0;
    std::string text;
    std::string library_text; // db-lib's own complaint, used when the server said nothing
};

thread_local last_error error_now;
std::mutex output_lock;

typedef std::vector<std::string> row_text;

void say(const std::string &line) {
    std::lock_guard<std::mutex> guard(output_lock);
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
}

int on_message(DBPROCESS *, DBINT number, int, int severity, char *text, char *, char *, int) {
    if (severity > 10 && error_now.number == 0) {
        error_now.number = number;
        error_now.text = text;
    }
    return 0;
}

int on_error(DBPROCESS *, int, int, int, char *text, char *) {
    if (error_now.library_text.empty())
        error_now.library_text = text;
    return INT_CANCEL;
}

std::string error_line() {
    const std::string &text = error_now.number ? error_now.text : error_now.library_text;
    return "number=" + std::to_string(error_now.number) + " text=" + text;
}

std::string cell_text(DBPROCESS *db, int column) {
    BYTE *data = dbdata(db, column);
    if (!data)
        return "NULL";
    const int type = dbcoltype(db, column);
    if (type == SYBMSDATETIME2) {
        DBDATEREC2 when;
        dbanydatecrack(db, &when, type, data);
        char text[64];
        std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%03d", when.dateyear, when.datemonth + 1,
                      when.datedmonth, when.datehour, when.dateminute, when.datesecond, when.datensecond / 1000000);
        return text;
    }
    char text[512];
    const DBINT length = dbconvert(db, type, data, dbdatlen(db, column), SYBCHAR, reinterpret_cast<BYTE *>(text),
                                   static_cast<DBINT>(sizeof text));
    return length < 0 ? "?" : std::string(text, static_cast<size_t>(length));
}

// Reads all results of a request. False when the server or the library reported an error.
bool read_results(DBPROCESS *db, std::vector<row_text> &rows, int &affected) {
    RETCODE result;
    while ((result = dbresults(db)) != NO_MORE_RESULTS) {
        if (result == FAIL)
            break;
        STATUS row;
        while ((row = dbnextrow(db)) != NO_MORE_ROWS && row != FAIL) {
            row_text cells;
            for (int column = 1; column <= dbnumcols(db); column++)
                cells.push_back(cell_text(db, column));
            rows.push_back(cells);
        }
        if (dbnumcols(db) == 0 && dbiscount(db))
            affected = dbcount(db);
    }
    return error_now.number == 0 && error_now.library_text.empty();
}

struct client {
    options opt;
    DBPROCESS *db = nullptr;
    std::vector<row_text> rows; // of the last request
    int affected = -1;

    ~client() {
        if (db)
            dbclose(db);
    }
};

bool client_connect(client &c) {
    LOGINREC *login = dblogin();
    DBSETLUSER(login, c.opt.user.c_str());
    DBSETLPWD(login, c.opt.password.c_str());
    DBSETLAPP(login, "client-dblib");
    DBSETLCHARSET(login, "UTF-8");
    DBSETLVERSION(login, DBVERSION_74);
    if (!c.opt.database.empty())
        DBSETLDBNAME(login, c.opt.database.c_str());
    error_now = last_error();
    c.db = dbopen(login, "target");
    dbloginfree(login);
    return c.db != nullptr;
}

bool client_run(client &c, const std::string &sql) {
    error_now = last_error();
    c.rows.clear();
    c.affected = -1;
    dbcmd(c.db, sql.c_str());
    if (dbsqlexec(c.db) == FAIL) {
        dbcancel(c.db);
        return false;
    }
    return read_results(c.db, c.rows, c.affected);
}

void add_text(client &c, const char *name, const std::string &text, int type) {
    dbrpcparam(c.db, name, 0, type, -1, static_cast<DBINT>(text.size()),
               reinterpret_cast<BYTE *>(const_cast<char *>(text.data())));
}

bool rpc_finish(client &c) {
    if (dbrpcsend(c.db) == FAIL || dbsqlok(c.db) == FAIL) {
        dbcancel(c.db);
        return false;
    }
    return read_results(c.db, c.rows, c.affected);
}

void rpc_start(client &c, const char *procedure) {
    error_now = last_error();
    c.rows.clear();
    c.affected = -1;
    dbrpcinit(c.db, procedure, 0);
}

bool rpc_executesql(client &c, const std::string &sql, const std::string &declaration, const std::string *text,
                    DBINT number) {
    rpc_start(c, "sp_executesql");
    add_text(c, "", sql, SYBNTEXT);
    add_text(c, "", declaration, SYBNTEXT);
    if (text)
        add_text(c, "@n", *text, SYBVARCHAR);
    dbrpcparam(c.db, "@v", 0, SYBINT4, -1, -1, reinterpret_cast<BYTE *>(&number));
    return rpc_finish(c);
}

// The value in the first cell, or the reason why there is none.
std::string scalar(client &c, const std::string &sql) {
    if (!client_run(c, sql))
        return "(" + error_line() + ")";
    return c.rows.empty() || c.rows[0].empty() ? "(nothing)" : c.rows[0][0];
}

bool basic_select(client &c) {
    say("database=" + scalar(c, "SELECT DB_NAME() AS name"));
    say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
    if (!client_run(c, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
                       "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x") ||
        c.rows.size() != 1 || c.rows[0].size() != 5)
        return false;
    const row_text &typed = c.rows[0];
    say("typed int=" + typed[0] + " nvarchar=" + typed[1] + " decimal=" + typed[2] + " datetime2=" + typed[3] +
        " null=" + typed[4]);
    if (!client_run(c, "SELECT i, name FROM dbo.numbers ORDER BY i"))
        return false;
    long sum = 0, characters = 0;
    for (const row_text &row : c.rows) {
        sum += std::atol(row[0].c_str());
        for (const char byte : row[1])
            characters += (static_cast<unsigned char>(byte) & 0xC0) != 0x80; // UTF-8: all but continuation bytes
    }
    say("rows=" + std::to_string(c.rows.size()) + " sum=" + std::to_string(sum) +
        " characters=" + std::to_string(characters));
    return true;
}

bool basic_write(client &c) {
    const std::string mark = "dblib-" + std::to_string(getpid());
    const std::string where = " WHERE name = N'" + mark + "'";
    const std::string count = "SELECT COUNT(*) AS n FROM dbo.test_table" + where;
    const std::string identity = scalar(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'" + mark +
                                               "', 1); SELECT CAST(SCOPE_IDENTITY() AS int) AS id");
    const std::string found = scalar(c, "SELECT id FROM dbo.test_table" + where);
    say("insert identity=" + (identity == found ? "match" : identity + " but the row has " + found));
    if (!client_run(c, "UPDATE dbo.test_table SET value = value + 1" + where))
        return false;
    const int updated = c.affected;
    say("update rows=" + std::to_string(updated) + " value=" + scalar(c, "SELECT value FROM dbo.test_table" + where));
    if (!client_run(c, "DELETE FROM dbo.test_table" + where))
        return false;
    const int deleted = c.affected;
    say("delete rows=" + std::to_string(deleted) + " left=" + scalar(c, count));
    if (!client_run(c, "BEGIN TRANSACTION") ||
        !client_run(c, "INSERT INTO dbo.test_table (name, value) VALUES (N'" + mark + "', 5)") ||
        !client_run(c, "COMMIT TRANSACTION"))
        return false;
    say("commit left=" + scalar(c, count));
    if (!client_run(c, "BEGIN TRANSACTION") || !client_run(c, "DELETE FROM dbo.test_table" + where) ||
        !client_run(c, "ROLLBACK TRANSACTION"))
        return false;
    say("rollback left=" + scalar(c, count));
    return client_run(c, "DELETE FROM dbo.test_table" + where);
}

bool basic_rpc(client &c) {
    const std::string text = "ação";
    if (!rpc_executesql(c, "SELECT @n AS n, @v + 1 AS v", "@n nvarchar(50), @v int", &text, 7) || c.rows.empty())
        return false;
    say("parameters n=" + c.rows[0][0] + " v=" + c.rows[0][1]);
    for (DBINT number = 8; number <= 10; number++) {
        if (!rpc_executesql(c, "SELECT @v + 1 AS v", "@v int", nullptr, number) || c.rows.empty())
            return false;
        say("prepared v=" + c.rows[0][0]);
    }
    rpc_start(c, "sp_get_tenant");
    add_text(c, "@app_id", "APP-000001", SYBVARCHAR);
    if (!rpc_finish(c) || c.rows.empty())
        return false;
    say("procedure app_id=" + c.rows[0][1] + " name=" + c.rows[0][2]);
    return true;
}

bool scenario_basic(client &c) {
    if (!client_connect(c))
        return false;
    say("connected");
    if (!basic_select(c) || !basic_write(c) || !basic_rpc(c))
        return false;
    if (client_run(c, "SELECT 1/0 AS impossible"))
        say("no error");
    else
        say("error " + error_line());
    say("after_error=" + scalar(c, "SELECT 1 AS resultado"));
    say("closed");
    return true;
}

bool scenario_login(client &c) {
    if (!client_connect(c))
        return false;
    say("connected");
    say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
    say("closed");
    return true;
}

bool scenario_hold(client &c) {
    if (!client_connect(c) || !client_run(c, "SELECT @@SPID AS spid") || c.rows.empty())
        return false;
    say("held spid=" + c.rows[0][0]);
    std::this_thread::sleep_for(std::chrono::milliseconds(c.opt.hold_ms));
    if (!client_run(c, "SELECT 1 AS resultado") || c.rows.empty())
        return false;
    say("resultado=" + c.rows[0][0]);
    say("closed");
    return true;
}

void run_one(const options &opt, char &ok) {
    client c;
    c.opt = opt;
    if (opt.scenario == "basic")
        ok = scenario_basic(c);
    else
        ok = opt.scenario == "hold" ? scenario_hold(c) : scenario_login(c);
    if (!ok)
        say("ERROR " + error_line());
}

bool parse_arguments(int argc, char **argv, options &opt) {
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string key = argv[i], value = argv[i + 1];
        if (key == "--user")
            opt.user = value;
        else if (key == "--password")
            opt.password = value;
        else if (key == "--database")
            opt.database = value;
        else if (key == "--scenario")
            opt.scenario = value;
        else if (key == "--count")
            opt.count = std::atoi(value.c_str());
        else if (key == "--hold")
            opt.hold_ms = std::atoi(value.c_str());
        else if (key == "--login-timeout")
            opt.login_timeout = std::atoi(value.c_str());
        else if (key == "--timeout")
            opt.timeout = std::atoi(value.c_str());
        else if (key != "--host" && key != "--port" && key != "--encrypt" && key != "--ca-file")
            return false;
    }
    return argc >= 2 && argc % 2 == 0 && (opt.scenario == "basic" || opt.scenario == "login" || opt.scenario == "hold");
}

} // namespace

int main(int argc, char **argv) {
    options opt;
    if (!parse_arguments(argc, argv, opt) || dbinit() == FAIL) {
        std::fputs("usage: client-dblib dblib --user U --password W [--database D] --scenario basic|login|hold ...\n",
                   stderr);
        return 2;
    }
    dberrhandle(on_error);
    dbmsghandle(on_message);
    dbsetlogintime(opt.login_timeout);
    dbsettime(opt.timeout);
    dbsetmaxprocs(opt.count + 8);
    std::vector<char> ok(static_cast<size_t>(opt.scenario == "hold" ? opt.count : 1), 0);
    std::vector<std::thread> threads;
    for (char &one : ok)
        threads.emplace_back(run_one, std::cref(opt), std::ref(one));
    for (std::thread &one : threads)
        one.join();
    dbexit();
    for (const char one : ok)
        if (!one)
            return 3;
    return 0;
}
