// Statements: what each leaves behind, whether it writes, whether it may begin or end a transaction.
#include "cmocka_cpp.h"

#include "effect_text.h"

// clang-format off
// Temp tables and procedures.
static constexpr effect_row temps[] = {
    {"CREATE TABLE #t (a int)", "temp #t, tx, writes"},
    {"CREATE TABLE tempdb..#t (a int)", "temp #t, tx, writes"},
    {"CREATE TABLE [#t] (a int)", "temp #t, tx, writes"},
    {"CREATE TABLE \"##t\" (a int)", "temp ##t, tx, writes"},
    {"CREATE TABLE t (a int)", "tx, writes"},
    {"CREATE TABLE tempdb.dbo.[#a]]b] (a int)", "temp #a]b, tx, writes"},
    {"SELECT * INTO #t FROM x", "temp #t, tx, writes"},
    {"SELECT a INTO tempdb..##t FROM x WHERE b IN (SELECT c FROM d)", "temp ##t, tx, writes"},
    {"SELECT a INTO dbo.t FROM x", "tx, writes"},
    {"WITH c AS (SELECT 1 a) SELECT * INTO #t FROM c", "temp #t, tx, writes"},
    {";WITH c AS (SELECT 1 a), d (x) AS (SELECT 2) UPDATE c SET a = 1", "tx, writes"},
    {"WITH c AS (SELECT 1 a) SELECT * FROM c", "lone"},
    {"WITH XMLNAMESPACES ('x' AS y) SELECT 1", "lone"},
    {"INSERT INTO #t VALUES (1)", "tx, writes"},
    {"INSERT t OUTPUT inserted.a INTO #t SELECT 1", "tx, writes"},
    {"DELETE FROM t OUTPUT deleted.a INTO #t", "tx, writes"},
    {"CREATE PROC #p AS SELECT 1 INSERT t VALUES (1)", "temp #p, tx, writes"},
    {"CREATE PROCEDURE dbo.p @a int AS CREATE TABLE #t (a int) EXEC q SET NOCOUNT ON", "tx, writes"},
    {"CREATE OR ALTER PROC p AS SELECT @@IDENTITY", "tx, writes"},
    {"ALTER PROC p AS SET CONTEXT_INFO 0x1", "tx, writes"},
    {"CREATE FUNCTION f() RETURNS int AS BEGIN RETURN 1 END", "tx, writes"},
    {"CREATE VIEW v AS SELECT 1 AS a", "tx, writes"},
    {"CREATE TRIGGER tr ON t FOR INSERT, UPDATE AS EXEC p", "tx, writes"},
    {"DROP TABLE #t", "drops, tx, writes"},
    {"DROP TABLE IF EXISTS #a, tempdb..#b", "drops, tx, writes"},
    {"DROP TABLE t", "tx, writes"},
    {"DROP TABLE IF EXISTS t SELECT 1", "tx, writes"},
    {"DROP PROC #p", "drops, tx, writes"},
    {"DROP TABLE t IF EXISTS (SELECT 1) SET NOCOUNT ON", "doubtful NOCOUNT, tx, writes"},
    {"IF OBJECT_ID('tempdb..#t') IS NOT NULL DROP TABLE #t CREATE TABLE #t (a int)", "temp #t, drops, tx, writes"},
    {"CREATE INDEX i ON #t (a)", "tx, writes"},
    {"DECLARE @c CURSOR SELECT * INTO #t FROM x", "temp #t, tx, writes"},
};

// Cursors.
static constexpr effect_row cursors[] = {
    {"DECLARE c CURSOR FOR SELECT 1", "cursor c"},
    {"DECLARE c INSENSITIVE SCROLL CURSOR FOR SELECT 1", "cursor c"},
    {"DECLARE c CURSOR LOCAL FAST_FORWARD FOR SELECT 1 UNION ALL SELECT 2 FOR UPDATE OF a", ""},
    {"DECLARE c CURSOR GLOBAL FOR WITH x AS (SELECT 1 a) SELECT a FROM x OPEN c SET NOCOUNT ON", "NOCOUNT=ON, cursor c"},
    {"DECLARE @c CURSOR SET @c = CURSOR FOR SELECT 1 OPEN @c DEALLOCATE @c", "deallocates"},
    {"DEALLOCATE c", "deallocates"},
    {"DECLARE @t TABLE (id int PRIMARY KEY DEFAULT 1)", ""},
};

