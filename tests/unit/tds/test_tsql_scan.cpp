// The scanner as a whole: how characters become tokens, the scopes, texts that were captured from real clients, several
// texts in one effect, and its bounds.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <new>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "cmocka_cpp.h"

#include "effect_text.h"

// --- allocations, counted

static size_t allocations;

void *operator new(size_t size) {
    allocations++;
    void *p = malloc(size);
    if (p == nullptr)
        throw std::bad_alloc();
    return p;
}
void *operator new(size_t size, const std::nothrow_t &) noexcept {
    allocations++;
    return malloc(size);
}
void operator delete(void *p) noexcept {
    free(p);
}
void operator delete(void *p, size_t) noexcept {
    free(p);
}

// clang-format off
// Comments, quotations, numbers, words; where they touch.
static constexpr effect_row lexical[] = {
    {"SELECT@@SPID", "anything"},
    {"SELECT 1SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1e5SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1else", "anything"},
    {"SELECT 0x1FSET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1.5e+3.5", "lone"},
    {"SELECT N'a''b', n'c', 'd''''' SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT [a]]b], \"c\"\"d\" SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 'a--b', '/*' SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1 -- SET NOCOUNT ON", "lone"},
    {"SELECT 1 -- x\nSET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1 -- x\r\nSET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1 -- x\rSET NOCOUNT ON", "anything, NOCOUNT=ON"},
    {"SELECT 1 -- x\r", "lone"},
    {"/* SET /* nested */ X */ SET NOCOUNT ON /* y */", "NOCOUNT=ON"},
    {"/**/SET/*/**/*/NOCOUNT/***/ON", "NOCOUNT=ON"},
    {"SELECT 4/2*3-1 SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SET NOCOUNT ON--x", "NOCOUNT=ON"},
    {"żółć 1", "runs żółć, calls, tx, writes"},
    {"SELECT zażółć FROM [tabela] SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT £1, $1.5, $action", "lone"},
    {"SELECT 1→2", "anything"},
    {"SELECT 1 SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 'x'SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT a.b.c, geometry::Parse('x') SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SELECT 1 ; ; ; SELECT 2", ""},
    {"", "empty"},
    {"--", "empty"},
    {";", "empty"},
    {"SELECT 1;", "lone"},
    {"sElEcT 1 sEt nOcOuNt oN", "NOCOUNT=ON"},
    {"SELECT ＄1.5, ﷼2 SET NOCOUNT ON", "NOCOUNT=ON"},
};

// What sp_executesql runs.
static constexpr effect_row inner_texts[] = {
    {"SET NOCOUNT ON SET LANGUAGE French USE x", ""},
    {"SELECT 1", "lone"},
    {"SELECT @@SPID", "lone"},
    {"CREATE TABLE #t (a int) SELECT * INTO #u FROM t", "tx, writes"},
    {"CREATE TABLE ##t (a int) SELECT * INTO ##u FROM t DROP TABLE ##t", "temp ##t, temp ##u, drops, tx, writes"},
    {"CREATE PROC #p AS SELECT 1", "temp #p, tx, writes"},
    {"DECLARE c CURSOR FOR SELECT 1", "cursor c"},
    {"DECLARE c CURSOR LOCAL FOR SELECT 1", ""},
    {"EXECUTE AS USER = 'x' SELECT 1", ""},
    {"EXECUTE AS USER = 'x' WITH NO REVERT", "on impersonation"},
    {"REVERT", ""},
    {"SETUSER 'x'", "on impersonation"},
    {"SET IDENTITY_INSERT t ON", "on identity_insert"},
    {"SET IDENTITY_INSERT t OFF", "off identity_insert"},
    {"SET CONTEXT_INFO 0x1", "on context_info"},
    {"SET FMTONLY ON", ""},
    {"SET FOO ON", "on unknown"},
    {"SET IMPLICIT_TRANSACTIONS ON SELECT 1", "tx"},
    {"SET IMPLICIT_TRANSACTIONS OFF SELECT 1", ""},
    {"DBCC TRACEON (1222)", "on trace_flag"},
    {"OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c", "on symmetric_key"},
    {"EXEC sp_getapplock 'r', 'Exclusive', 'Session'", "on app_lock, calls, tx, writes"},
    {"SELECT @@IDENTITY, SCOPE_IDENTITY(), @@ROWCOUNT", "lone, identity@7+10, rowcount@37+10"},
    {"INSERT t VALUES (@a) SELECT SCOPE_IDENTITY()", "tx, writes"},
    {"BEGIN TRAN", "tx"},
    {"SET ROWCOUNT @n SET @x = 1", ""},
    {"SELECT @n = COUNT(*) FROM t", ""},
};

