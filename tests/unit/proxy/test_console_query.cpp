// Queries of the admin console: values and conditions, joins, groups and sets over a small catalog, the views that GUI
// tools ask, and what a request may cost.
#include <random>

#include "proxy/console/catalog.h"
#include "proxy/console/commands.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"
#include "proxy/console/procedures.h"

#include "cmocka_cpp.h" // last: it defines fail()

static bool show(void *, std::string_view what, console_relation &relation) {
    if (what != "POOLS")
        return false;
    relation.fields = {{"bucket", console_type_of(tds_result_type::text)},
                       {"clients", console_type_of(tds_result_type::integer)}};
    relation.rows = {{console_text_value("b1"), console_number_value(7)},
                     {console_text_value("b2"), console_number_value(0)}};
    return true;
}

static console_relation table(std::vector<console_field> fields, std::vector<console_tuple> rows) {
    console_relation t;
    t.fields = std::move(fields);
    t.rows = std::move(rows);
    return t;
}

static console_value n(int64_t number) {
    return console_number_value(number);
}

// #a (i, t): 1 x, 2 y, 2 NULL; #b (i, u): 2 p, 3 q; #none (i)
static console_tables tables() {
    auto integer = console_type_of(tds_result_type::integer);
    auto text = console_type_of(tds_result_type::text, 10);
    console_tables all;
    all["#a"] = table({{"i", integer}, {"t", text}},
                      {{n(1), console_text_value("x")}, {n(2), console_text_value("y")}, {n(2), {}}});
    all["#b"] =
        table({{"i", integer}, {"u", text}}, {{n(2), console_text_value("p")}, {n(3), console_text_value("q")}});
    all["#none"] = table({{"i", integer}}, {});
    return all;
}

struct world_of_test {
    console_tables tables = ::tables();
    console_world w;

    world_of_test() {
        w.facts.user = "operator";
        w.facts.host = "here";
        w.facts.application = "tool";
        w.facts.database = "tdsbouncer";
        w.facts.server_name = "proxy-1";
        w.facts.version = "tdsbouncer 1.2.3";
        w.facts.product_version = "16.0.1000.0";
        w.facts.spid = 57;
        w.facts.transactions = 2;
        w.facts.last_error = 911;
        w.facts.last_rows = 3;
        w.facts.unix_time = 1'764'435'723'045; // 2025-11-29 17:02:03.045
        w.facts.started = w.facts.unix_time;
        w.variables["@N"] = {console_type_of(tds_result_type::integer), console_number_value(5)};
        w.variables["@S"] = {console_type_of(tds_result_type::text), console_text_value("it's")};
        w.variables["@NULL"] = {console_type_of(tds_result_type::integer), {}};
        w.tables = &tables;
        w.show = show;
    }
};

static console_relation run(console_world &w, const std::string &text) {
    console_batch batch = console_parse_utf8(text);
    if (!batch.good)
        fail_msg("%s: near %s", text.c_str(), batch.near.c_str());
    return console_run_query(w, *batch.statements.at(0).query);
}

static std::string quoted(const std::string &text) {
    return std::string("'").append(text).append("'");
}

// "1 'x'; 2 NULL", "" without rows, or "error 207".
static std::string rows_of(const std::string &text) {
    world_of_test t;
    console_relation all = run(t.w, text);
    if (t.w.problem.number != 0)
        return std::string("error ").append(std::to_string(t.w.problem.number));
    std::string spelt;
    for (const console_tuple &row : all.rows) {
        assert_int_equal(row.size(), all.fields.size());
        spelt += spelt.empty() ? "" : "; ";
        for (size_t i = 0; i < row.size(); ++i)
            spelt.append(i > 0 ? " " : "")
                .append(console_is_null(row[i])                      ? "NULL"
                        : row[i].kind == console_value::kind_t::text ? quoted(row[i].text)
                                                                     : console_spell(row[i]));
    }
    return spelt;
}

struct expected_rows {
    const char *text, *rows;
};

