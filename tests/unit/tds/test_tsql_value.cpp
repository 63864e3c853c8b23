// Last values: where a name is an earlier request's, where it is this text's own, where it may be either.
#include <cstring>

#include "cmocka_cpp.h"

#include "effect_text.h"

// clang-format off
// The names themselves, and what only looks like one.
static constexpr effect_row names[] = {
    {"SELECT @@IDENTITY", "lone, identity@7+10"},
    {"SELECT @@identity, SCOPE_IDENTITY(), @@ROWCOUNT, ROWCOUNT_BIG(), @@ERROR", "lone, identity@7+10, scope@19+16, rowcount@37+10, rowcount_big@49+14, error@65+7"},
    {"SELECT SCOPE_IDENTITY ( /* x */ ) AS id", "lone, scope@7+26"},
    {"SELECT SCOPE_IDENTITY", "lone"},
    {"SELECT SCOPE_IDENTITY(1)", "lone"},
    {"SELECT dbo.SCOPE_IDENTITY()", "lone"},
    {"SELECT [SCOPE_IDENTITY]()", "lone, unclear scope"},
    {"SELECT '@@IDENTITY', [@@ROWCOUNT], \"@@ERROR\" -- @@IDENTITY", "lone"},
};

// Behind statements that change some of them, or none.
static constexpr effect_row statements[] = {
    {"INSERT t VALUES (1) SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT", "tx, writes"},
    {"INSERT t SELECT 1 SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT", "tx, writes, unclear identity, unclear scope"},
    {"INSERT t DEFAULT VALUES SELECT SCOPE_IDENTITY()", "tx, writes"},
    {"INSERT t (a) (SELECT 1) SELECT @@ROWCOUNT", "tx, writes"},
    {"INSERT t VALUES (@@IDENTITY)", "tx, writes, identity@17+10"},
    {"UPDATE t SET a = SCOPE_IDENTITY() WHERE b = @@ROWCOUNT", "tx, writes, scope@17+16, rowcount@44+10"},
    {"UPDATE t SET a = 1 SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT", "tx, writes, scope@38+16, unclear identity"},
    {"DELETE t WHERE id = @@IDENTITY; SELECT @@ROWCOUNT", "tx, writes, identity@20+10"},
    {"SELECT 1; SELECT @@ROWCOUNT, @@IDENTITY", "identity@29+10"},
    {"SET NOCOUNT ON; SELECT SCOPE_IDENTITY(), @@ROWCOUNT", "NOCOUNT=ON, scope@23+16"},
    {"DECLARE @a int SELECT @@ROWCOUNT", "rowcount@22+10"},
    {"DECLARE @a int = 1 SELECT @@ROWCOUNT", "unclear rowcount"},
    {"DECLARE @a int = @@ROWCOUNT, @b int = @@ERROR, @c int = SCOPE_IDENTITY()", "rowcount@17+10, scope@56+16, unclear error"},
    {"DECLARE @t TABLE (a int DEFAULT @@ROWCOUNT)", "unclear rowcount"},
    {"DECLARE c CURSOR FOR SELECT @@ROWCOUNT", "cursor c, unclear rowcount"},
    {"SET @a = @@IDENTITY", "identity@9+10"},
    {"SET ROWCOUNT @@ROWCOUNT", "doubtful ROWCOUNT, unclear rowcount"},
    {"USE x SELECT @@ROWCOUNT, @@IDENTITY", "use, identity@25+10"},
    {"INSERT t VALUES (1) WHILE 1=1 SELECT SCOPE_IDENTITY()", "tx, writes"},
    {"EXEC p SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT, @@ERROR", "runs p, calls, tx, writes, unclear identity, unclear scope, unclear rowcount"},
    {"EXEC ('SELECT @@ROWCOUNT, SCOPE_IDENTITY()')", "calls, unclear rowcount"},
    {"SELECT 1 EXEC ('SELECT @@ROWCOUNT, SCOPE_IDENTITY()')", "calls"},
    {"PRINT @@ERROR", "error@6+7"},
    {"RETURN @@ERROR", "error@7+7"},
    {"RAISERROR ('x', 16, 1, @@ERROR)", "unclear error"},
    {"MERGE t USING s ON 1=1 WHEN MATCHED THEN DELETE; SELECT @@ROWCOUNT, SCOPE_IDENTITY()", "tx, writes, unclear scope"},
    {"SELECT * INTO #t FROM x SELECT @@IDENTITY, @@ROWCOUNT", "temp #t, tx, writes, unclear identity"},
    {"BEGIN TRAN SELECT @@IDENTITY, @@ROWCOUNT", "tx, identity@18+10, unclear rowcount"},
    {"COMMIT SELECT SCOPE_IDENTITY()", "tx, scope@14+16"},
    {"SELECT a FROM t WHERE id = @@IDENTITY ORDER BY @@ROWCOUNT", "lone, identity@27+10, unclear rowcount"},
    {"CREATE TABLE t (a int DEFAULT @@ROWCOUNT)", "tx, writes, unclear rowcount"},
    {"WITH c AS (SELECT @@ROWCOUNT a) SELECT a FROM c", "lone, rowcount@18+10"},
};

