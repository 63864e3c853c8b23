// SET: what is one and what only looks like it, what can be put back and what cannot, what is surely done.
#include "cmocka_cpp.h"

#include "effect_text.h"

// clang-format off
// What drivers send right after their login.
static constexpr effect_row drivers[] = {
    {"SET ARITHABORT ON;SET CONCAT_NULL_YIELDS_NULL ON;SET ANSI_NULLS ON;SET ANSI_NULL_DFLT_ON ON;SET ANSI_PADDING ON;SET ANSI_WARNINGS ON;SET ANSI_NULL_DFLT_ON ON;SET CURSOR_CLOSE_ON_COMMIT ON;SET QUOTED_IDENTIFIER ON;SET TEXTSIZE 2147483647;", "ARITHABORT=ON, CONCAT_NULL_YIELDS_NULL=ON, ANSI_NULLS=ON, ANSI_NULL_DFLT_ON=ON, ANSI_PADDING=ON, ANSI_WARNINGS=ON, ANSI_NULL_DFLT_ON=ON, CURSOR_CLOSE_ON_COMMIT=ON, QUOTED_IDENTIFIER=ON, TEXTSIZE=2147483647"},
    {"SELECT @@MAX_PRECISION\r\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED\r\nSET IMPLICIT_TRANSACTIONS OFF\r\nSET QUOTED_IDENTIFIER ON\r\nSET TEXTSIZE 2147483647", "TRANSACTION ISOLATION LEVEL=READ COMMITTED, IMPLICIT_TRANSACTIONS=OFF, QUOTED_IDENTIFIER=ON, TEXTSIZE=2147483647"},
    {"set ansi_nulls on\nset datefirst 7\nset dateformat mdy\nset implicit_transactions off\nset language us_english\nset numeric_roundabort off\nset textsize 2147483647\nset transaction isolation level read committed\nset xact_abort off", "ANSI_NULLS=ON, IMPLICIT_TRANSACTIONS=OFF, NUMERIC_ROUNDABORT=OFF, TEXTSIZE=2147483647, TRANSACTION ISOLATION LEVEL=READ COMMITTED, XACT_ABORT=OFF, language"},
    {"use [db]", "use"},
    {"SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET NOCOUNT OFF SET CONCAT_NULL_YIELDS_NULL ON SET ARITHABORT ON SET LOCK_TIMEOUT -1 SET QUERY_GOVERNOR_COST_LIMIT 0 SET DEADLOCK_PRIORITY NORMAL SET TRANSACTION ISOLATION LEVEL READ COMMITTED SET CURSOR_CLOSE_ON_COMMIT OFF SET IMPLICIT_TRANSACTIONS OFF", "ROWCOUNT=0, TEXTSIZE=2147483647, NOCOUNT=OFF, CONCAT_NULL_YIELDS_NULL=ON, ARITHABORT=ON, LOCK_TIMEOUT=-1, QUERY_GOVERNOR_COST_LIMIT=0, DEADLOCK_PRIORITY=NORMAL, TRANSACTION ISOLATION LEVEL=READ COMMITTED, CURSOR_CLOSE_ON_COMMIT=OFF, IMPLICIT_TRANSACTIONS=OFF"},
    {"SET NOEXEC, PARSEONLY, FMTONLY OFF SET NOCOUNT, XACT_ABORT ON", "NOCOUNT=ON, XACT_ABORT=ON, off no_execution"},
    {" SET NO_BROWSETABLE ON; SELECT 1 SET NO_BROWSETABLE OFF;", "passing no_execution"},
    {"select @@trancount; SET FMTONLY ON select * from [t] SET FMTONLY OFF exec ..sp_tablecollations_100 N'.[t]'", "passing no_execution, calls, tx, writes"},
    {"SET DATEFORMAT ymd; SET DATEFIRST 7", "DATEFORMAT=ymd, DATEFIRST=7"},
};