static void check(std::span<const expected_rows> all) {
    for (const auto &[text, rows] : all)
        if (std::string got = rows_of(text); got != rows)
            fail_msg("%s: %s, not %s", text, got.substr(0, 300).c_str(), rows);
}

static void values(void **) {
    static constexpr expected_rows all[] = {
        {"SELECT @@SPID, @@spid, @@TRANCOUNT, @@ERROR, @@ROWCOUNT", "57 57 2 911 3"},
        {"SELECT @@VERSION, @@SERVERNAME, @@MICROSOFTVERSION, @@IDENTITY",
         "'tdsbouncer 1.2.3' 'proxy-1' 268435456 NULL"},
        {"SELECT db_name(), SUSER_SNAME(), SYSTEM_USER, HOST_NAME(), APP_NAME()",
         "'tdsbouncer' 'operator' 'operator' 'here' 'tool'"},
        {"SELECT GETDATE()", "'2025-11-29 17:02:03.045'"},
        {"SELECT SERVERPROPERTY('productversion'), SERVERPROPERTY('EngineEdition')", "'16.0.1000.0' 3"},
        {"SELECT SERVERPROPERTY('nothing such'), SERVERPROPERTY()", "NULL NULL"},
        {"SELECT SERVERPROPERTY('Product' + 'Level')", "'RTM'"},
        {"SELECT ISNULL(SERVERPROPERTY('InstanceName'), 'none'), COALESCE(NULL, NULL, 3)", "'none' 3"},
        {"SELECT CAST(57 AS varchar(10)), CAST('57' AS int), CONVERT(sysname, DB_NAME())", "'57' 57 'tdsbouncer'"},
        {"SELECT CAST('abc' AS varchar(2)), CAST(3 AS bit), CAST('true' AS bit), CAST(NULL AS int)", "'ab' 1 1 NULL"},
        {"SELECT CAST('x' AS int)", "error 245"},
        {"SELECT CAST(300 AS tinyint)", "error 8115"},
        {"SELECT CAST('yesterday' AS datetime)", "error 245"},
        {"SELECT CAST(0 AS datetime), CAST('20250102' AS datetime)", "'1900-01-01 00:00:00.000' '20250102'"},
        {"SELECT CAST(GETDATE() AS date), CONVERT(varchar(30), GETDATE(), 120), CONVERT(char(8), GETDATE(), 112)",
         "'2025-11-29' '2025-11-29 17:02:03' '20251129'"},
        {"SELECT REVERSE('abc')", "'cba'"},
        {"SELECT CAST('2025-01-02' AS datetime), CAST('{x}' AS uniqueidentifier)", "error 245"},
        {"SELECT FOO()", "error 195"},
        {"SELECT ISNULL(FOO(), 1)", "error 195"},
        {"SELECT @@FOO", "error 137"},
        {"SELECT @x", "error 137"},
        {"SELECT @n + 1, @s, @null", "6 'it's' NULL"},
        {"SELECT nothing", "error 207"},
        {"SELECT 7 / 2, 7 % 2, -7 / 2, 7 / 2.0, 1 + NULL, 6 & 3, 6 | 3, 6 ^ 3, ~5", "3 1 -3 3.5 NULL 2 7 5 -6"},
        {"SELECT 1 / 0", "error 8134"},
        {"SELECT 9223372036854775807 + 1", "error 8115"},
        {"SELECT 'a' + 'b', 'a' + NULL, '1' + 1, @@microsoftversion / POWER(2, 24)", "'ab' NULL 2 16"},
        {"SELECT LEN('abc  '), UPPER('abc'), LTRIM(RTRIM(' a ')), SUBSTRING('abcdef', 2, 3), LEFT('abc', 2), "
         "RIGHT('abc', 2)",
         "3 'ABC' 'a' 'bcd' 'ab' 'bc'"},
        {"SELECT CHARINDEX('c', 'abc'), REPLACE('aXbX', 'X', '--'), QUOTENAME('a]b'), PARSENAME('a.[b].c', 2), "
         "STUFF('abc', 2, 1, 'XY')",
         "3 'a--b--' '[a]]b]' 'b' 'aXYc'"},
        {"SELECT CASE WHEN 1 = 2 THEN 'a' WHEN NULL = NULL THEN 'b' ELSE 'c' END, CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN "
         "'b' END, "
         "CASE 3 WHEN 1 THEN 1 END",
         "'c' 'b' NULL"},
        {"SELECT NULLIF(1, 1), NULLIF(1, 2), IIF(1 < 2, 'y', 'n')", "NULL 1 'y'"},
        {"SELECT DATALENGTH('ab'), DATALENGTH(1), DATALENGTH(0x010203)", "4 4 3"},
        {"SELECT REPLICATE('x', 200000)", "error 8152"},
    };
    check(all);
}

