// Batches for the admin console: commands, what drivers and tools send by themselves, and what is neither.
#include <fstream>
#include <random>

#include "proxy/console/commands.h"
#include "proxy/console/parse.h"
#include "tds/utf16.h"

#include "cmocka_cpp.h" // last: it defines fail()

static console_batch parse(std::string_view text) {
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    wire.shrink_to_fit();
    return console_parse(wire);
}

static std::string around(const char *front, const std::string &text, const char *back) {
    std::string all;
    all += front;
    all += text;
    all += back;
    return all;
}

static std::string spell(const console_query &q);

static std::string joined(const std::vector<std::string> &parts, const char *between) {
    std::string all;
    for (const std::string &part : parts)
        all.append(all.empty() ? "" : between).append(part);
    return all;
}

static std::string spell(const console_expression &e) {
    static constexpr const char *operators[] = {
        "or", "and", "not", "=", "<>",  "<", ">",    "<=",   ">=", "+",       "-",      "*",    "/",
        "%",  "&",   "|",   "^", "neg", "~", "null", "like", "in", "between", "exists", "case", "when"};
    std::string text;
    for (const console_expression &argument : e.arguments)
        text.append(text.empty() ? "" : ",").append(spell(argument));
    if (e.query != nullptr)
        text.append(text.empty() ? "" : ",").append(spell(*e.query));
    switch (e.kind) {
    case console_expression::kind_t::value:
        return e.value.kind == console_value::kind_t::null   ? "NULL"
               : e.value.kind == console_value::kind_t::text ? around("'", e.value.text, "'")
                                                             : console_spell(e.value);
    case console_expression::kind_t::variable: return e.text;
    case console_expression::kind_t::name: return joined(e.parts, ".");
    case console_expression::kind_t::star: return "*";
    case console_expression::kind_t::query: return around("(", text, ")");
    case console_expression::kind_t::cast:
        return around("cast(", text, " as ").append(std::to_string(static_cast<int>(e.type.base))).append(")");
    case console_expression::kind_t::call: return e.text + around("(", text, ")");
    case console_expression::kind_t::operation: break;
    }
    return std::string(e.negated ? "!" : "")
        .append(operators[static_cast<size_t>(e.op)])
        .append(around("(", text, ")"));
}

static std::string spell(const console_source &s) {
    static constexpr const char *joins[] = {"join", "left", "right", "full", "cross_apply", "outer_apply"};
    std::string text = joined(s.parts, ".");
    if (s.kind == console_source::kind_t::function)
        text += "()";
    if (s.query != nullptr)
        text = around("(", spell(*s.query), ")");
    if (s.kind == console_source::kind_t::join)
        text = std::string(joins[static_cast<size_t>(s.join)])
                   .append(around("(", spell(s.sides[0]), ","))
                   .append(spell(s.sides[1]))
                   .append(s.on.empty() ? "" : around(" on ", spell(s.on[0]), ""))
                   .append(")");
    return text + (s.alias.empty() ? "" : " " + s.alias);
}

static std::string spell(const console_select &s) {
    std::string text;
    for (const console_item &item : s.items) {
        std::string one = item.star ? joined(item.value.parts, ".") + "*" : spell(item.value);
        text += (text.empty() ? "" : ",") + one + (item.name.empty() ? "" : " " + item.name);
    }
    for (const auto &row : s.values)
        for (const console_expression &e : row)
            text.append(text.empty() ? "values " : ",").append(spell(e));
    for (const console_source &source : s.from)
        text.append(&source == &s.from.front() ? " from " : ",").append(spell(source));
    if (!s.where.empty())
        text += around(" where ", spell(s.where[0]), "");
    for (const console_expression &e : s.group)
        text.append(&e == &s.group.front() ? " group " : ",").append(spell(e));
    if (!s.having.empty())
        text += around(" having ", spell(s.having[0]), "");
    return (s.distinct ? "distinct " : "") + (s.top.empty() ? text : around("top ", spell(s.top[0]), " ") + text);
}

static std::string spell(const console_query &q) {
    static constexpr const char *sets[] = {"", " all ", " union ", " except ", " intersect "};
    std::string text;
    for (const console_common &c : q.with)
        text += c.name + around("=(", spell(*c.query), ") ");
    for (const console_select &s : q.selects)
        text += sets[static_cast<size_t>(s.set)] + spell(s);
    for (const console_order &o : q.order)
        text += (&o == &q.order.front() ? " order " : ",") + spell(o.value) + (o.descending ? " desc" : "");
    return text;
}