// SETs that belong to another statement, and those right behind one.
static constexpr effect_row clauses[] = {
    {"UPDATE t SET a = 1", "tx, writes"},
    {"UPDATE t SET a = 1 SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"SET NOCOUNT ON UPDATE t SET a=1", "NOCOUNT=ON, tx, writes"},
    {"MERGE t USING s ON t.id=s.id WHEN MATCHED THEN UPDATE SET a=1 WHEN NOT MATCHED THEN INSERT (a) VALUES (1) WHEN NOT MATCHED BY SOURCE THEN DELETE; SELECT @@ROWCOUNT", "tx, writes"},
    {"ALTER DATABASE x SET ANSI_NULLS ON", "tx, writes"},
    {"ALTER DATABASE x SET ANSI_NULLS ON, QUOTED_IDENTIFIER OFF WITH ROLLBACK IMMEDIATE SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER DATABASE x COLLATE Latin1_General_CI_AS SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER DATABASE SCOPED CONFIGURATION SET MAXDOP = 4 SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER DATABASE SCOPED CONFIGURATION FOR SECONDARY SET MAXDOP = 4", "tx, writes"},
    {"ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON", "tx, writes"},
    {"ALTER TABLE t SET (LOCK_ESCALATION = AUTO)", "tx, writes"},
    {"ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES u (b) ON DELETE SET NULL ON UPDATE CASCADE SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER TABLE t ALTER COLUMN a int SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER TABLE t DROP COLUMN IF EXISTS a, b", "tx, writes"},
    {"IF 1=1 ALTER TABLE t DROP COLUMN a ELSE SET NOCOUNT ON", "doubtful NOCOUNT, tx, writes"},
    {"IF 1=1 ALTER TABLE t ALTER COLUMN a int ELSE PRINT 'x' SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER INDEX i ON t SET (ALLOW_ROW_LOCKS = ON)", "tx, writes"},
    {"CREATE SECURITY POLICY p ADD BLOCK PREDICATE f(a) ON t AFTER UPDATE SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER INDEX i ON t REBUILD SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER FULLTEXT INDEX ON dbo.t SET CHANGE_TRACKING = MANUAL", "tx, writes"},
    {"DROP TABLE type IF 1=1 SET NOCOUNT ON", "doubtful NOCOUNT, tx, writes"},
    {"DROP SECURITY POLICY IF EXISTS p SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER TABLE t DROP CONSTRAINT IF EXISTS c, COLUMN a SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
    {"ALTER TABLE t ADD a datetime2 GENERATED ALWAYS AS ROW START, b datetime2 GENERATED ALWAYS AS ROW END NOT NULL SET NOCOUNT ON", "NOCOUNT=ON, tx, writes"},
};

// Options that can be put back.
static constexpr effect_row options[] = {
    {"SET @v = 1", ""},
    {"SET @v += 2; SET @c = CURSOR LOCAL FOR SELECT 1 FOR UPDATE OF a SET NOCOUNT ON", "NOCOUNT=ON"},
    {"SET ANSI_NULLS, QUOTED_IDENTIFIER ON", "ANSI_NULLS=ON, QUOTED_IDENTIFIER=ON"},
    {"SET LANGUAGE us_english", "language"},
    {"SET LANGUAGE N'Deutsch'", "language"},
    {"SET LANGUAGE @v", "language"},
    {"SET DATEFORMAT dmy SET LANGUAGE French", "language"},
    {"SET LANGUAGE French SET DATEFORMAT dmy", "DATEFORMAT=dmy, language"},
    {"SET DATEFORMAT @v; SET DATEFIRST @v; SET ROWCOUNT @v; SET DEADLOCK_PRIORITY @v;SET TEXTSIZE @v", "doubtful DATEFORMAT, doubtful DATEFIRST, doubtful DEADLOCK_PRIORITY, doubtful TEXTSIZE, doubtful ROWCOUNT"},
    {"SET DATEFORMAT mdy SET DATEFIRST 7 SET ROWCOUNT 10 SET TEXTSIZE 100 SET LOCK_TIMEOUT -1 SET DEADLOCK_PRIORITY LOW SET DEADLOCK_PRIORITY -7 SET QUERY_GOVERNOR_COST_LIMIT 0", "DATEFORMAT=mdy, DATEFIRST=7, ROWCOUNT=10, TEXTSIZE=100, LOCK_TIMEOUT=-1, DEADLOCK_PRIORITY=LOW, DEADLOCK_PRIORITY=-7, QUERY_GOVERNOR_COST_LIMIT=0"},
    {"SET DATEFORMAT 'dmy'", "DATEFORMAT=dmy"},
    {"SET DATEFORMAT xyz", "doubtful DATEFORMAT"},
    {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "TRANSACTION ISOLATION LEVEL=SERIALIZABLE"},
    {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION ISOLATION LEVEL SNAPSHOT;SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED SELECT 1", "TRANSACTION ISOLATION LEVEL=REPEATABLE READ, TRANSACTION ISOLATION LEVEL=SNAPSHOT, TRANSACTION ISOLATION LEVEL=READ UNCOMMITTED"},
    {"SET TRANSACTION ISOLATION LEVEL FOO", "doubtful TRANSACTION ISOLATION LEVEL, on unknown"},
    {"SET ANSI_DEFAULTS ON", "ANSI_NULLS=ON, ANSI_NULL_DFLT_ON=ON, ANSI_PADDING=ON, ANSI_WARNINGS=ON, CURSOR_CLOSE_ON_COMMIT=ON, IMPLICIT_TRANSACTIONS=ON, QUOTED_IDENTIFIER=ON"},
    {"SET ANSI_DEFAULTS OFF", "ANSI_NULLS=OFF, ANSI_NULL_DFLT_ON=OFF, ANSI_PADDING=OFF, ANSI_WARNINGS=OFF, CURSOR_CLOSE_ON_COMMIT=OFF, IMPLICIT_TRANSACTIONS=OFF, QUOTED_IDENTIFIER=OFF"},
    {"SET STATISTICS IO, TIME ON", "STATISTICS IO=ON, STATISTICS TIME=ON"},
    {"SET IMPLICIT_TRANSACTIONS ON IF EXISTS (SELECT 1 FROM t) PRINT 'x' SET IMPLICIT_TRANSACTIONS OFF", "IMPLICIT_TRANSACTIONS=ON, IMPLICIT_TRANSACTIONS=OFF, tx"},
    {"SET IMPLICIT_TRANSACTIONS ON SET NOCOUNT ON", "IMPLICIT_TRANSACTIONS=ON, NOCOUNT=ON"},
};

// Lists of several options, with one value for all or each with its own.
static constexpr effect_row lists[] = {
    {"SET DATEFORMAT ymd, LOCK_TIMEOUT 1000", "DATEFORMAT=ymd, LOCK_TIMEOUT=1000"},
    {"SET LANGUAGE French, DATEFORMAT ymd", "DATEFORMAT=ymd, language"},
    {"SET DEADLOCK_PRIORITY LOW, DEADLOCK_PRIORITY @v", "DEADLOCK_PRIORITY=LOW, doubtful DEADLOCK_PRIORITY"},
    {"SET CONTEXT_INFO 0x10000, LOCK_TIMEOUT 1000", "LOCK_TIMEOUT=1000, on context_info"},
    {"SET NOCOUNT, XACT_ABORT ON", "NOCOUNT=ON, XACT_ABORT=ON"},
    {"SET STATISTICS IO, TIME, XML ON", "STATISTICS IO=ON, STATISTICS TIME=ON, on no_execution"},
    {"SET NOCOUNT, XACT_ABORT", "doubtful XACT_ABORT, doubtful NOCOUNT, on unknown"},
    {"SET FIPS_FLAGGER OFF, FIPS_FLAGGER 'entry'", "on unknown"},
    {"SET NOCOUNT", "doubtful NOCOUNT, on unknown"},
    {"SET", "on unknown"},
    {"SET ,", "on unknown"},
    {"SET NOCOUNT ON,", "NOCOUNT=ON"},
    {"SET NOCOUNT,,ON", "doubtful NOCOUNT, on unknown"},
    {"SET STATISTICS", "on unknown"},
    {"SET LANGUAGE", "language, on unknown"},
    {"SET NOCOUNT ON, XACT_ABORT OFF", "NOCOUNT=ON, XACT_ABORT=OFF"},
    {"SET TRAN ISOLATION LEVEL SERIALIZABLE", "TRANSACTION ISOLATION LEVEL=SERIALIZABLE"},
    {"SET BABELFISH_STATISTICS PROFILE ON SET BABELFISH_SHOWPLAN_ALL OFF", "on no_execution"},
};

// State that cannot.
static constexpr effect_row unreplayable[] = {
    {"SET STATISTICS PROFILE ON", "on no_execution"},
    {"SET STATISTICS IO ON SET STATISTICS XML OFF", "STATISTICS IO=ON, off no_execution"},
    {"SET SHOWPLAN_ALL ON", "on no_execution"},
    {"SET SHOWPLAN_XML OFF", "off no_execution"},
    {"SET NOEXEC ON SET NOCOUNT ON", "doubtful NOCOUNT, on no_execution"},
    {"SET NOEXEC ON SET NOCOUNT ON SET NOEXEC OFF SET ANSI_NULLS ON", "ANSI_NULLS=ON, doubtful NOCOUNT, passing no_execution"},
    {"SET PARSEONLY OFF", "off no_execution"},
    {"SET IDENTITY_INSERT dbo.t ON", "on identity_insert"},
    {"SET IDENTITY_INSERT dbo.t ON INSERT dbo.t (id) VALUES (1) SET IDENTITY_INSERT dbo.t OFF", "passing identity_insert, tx, writes"},
    {"SET IDENTITY_INSERT a ON INSERT a (id) VALUES (1) SET IDENTITY_INSERT b OFF", "on identity_insert, tx, writes"},
    {"SET IDENTITY_INSERT [a b] OFF", "off identity_insert"},
    {"SET CONTEXT_INFO 0x01", "on context_info"},
    {"SET CONTEXT_INFO @v", "on context_info"},
    {"SET OFFSETS SELECT, FROM, EXECUTE ON SELECT 1", "on unknown"},
    {"SET OFFSETS SELECT OFF SELECT 1", ""},
    {"SET FIPS_FLAGGER 'FULL'", "on unknown"},
    {"SET FIPS_FLAGGER OFF", ""},
    {"SET DISABLE_DEF_CNST_CHK OFF", ""},
    {"SET FOO ON", "on unknown"},
    {"SET NOCOUNT", "doubtful NOCOUNT, on unknown"},
    {"SET NOCOUNT 1", "doubtful NOCOUNT, on unknown"},
    {"SET NOCOUNT ON foo", "doubtful NOCOUNT, on unknown"},
    {"SET FMTONLY OFF; SET NO_BROWSETABLE ON;SET FMTONLY ON; SELECT 1 SET FMTONLY OFF; SET NO_BROWSETABLE OFF;", "passing no_execution"},
    {"SET IDENTITY_INSERT [dbo].[T] ON SELECT 1 SET IDENTITY_INSERT dbo.t OFF", "passing identity_insert"},
    {"SET IDENTITY_INSERT a.t ON SET IDENTITY_INSERT b.t OFF", "on identity_insert"},
};

// Under a condition, or behind one.
static constexpr effect_row conditional[] = {
    {"IF @a = 1 SET NOCOUNT ON", "doubtful NOCOUNT"},
    {"IF @a = 1 USE x", "use"},
    {"IF @a = 1 SET CONTEXT_INFO 0x1", "on context_info"},
    {"IF @a = 1 SET IDENTITY_INSERT t OFF", ""},
    {"IF @a=1 SET LANGUAGE French", "language, doubtful DATEFORMAT, doubtful DATEFIRST"},
    {"WHILE @i < 3 SET @i += 1 SET NOCOUNT ON", "NOCOUNT=ON"},
    {"WHILE 1=1 BEGIN SET ROWCOUNT 5 BREAK END SET NOCOUNT ON", "doubtful NOCOUNT, doubtful ROWCOUNT"},
    {"BEGIN SET NOCOUNT ON END", "NOCOUNT=ON"},
    {"BEGIN TRY SET NOCOUNT ON END TRY BEGIN CATCH THROW END CATCH; SET XACT_ABORT ON", "doubtful XACT_ABORT, doubtful NOCOUNT"},
    {"GOTO x SET NOCOUNT ON x: SET XACT_ABORT ON", "doubtful XACT_ABORT, doubtful NOCOUNT"},
    {"x: SET NOCOUNT ON", "doubtful NOCOUNT"},
    {"SET NOCOUNT ON x: SELECT 1", "NOCOUNT=ON"},
    {"RETURN SET NOCOUNT ON", "doubtful NOCOUNT"},
    {"IF 1=1 RETURN SET NOCOUNT ON", "doubtful NOCOUNT"},
    {"SET XACT_ABORT ON BEGIN TRAN INSERT t VALUES (1) COMMIT", "XACT_ABORT=ON, tx, writes"},
    {"IF 1=1 IF 2=2 SELECT 1 ELSE SELECT 2 ELSE SET NOCOUNT ON SET XACT_ABORT ON", "XACT_ABORT=ON, doubtful NOCOUNT"},
    {"IF 1=1 BEGIN IF 2=2 SELECT 1 END ELSE SELECT 2 SET NOCOUNT ON", "NOCOUNT=ON"},
    {"IF 1=1 SELECT 1; ELSE SELECT 2; SET NOCOUNT ON", "NOCOUNT=ON"},
    {"IF 1=1 BEGIN SELECT 1; END; SET NOCOUNT ON", "NOCOUNT=ON"},
    {"IF 1=1 ; SET NOCOUNT ON", "anything, NOCOUNT=ON"},
    {"BEGIN ATOMIC WITH (TRANSACTION ISOLATION LEVEL = SNAPSHOT, LANGUAGE = N'English') SELECT 1 END", ""},
    {"IF @@TRANCOUNT > 0 COMMIT TRAN", "tx"},
    {"IF @@TRANCOUNT > 0 COMMIT TRAN\r\nSET IMPLICIT_TRANSACTIONS OFF", "IMPLICIT_TRANSACTIONS=OFF, tx"},
    {"IF @@TRANCOUNT=0 BEGIN SET IMPLICIT_TRANSACTIONS OFF; BEGIN TRAN; SET IMPLICIT_TRANSACTIONS ON; END SAVE TRAN jtds1", "doubtful IMPLICIT_TRANSACTIONS, tx"},
};

// clang-format on

static void test_drivers(void **) {
    effect_check(tsql_scope::batch, drivers);
}

static void test_clauses(void **) {
    effect_check(tsql_scope::batch, clauses);
}

static void test_options(void **) {
    effect_check(tsql_scope::batch, options);
}

static void test_lists(void **) {
    effect_check(tsql_scope::batch, lists);
}

static void test_unreplayable(void **) {
    effect_check(tsql_scope::batch, unreplayable);
}

static void test_conditional(void **) {
    effect_check(tsql_scope::batch, conditional);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers), cmocka_unit_test(test_clauses),      cmocka_unit_test(test_options),
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_unreplayable), cmocka_unit_test(test_conditional),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