static void conditions(void **) {
    static constexpr struct {
        const char *text, *rows;
    } all[] = {{"1 = 1", "1"},
               {"'A' = 'a '", "1"},
               {"'2' = 2", "1"},
               {"'x' = 1", "error 245"},
               {"NULL = NULL", ""},
               {"NOT (NULL = 1)", ""},
               {"NULL = 1 OR 1 = 1", "1"},
               {"NULL = 1 AND 1 = 1", ""},
               {"NOT (NULL = 1 AND 1 = 2)", "1"},
               {"2 IN (1, 2)", "1"},
               {"3 NOT IN (1, 2)", "1"},
               {"3 NOT IN (1, NULL)", ""},
               {"2 IN (SELECT i FROM #b)", "1"},
               {"4 IN (SELECT i FROM #none)", ""},
               {"4 NOT IN (SELECT i FROM #none)", "1"},
               {"2 BETWEEN 1 AND 2", "1"},
               {"2 NOT BETWEEN 1 AND 2", ""},
               {"NULL IS NULL", "1"},
               {"1 IS NOT NULL", "1"},
               {"EXISTS (SELECT 1 FROM #a WHERE i = 2)", "1"},
               {"EXISTS (SELECT 1 FROM #none)", ""},
               {"'pools' LIKE 'p%s'", "1"},
               {"'pools' LIKE 'P__LS'", "1"},
               {"'pools' LIKE 'p%x'", ""},
               {"'p_x' LIKE 'p[_]x'", "1"},
               {"'pax' LIKE 'p[_]x'", ""},
               {"'pax' LIKE 'p[a-c]x'", "1"},
               {"'pax' LIKE 'p[^a-c]x'", ""},
               {"'p%x' LIKE 'p!%x' ESCAPE '!'", "1"},
               {"'pax' LIKE 'p!%x' ESCAPE '!'", ""},
               {"'' LIKE '%'", "1"},
               {"'aaaaaaaaaaaaaaaaaaaaaaaaaaab' LIKE '%a%a%a%a%a%a%a%a%c'", ""},
               {"NULL LIKE '%'", ""}};
    for (const auto &[text, rows] : all) {
        std::string got = rows_of(std::string("SELECT 1 WHERE ") + text);
        if (got != rows)
            fail_msg("%s: %s", text, got.c_str());
    }
}