static std::string spell(const std::vector<console_statement> &all);

static std::string spell_items(const console_statement &s) {
    std::string text;
    for (const console_item &item : s.items) {
        text.append(text.empty() ? "" : ",");
        if (!item.name.empty())
            text.append(item.name).append("=");
        text.append(spell(item.value)).append(item.output ? " out" : "");
    }
    return text;
}

static std::string spell(const console_statement &s) {
    std::string value = s.value.empty() ? "" : spell(s.value[0]);
    switch (s.verb) {
    case console_verb::command:
        return s.command->words + (s.argument.empty() ? std::string() : around("(", s.argument, ")"));
    case console_verb::nothing: return "nothing";
    case console_verb::use: return around("use(", s.name, ")");
    case console_verb::begin: return "begin";
    case console_verb::commit: return "commit";
    case console_verb::rollback: return "rollback";
    case console_verb::rollback_named: return around("rollback(", s.name, ")");
    case console_verb::call: return around("call(", joined({s.name, spell_items(s)}, " "), ")");
    case console_verb::run_text: return around("run(", value, ")");
    case console_verb::block: return around("{", spell(s.body), "}");
    case console_verb::select: return around("select(", spell(*s.query), ")");
    case console_verb::declare: return around("declare(", s.name.empty() ? spell_items(s) : s.name, ")");
    case console_verb::assign: return around("set(", spell_items(s), ")");
    case console_verb::print: return around("print(", value, ")");
    case console_verb::create: return around("create(", s.name, ")");
    case console_verb::drop: return around("drop(", joined(s.names, ","), ")");
    case console_verb::insert:
        return "insert(" + s.name + around("(", joined(s.names, ","), ") ") +
               (s.query ? spell(*s.query) : spell(s.body)) + ")";
    case console_verb::erase: return around("erase(", joined({s.name, value}, " "), ")");
    case console_verb::update: return around("update(", joined({s.name, spell_items(s), value}, " "), ")");
    case console_verb::while_: return around("while(", value, ")") + spell(s.body);
    case console_verb::break_: return "break";
    case console_verb::continue_: return "continue";
    case console_verb::return_: return around("return(", value, ")");
    case console_verb::raise: return around("raise(", spell_items(s), ")");
    case console_verb::try_: return around("try{", spell(s.body), "}") + around("{", spell(s.otherwise), "}");
    case console_verb::if_:
        return around("if(", value, ")") + spell(s.body) + (s.otherwise.empty() ? "" : " else " + spell(s.otherwise));
    }
    return "";
}

static std::string spell(const std::vector<console_statement> &all) {
    std::string text;
    for (const console_statement &s : all)
        text.append(text.empty() ? "" : "; ").append(spell(s));
    return text;
}

static void expect(const char *text, const char *expected) {
    console_batch batch = parse(text);
    if (!batch.good)
        fail_msg("%s: near %s", text, batch.near.c_str());
    assert_string_equal(spell(batch.statements).c_str(), expected);
}

static void expect_error(const char *text, const char *near, uint32_t line = 1) {
    console_batch batch = parse(text);
    if (batch.good)
        fail_msg("%s: good", text);
    assert_true(batch.statements.empty());
    assert_string_equal(batch.near.c_str(), near);
    assert_int_equal(batch.line, line);
}

static void every_command_by_its_words(void **) {
    for (const console_command &c : console_commands()) {
        std::string argument = c.argument == console_argument::none ? "" : " b1";
        std::string expected = c.words;
        if (!argument.empty())
            expected += "(b1)";
        expect((c.words + argument).c_str(), expected.c_str());
        std::string lower = c.words + argument + " ;";
        for (char &letter : lower)
            letter = static_cast<char>(tolower(letter));
        expect(lower.c_str(), expected.c_str());
        if (c.argument != console_argument::required)
            expect(c.words, c.words);
        else
            expect_error(c.words, "");
        expect_error((c.words + argument + " more").c_str(), "more");
    }
}

