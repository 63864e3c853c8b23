// EXECUTE: procedures by name, texts in literals, texts that are not there, EXECUTE AS.
#include "cmocka_cpp.h"

#include "effect_text.h"

// clang-format off
// Calls by name.
static constexpr effect_row procedures[] = {
    {"EXEC p", "runs p, calls, tx, writes"},
    {"EXECUTE dbo.p 1, @a = 2", "runs dbo.p, calls, tx, writes"},
    {"EXEC @r = db..p @x OUTPUT", "runs db..p, calls, tx, writes"},
    {"EXEC [s].[p q] @a = 1", "runs [s].[p q], calls, tx, writes"},
    {"EXEC \"s\".\"p\"", "runs [s].[p], calls, tx, writes"},
    {"EXEC p;2", "runs p, calls, tx, writes"},
    {"EXEC p;2 SELECT 1", "runs p, calls, tx, writes"},
    {"EXEC p; SELECT 1", "runs p, calls, tx, writes"},
    {"EXEC p;1 1, 2; SET NOCOUNT ON", "NOCOUNT=ON, runs p, calls, tx, writes"},
    {"EXEC @v", "on dynamic, calls, tx, writes"},
    {"EXEC @r = @v 1", "on dynamic, calls, tx, writes"},
    {"EXEC srv.db.dbo.p", "calls, tx, writes"},
    {"EXEC srv...p", "calls, tx, writes"},
    {"INSERT t EXEC p", "runs p, calls, tx, writes"},
    {"p 1, 2", "runs p, calls, tx, writes"},
    {"[my p] 1", "runs [my p], calls, tx, writes"},
    {"dbo.p;1 2", "runs dbo.p, calls, tx, writes"},
    {"{call sp_who}", "on unknown, calls, tx, writes"},
    {"BEGIN TRAN; EXEC p; COMMIT", "runs p, calls, tx, writes"},
    {"EXEC", "anything"},
    {"EXEC p @a = @@IDENTITY", "runs p, calls, tx, writes, unclear identity"},
    {"..p 1", "runs ..p, calls, tx, writes"},
    {".dbo.p", "runs .dbo.p, calls, tx, writes"},
};

// Literals are read, what is put together is not.
static constexpr effect_row literals[] = {
    {"EXEC ('SELECT 1')", "calls"},
    {"EXEC ('CREATE TABLE ##x (a int); SET NOCOUNT ON')", "temp ##x, calls, tx, writes"},
    {"EXEC (N'SET IDENTITY_INSERT t ON' + N'; DBCC TRACEON(1222)')", "on trace_flag, on identity_insert, calls"},
    {"EXEC ('a' + @v)", "on dynamic, runs a, calls, tx, writes"},
    {"EXEC (@v)", "on dynamic, calls, tx, writes"},
    {"EXEC (@v + 'x') SELECT 1", "on dynamic, calls, tx, writes"},
    {"EXEC ('SELECT * FROM t WHERE a = ''x''; EXEC q') AS USER = 'u'", "runs q, calls, tx, writes"},
    {"EXEC ('CREATE TABLE ##x (a int)') AT srv", "calls, tx, writes"},
    {"EXEC ('SELECT ?', 1) AT srv", "calls, tx, writes"},
    {"EXEC (\"SELECT 1\")", "calls"},
    {"EXEC (N'EXEC (N''EXEC (N''''EXEC deep'''')'')')", "runs deep, calls, tx, writes"},
    {"EXEC sp_executesql N'SELECT @a', N'@a int', 1", "calls"},
    {"EXEC sp_executesql @stmt = N'CREATE TABLE #x (a int) EXEC inner_p', @params = N''", "runs inner_p, calls, tx, writes"},
    {"EXEC sys.sp_executesql N'CREATE TABLE ##x (a int)'", "temp ##x, calls, tx, writes"},
    {"EXEC sp_executesql @sql, N'@a int', @a = 1", "on dynamic, calls, tx, writes"},
    {"EXEC master..sp_executesql N'SELECT 1'", "calls"},
    {"EXEC app.sp_executesql N'SELECT 1'", "runs app.sp_executesql, calls, tx, writes"},
    {"sp_executesql N'SELECT 1'", "calls"},
    {"INSERT INTO t (a) EXECUTE sp_executesql N'SELECT 1'", "calls, tx, writes"},
    {"INSERT t EXEC ('SELECT 1') SELECT @@ROWCOUNT", "calls, tx, writes"},
};