static void joins(void **) {
    static constexpr expected_rows all[] = {
        {"SELECT * FROM #a", "1 'x'; 2 'y'; 2 NULL"},
        {"SELECT a.i, u FROM #a a JOIN #b b ON a.i = b.i", "2 'p'; 2 'p'"},
        {"SELECT a.i, u FROM #a a, #b b WHERE a.i = b.i AND t = 'y'", "2 'p'"},
        {"SELECT a.i, b.i FROM #a a LEFT JOIN #b b ON a.i = b.i", "1 NULL; 2 2; 2 2"},
        {"SELECT a.i, b.i FROM #a a RIGHT JOIN #b b ON a.i = b.i", "2 2; 2 2; NULL 3"},
        {"SELECT a.i, b.i FROM #a a FULL JOIN #b b ON a.i = b.i", "1 NULL; 2 2; 2 2; NULL 3"},
        {"SELECT COUNT(*) FROM #a CROSS JOIN #b", "6"},
        {"SELECT a.i, n.i FROM #a a LEFT JOIN #none n ON 1 = 1 WHERE a.i = 1", "1 NULL"},
        {"SELECT a.i FROM #a a JOIN #none n ON 1 = 1", ""},
        {"SELECT a.i, d.m FROM #a a JOIN (SELECT i, u + '!' AS m FROM #b) d ON d.i = a.i WHERE a.t = 'y'", "2 'p!'"},
        {"SELECT a.i, d.m FROM #a a CROSS APPLY (SELECT u AS m FROM #b b WHERE b.i = a.i) d", "2 'p'; 2 'p'"},
        {"SELECT a.i, d.m FROM #a a OUTER APPLY (SELECT u AS m FROM #b b WHERE b.i = a.i) d WHERE a.i = 1", "1 NULL"},
        {"SELECT n.i, d.m FROM #none n CROSS APPLY (SELECT u AS m FROM #b b WHERE b.i = n.i) d", ""},
        {"SELECT i, (SELECT u FROM #b b WHERE b.i = a.i) FROM #a a WHERE EXISTS (SELECT 1 FROM #b b WHERE b.i = a.i)",
         "2 'p'; 2 'p'"},
        {"SELECT (SELECT i FROM #a)", "error 512"},
        {"SELECT v.b, v.a FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b) WHERE v.a > 1", "'y' 2"},
        {"WITH c AS (SELECT i FROM #a), d (j) AS (SELECT MAX(i) FROM c) SELECT j FROM d", "2"},
        {"WITH c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT n FROM c", "error 208"},
        {"SELECT x.i FROM #a a", "error 207"},
        {"SELECT nothing FROM #none", "error 207"},
        {"SELECT 1 FROM t", "error 208"},
        {"SELECT 1 FROM #other", "error 208"},
        {"SELECT 1 FROM dbo.f(1)", "error 208"},
        {"SELECT ROW_NUMBER() OVER (ORDER BY i) FROM #none", ""},
        {"SELECT COUNT(*) OVER () FROM #a", "error 195"},
    };
    check(all);
}

static void groups_and_sets(void **) {
    static constexpr expected_rows all[] = {
        {"SELECT COUNT(*), COUNT(t), MIN(i), MAX(t), SUM(i), AVG(i), COUNT(DISTINCT i) FROM #a", "3 2 1 'y' 5 1 2"},
        {"SELECT COUNT(*), MAX(i), SUM(i) FROM #none", "0 NULL NULL"},
        {"SELECT i, COUNT(*) FROM #none GROUP BY i", ""},
        {"SELECT i, COUNT(*) AS c FROM #a GROUP BY i ORDER BY c DESC", "2 2; 1 1"},
        {"SELECT i FROM #a GROUP BY i HAVING COUNT(*) > 1", "2"},
        {"SELECT 1 WHERE COUNT(*) = 0", "error 147"},
        {"SELECT i FROM #a ORDER BY i DESC, t", "2; 2; 1"},
        {"SELECT t FROM #a ORDER BY t", "NULL; 'x'; 'y'"},
        {"SELECT i + 1 AS j FROM #a ORDER BY j DESC", "3; 3; 2"},
        {"SELECT i FROM #a ORDER BY 2", "error 108"},
        {"SELECT TOP 1 t FROM #a ORDER BY t DESC", "'y'"},
        {"SELECT TOP (0) t FROM #a", ""},
        {"SELECT TOP 1 * FROM #a", "1 'x'"},
        {"SELECT TOP @n i FROM #a", "1; 2; 2"},
        {"SELECT i FROM #a ORDER BY i OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", "2"},
        {"SELECT DISTINCT i FROM #a", "1; 2"},
        {"SELECT 1 UNION ALL SELECT 1", "1; 1"},
        {"SELECT 1 UNION SELECT 2 UNION SELECT 1 ORDER BY 1 DESC", "2; 1"},
        {"SELECT i FROM #a EXCEPT SELECT i FROM #b", "1"},
        {"SELECT i FROM #a INTERSECT SELECT i FROM #b", "2"},
        {"SELECT TOP 1 i FROM #a UNION ALL SELECT TOP 1 i FROM #b", "1; 2"},
        {"SELECT 1 UNION SELECT 1, 2", "error 205"},
        {"SELECT t FROM #a FOR XML PATH('')", "error 50007"},
        {"SELECT (SELECT i FROM #none FOR XML PATH(''))", "NULL"},
    };
    check(all);
}