static void arguments(void **) {
    expect("PAUSE bucket-001", "PAUSE(bucket-001)");
    expect("PAUSE bucket-001.ro;RESUME [b 1]", "PAUSE(bucket-001.ro); RESUME(b 1)");
    expect("PAUSE 'b1'; RESUME \"b2\"", "PAUSE(b1); RESUME(b2)");
    expect("PAUSE 001a", "PAUSE(001a)");
    expect("PAUSE\nSHOW POOLS\nKILL 17", "PAUSE; SHOW POOLS; KILL(17)");
    expect("PAUSE [show]", "PAUSE(show)");
    expect("SHOW/**/POOLS--b1", "SHOW POOLS");
    expect("SHOW POOLS b1 SELECT 1", "SHOW POOLS(b1); select(1)");
}

static void what_is_no_command(void **) {
    expect_error("SHOW", "");
    expect_error("\nSHOW\nPOOL", "POOL", 3);
    expect_error("POOLS", "POOLS");
    expect_error("RELOAD b1", "b1");
    expect_error("KILL", "");
    expect_error("KILL;", ";");
    expect_error("PAUSE b1 b2", "b2");
    expect_error("SHOW POOLS, CLIENTS", "CLIENTS");
    expect_error("INSERT INTO t VALUES (1)", "t");
    expect_error("SELECT 'a", "");
    expect_error("/* SHOW POOLS", "");
    expect_error("SHOW POOLS; DROP TABLE t", "t");
    expect_error("CREATE VIEW v AS SELECT 1", "VIEW");
    expect_error("BACKUP DATABASE x TO DISK = 'y'", "BACKUP");
}

static void selects(void **) {
    expect("SELECT @@version", "select(@@VERSION)");
    expect("select 1 AS one, n = -2, N'it''s' 'three', NULL", "select(1 one,-2 n,'it's' three,NULL)");
    expect("SELECT CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) e",
           "select(cast(SERVERPROPERTY('Edition') as 1) e)");
    expect("SELECT CONVERT(varchar(max), DB_NAME(), 121), (SYSTEM_USER)",
           "select(cast(DB_NAME(),121 as 1),SYSTEM_USER SYSTEM_USER)");
    expect("SELECT @a = 1, @b = x FROM t", "select(1 @A,x @B from t)");
    expect("SELECT 1.5, 0x1F, 1e3", "select(1.5,\x1f"
                                    ",1000)");
    expect_error("SELECT", "");
    expect_error("SELECT 1,", "");
    expect_error("SELECT 1 AS", "");
    expect_error("SELECT (1", "");
    expect_error("SELECT FROM t", "FROM");
    expect_error("SELECT a FROM", "");
    expect_error("SELECT a FROM t WHERE", "");
    expect("SELECT ROW_NUMBER() OVER (ORDER BY f(a)) r FROM t", "select(ROW_NUMBER OVER() r from t)");
    expect_error("SELECT ROW_NUMBER() OVER (ORDER BY a FROM t", "");
}

static void operators(void **) {
    expect("SELECT 1 + 2 * 3 - 4", "select(-(+(1,*(2,3)),4))");
    expect("SELECT (1 + 2) * -x % ~3", "select(%(*(+(1,2),neg(x)),~(3)))");
    expect("SELECT a | b & c ^ 1", "select(^(&(|(a,b),c),1))");
    expect("SELECT CASE WHEN a = 1 OR NOT b < 2 AND c IS NOT NULL THEN 'x' ELSE 'y' END",
           "select(when(or(=(a,1),and(not(<(b,2)),!null(c))),'x','y'))");
    expect("SELECT CASE a WHEN 1 THEN 2 WHEN 3 THEN 4 END c", "select(case(a,1,2,3,4) c)");
    expect("SELECT 1 WHERE a IN (1, 2) AND b NOT IN (SELECT c FROM d)",
           "select(1 where and(in(a,1,2),!in(b,c c from d)))");
    expect("SELECT 1 WHERE a NOT LIKE 'x%' ESCAPE '!' AND b BETWEEN 1 AND 2 AND NOT EXISTS (SELECT 1)",
           "select(1 where and(!like(a,'x%','!'),between(b,1,2),not(exists(1))))");
    expect("SELECT COUNT(*), MAX(DISTINCT a), LEFT(b, 1), sys.fn_x(1)",
           "select(COUNT(*),MAX(a),LEFT(b,1),SYS.FN_X(1))");
    expect("SELECT a COLLATE Latin1_General_CI_AS = b", "select(=(a,b))");
    expect_error("SELECT a NOT 1", "1");
    expect_error("SELECT CASE 1 END", "END");
    expect_error("SELECT 1 +", "");
    expect_error("SELECT a IN ()", ")");
}