// What ends with a text that sp_executesql runs, or not.
static constexpr effect_row inner_settings[] = {
    {"SELECT 1 SET @x = 1", ""},
    {"SET NOCOUNT ON SET ROWCOUNT @n", "NOCOUNT, ROWCOUNT"},
    {"IF 1=1 SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "TRANSACTION ISOLATION LEVEL"},
    {"SET LANGUAGE French", "DATEFORMAT, DATEFIRST, place"},
    {"SET FMTONLY ON EXECUTE AS USER = 'x'", "on impersonation, on no_execution"},
    {"SET FMTONLY OFF REVERT", ""},
    {"CREATE TABLE ##t (a int)", ""},
    {"CREATE PROC #p AS SET NOCOUNT ON", ""},
};
// Of texts in it, too.
static constexpr effect_row inner_of_inner[] = {
    {"EXEC('SET ANSI_DEFAULTS OFF')", "IMPLICIT_TRANSACTIONS, on unknown"},
    {"EXEC sp_executesql N'SET NOCOUNT ON SET ANSI_DEFAULTS ON'", "IMPLICIT_TRANSACTIONS, on unknown"},
    {"EXEC('USE x SET NOCOUNT ON')", "place"},
    {"EXEC('EXEC sp_executesql N''CREATE TABLE #u (a int)''') EXEC('SELECT 1 AS a INTO #t')", "temp #u, temp #t"},
    {"EXEC('EXECUTE AS USER = ''x'' SET FMTONLY ON')", ""},
};

// Definitions of procedures.
static constexpr effect_row bodies[] = {
    {"CREATE PROC p AS SET NOCOUNT ON SELECT 1", ""},
    {"CREATE PROCEDURE [dbo].[p] @a int = 1, @b AS varchar(10) OUTPUT WITH RECOMPILE AS BEGIN SET CONTEXT_INFO 0x1 END", "on context_info"},
    {"CREATE PROC p;2 @a int AS EXEC q", "runs q, calls, tx, writes"},
    {"CREATE PROC p (@a AS int) WITH EXECUTE AS OWNER, ENCRYPTION AS CREATE TABLE #t (a int) CREATE TABLE ##t (a int)", "temp ##t, tx, writes"},
    {"-- a comment\nCREATE OR ALTER PROC p AS\nEXEC (@sql)", "on dynamic, calls, tx, writes"},
    {"ALTER PROC p AS EXEC sp_executesql @sql", "on dynamic, calls, tx, writes"},
    {"CREATE PROC p AS SELECT @@ROWCOUNT, SCOPE_IDENTITY()", "unclear rowcount"},
    {"CREATE PROC p AS SELECT @@SPID", "on spid"},
    {"CREATE PROC p AS EXTERNAL NAME a.b.c", "on unknown, calls, tx, writes"},
    {"CREATE PROC p AS BEGIN TRAN INSERT t VALUES (1) COMMIT", "tx, writes"},
    {"CREATE PROC p AS USE x", ""},
    {"CREATE FUNCTION f (@a AS int, @b int = 2) RETURNS int BEGIN RETURN @a END", ""},
    {"CREATE FUNCTION f () RETURNS @t TABLE (a int) WITH SCHEMABINDING AS BEGIN INSERT @t VALUES (1) RETURN END", "tx, writes"},
    {"CREATE FUNCTION f () RETURNS TABLE RETURN (SELECT 1 AS a)", ""},
    {"CREATE FUNCTION f () RETURNS TABLE AS RETURN SELECT 1 AS a", ""},
    {"CREATE TRIGGER tr ON t AFTER INSERT, UPDATE AS IF UPDATE(a) INSERT u SELECT 1", "tx, writes"},
    {"CREATE VIEW v AS SELECT 1 AS a", ""},
    {"CREATE PROC p WITH NATIVE_COMPILATION, SCHEMABINDING AS BEGIN ATOMIC WITH (TRANSACTION ISOLATION LEVEL = SNAPSHOT, LANGUAGE = N'x') SELECT 1 END", ""},
    {"SELECT 1", "anything, empty"},
    {"CREATE PROC p @a int", "anything, empty"},
    {"", "anything, empty"},
    {"CREATE PROC p AS", "empty"},
    {"CREATE PROC p AS CREATE TABLE #t (a int); INSERT #t EXEC q; DROP TABLE #t", "drops, runs q, calls, tx, writes"},
    {"CREATE PROC p AS DECLARE c CURSOR FOR SELECT 1", "cursor c"},
    {"CREATE PROC p AS EXEC sp_getapplock 'r', 'Exclusive', 'Session' EXEC sp_releaseapplock 'r', 'Session'", "passing app_lock, calls, tx, writes"},
    {"CREATE PROC p AS IF 1=1 RETURN 1 SET IDENTITY_INSERT t ON", "on identity_insert"},
};
// clang-format on

static void scan(tsql_scanner *scanner, std::string_view text, tsql_effect &effect,
                 tsql_scope scope = tsql_scope::batch) {
    tsql_scan(scanner, scope, effect_utf16(text), effect);
}

static void test_lexical(void **) {
    effect_check(tsql_scope::batch, lexical);
}

static void test_inner_texts(void **) {
    effect_check(tsql_scope::inner, inner_texts);
}

static std::string inner_of(tsql_scanner *scanner, std::string_view text, tsql_scope scope) {
    tsql_effect effect;
    scan(scanner, text, effect, scope);
    return effect_inner_text(effect);
}

static void test_inner_settings(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    for (const effect_row &row : inner_settings) {
        assert_string_equal(inner_of(scanner, row.text, tsql_scope::inner).c_str(), row.effect);
        assert_string_equal(inner_of(scanner, row.text, tsql_scope::batch).c_str(), "");
        std::string procedure = std::string("CREATE PROC p AS CREATE TABLE #t (a int) ") + row.text;
        assert_string_equal(inner_of(scanner, procedure, tsql_scope::body).c_str(), "");
    }
    for (const effect_row &row : inner_of_inner)
        for (tsql_scope scope : {tsql_scope::inner, tsql_scope::batch})
            assert_string_equal(inner_of(scanner, row.text, scope).c_str(), row.effect);
    tsql_scanner_destroy(scanner);
}

static void test_bodies(void **) {
    effect_check(tsql_scope::body, bodies);
}

// --- captured texts: client, text, effect; one a line

static std::string unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out.push_back(text[i]);
            continue;
        }
        char c = text[++i];
        out.push_back(c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c);
    }
    return out;
}