static void the_catalog(void **) {
    static constexpr expected_rows all[] = {
        {"SELECT name FROM sys.databases ORDER BY database_id", "'master'; 'tdsbouncer'"},
        {"SELECT name FROM master..sysdatabases WHERE dbid = DB_ID('tdsbouncer')", "'tdsbouncer'"},
        {"SELECT state_desc, is_read_only, compatibility_level, source_database_id FROM master.sys.databases WHERE "
         "name = DB_NAME()",
         "'ONLINE' 0 150 NULL"},
        {"SELECT name FROM sys.schemas WHERE schema_id = SCHEMA_ID()", "'dbo'"},
        {"SELECT COUNT(*) FROM sys.tables", "0"},
        {"SELECT COUNT(*) FROM tdsbouncer.sys.views", "10"},
        {"SELECT COUNT(*) FROM master.sys.views", "0"},
        {"SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME LIKE 'po%' AND TABLE_TYPE = 'VIEW'",
         "'pools'"},
        {"SELECT c.name, t.name FROM sys.columns c JOIN sys.types t ON c.user_type_id = t.user_type_id "
         "WHERE c.object_id = OBJECT_ID('dbo.pools') AND c.column_id < 4 ORDER BY c.column_id",
         "'bucket' 'nvarchar'; 'pool' 'nvarchar'; 'user' 'nvarchar'"},
        {"SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH FROM information_schema.columns WHERE table_name = "
         "'version' AND "
         "ordinal_position IN (1, 4)",
         "'version' 'nvarchar' 32; 'draining' 'int' NULL"},
        {"SELECT OBJECT_NAME(OBJECT_ID('[dbo].[pools]')), OBJECT_ID('sys.xml_indexes'), OBJECT_ID('master.dbo.pools'), "
         "OBJECT_ID('#a')",
         "'pools' NULL NULL -1"},
        {"SELECT COLUMNPROPERTY(OBJECT_ID('pools'), 'user', 'charmaxlen'), COLUMNPROPERTY(OBJECT_ID('pools'), "
         "'clients', 'ColumnId'), "
         "COLUMNPROPERTY(OBJECT_ID('pools'), 'clients', 'IsIdentity'), COLUMNPROPERTY(1, 'x', 'IsIdentity')",
         "64 4 0 NULL"},
        {"SELECT * FROM pools", "'b1' 7; 'b2' 0"},
        {"SELECT bucket FROM tdsbouncer.dbo.pools WHERE clients > 3 ORDER BY bucket", "'b1'"},
        {"SELECT foo FROM pools", "error 207"},
        {"SELECT * FROM master.dbo.pools", "error 208"},
        {"SELECT * FROM other.sys.databases", "error 208"},
        {"SELECT a, b.c FROM sys.whatever a JOIN msdb.dbo.sysjobs b ON a.x = b.y", ""},
        {"SELECT COUNT(*) FROM sys.whatever WHERE x = 1", "0"},
        {"SELECT * FROM sys.whatever", ""},
        {"SELECT * FROM fn_listextendedproperty(default, default, NULL)", ""},
        {"SELECT text FROM sys.dm_exec_sql_text(1)", ""},
        {"SELECT session_id, login_name FROM sys.dm_exec_sessions WHERE session_id = @@SPID", "57 'operator'"},
        {"SELECT DB_ID(), DB_ID('master'), DB_ID('x'), DB_NAME(1), HAS_DBACCESS('TDSBOUNCER'), HAS_DBACCESS('x')",
         "5 1 NULL 'master' 1 NULL"},
        {"SELECT DATABASEPROPERTYEX('master', 'Status'), IS_SRVROLEMEMBER('sysadmin'), HAS_PERMS_BY_NAME(NULL, NULL, "
         "'VIEW SERVER STATE')",
         "'ONLINE' 0 1"},
    };
    check(all);
}