static void queries(void **) {
    expect("SELECT t.*, d.[name] FROM sys.tables AS t WITH (NOLOCK), [master]..sysdatabases d",
           "select(t*,d.name name from sys.tables t,master..sysdatabases d)");
    expect("SELECT a FROM x LEFT OUTER JOIN y ON x.i = y.i INNER JOIN z ON 1 = 1 CROSS JOIN w",
           "select(a a from join(join(left(x,y on =(x.i,y.i)),z on =(1,1)),w))");
    expect("SELECT a FROM x JOIN y JOIN z ON 1 = 1 ON 2 = 2", "select(a a from join(x,join(y,z on =(1,1)) on =(2,2)))");
    expect("SELECT a FROM (SELECT b FROM c) AS d CROSS APPLY sys.f(d.b) e OUTER APPLY (SELECT 1) g",
           "select(a a from outer_apply(cross_apply((b b from c) d,sys.f() e),(1) g))");
    expect("SELECT a FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b)", "select(a a from (values 1,'x',2,'y') v)");
    expect("WITH c AS (SELECT 1 AS n), d (m) AS (SELECT n FROM c) SELECT m FROM d",
           "select(c=(1 n) d=(n n from c) m m from d)");
    expect("SELECT DISTINCT TOP (5) a FROM t GROUP BY a, b HAVING COUNT(*) > 1 ORDER BY a DESC, 2",
           "select(distinct top 5 a a from t group a,b having >(COUNT(*),1) order a desc,2)");
    expect("SELECT 1 UNION ALL (SELECT 2) UNION SELECT 3 EXCEPT SELECT 4 ORDER BY 1",
           "select(1 all 2 union 3 except 4 order 1)");
    expect("SELECT a INTO #t FROM b SELECT 2", "select(a a from b); select(2)");
    expect("SELECT a FROM b OPTION (RECOMPILE); SHOW POOLS", "select(a a from b); SHOW POOLS");
    expect_error("SELECT 1 EXCEPT (SELECT 2 UNION SELECT 3)", "");
    expect_error("SELECT a FROM b JOIN c", "");
    expect_error("SELECT TOP 5 PERCENT a FROM b", "a");
    expect_error("SELECT a FROM b ORDER a", "a");
}

static void conditions_and_transactions(void **) {
    expect("IF @@TRANCOUNT > 0 COMMIT TRAN", "if(>(@@TRANCOUNT,0))commit");
    expect("IF @@TRANCOUNT > 0 COMMIT TRAN\r\nSET IMPLICIT_TRANSACTIONS OFF", "if(>(@@TRANCOUNT,0))commit; nothing");
    expect("IF @@TRANCOUNT=0 BEGIN SET IMPLICIT_TRANSACTIONS OFF; BEGIN TRAN; SET IMPLICIT_TRANSACTIONS ON; END SAVE "
           "TRAN j1",
           "if(=(@@TRANCOUNT,0)){nothing; begin; nothing}; nothing");
    expect("IF 1 <> 2 SELECT 1; ELSE SELECT 2", "if(<>(1,2))select(1) else select(2)");
    expect(
        "IF 1 <= 2 SELECT 1 IF 1 >= 2 SELECT 2 IF 1 != 2 SELECT 3 IF 1 < 2 SELECT 4 IF 1 !> 2 SELECT 5",
        "if(<=(1,2))select(1); if(>=(1,2))select(2); if(<>(1,2))select(3); if(<(1,2))select(4); if(<=(1,2))select(5)");
    expect("BEGIN TRANSACTION t1 COMMIT WORK ROLLBACK TRAN j1 ROLLBACK", "begin; commit; rollback(j1); rollback");
    expect("WHILE 1 = 1 BEGIN BREAK CONTINUE RETURN END", "while(=(1,1)){break; continue; return()}");
    expect("BEGIN TRY SELECT 1; END TRY BEGIN CATCH THROW END CATCH", "try{select(1)}{raise()}");
    expect("RAISERROR (N'x', 16, 1) WITH NOWAIT; THROW 50001, 'y', 1; PRINT 'z'",
           "raise('x',16,1); raise(50001,'y',1); print('z')");
    expect_error("IF 1 = 1", "");
    expect_error("BEGIN SELECT 1", "");
    expect_error("BEGIN TRY SELECT 1 END TRY", "");
    expect_error("GOTO x", "GOTO");
    expect_error("WAITFOR DELAY '1'", "WAITFOR");
}