static void test_captured(void **) {
    std::ifstream file(TEST_SOURCE_DIR "/captured-batches.txt");
    tsql_scanner *scanner = tsql_scanner_create();
    std::string line;
    size_t lines = 0;
    for (; std::getline(file, line); ++lines) {
        std::istringstream fields(line);
        std::string client, text, effect;
        std::getline(fields, client, '\t');
        std::getline(fields, text, '\t');
        std::getline(fields, effect, '\t');
        effect_check_row(scanner, tsql_scope::batch, unescaped(text), effect);
    }
    assert_true(lines > 200);
    tsql_scanner_destroy(scanner);
}

// --- several texts

// A message may run several texts: the second one's @@ROWCOUNT is the first one's, or not.
static void test_second_text(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    tsql_effect effect;
    scan(scanner, "SELECT 1", effect, tsql_scope::inner);
    assert_true(effect.lone_select);
    scan(scanner, "SELECT @@ROWCOUNT", effect, tsql_scope::inner);
    assert_string_equal(effect_text(effect).c_str(), "unclear rowcount");
    tsql_effect other;
    scan(scanner, "", other);
    scan(scanner, "SELECT @@ROWCOUNT", other);
    assert_string_equal(effect_text(other).c_str(), "lone, rowcount@7+10");
    tsql_effect marks;
    scan(scanner, "SET FMTONLY ON", marks);
    scan(scanner, "SET FMTONLY OFF", marks);
    assert_string_equal(effect_text(marks).c_str(), "passing no_execution");
    tsql_scanner_destroy(scanner);
}

// --- bounds