// Every view of the table and every procedure can be read, and has the types that it tells.
static void whole_tables(void **) {
    for (const console_view &v : console_views()) {
        world_of_test t;
        std::string name = std::string(v.schema) + "." + v.name;
        console_relation all = run(t.w, "SELECT * FROM " + name);
        if (t.w.problem.number != 0)
            fail_msg("%s: %s", name.c_str(), t.w.problem.text.c_str());
        assert_int_equal(all.rows.empty(), v.rows == nullptr);
        for (const console_field &f : all.fields)
            if (f.name.empty() || f.name.find_first_of(" =") != std::string::npos || !f.type.known)
                fail_msg("%s: %s", name.c_str(), f.name.c_str());
    }
    for (const console_procedure &p : console_procedures()) {
        console_batch batch = console_parse_utf8(p.text);
        if (!batch.good)
            fail_msg("%s: near %s", p.name, batch.near.c_str());
        if (batch.statements.empty()) // it is known, and gives nothing
            continue;
        assert_int_equal(batch.statements.size(), 1);
        const console_statement *st = &batch.statements[0];
        while (st->verb == console_verb::if_)
            st = &st->otherwise.at(0);
        world_of_test t;
        for (size_t i = 0; !console_parameter(p, i).empty(); ++i)
            t.w.variables[console_parameter(p, i)] = {};
        (void)console_run_query(t.w, *st->query);
        if (t.w.problem.number != 0)
            fail_msg("%s: %s", p.name, t.w.problem.text.c_str());
    }
    assert_null(console_find_procedure("sp_who"));
    assert_non_null(console_find_procedure("SP_TABLES"));
}

static void types(void **) {
    using type = tds_result_type;
    static constexpr struct {
        const char *expression;
        type base;
        uint16_t units;
    } all[] = {{"1", type::integer, 128},
               {"9999999999", type::bigint, 128},
               {"1.5", type::real, 128},
               {"'abc'", type::text, 3},
               {"'abc' + 'de'", type::text, 5},
               {"CAST(1 AS bit)", type::bit, 1},
               {"CAST('x' AS nvarchar(77))", type::text, 77},
               {"CAST('x' AS nvarchar(max))", type::text, 4000},
               {"CASE WHEN 1 = 1 THEN CAST(1 AS tinyint) ELSE 2 END", type::integer, 128},
               {"ISNULL(NULL, CAST(1 AS smallint))", type::smallint, 1},
               {"GETDATE()", type::datetime, 128},
               {"(SELECT i FROM #none)", type::integer, 128},
               {"(SELECT t FROM #a WHERE 1 = 0)", type::text, 10},
               {"COUNT_BIG(*)", type::bigint, 128},
               {"SERVERPROPERTY('EngineEdition')", type::integer, 128},
               {"CAST(0x01 AS varbinary(85))", type::binary, 85},
               {"(SELECT is_read_only FROM sys.databases WHERE 1 = 0)", type::bit, 128}};
    for (const auto &[expression, base, units] : all) {
        world_of_test t;
        console_relation one = run(t.w, std::string("SELECT ") + expression);
        if (one.fields.at(0).type.base != base || (base == type::text && one.fields[0].type.units != units))
            fail_msg("%s", expression);
    }
}