static void variables_and_tables(void **) {
    expect("DECLARE @a int = 1, @b AS nvarchar(max), @c sys.sysname", "declare(@A=1,@B=NULL,@C=NULL)");
    expect("DECLARE @t TABLE (a int PRIMARY KEY, b nvarchar(10) NULL, PRIMARY KEY (a, b))", "declare(@T)");
    expect("SET @a = 2 SET @b += 'x' SET NOCOUNT ON", "set(@A=2); set(@B=+(@B,'x')); nothing");
    expect("CREATE TABLE #t (a int IDENTITY(1, 1) NOT NULL, b sysname DEFAULT ('x'), CONSTRAINT c UNIQUE (a))",
           "create(#t)");
    expect("INSERT #t VALUES (1, 'x'); INSERT INTO tempdb..#t (a, b) SELECT c, d FROM e",
           "insert(#t() values 1,'x'); insert(#t(a,b) c c,d d from e)");
    expect("INSERT @t EXEC sp_databases; INSERT INTO #t EXEC ('SHOW POOLS')",
           "insert(@T() call(sp_databases )); insert(#t() run('SHOW POOLS'))");
    expect("UPDATE #t SET a = a + 1, b = 'y' WHERE a = 1 DELETE FROM #t WHERE b IS NULL TRUNCATE TABLE #t",
           "update(#t a=+(a,1),b='y' =(a,1)); erase(#t null(b)); erase(#t )");
    expect("DROP TABLE IF EXISTS #t, #u", "drop(#t,#u)");
    expect_error("DECLARE c CURSOR FOR SELECT 1", "c");
    expect_error("DECLARE @a", "");
    expect_error("DECLARE @c CURSOR", "CURSOR");
    expect_error("SET @a", "");
    expect_error("UPDATE t SET a = 1", "t");
    expect_error("CREATE TABLE #t ()", ")");
}

static void procedures_and_databases(void **) {
    expect("USE [tdsbouncer]; use x", "use(tdsbouncer); use(x)");
    expect("EXEC sp_reset_connection; exec sys.sp_reset_connection", "nothing; nothing");
    expect("EXEC @r = dbo.sp_who 1, 'a'; EXECUTE x", "call(dbo.sp_who 1,'a'); call(x )");
    expect("EXEC [sys].sp_tables @table_name = N'x', @n = @v OUTPUT, @o = NULL, @p = bare",
           "call(sys.sp_tables @TABLE_NAME='x',@N=@V out,@O=NULL,@P='bare')");
    expect("EXEC ('SELECT ' + @x) EXEC sp_executesql N'SELECT @a', N'@a int', 5",
           "run(+('SELECT ',@X)); call(sp_executesql 'SELECT @a','@a int',5)");
    expect("sp_datatype_info_100 0,3", "call(sp_datatype_info_100 0,3)");
    expect_error("USE", "");
    expect_error("EXEC", "");
    expect_error("EXEC (", "");
    expect_error("SET", "");
}