static void test_many_names(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::string text;
    for (int i = 0; i < 20; ++i)
        text += "EXEC p" + std::to_string(i) + " CREATE TABLE #t" + std::to_string(i) + " (a int) ";
    tsql_effect effect;
    scan(scanner, text + text, effect);
    assert_true(effect.too_many);
    assert_int_equal(effect.procedures.size(), tsql_names_max);
    assert_int_equal(effect.temps.size(), tsql_names_max);
    // The same one again is no other one.
    tsql_effect same;
    scan(scanner, "EXEC p EXEC p CREATE TABLE #t (a int) SELECT a INTO #t FROM u", same);
    assert_string_equal(effect_text(same).c_str(), "temp #t, runs p, calls, tx, writes");
    tsql_scanner_destroy(scanner);
}

// Flags that were turned on beyond the bound stay on, whatever is turned off.
static void test_many_marks(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::string text;
    for (int i = 0; i < 20; ++i)
        text += "DBCC TRACEON (" + std::to_string(100 + i) + ") ";
    tsql_effect effect;
    scan(scanner, text + "REVERT DBCC TRACEOFF (100)", effect);
    assert_string_equal(effect_text(effect).c_str(), "on trace_flag, too many");
    tsql_scanner_destroy(scanner);
}

static void test_many_sets(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::string text;
    for (int i = 0; i < 200; ++i)
        text += "SET ROWCOUNT " + std::to_string(i) + " ";
    tsql_effect effect;
    scan(scanner, text, effect);
    assert_int_equal(effect.sets.size(), 128);
    assert_int_equal(effect.doubtful, tds_option_bit(tds_option::rowcount));
    tsql_scanner_destroy(scanner);
}

static std::string repeated(const char *text, size_t times) {
    std::string all;
    while (times-- > 0)
        all += text;
    return all;
}

static void test_depth(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::string half =
        effect_of(scanner, tsql_scope::batch, repeated("BEGIN ", 60) + "SET NOCOUNT ON" + repeated(" END", 60));
    assert_string_equal(half.c_str(), "NOCOUNT=ON");
    std::string deep =
        effect_of(scanner, tsql_scope::batch, repeated("BEGIN ", 1000) + "SELECT 1" + repeated(" END", 1000));
    assert_string_equal(deep.c_str(), "anything");
    std::string text = "p";
    for (int i = 0; i < 5; ++i) {
        std::string quoted;
        for (char c : text)
            quoted += c == '\'' ? "''" : std::string(1, c);
        text = "EXEC ('" + quoted + "')";
    }
    assert_string_equal(effect_of(scanner, tsql_scope::batch, text).c_str(), "runs p, calls, tx, writes");
    for (int i = 0; i < 4; ++i) {
        std::string quoted;
        for (char c : text)
            quoted += c == '\'' ? "''" : std::string(1, c);
        text = "EXEC ('" + quoted + "')";
    }
    assert_string_equal(effect_of(scanner, tsql_scope::batch, text).c_str(), "on dynamic, calls, tx, writes");
    tsql_scanner_destroy(scanner);
}

// A literal of any length is read as a text; a name beyond what is kept is not taken for its beginning.
static void test_long_tokens(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::string blanks = repeated(" ", 5000);
    assert_string_equal(effect_of(scanner, tsql_scope::batch, "EXEC (N'" + blanks + "EXEC p" + blanks + "')").c_str(),
                        "runs p, calls, tx, writes");
    assert_string_equal(
        effect_of(scanner, tsql_scope::batch, "CREATE TABLE [#" + repeated("x", 600) + "] (a int)").c_str(),
        "anything");
    assert_string_equal(effect_of(scanner, tsql_scope::batch, "SET NOCOUNT " + repeated("o", 600)).c_str(),
                        "doubtful NOCOUNT, on unknown");
    assert_string_equal(effect_of(scanner, tsql_scope::batch, "SET ROWCOUNT " + repeated("9", 600)).c_str(),
                        "doubtful ROWCOUNT");
    tsql_scanner_destroy(scanner);
}

// Half a unit at the end is no text.
static void test_odd_byte(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::vector<uint8_t> wire = effect_utf16("SELECT 1");
    wire.push_back('x');
    tsql_effect effect;
    tsql_scan(scanner, tsql_scope::batch, wire, effect);
    assert_string_equal(effect_text(effect).c_str(), "anything");
    tsql_scanner_destroy(scanner);
}