// Row by row, one item after another.
static void assignments(void **) {
    world_of_test t;
    assert_int_equal(run(t.w, "SELECT @n = @n + i, @s = @s + ISNULL(t, '-') FROM #a").rows.size(), 3);
    assert_int_equal(t.w.variables["@N"].value.number, 10);
    assert_string_equal(t.w.variables["@S"].value.text.c_str(), "it'sxy-");
    (void)run(t.w, "SELECT @n = 7 FROM #none");
    assert_int_equal(t.w.variables["@N"].value.number, 10);
    (void)run(t.w, "SELECT @n = COUNT(*) FROM #none");
    assert_true(t.w.problem.number == 0 && t.w.variables["@N"].value.number == 0);
    (void)run(t.w, "SELECT @n = 'x'");
    assert_int_equal(t.w.problem.number, 245);
    t.w.problem = {};
    (void)run(t.w, "SELECT @other = 1");
    assert_int_equal(t.w.problem.number, 137);
}

// A request that asks too much gets an error, soon, whatever it asks too much of.
static void budgets(void **) {
    static constexpr const char *all[] = {
        "SELECT COUNT(*) FROM sys.columns a, sys.columns b, sys.columns c, sys.columns d",
        "SELECT a.name FROM sys.columns a CROSS APPLY (SELECT b.name FROM sys.columns b, sys.columns c WHERE c.name "
        "LIKE a.name) x",
        "SELECT REPLICATE(REPLICATE('x', 1000), 100) + 'x' FROM sys.columns a, sys.columns b",
        "SELECT 1 WHERE REPLICATE('a', 100000) LIKE REPLICATE('%a', 50000) + 'b'",
        "SELECT DISTINCT a.name + b.name FROM sys.columns a, sys.columns b",
    };
    for (const char *text : all)
        if (std::string got = rows_of(text); got != "error 50007")
            fail_msg("%s: %s", text, got.substr(0, 100).c_str());
}

// Whatever is changed in a query: it ends, with rows as wide as their names or with a problem.
static void any_query(void **) {
    std::minstd_rand random(20261130);
    const std::string text = "WITH c AS (SELECT i, t FROM #a WHERE i < 3) SELECT TOP 5 c.i, COUNT(*) AS n, MAX(b.u + "
                             "'x'), CASE WHEN c.i IN (1, 2) THEN "
                             "'one' ELSE NULL END e, (SELECT TOP 1 name FROM sys.databases d WHERE d.database_id = "
                             "c.i) FROM c LEFT JOIN #b AS b ON b.i = "
                             "c.i OUTER APPLY (SELECT clients FROM pools p WHERE p.bucket LIKE 'b_' AND p.clients > "
                             "c.i) x WHERE NOT c.t IS NULL AND "
                             "EXISTS (SELECT * FROM sys.columns) GROUP BY c.i HAVING COUNT(*) >= 1 UNION SELECT 1, 2, "
                             "'a', LEFT('b', 1), N'c' ORDER BY 1";
    unsigned good = 0;
    for (int i = 0; i < 3'000; ++i) {
        std::string other = text;
        for (size_t changes = random() % 4; changes > 0; --changes) {
            size_t at = random() % other.size(), from = random() % other.size(), size = 1 + random() % 12;
            random() % 3 == 0 ? other.erase(at, size)
                              : other.replace(at, std::min(size, other.size() - at), other.substr(from, size));
        }
        console_batch batch = console_parse_utf8(other);
        for (const console_statement &st : batch.statements) {
            if (st.query == nullptr)
                continue;
            world_of_test t;
            console_relation all = console_run_query(t.w, *st.query);
            good += t.w.problem.number == 0;
            for (const console_tuple &row : all.rows)
                if (t.w.problem.number == 0)
                    assert_int_equal(row.size(), all.fields.size());
        }
    }
    assert_true(good > 300);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(values),          cmocka_unit_test(conditions),  cmocka_unit_test(joins),
        cmocka_unit_test(groups_and_sets), cmocka_unit_test(the_catalog), cmocka_unit_test(whole_tables),
        cmocka_unit_test(types),           cmocka_unit_test(assignments), cmocka_unit_test(budgets),
        cmocka_unit_test(any_query),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
