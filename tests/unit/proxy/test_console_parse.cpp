// Batches for the admin console: commands, what drivers and tools send by themselves, and what is neither.
#include <fstream>
#include <random>

#include "proxy/console_commands.h"
#include "proxy/console_parse.h"
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

static std::string spell(const console_expression &e) {
    std::string text;
    switch (e.kind) {
    case console_expression::kind_t::null: return "NULL";
    case console_expression::kind_t::number: return std::to_string(e.number);
    case console_expression::kind_t::text: return around("'", e.text, "'");
    case console_expression::kind_t::variable: return e.text;
    case console_expression::kind_t::call: break;
    }
    for (const console_expression &argument : e.arguments)
        text += (text.empty() ? "" : ",") + spell(argument);
    if (!e.type.empty())
        text.append(" as ").append(e.type);
    return e.text + around("(", text, ")");
}

static std::string spell(const std::vector<console_statement> &all);

static std::string spell(const console_statement &s) {
    std::string text;
    switch (s.verb) {
    case console_verb::command:
        return s.command->words + (s.argument.empty() ? std::string() : around("(", s.argument, ")"));
    case console_verb::nothing: return "nothing";
    case console_verb::use: return around("use(", s.name, ")");
    case console_verb::from: return around("from(", s.name, ")");
    case console_verb::begin: return "begin";
    case console_verb::commit: return "commit";
    case console_verb::rollback: return "rollback";
    case console_verb::rollback_named: return around("rollback(", s.name, ")");
    case console_verb::call: return around("call(", s.name, ")");
    case console_verb::block: return around("{", spell(s.body), "}");
    case console_verb::select:
        for (const console_item &item : s.items)
            text += (text.empty() ? "" : ",") + spell(item.value) + (item.name.empty() ? "" : " " + item.name);
        return around("select(", text, ")");
    case console_verb::if_:
        return "if(" + spell(s.left) + " " + std::to_string(static_cast<int>(s.compare)) + " " + spell(s.right) + ")" +
               spell(s.body) + (s.otherwise.empty() ? "" : " else " + spell(s.otherwise));
    }
    return text;
}

static std::string spell(const std::vector<console_statement> &all) {
    std::string text;
    for (const console_statement &s : all)
        text += (text.empty() ? "" : "; ") + spell(s);
    return text;
}

static void expect(const char *text, const char *expected) {
    console_batch batch = parse(text);
    assert_true(batch.good);
    assert_string_equal(spell(batch.statements).c_str(), expected);
}

static void expect_error(const char *text, const char *near, uint32_t line = 1) {
    console_batch batch = parse(text);
    assert_false(batch.good);
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
    expect_error("INSERT INTO t VALUES (1)", "INSERT");
    expect_error("SELECT 'a", "");
    expect_error("/* SHOW POOLS", "");
    expect_error("SHOW POOLS; DROP TABLE t", "DROP");
}

static void selects(void **) {
    expect("SELECT @@version", "select(@@VERSION)");
    expect("select 1 AS one, n = -2, N'it''s' 'three', NULL", "select(1 one,-2 n,'it's' three,NULL)");
    expect("SELECT CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) e",
           "select(CAST(SERVERPROPERTY('Edition') as NVARCHAR) e)");
    expect("SELECT CONVERT(varchar(max), DB_NAME(), 121), (SYSTEM_USER)",
           "select(CONVERT(DB_NAME(),121 as VARCHAR),SYSTEM_USER())");
    expect("SELECT name FROM sys.databases WHERE x = 1 ORDER BY 1", "from(sys.databases)");
    expect("SELECT a, (SELECT 1 FROM x) FROM [master]..t; SELECT 2", "from(master..t); select(2)");
    expect_error("SELECT", "");
    expect_error("SELECT 1,", "");
    expect_error("SELECT 1 AS", "");
    expect_error("SELECT (1", "");
    expect_error("SELECT 1 + 2", "+");
    expect_error("SELECT 1.5", "1.5");
    expect_error("SELECT 99999999999999999999", "99999999999999999999");
    expect_error("SELECT f((((((((1))))))))", "(");
}

static void conditions_and_transactions(void **) {
    expect("IF @@TRANCOUNT > 0 COMMIT TRAN", "if(@@TRANCOUNT 3 0)commit");
    expect("IF @@TRANCOUNT > 0 COMMIT TRAN\r\nSET IMPLICIT_TRANSACTIONS OFF", "if(@@TRANCOUNT 3 0)commit; nothing");
    expect("IF @@TRANCOUNT=0 BEGIN SET IMPLICIT_TRANSACTIONS OFF; BEGIN TRAN; SET IMPLICIT_TRANSACTIONS ON; END SAVE "
           "TRAN j1",
           "if(@@TRANCOUNT 0 0){nothing; begin; nothing}; nothing");
    expect("IF 1 <> 2 SELECT 1; ELSE SELECT 2", "if(1 1 2)select(1) else select(2)");
    expect("IF 1 <= 2 SELECT 1 IF 1 >= 2 SELECT 2 IF 1 != 2 SELECT 3 IF 1 < 2 SELECT 4",
           "if(1 4 2)select(1); if(1 5 2)select(2); if(1 1 2)select(3); if(1 2 2)select(4)");
    expect("BEGIN TRANSACTION t1 COMMIT WORK ROLLBACK TRAN j1 ROLLBACK", "begin; commit; rollback(j1); rollback");
    expect_error("IF 1 = 1", "");
    expect_error("IF 1 SELECT 1", "SELECT");
    expect_error("BEGIN SELECT 1", "");
    expect_error("BEGIN BEGIN BEGIN BEGIN BEGIN BEGIN BEGIN BEGIN BEGIN SELECT 1 END", "BEGIN");
}

static void procedures_and_databases(void **) {
    expect("USE [tdsbouncer]; use x", "use(tdsbouncer); use(x)");
    expect("EXEC sp_reset_connection; exec sys.sp_reset_connection", "nothing; nothing");
    expect("EXEC @r = dbo.sp_who 1, 'a'; EXECUTE x", "call(dbo.sp_who); call(x)");
    expect("sp_datatype_info_100 0,3", "call(sp_datatype_info_100)");
    expect_error("USE", "");
    expect_error("EXEC", "");
    expect_error("SET", "");
}

static void nothing_at_all(void **) {
    expect("", "");
    expect(" ; ;; -- a comment", "");
    std::string many;
    for (int i = 0; i < 3'000; ++i)
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
        "PAUSE bucket-001; SHOW POOLS b1 EXEC @r = a.b 1, 2; USE [x] ROLLBACK TRAN t";
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
        cmocka_unit_test(conditions_and_transactions),
        cmocka_unit_test(procedures_and_databases),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(what_drivers_send),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