// Nothing a SET puts into `sets` can be anything but the words and numbers that a replay may send.
static void test_no_injection(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    for (const char *text :
         {"SET DATEFORMAT 'mdy; DROP TABLE t'", "SET ROWCOUNT [1; DROP TABLE t]", "SET DEADLOCK_PRIORITY 'LOW--'",
          "SET TEXTSIZE \"5 \"", "SET DATEFIRST N'7'';'", "SET LOCK_TIMEOUT -[1]", "SET ROWCOUNT 1e3",
          "SET TEXTSIZE 0x10", "SET DATEFIRST -@v", "SET LOCK_TIMEOUT - -1"}) {
        tsql_effect effect;
        scan(scanner, text, effect);
        assert_true(effect.sets.empty() && effect.doubtful != 0);
    }
    tsql_scanner_destroy(scanner);
}

static void test_no_allocation(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    std::vector<uint8_t> wire = effect_utf16("SELECT a, N'" + repeated("text ", 1000) +
                                             "' FROM t WHERE b = 'x' IF @@TRANCOUNT > 0 COMMIT TRAN "
                                             "INSERT t (a) VALUES (1), (2) UPDATE t SET a = 1 BEGIN TRAN ROLLBACK");
    tsql_effect effect;
    size_t before = allocations;
    tsql_scan(scanner, tsql_scope::batch, wire, effect);
    assert_int_equal(allocations, before);
    assert_string_equal(effect_text(effect).c_str(), "tx, writes");
    tsql_scanner_destroy(scanner);
}

// --- marks

static std::string held_text(const std::vector<tsql_mark> &held) {
    std::string text;
    for (const tsql_mark &mark : held)
        text.append(text.empty() ? "" : " ").append(mark.what);
    return text;
}

// What is on in a session after several requests: a second flag, or a second EXECUTE AS, is still there when the first
// one is gone.
static void test_marks_held(void **) {
    static constexpr struct {
        const char *text, *held;
    } requests[] = {
        {"DBCC TRACEON (1222, 3604)", "1222 3604"},
        {"DBCC TRACEON (1222)", "1222 3604"},
        {"EXECUTE AS USER = 'a'", "1222 3604 as"},
        {"EXECUTE AS USER = 'b'", "1222 3604 as as"},
        {"DBCC TRACEOFF (1222) REVERT", "3604 as"},
        {"IF 1=1 REVERT", "3604 as"},
        {"REVERT", "3604"},
        {"REVERT DBCC TRACEOFF (3604)", ""},
        {"SET IDENTITY_INSERT dbo.T ON SET SHOWPLAN_TEXT OFF", "dbo.t"},
        {"SET IDENTITY_INSERT u OFF", "dbo.t"},
        {"SET IDENTITY_INSERT [dbo].[t] OFF", ""},
        {"OPEN SYMMETRIC KEY a DECRYPTION BY CERTIFICATE c OPEN MASTER KEY DECRYPTION BY PASSWORD = 'x'",
         "a master key"},
        {"CLOSE SYMMETRIC KEY A", "master key"},
        {"CLOSE ALL SYMMETRIC KEYS", ""},
        {"SET FMTONLY ON", "FMTONLY"},
        {"SET PARSEONLY OFF", "FMTONLY"},
        {"select * from t SET FMTONLY OFF", ""},
        {"EXEC sp_getapplock 'r', 'Shared', 'Session' EXEC sp_getapplock 'r', 'Shared', 'Session'", "r r"},
        {"EXEC sp_releaseapplock 'r', 'Session'", "r"},
    };
    tsql_scanner *scanner = tsql_scanner_create();
    std::vector<tsql_mark> held;
    for (const auto &request : requests) {
        tsql_effect effect;
        scan(scanner, request.text, effect);
        tsql_marks_apply(held, effect.marks);
        assert_string_equal(held_text(held).c_str(), request.held);
    }
    tsql_scanner_destroy(scanner);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_lexical),        cmocka_unit_test(test_inner_texts),
        cmocka_unit_test(test_inner_settings), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_captured),       cmocka_unit_test(test_second_text),
        cmocka_unit_test(test_many_names),     cmocka_unit_test(test_many_marks),
        cmocka_unit_test(test_many_sets),      cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_tokens),    cmocka_unit_test(test_odd_byte),
        cmocka_unit_test(test_no_injection),   cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_marks_held),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
