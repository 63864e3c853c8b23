// See client.h.
#include "client.h"

#include <cstdio>
#include <cstring>
#include <mutex>

thread_local last_error error_now;

static std::mutex output_lock;

void say(const std::string &line) {
    std::lock_guard<std::mutex> guard(output_lock);
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
}

static int on_message(DBPROCESS *, DBINT number, int, int severity, char *text, char *, char *, int) {
    if (severity > 10 && error_now.number == 0) {
        error_now.number = number;
        error_now.text = text;
    }
    return 0;
}

static int on_error(DBPROCESS *, int, int, int, char *text, char *) {
    if (error_now.library_text.empty())
        error_now.library_text = text;
    return INT_CANCEL;
}

std::string error_line() {
    const std::string &text = error_now.number ? error_now.text : error_now.library_text;
    return "number=" + std::to_string(error_now.number) + " text=" + text;
}

static cell converted(DBPROCESS *db, int type, BYTE *data, DBINT length) {
    if (!data)
        return {true, "NULL"};
    if (type == SYBMSDATETIME2) {
        DBDATEREC2 when;
        dbanydatecrack(db, &when, type, data);
        char text[64];
        std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%03d", when.dateyear, when.datemonth + 1,
                      when.datedmonth, when.datehour, when.dateminute, when.datesecond, when.datensecond / 1000000);
        return {false, text};
    }
    char text[512];
    const DBINT size =
        dbconvert(db, type, data, length, SYBCHAR, reinterpret_cast<BYTE *>(text), static_cast<DBINT>(sizeof text));
    return {false, size < 0 ? "?" : std::string(text, static_cast<size_t>(size))};
}

// Reads all results of a request. False when the server or the library reported an error.
static bool read_results(DBPROCESS *db, std::vector<row_cells> &rows, int &affected) {
    RETCODE result;
    while ((result = dbresults(db)) != NO_MORE_RESULTS) {
        if (result == FAIL)
            break;
        STATUS row;
        while ((row = dbnextrow(db)) != NO_MORE_ROWS && row != FAIL) {
            row_cells cells;
            for (int column = 1; column <= dbnumcols(db); column++)
                cells.push_back(converted(db, dbcoltype(db, column), dbdata(db, column), dbdatlen(db, column)));
            rows.push_back(cells);
        }
        if (dbnumcols(db) == 0 && dbiscount(db))
            affected = dbcount(db);
    }
    return error_now.number == 0 && error_now.library_text.empty();
}

client::~client() {
    if (db)
        dbclose(db);
}

bool library_start(const options &opt, int connections) {
    if (dbinit() == FAIL)
        return false;
    dberrhandle(on_error);
    dbmsghandle(on_message);
    if (opt.scenario != "startup") {
        dbsetlogintime(opt.login_timeout);
        dbsettime(opt.timeout);
    }
    dbsetmaxprocs(connections + 8);
    return true;
}

bool client_connect(client &c, bool by_default) {
    LOGINREC *login = dblogin();
    DBSETLUSER(login, c.opt.user.c_str());
    DBSETLPWD(login, c.opt.password.c_str());
    if (!by_default) {
        DBSETLAPP(login, "client-dblib");
        DBSETLCHARSET(login, "UTF-8");
        DBSETLVERSION(login, DBVERSION_74);
    }
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

void add_number(client &c, const char *name, const DBINT *number) {
    dbrpcparam(c.db, name, 0, SYBINT4, -1, -1, reinterpret_cast<BYTE *>(const_cast<DBINT *>(number)));
}

void add_null_text(client &c, const char *name) {
    dbrpcparam(c.db, name, 0, SYBVARCHAR, -1, 0, nullptr);
}

void add_output(client &c, const char *name) {
    dbrpcparam(c.db, name, DBRPCRETURN, SYBINT4, -1, 0, nullptr);
}

cell rpc_output(client &c) {
    if (dbnumrets(c.db) < 1)
        return {true, "(none)"};
    return converted(c.db, dbrettype(c.db, 1), dbretdata(c.db, 1), dbretlen(c.db, 1));
}

cell rpc_status(client &c) {
    if (!dbhasretstat(c.db))
        return {true, "(none)"};
    return {false, std::to_string(dbretstatus(c.db))};
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
