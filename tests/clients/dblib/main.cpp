// Test client: FreeTDS's db-lib API, with real RPC requests and typed parameters.
//
// The same command line, scenarios and output as the other clients (../README.md).
#include "client.h"
#include "mix.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

bool rpc_executesql(client &c, const std::string &sql, const std::string &declaration, const std::string *text,
                    DBINT number) {
    rpc_start(c, "sp_executesql");
    add_text(c, "", sql, SYBNTEXT);
    add_text(c, "", declaration, SYBNTEXT);
    if (text)
        add_text(c, "@n", *text, SYBVARCHAR);
    add_number(c, "@v", &number);
    return rpc_finish(c);
}

// The value in the first cell, or the reason why there is none.
std::string scalar(client &c, const std::string &sql) {
    if (!client_run(c, sql))
        return std::string("(").append(error_line()).append(")");
    return c.rows.empty() || c.rows[0].empty() ? "(nothing)" : c.rows[0][0].text;
}

bool basic_select(client &c) {
    say("database=" + scalar(c, "SELECT DB_NAME() AS name"));
    say("resultado=" + scalar(c, "SELECT 1 AS resultado"));
    if (!client_run(c, "SELECT CAST(42 AS int) AS i, N'olá – 日本語' AS n, CAST(12345.67 AS decimal(18,2)) AS d, "
                       "CAST('2024-02-29T13:14:15.123' AS datetime2(3)) AS t, CAST(NULL AS int) AS x") ||
        c.rows.size() != 1 || c.rows[0].size() != 5)
        return false;
    const row_cells &typed = c.rows[0];
    say("typed int=" + typed[0].text + " nvarchar=" + typed[1].text + " decimal=" + typed[2].text +
        " datetime2=" + typed[3].text + " null=" + typed[4].text);
    if (!client_run(c, "SELECT i, name FROM dbo.numbers ORDER BY i"))
        return false;
    long sum = 0, characters = 0;
    for (const row_cells &row : c.rows) {
        sum += std::atol(row[0].text.c_str());
        for (const char byte : row[1].text)
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
    say("parameters n=" + c.rows[0][0].text + " v=" + c.rows[0][1].text);
    for (DBINT number = 8; number <= 10; number++) {
        if (!rpc_executesql(c, "SELECT @v + 1 AS v", "@v int", nullptr, number) || c.rows.empty())
            return false;
        say("prepared v=" + c.rows[0][0].text);
    }
    const std::string id = "APP-000001"; // db-lib reads it when it sends
    rpc_start(c, "sp_get_tenant");
    add_text(c, "@app_id", id, SYBVARCHAR);
    if (!rpc_finish(c) || c.rows.empty())
        return false;
    say("procedure app_id=" + c.rows[0][1].text + " name=" + c.rows[0][2].text);
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
    say("held spid=" + c.rows[0][0].text);
    std::this_thread::sleep_for(std::chrono::milliseconds(c.opt.hold_ms));
    if (!client_run(c, "SELECT 1 AS resultado") || c.rows.empty())
        return false;
    say("resultado=" + c.rows[0][0].text);
    say("closed");
    return true;
}

bool scenario_startup(client &c) {
    if (!client_connect(c, true) || !client_run(c, "SELECT 1 AS resultado") || c.rows.empty())
        return false;
    say("resultado=" + c.rows[0][0].text);
    std::this_thread::sleep_for(std::chrono::milliseconds(c.opt.hold_ms));
    say("closed");
    return true;
}

void run_one(const options &opt, char &ok) {
    client c;
    c.opt = opt;
    if (opt.scenario == "basic")
        ok = scenario_basic(c);
    else if (opt.scenario == "startup")
        ok = scenario_startup(c);
    else
        ok = opt.scenario == "hold" ? scenario_hold(c) : scenario_login(c);
    if (!ok)
        say("ERROR " + error_line());
}

// run-client's, the plan's, other drivers'.
bool for_others(const std::string &key) {
    for (const char *name :
         {"--host", "--port", "--encrypt", "--ca-file", "--clients", "--operations", "--seed", "--autocommit"})
        if (key == name)
            return true;
    return false;
}

bool known_scenario(const std::string &scenario) {
    for (const char *name : {"basic", "login", "hold", "startup", "mix"})
        if (scenario == name)
            return true;
    return false;
}

// The exit status.
int run_many(const options &opt, int count) {
    std::vector<char> ok(static_cast<size_t>(count), 0);
    std::vector<std::thread> threads;
    for (char &one : ok)
        threads.emplace_back(run_one, std::cref(opt), std::ref(one));
    for (std::thread &one : threads)
        one.join();
    for (const char one : ok)
        if (!one)
            return 3;
    return 0;
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
        else if (key == "--plan")
            opt.plan = value;
        else if (key == "--think")
            opt.think_ms = std::atoi(value.c_str());
        else if (!for_others(key))
            return false;
    }
    return argc >= 2 && argc % 2 == 0 && known_scenario(opt.scenario);
}

} // namespace

int main(int argc, char **argv) {
    options opt;
    const bool known = parse_arguments(argc, argv, opt);
    mix_plan plan;
    if (known && opt.scenario == "mix")
        plan = mix_read_plan(opt.plan);
    const int count = opt.scenario == "hold" || opt.scenario == "startup" ? opt.count : 1;
    if (!known || !library_start(opt, opt.scenario == "mix" ? static_cast<int>(plan.size()) : count)) {
        std::fputs("usage: client-dblib dblib --user U --password W [--database D] "
                   "--scenario basic|login|hold|startup|mix ...\n",
                   stderr);
        return 2;
    }
    const int status = opt.scenario == "mix" ? mix_run(opt, plan) : run_many(opt, count);
    dbexit();
    return status;
}