// Transactions, and what surely has none.
static constexpr effect_row transactions[] = {
    {"BEGIN TRAN", "tx"},
    {"BEGIN TRANSACTION x WITH MARK 'a'", "tx"},
    {"BEGIN DISTRIBUTED TRAN", "on bound_session, tx"},
    {"COMMIT", "tx"},
    {"COMMIT WORK", "tx"},
    {"ROLLBACK TRAN x", "tx"},
    {"SAVE TRANSACTION s", "tx"},
    {"BEGIN SELECT 1 END", ""},
    {"DECLARE @a int = 1 IF @a = 1 PRINT 'x' ELSE BEGIN WAITFOR DELAY '00:00:01' RAISERROR('x', 16, 1) WITH NOWAIT END", ""},
    {"WAITFOR (RECEIVE TOP (1) * FROM q), TIMEOUT 500", "tx, writes"},
    {"WAITFOR TIME '10:00'", ""},
    {"TRUNCATE TABLE t", "tx, writes"},
    {"BULK INSERT t FROM 'f' WITH (TABLOCK)", "tx, writes"},
    {"INSERT BULK t (a int) WITH (TABLOCK)", "bulk, tx, writes"},
    {"WRITETEXT t.a @p 'x'", "tx, writes"},
    {"WRITETEXT BULK t.a @p", "bulk, tx, writes"},
    {"UPDATETEXT BULK t.a @p 0 NULL", "bulk, tx, writes"},
    {"READTEXT t.a @p 1 2", ""},
    {"SELECT * FROM OPENROWSET('a', 'b', 'c')", "calls, tx"},
    {"SELECT * FROM OPENQUERY(srv, 'SELECT 1')", "calls, tx"},
    {"INSERT INTO t SELECT a FROM (MERGE u USING s ON 1=1 WHEN MATCHED THEN DELETE OUTPUT $action a) x", "tx, writes"},
    {"SELECT a.* FROM OPENROWSET('x', 's';'u';'p', 'SELECT 1') a SET NOCOUNT ON", "NOCOUNT=ON, calls, tx"},
};