// What is deep or long beyond all that tools send is refused, and nothing is as deep as it is long.
static void limits(void **) {
    auto times = [](const char *text, int n) {
        std::string all;
        for (int i = 0; i < n; ++i)
            all += text;
        return all;
    };
    for (const char *opens : {"(", "-(", "NOT (", "CASE WHEN ", "CASE ", "f(", "(SELECT ", "- ", "~", "NOT ", "1 IN (",
                              "a LIKE ", "EXISTS (SELECT * FROM (SELECT ", "(SELECT 1 FROM x JOIN "}) {
        assert_false(parse("SELECT " + times(opens, 2'000)).good);
        assert_false(parse("SELECT " + times(opens, 300) + "1").good);
    }
    assert_false(parse(times("BEGIN ", 2'000)).good);
    assert_false(parse(times("IF 1 = 1 ", 1'000) + "SELECT 1").good);
    assert_false(parse(times("WITH a AS (", 500)).good);
    assert_false(parse("SELECT 1 FROM " + times("(", 500)).good);
    assert_false(parse("SELECT 1 FROM a " + times("JOIN b ", 1'000)).good);
    assert_true(parse("SELECT 1" + times(" + 1", 200)).good);
    assert_false(parse("SELECT 1" + times(" + 1", 1'000)).good);
    assert_true(parse("SELECT 1 WHERE 1 = 1" + times(" AND 1 = 1", 1'000)).good);
    assert_true(parse("SELECT " + times("(", 10) + "1" + times(")", 10)).good);
}

static void nothing_at_all(void **) {
    expect("", "");
    expect(" ; ;; -- a comment", "");
    std::string many;
    for (int i = 0; i < 6'000; ++i)
        many += "SET a 1 ";
    assert_false(parse(many).good); // more tokens than anybody needs
}

// What recorded drivers send when they connect, and around the requests of applications.
static void what_drivers_send(void **) {
    static constexpr const char *own[] = {
        "SET ",  "set ansi_nulls on", "SELECT @@MAX_PRECISION", "IF @@TRANCOUNT", "if @@trancount", "use [",
        "USE [", "COMMIT TRAN",       "ROLLBACK TRAN",          "begin tran\\n"};
    std::ifstream file(REPO_DIR "/tests/unit/tds/captured-batches.txt");
    unsigned read = 0;
    for (std::string line; std::getline(file, line);) {
        std::string client = line.substr(0, line.find('\t')), text = line.substr(client.size() + 1);
        text = text.substr(0, text.find('\t'));
        bool wanted = false;
        for (const char *beginning : own)
            wanted = wanted || text.starts_with(beginning);
        if (!wanted)
            continue;
        for (size_t at; (at = text.find('\\')) != std::string::npos;) {
            text[at] = ' ';
            text[at + 1] = text[at + 1] == 'r' ? '\r' : '\n';
        }
        ++read;
        if (!parse(text).good)
            fail_msg("%s: %s", client.c_str(), text.c_str());
    }
    assert_true(read >= 15);
}

// Whatever the bytes: it ends, and what is good can be spelt.
static void any_bytes(void **) {
    std::minstd_rand random(20261129);
    const std::string text =
        "IF @@TRANCOUNT=0 BEGIN SET X ON; BEGIN TRAN; END SELECT CAST(f(N'a''b') AS int) AS [n], -1; "
        "PAUSE bucket-001; SHOW POOLS b1 EXEC @r = a.b 1, @p = 2 OUTPUT; USE [x] ROLLBACK TRAN t DECLARE @a int = 1 "
        "WITH c AS (SELECT 1 AS n) SELECT TOP 2 a.*, CASE WHEN b IS NULL THEN 1 ELSE 2 END FROM sys.x AS a LEFT JOIN "
        "(SELECT "
        "c FROM d GROUP BY c HAVING COUNT(*) > 1) e ON e.c IN (1, 2) WHERE a.n LIKE 'x%' UNION ALL SELECT 1, 2 ORDER "
        "BY 1 DESC; "
        "CREATE TABLE #t (a int) INSERT #t EXEC ('x') UPDATE #t SET a = 1 BEGIN TRY DROP TABLE #t END TRY BEGIN CATCH "
        "THROW END "
        "CATCH";
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    for (size_t n = 0; n <= wire.size(); ++n)
        (void)console_parse(std::vector<uint8_t>(wire.begin(), wire.begin() + static_cast<long>(n)));
    for (int i = 0; i < 20'000; ++i) {
        std::vector<uint8_t> other(wire);
        for (size_t changes = 1 + random() % 5; changes > 0; --changes) {
            size_t at = random() % (other.size() / 2) * 2, from = random() % (other.size() / 2) * 2;
            other[at] = random() % 4 == 0 ? static_cast<uint8_t>(random()) : other[from];
        }
        console_batch batch = console_parse(other);
        assert_true(batch.good || batch.statements.empty());
        (void)spell(batch.statements);
    }
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_command_by_its_words),
        cmocka_unit_test(arguments),
        cmocka_unit_test(what_is_no_command),
        cmocka_unit_test(selects),
        cmocka_unit_test(operators),
        cmocka_unit_test(queries),
        cmocka_unit_test(conditions_and_transactions),
        cmocka_unit_test(variables_and_tables),
        cmocka_unit_test(procedures_and_databases),
        cmocka_unit_test(limits),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(what_drivers_send),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