// EXECUTE AS and REVERT.
static constexpr effect_row contexts[] = {
    {"EXECUTE AS USER = 'x'", "on impersonation"},
    {"EXECUTE AS USER = 'x' SELECT 1 REVERT", "passing impersonation"},
    {"EXECUTE AS LOGIN = 'x' EXECUTE AS USER = 'y' REVERT", "on impersonation"},
    {"REVERT", "off impersonation"},
    {"EXECUTE AS USER = 'x' WITH NO REVERT; REVERT", "on impersonation"},
    {"EXECUTE AS USER = 'x' WITH COOKIE INTO @c; REVERT WITH COOKIE = @c", "passing impersonation"},
    {"EXEC AS CALLER", "on impersonation"},
    {"IF 1=1 EXECUTE AS USER = 'x' REVERT", "passing impersonation"},
    {"EXECUTE AS USER = 'x' IF 1=1 REVERT", "on impersonation"},
    {"SETUSER 'x'", "on impersonation"},
    {"SETUSER", "off impersonation"},
};

// System procedures whose effect is known.
static constexpr effect_row known[] = {
    {"sp_help t", "calls, tx, writes"},
    {"EXEC sp_help 't'", "calls, tx, writes"},
    {"sp_who2", "calls, tx, writes"},
    {"EXEC sp_set_session_context 'k', 'v'", "on session_context, calls, tx, writes"},
    {"EXEC sp_getapplock 'r', 'Exclusive', 'Session'", "on app_lock, calls, tx, writes"},
    {"EXEC sp_getapplock 'r', 'Exclusive'", "calls, tx, writes"},
    {"EXEC sp_getapplock 'r', 'Exclusive', 'Transaction', 0", "calls, tx, writes"},
    {"EXEC sp_getapplock 'r', 'Exclusive', @owner", "on app_lock, calls, tx, writes"},
    {"EXEC @rc = sp_getapplock @LockMode = 'Exclusive', @Resource = 'r', @LockOwner = N'session', @LockTimeout = 0", "on app_lock, calls, tx, writes"},
    {"EXEC @rc = sp_getapplock @LockMode = 'Exclusive', @Resource = 'r'", "calls, tx, writes"},
    {"EXEC sp_getapplock 'r', 'Exclusive', 'Session' EXEC sp_releaseapplock 'r', 'Session'", "passing app_lock, calls, tx, writes"},
    {"EXEC sp_releaseapplock @Resource = 'r', @LockOwner = 'Session'", "off app_lock, calls, tx, writes"},
    {"EXEC sp_setapprole 'a', 'pw'", "on app_role, calls, tx, writes"},
    {"EXEC sp_setapprole 'a', 'pw' EXEC sp_unsetapprole @c", "passing app_role, calls, tx, writes"},
    {"EXEC sp_unsetapprole @c", "off app_role, calls, tx, writes"},
    {"EXEC sp_xml_preparedocument @h OUTPUT, @x", "on handle, calls, tx, writes"},
    {"EXEC sp_xml_removedocument @h", "calls, tx, writes"},
    {"EXEC sp_prepare @h OUTPUT, N'', N'SELECT 1'", "on handle, calls, tx, writes"},
    {"EXEC sp_execute 1, 2", "on handle, calls, tx, writes"},
    {"exec sp_cursoropen @c output, N'select 1'", "on handle, calls, tx, writes"},
    {"EXEC sp_OACreate 'x', @o OUT", "on handle, calls, tx, writes"},
    {"EXEC sp_bindsession 'x'", "on bound_session, calls, tx, writes"},
    {"EXEC sp_rename 'a', 'b'", "calls, tx, writes"},
    {"EXEC sp_addlogin 'x'", "calls, tx, writes"},
    {"EXEC sp_configure 'x', 1 RECONFIGURE", "calls, tx, writes"},
    {"EXEC sp_MSforeachdb 'SELECT 1'", "on dynamic, calls, tx, writes"},
    {"EXEC master.dbo.xp_cmdshell 'dir'", "calls, tx, writes"},
    {"EXEC my.sp_help 'x'", "runs my.sp_help, calls, tx, writes"},
    {"EXEC sp_mine", "runs sp_mine, calls, tx, writes"},
    {"EXEC sp_reset_connection", "on unknown, calls, tx, writes"},
};

// clang-format on

static void test_procedures(void **) {
    effect_check(tsql_scope::batch, procedures);
}

static void test_literals(void **) {
    effect_check(tsql_scope::batch, literals);
}

static void test_contexts(void **) {
    effect_check(tsql_scope::batch, contexts);
}

static void test_known(void **) {
    effect_check(tsql_scope::batch, known);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_procedures),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