// The others.
static constexpr effect_row others[] = {
    {"GRANT SELECT, INSERT, EXECUTE ON t TO u WITH GRANT OPTION SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"REVOKE GRANT OPTION FOR SELECT ON t FROM u", "tx, writes"},
    {"DENY CREATE TABLE TO u SELECT 1", "tx, writes"},
    {"GRANT UPDATE (a), SELECT (b) ON t TO u", "tx, writes"},
    {"ENABLE TRIGGER tr ON t", "tx, writes"},
    {"DISABLE TRIGGER ALL ON DATABASE; SELECT 1", "tx, writes"},
    {"UPDATE STATISTICS t WITH FULLSCAN SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"DBCC TRACEON (1222, 3604)", "on trace_flag"},
    {"DBCC TRACEON (1222, -1)", ""},
    {"DBCC TRACEON (3604) DBCC PAGE (1,1,1,1) DBCC TRACEOFF (3604)", "passing trace_flag"},
    {"DBCC TRACEOFF (3604)", "off trace_flag"},
    {"DBCC USEROPTIONS", ""},
    {"DBCC CHECKIDENT ('t', RESEED, 1)", ""},
    {"OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = 'x'", "on symmetric_key"},
    {"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c SELECT 1 CLOSE SYMMETRIC KEY k", "passing symmetric_key"},
    {"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c OPEN SYMMETRIC KEY l DECRYPTION BY CERTIFICATE c CLOSE ALL SYMMETRIC KEYS", "passing symmetric_key"},
    {"OPEN MASTER KEY DECRYPTION BY PASSWORD = 'x' CLOSE MASTER KEY", "passing symmetric_key"},
    {"BACKUP DATABASE x TO DISK = 'f' WITH INIT", "tx, writes"},
    {"RESTORE DATABASE x FROM DISK = 'f' WITH REPLACE", "tx, writes"},
    {"KILL 55", "tx, writes"},
    {"CHECKPOINT", "tx, writes"},
    {"SHUTDOWN WITH NOWAIT", "tx, writes"},
    {"BEGIN DIALOG @h FROM SERVICE a TO SERVICE 'b' ON CONTRACT c WITH ENCRYPTION = OFF; SEND ON CONVERSATION @h MESSAGE TYPE m ('x'); END CONVERSATION @h", "tx, writes"},
    {"BEGIN CONVERSATION TIMER (@h) TIMEOUT = 1", "tx, writes"},
    {"GET CONVERSATION GROUP @g FROM q", "tx, writes"},
    {"RECEIVE * FROM q", "tx, writes"},
    {"ADD SIGNATURE TO p BY CERTIFICATE c", "tx, writes"},
    {"(SELECT 1) UNION (SELECT 2)", "lone"},
    {"SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4", "lone"},
    {"SELECT CASE WHEN a = 1 THEN 2 ELSE 3 END FROM t", "lone"},
    {"SELECT * FROM a INNER MERGE JOIN b ON a.x=b.x LEFT OUTER MERGE JOIN c ON 1=1", "lone"},
    {"SELECT a FROM t ORDER BY a OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY", "lone"},
    {"SELECT a FROM t WITH (NOLOCK) OPTION (MERGE JOIN, USE HINT('x'))", "lone"},
    {"IF UPDATE(a) AND UPDATE(b) SELECT 1", ""},
    {"IF EXISTS (SELECT 1) AND CASE WHEN 1=1 THEN 1 ELSE 0 END = 1 SET NOCOUNT ON ELSE SET NOCOUNT OFF", "doubtful NOCOUNT"},
    {"IF 1=1 WITH c AS (SELECT 1 a) SELECT * FROM c", ""},
    {"IF 1=1 THROW 50000, 'x', 1", ""},
    {"SET IMPLICIT_TRANSACTIONS ON SELECT 1 SET IMPLICIT_TRANSACTIONS OFF", "IMPLICIT_TRANSACTIONS=ON, IMPLICIT_TRANSACTIONS=OFF, tx"},
    {"SET IMPLICIT_TRANSACTIONS ON", "IMPLICIT_TRANSACTIONS=ON"},
    {"LINENO 5 SELECT 1", ""},
    {"SELECT @@SPID", "lone"},
    {"SELECT @@SPID, 1; SELECT 2", "on spid"},
    {"DECLARE @s int = @@SPID", "on spid"},
    {"SELECT @a = 1", ""},
    {"SELECT a FROM t WHERE b = @p1 AND @p2 = 1", "lone"},
    {"SELECT NEXT VALUE FOR s", "lone"},
    {"SELECT dbo.f(1), t.c.value('x', 'int') FROM t CROSS APPLY u", "lone"},
    {"CREATE SCHEMA s AUTHORIZATION dbo", "tx, writes"},
    {"CREATE LOGIN x WITH PASSWORD = 'x', DEFAULT_LANGUAGE = us_english", "tx, writes"},
    {"ALTER LOGIN x WITH DEFAULT_DATABASE = y", "tx, writes"},
    {"ALTER AUTHORIZATION ON SCHEMA::s TO u", "tx, writes"},
    {"CREATE TYPE t AS TABLE (a int)", "tx, writes"},
    {"BEGIN ALTER TABLE t ADD b AS a END SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"SELECT 1 AS after UPDATE t SET a = 1 SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
};

// What cannot be.
static constexpr effect_row broken[] = {
    {"END", "anything, empty"},
    {"BEGIN SELECT 1", "anything"},
    {"ELSE SELECT 1", "anything"},
    {"SELECT 'x", "anything"},
    {"SELECT /* x", "anything"},
    {"SELECT (1", "anything"},
    {"SELECT 1)", "anything"},
};

// clang-format on

static void test_temps(void **) {
    effect_check(tsql_scope::batch, temps);
}

static void test_cursors(void **) {
    effect_check(tsql_scope::batch, cursors);
}

static void test_transactions(void **) {
    effect_check(tsql_scope::batch, transactions);
}

static void test_others(void **) {
    effect_check(tsql_scope::batch, others);
}

static void test_broken(void **) {
    effect_check(tsql_scope::batch, broken);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_temps),  cmocka_unit_test(test_cursors), cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_others), cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