// Under conditions, in loops, in TRY and CATCH.
static constexpr effect_row flow[] = {
    {"IF @@ROWCOUNT = 0 SELECT 1", "rowcount@3+10"},
    {"IF @@ROWCOUNT = 0 SELECT @@ROWCOUNT, @@IDENTITY", "rowcount@3+10, identity@37+10, unclear rowcount"},
    {"IF @@ERROR <> 0 ROLLBACK", "tx, error@3+7"},
    {"IF @a=1 INSERT t VALUES (1) SELECT SCOPE_IDENTITY()", "tx, writes, unclear scope"},
    {"IF @a=1 INSERT t VALUES (1) ELSE INSERT u VALUES (1) SELECT SCOPE_IDENTITY()", "tx, writes"},
    {"IF @a=1 BEGIN INSERT t VALUES (1); SELECT SCOPE_IDENTITY() END", "tx, writes"},
    {"IF @a=1 UPDATE t SET a=1 ELSE BEGIN INSERT t VALUES (1) SELECT SCOPE_IDENTITY() END", "tx, writes"},
    {"IF @a=1 SELECT 1 ELSE SELECT @@IDENTITY", "identity@29+10"},
    {"WHILE @@ROWCOUNT > 0 DELETE TOP (10) FROM t", "tx, writes, unclear rowcount"},
    {"WHILE 1=1 BEGIN INSERT t VALUES (1) SELECT SCOPE_IDENTITY() END SELECT @@IDENTITY", "tx, writes, unclear identity"},
    {"BEGIN TRY INSERT t VALUES (1) SELECT SCOPE_IDENTITY() END TRY BEGIN CATCH SELECT @@ERROR, @@ROWCOUNT, SCOPE_IDENTITY() END CATCH SELECT SCOPE_IDENTITY(), @@ERROR", "tx, writes, unclear scope, unclear rowcount"},
    {"BEGIN TRY SELECT 1 END TRY BEGIN CATCH SELECT SCOPE_IDENTITY() END CATCH", "scope@46+16"},
    {"x: SELECT @@IDENTITY", "unclear identity"},
};

// clang-format on

static void test_names(void **) {
    effect_check(tsql_scope::batch, names);
}

static void test_statements(void **) {
    effect_check(tsql_scope::batch, statements);
}

static void test_flow(void **) {
    effect_check(tsql_scope::batch, flow);
}

// Nothing but statements behind which @@ROWCOUNT is 0, each of them for certain.
static void test_no_count(void **) {
    static constexpr const char *yes[] = {
        "COMMIT",
        "commit tran;",
        "COMMIT WORK",
        "/* x */ COMMIT TRANSACTION t -- y",
        "BEGIN TRAN",
        "BEGIN TRANSACTION t WITH MARK",
        "BEGIN TRAN; COMMIT",
        "COMMIT BEGIN TRAN",
        "USE other",
        "SET NOCOUNT ON",
        "SET QUOTED_IDENTIFIER ON SET TEXTSIZE 100; SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
        "SET IDENTITY_INSERT t ON",
    };
    static constexpr const char *no[] = {
        "",
        "-- COMMIT",
        ";",
        "ROLLBACK",
        "SAVE TRAN t",
        "COMMIT SELECT 1",
        "SELECT 1 COMMIT",
        "SET @a = 1",
        "DECLARE @a int SET NOCOUNT ON",
        "IF @@TRANCOUNT > 0 COMMIT TRAN",
        "IF 1 = 1 SET NOCOUNT ON ELSE COMMIT",
        "WHILE 1 = 0 COMMIT",
        "BEGIN COMMIT END",
        "BEGIN DISTRIBUTED TRAN",
        "BEGIN TRY COMMIT END TRY BEGIN CATCH END CATCH",
        "BEGIN DIALOG x FROM SERVICE a TO SERVICE 'b'",
        "EXEC ('COMMIT')",
        "EXEC sp_executesql N'COMMIT'",
        "p",
        "x: COMMIT",
        "GOTO x",
        "COMMIT; PRINT 'x'",
        "INSERT t VALUES (1) COMMIT",
        "CREATE PROCEDURE p AS COMMIT",
        "COMMIT )",
    };
    tsql_scanner *scanner = tsql_scanner_create();
    auto check = [&](const char *sql, tsql_scope scope, bool expected) {
        tsql_effect effect;
        std::vector<uint8_t> text;
        tds_utf16_append(sql, strlen(sql), text);
        tsql_scan(scanner, scope, text, effect);
        if (effect.no_count != expected)
            fail_msg("%s: %d", sql, effect.no_count);
    };
    for (const char *sql : yes) {
        check(sql, tsql_scope::batch, true);
        check(sql, tsql_scope::inner, false); // "EXECUTE statements preserve the previous @@ROWCOUNT"
    }
    for (const char *sql : no)
        check(sql, tsql_scope::batch, false);
    tsql_scanner_destroy(scanner);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_no_count),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
