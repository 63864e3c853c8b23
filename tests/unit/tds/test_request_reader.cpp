// The reader of requests: everything a request may hold, at every split, cut anywhere, with every byte spoilt; what it
// says of them.
#include "cmocka_cpp.h"

#include "tds/coltype.h"
#include "tds/request_samples.h"

static const request_kind rpc{}, batch{tds_type_sql_batch}, transaction{tds_type_transaction};

static void assert_same(const reading &a, const reading &b, const char *name, size_t split) {
    if (a.told != b.told)
        fail_msg("%s, split at %zu:\n%s\n\n%s", name, split, a.told.c_str(), b.told.c_str());
}

static void test_every_request_at_every_split(void **) {
    for (const request_sample &s : request_samples()) {
        reading whole = read_whole(s.kind, s.payload);
        if (whole.info.broken)
            fail_msg("%s:\n%s", s.name, whole.told.c_str());
        for (size_t split = 1; split < s.payload.size(); ++split)
            assert_same(whole, read_pieces(s.kind, s.payload, {split, s.payload.size()}), s.name, split);
        for (size_t piece : {1, 2, 3, 5, 64})
            assert_same(whole, read_pieces(s.kind, s.payload, pieces_of(s.payload.size(), piece)), s.name, piece);
    }
}

// Where a request may end: behind each parameter, and nowhere inside of anything.
static void test_every_request_cut_anywhere(void **) {
    for (const request_sample &s : request_samples()) {
        if (s.kind.type == tds_type_bulk)
            continue;
        for (size_t size = 0; size < s.payload.size(); ++size) {
            reading cut = read_whole(s.kind, std::span(s.payload).first(size));
            assert_same(cut, read_pieces(s.kind, std::span(s.payload).first(size), pieces_of(size, 1)), s.name, size);
            assert_true(!cut.info.broken || (cut.info.effect.turned_on & tsql_unknown) != 0);
            if (s.kind.type == tds_type_transaction)
                assert_true(cut.info.broken);
            if (s.kind.type == tds_type_rpc)
                for (const tds_rpc_call &c : cut.info.calls)
                    assert_true(cut.info.broken || c.end <= size);
        }
    }
}

// Whatever a byte says, a reading in pieces finds the same as one of the whole.
static void test_every_byte_spoilt(void **) {
    size_t broken = 0;
    for (const request_sample &s : request_samples()) {
        for (size_t at = 0; at < s.payload.size(); ++at) {
            for (int value : {0x00, 0x01, 0x80, 0xfe, 0xff}) {
                bytes spoilt = s.payload;
                spoilt[at] = static_cast<uint8_t>(value);
                reading whole = read_whole(s.kind, spoilt);
                assert_same(whole, read_pieces(s.kind, spoilt, pieces_of(spoilt.size(), 13)), s.name, at);
                broken += whole.info.broken ? 1 : 0;
            }
        }
    }
    assert_true(broken > 1000);
}

// --- ALL_HEADERS and SQLBatch ---

static std::string text_of(const reading &k, size_t i = 0) {
    assert_true(i < k.texts.size() && k.texts[i].ended);
    return tds_utf8(k.texts[i].utf16);
}

static void test_headers(void **) {
    reading k = read_whole(batch, headers(0x1122334455667788) + utf16("SELECT 1"));
    assert_true(k.info.descriptor == 0x1122334455667788);
    assert_int_equal(k.info.descriptor_at, 10);
    assert_string_equal(text_of(k).c_str(), "SELECT 1");
    assert_int_equal(k.texts[0].scope, tsql_scope::batch);
    assert_true(k.info.place.kind == tds_text_place::kind_t::batch);
    assert_int_equal(k.info.place.at, 22);
    assert_int_equal(k.info.place.bytes, 16);
    k = read_whole({tds_type_sql_batch, tds_7_1}, utf16("SELECT 1"));
    assert_int_equal(k.info.descriptor_at, 0);
    assert_string_equal(text_of(k).c_str(), "SELECT 1");
}

static void test_headers_that_lie(void **) {
    bytes text = utf16("SELECT 1");
    for (const bytes &head :
         {bytes{}, little32(0), little32(3), little32(9) + fill(5, 0), little32(22) + little32(5) + fill(14),
          little32(22) + little32(19) + little16(2) + fill(12), little32(21) + little32(17) + little16(2) + fill(11),
          little32(40) + little32(18) + little16(2) + fill(12) + little32(18) + little16(2) + fill(12),
          little32(0xffffffff) + little32(0xfffffffb) + little16(1)})
        assert_true(read_whole(batch, head + text).info.broken);
}

static void test_empty_batch(void **) {
    for (const request_kind &kind : {request_kind{tds_type_sql_batch, tds_7_1}, batch}) {
        reading k = read_whole(kind, kind.version == tds_7_1 ? bytes{} : headers());
        assert_false(k.info.broken);
        assert_string_equal(text_of(k).c_str(), "");
        assert_true(k.info.effect.empty && k.info.place.kind == tds_text_place::kind_t::none);
    }
}

static void test_odd_batch(void **) {
    reading k = read_whole(batch, headers() + utf16("SELECT @@ROWCOUNT") + bytes{0x20});
    assert_true(k.info.broken && k.info.effect.turned_on == tsql_unknown);
    assert_true(k.info.effect.last_uses.empty() && k.info.effect.last_unclear == tsql_last_rowcount);
}

// Requests carry it when column encryption was acknowledged with version 2: without knowing of it, its length would be
// the text's first character.
static void test_enclave_package(void **) {
    bytes payload = headers() + little16(0) + utf16("SELECT 1");
    reading k = read_whole({tds_type_sql_batch, tds_7_4, true}, payload);
    assert_string_equal(text_of(k).c_str(), "SELECT 1");
    assert_int_equal(k.info.place.at, 24);
    assert_int_equal(read_whole(batch, payload).texts[0].utf16.size(), 18);
    payload = headers() + by_number(10) + little16(300) + fill(300) + nvarchar("SELECT 1");
    assert_string_equal(text_of(read_whole({tds_type_rpc, tds_7_4, true}, payload)).c_str(), "SELECT 1");
}

static void test_other_types(void **) {
    for (int type = 0; type < 256; ++type) {
        reading k = read_whole({static_cast<uint8_t>(type)}, headers());
        bool known = type == tds_type_sql_batch || type == tds_type_bulk;
        assert_int_equal(k.info.broken, !known);
    }
    reading bulk = read_whole({tds_type_bulk}, fill(100));
    assert_true(bulk.info.effect.writes && !bulk.info.effect.empty && bulk.texts.empty());
}

// --- Calls ---

static reading read_call(const bytes &call) {
    return read_whole(rpc, headers() + call);
}

static void test_procedures_by_number(void **) {
    for (uint16_t number = 1; number <= 15; ++number) {
        reading k = read_call(by_number(number, 2));
        assert_false(k.info.broken);
        assert_int_equal(k.info.calls.size(), 1);
        assert_int_equal(k.info.calls[0].proc, number);
        assert_int_equal(k.info.calls[0].options, 2);
    }
    for (int number : {0, 16, 100, 0xffff})
        assert_true(read_call(by_number(static_cast<uint16_t>(number))).info.broken);
}

static void test_procedures_by_name(void **) {
    for (const char *name :
         {"sp_execute", "SP_Execute", "sys.sp_execute", "dbo.sp_execute", "master..sp_execute", "master.sys.sp_execute",
          "[sp_execute]", "[master].[sys].[sp_execute]", "\"sys\".\"sp_execute\"", "sp_execute;1",
          " master . dbo . [sp_execute] ;1", "[a.]]b]..sp_execute"})
        if (read_call(by_name(name)).info.calls.at(0).proc != tds_proc::execute)
            fail_msg("%s", name);
    for (const char *name : {"sp_execute2", "my_sp_execute", "my.sp_execute", "server.master.sys.sp_execute",
                             "sp_execute.x", "[sp_execute", "[sp_execute]x", "sp_execute;", "sp_execute;1x",
                             "sp_ execute", "[[sp_execute]", "[ sp_execute]", "."}) {
        reading k = read_call(by_name(name));
        assert_int_equal(k.info.calls.at(0).proc, tds_proc::other);
        assert_string_equal(k.info.calls[0].name.c_str(), name);
        assert_string_equal(k.calls.at(0).c_str(), name);
    }
    assert_int_equal(read_call(by_name("sp_reset_connection")).info.calls.at(0).proc, tds_proc::reset_connection);
    for (const char *name : {"[sys].sp_datatype_info_100", "sp_datatype_info_90", "sp_datatype_info"}) {
        auto types = read_call(by_name(name));
        assert_int_equal(types.info.calls.at(0).proc, tds_proc::datatype_info);
        assert_false(types.info.effect.calls || types.info.effect.writes || types.info.effect.transactions);
    }
    for (uint8_t number = 1; number <= 15; ++number) {
        auto proc = static_cast<tds_proc>(number);
        assert_int_equal(tds_proc_find(tds_proc_kind_of(proc)->name), proc);
    }
}

static void test_names_that_are_too_long(void **) {
    std::string longest(523, 'x'), longer(524, 'x');
    assert_string_equal(read_call(by_name(longest)).info.calls.at(0).name.c_str(), longest.c_str());
    assert_true(read_call(by_name(longer)).info.broken);
    assert_true(read_call(by_name("")).info.broken);
    std::string parameter_name(128, 'p');
    assert_false(read_call(by_name("p") + int_parameter(1, parameter_name)).info.broken);
    assert_true(read_call(by_name("p") + int_parameter(1, parameter_name + "p")).info.broken);
}

static void test_other_procedure(void **) {
    reading k = read_call(by_name("dbo.p") + int_parameter(-7) + parameter({0x38}, little32(8)) + int_parameter(9));
    const tds_rpc_call &c = k.info.calls.at(0);
    assert_true(c.has_first && c.first == -7 && c.has_second && c.second == 8);
    assert_int_equal(c.parameters, 3);
    const auto &effect = k.info.effect;
    assert_true(effect.calls && effect.transactions && effect.writes && !effect.empty && !effect.lone_select);
    assert_int_equal(effect.turned_on, 0);
    assert_int_equal(k.texts.size(), 0);
}

static void test_numbers(void **) {
    struct number_sample {
        bytes info, value;
        bool is_int;
        int32_t expected;
    };
    for (const number_sample &n : std::initializer_list<number_sample>{
             {{0x30}, {200}, true, 200},
             {{0x34}, little16(0xfffe), true, -2},
             {{0x38}, little32(0x80000000), true, INT32_MIN},
             {{0x7f}, little64(0x7fffffff), true, INT32_MAX},
             {{0x7f}, little64(0x80000000), false, 0},
             {{0x26, 1}, {1, 255}, true, 255},
             {{0x26, 2}, bytes{2} + little16(0x8000), true, -32768},
             {{0x26, 8}, bytes{8} + little64(static_cast<uint64_t>(-5)), true, -5},
             {{0x26, 4}, {3, 1, 2, 3}, false, 0},
             {{0x26, 4}, {0}, false, 0},
             {{0x1f}, {}, false, 0},
             {{0x6d, 4}, bytes{4} + little32(1), false, 0},
         }) {
        bytes payload = headers() + by_number(12) + parameter(n.info, n.value) + parameter(n.info, n.value);
        reading k = read_whole(rpc, payload);
        const tds_rpc_call &c = k.info.calls.at(0);
        assert_false(k.info.broken);
        assert_int_equal(c.has_first, n.is_int);
        assert_int_equal(c.has_second, n.is_int);
        assert_int_equal(c.first, n.expected);
        assert_int_equal(c.second, n.expected);
    }
}

// Where things lie: enough to put a call together anew.
static void test_places_of_a_call(void **) {
    bytes first = by_number(15) + int_parameter(1), name = by_name("sp_execute", 2);
    bytes handle = int_parameter(0x12345678, "@handle"), second = nvarchar("abc");
    reading k = read_call(first + bytes{0xff} + name + handle + second + bytes{0xff});
    const tds_rpc_call &c = k.info.calls.at(1);
    size_t at = 22 + first.size() + 1;
    assert_int_equal(c.index, 1);
    assert_int_equal(c.at, at);
    assert_int_equal(c.options_at, at + name.size() - 2);
    assert_int_equal(c.parameter_at[0], at + name.size());
    assert_int_equal(c.parameter_at[1], at + name.size() + handle.size());
    assert_int_equal(c.parameter_at[2], 0);
    assert_int_equal(c.first_at, at + name.size() + handle.size() - 4);
    assert_int_equal(c.first_size, 4);
    assert_int_equal(c.end, at + name.size() + handle.size() + second.size());
    assert_int_equal(k.info.calls_count, 2);
}

static void test_separators(void **) {
    bytes two = by_number(15) + int_parameter(1), call = by_number(15) + int_parameter(2);
    for (uint8_t separator : bytes{0xff, 0xfe}) {
        reading k = read_call(two + bytes{separator} + call);
        assert_int_equal(k.info.calls.size(), 2);
        assert_int_equal(k.info.calls[0].skipped, separator == 0xfe);
        assert_false(k.info.calls[1].skipped);
        assert_false(read_call(two + bytes{separator}).info.broken);
        assert_true(read_call(bytes{separator} + two).info.broken);
    }
    // 0x80 is a separator before 7.2 only; 0xFF and 0xFE are none there.
    assert_int_equal(read_whole({tds_type_rpc, tds_7_1}, two + bytes{0x80} + call).info.calls.size(), 2);
    assert_true(read_whole({tds_type_rpc, tds_7_1}, two + bytes{0xff} + call).info.broken);
    assert_true(read_call(two + bytes{0x80} + call).info.broken);
}

static void test_every_type(void **) {
    for (const parameter_sample &p : parameter_samples()) {
        for (uint32_t version : {tds_7_0, tds_7_1, tds_7_2, tds_7_4, tds_8_0}) {
            bool wide = tds_version_is_wide(version);
            if (!p.old && !wide)
                continue;
            for (const bytes &value : {p.value, p.null_value.empty() ? p.value : p.null_value}) {
                bytes payload =
                    by_name("p") + int_parameter(1) + parameter(info_for(p, version), value) + int_parameter(2);
                reading k = read_whole({tds_type_rpc, version}, wide ? headers() + payload : payload);
                if (k.info.broken || k.info.calls.at(0).parameters != 3)
                    fail_msg("%s, TDS %x", p.name, version);
            }
        }
    }
}

// NULL and tables are parameters only, and no columns of a table.
static void test_types_that_do_not_exist(void **) {
    for (unsigned number = 0; number < 256; ++number) {
        auto id = static_cast<uint8_t>(number);
        bool known = tds_coltype_find(id) != nullptr, only_here = id == 0x1f || id == 0xf3;
        bytes in_table = tvp_begin + little16(1) + little32(0) + little16(0) + bytes{id};
        if (!known)
            assert_true(read_call(by_name("p") + parameter(in_table, fill(200, 0))).info.broken);
        if (!known && !only_here)
            assert_true(read_call(by_name("p") + parameter({id}, fill(200, 0))).info.broken);
    }
    assert_false(read_call(by_name("p") + parameter({0x1f}, {})).info.broken);
    // Before 7.2 no length says MAX.
    bytes max = by_name("p") + parameter(nvarchar_info(0xffff), plp({}, 1, 0));
    assert_true(read_whole({tds_type_rpc, tds_7_1}, max).info.broken);
    assert_false(read_whole(rpc, headers() + max).info.broken);
}

static void test_lengths_that_lie(void **) {
    for (const bytes &bad : {parameter(bytes{0x62} + little32(8009), little32(0x80000000)),
                             parameter(bytes{0x63} + little32(8009) + collation_latin, little32(0xfffffffe)),
                             parameter({0xf1, 2}, {}), parameter(nvarchar_info(100), little16(0xfffe) + fill(100)),
                             parameter(nvarchar_info(0xffff), little64(100) + little32(0xffffffff) + fill(100))})
        assert_true(read_call(by_name("p") + bad).info.broken);
}

// --- Statements ---

static const std::string statement = "SELECT @@ROWCOUNT";

// What a statement as this parameter gives, in a call of sp_executesql.
static reading read_statement(const bytes &as_parameter, uint32_t version = tds_7_4) {
    bytes payload = by_number(10) + as_parameter + nvarchar("@a int") + int_parameter(1, "@a");
    return read_whole({tds_type_rpc, version}, tds_version_is_wide(version) ? headers() + payload : payload);
}

static void test_statements_in_every_type(void **) {
    bytes narrow(statement.begin(), statement.end());
    auto size = static_cast<uint32_t>(narrow.size());
    for (const bytes &p :
         {nvarchar(statement), nvarchar(statement, "@stmt"), nvarchar(statement, "@Statement"), nvarchar_max(statement),
          nvarchar_max(statement, 1), nvarchar_max(statement, 3),
          parameter(bytes{0xef, 34, 0} + collation_latin, little16(2 * size) + utf16(statement)),
          parameter(bytes{0x63} + little32(34) + collation_latin, little32(2 * size) + utf16(statement)),
          parameter(bytes{0xa7, 40, 0} + collation_latin, little16(size) + narrow),
          parameter(bytes{0xa7, 0xff, 0xff} + collation_latin, plp(narrow, 5)),
          parameter(bytes{0xaf, 40, 0} + collation_latin, little16(size) + narrow),
          parameter(bytes{0x23} + little32(100) + collation_latin, little32(size) + narrow),
          parameter({0x27, 100}, bytes{static_cast<uint8_t>(size)} + narrow)}) {
        reading k = read_statement(p);
        assert_false(k.info.broken);
        assert_int_equal(k.texts.size(), 1);
        assert_string_equal(text_of(k).c_str(), statement.c_str());
        assert_int_equal(k.texts[0].scope, tsql_scope::inner);
        assert_int_equal(k.info.effect.turned_on, 0);
        assert_true(k.info.effect.lone_select && !k.info.effect.calls && !k.info.effect.writes);
        assert_int_equal(k.info.calls.at(0).parameters, 3);
    }
}

// A statement that the reader cannot see may be anything.
static void test_statements_that_are_not_to_be_seen(void **) {
    bytes text = nvarchar(statement);
    for (const bytes &p :
         {parameter(nvarchar_info(100), {0xff, 0xff}), parameter(nvarchar_info(0xffff), fill(8, 0xff)),
          parameter(bytes{0x63} + little32(34) + collation_latin, fill(4, 0xff)), int_parameter(1),
          parameter({0x1f}, {}), parameter(bytes{0x62} + little32(100), little32(10) + fill(10)),
          parameter({0xa5, 100, 0}, little16(4) + utf16("SE")),
          parameter({0xa5, 100, 0}, little16(4) + fill(4) + cipher(false), {}, 8),
          parameter(tvp_begin, {0xff, 0xff, 0, 0}), nvarchar(statement, "@params"), nvarchar(statement, "@s")}) {
        reading k = read_statement(p);
        assert_false(k.info.broken);
        const auto &effect = k.info.effect;
        assert_int_equal(effect.turned_on, tsql_dynamic);
        assert_true(effect.calls && effect.transactions && effect.writes && !effect.lone_select);
    }
    assert_int_equal(read_call(by_number(10)).info.effect.turned_on, tsql_dynamic);
    // tiberius: names without their @.
    reading bare = read_call(by_number(10) + nvarchar(statement, "stmt") + nvarchar("@P1 int", "params") +
                             int_parameter(1, "@P1"));
    assert_true(bare.texts.size() == 1 && text_of(bare) == statement && bare.info.effect.turned_on == 0);
    // sp_prepexec with its parameters by name and in another order, as tedious can be made to send it.
    reading k = read_call(by_name("sp_prepexec") + nvarchar("@a int", "@params") + nvarchar(statement, "@stmt") +
                          int_parameter(1, "@a") + int_parameter(0, "@handle", 1));
    assert_int_equal(k.info.effect.turned_on, tsql_dynamic);
}

// A byte that is no ASCII can be half of a character whose other half looks like a bracket.
static void test_statement_in_a_code_page(void **) {
    bytes narrow{'[', 0x8f, ']', ' ', 'x'};
    reading k = read_statement(parameter(bytes{0xa7, 40, 0} + collation_latin, little16(5) + narrow));
    assert_int_equal(k.texts[0].utf16.size(), 10);
    assert_int_equal(k.info.effect.turned_on, tsql_unknown);
    assert_false(k.info.broken);
}

static void test_position_of_the_statement(void **) {
    const struct {
        uint16_t number;
        size_t at;
        bool scanned;
    } procedures[] = {{10, 0, true}, {2, 1, true},   {14, 1, true}, {13, 2, true},
                      {5, 3, true},  {11, 2, false}, {3, 2, false}};
    for (const auto &p : procedures) {
        bytes call = by_number(p.number);
        for (size_t i = 0; i < 6; ++i)
            call = call + nvarchar(i == p.at ? statement : "no statement");
        reading k = read_call(call);
        assert_false(k.info.broken);
        assert_int_equal(k.texts.size(), p.scanned ? 1 : 0);
        if (p.scanned)
            assert_string_equal(text_of(k).c_str(), statement.c_str());
        bool hidden = p.number == 14;
        assert_int_equal(k.info.effect.calls, hidden);
        assert_int_equal(k.info.effect.turned_on, 0);
        assert_int_equal(k.info.effect.lone_select, p.number == 10 || p.number == 13);
    }
}

static void test_calls_that_run_a_handle(void **) {
    for (uint8_t number : bytes{4}) {
        reading k = read_call(by_number(number) + int_parameter(3));
        const auto &effect = k.info.effect;
        assert_true(effect.calls && effect.transactions && effect.writes && effect.turned_on == 0);
    }
    // What sp_execute does is known by the handle: proxy/prepared_calls.
    for (uint8_t number : bytes{6, 7, 8, 9, 11, 12, 15}) {
        const auto effect = read_call(by_number(number) + int_parameter(3)).info.effect;
        assert_true(!effect.calls && !effect.transactions && !effect.writes && effect.turned_on == 0);
    }
    const auto effect = read_call(by_number(1) + int_parameter(3)).info.effect; // sp_cursor: a positioned update
    assert_true(!effect.calls && effect.transactions && effect.writes);
}

static void test_options_of_cursors(void **) {
    bytes options = int_parameter(0x1008, {}, 1) + int_parameter(0x2004, {}, 1) + int_parameter(9, {}, 1);
    bytes text = nvarchar("SELECT 1");
    for (const bytes &call :
         {by_number(2) + int_parameter(5) + text + options, by_number(4) + int_parameter(5) + int_null() + options,
          by_number(5) + int_parameter(5) + int_null() + nvarchar("") + text + options}) {
        reading k = read_call(call);
        const tds_rpc_call &c = k.info.calls.at(0);
        assert_true(c.has_first && c.first == 5 && !c.has_second);
        assert_true(c.has_scroll && c.scroll == 0x1008 && c.has_concurrency && c.concurrency == 0x2004);
    }
    const tds_rpc_call fetch =
        read_call(by_number(7) + int_parameter(180150003) + int_parameter(2) + options).info.calls.at(0);
    assert_true(fetch.first == 180150003 && fetch.second == 2 && !fetch.has_scroll && !fetch.has_concurrency);
}

// --- Several calls ---

static void test_last_values_of_several_calls(void **) {
    bytes run = by_number(10) + nvarchar(statement), unprepare = by_number(15) + int_parameter(1);
    reading one = read_call(run);
    assert_true(one.info.effect.last_uses.size() == 1 && one.info.effect.last_unclear == 0);
    assert_true(one.info.place.kind == tds_text_place::kind_t::parameter);
    reading before = read_call(run + bytes{0xff} + unprepare);
    assert_true(before.info.effect.last_uses.size() == 1 && before.info.effect.last_unclear == 0);
    assert_false(before.info.effect.lone_select);
    // Behind another call or with another text, the value need not be that of the request before.
    for (const bytes &calls : {unprepare + bytes{0xff} + run, run + bytes{0xff} + run}) {
        reading k = read_call(calls);
        assert_true(k.info.effect.last_uses.empty() && k.info.effect.last_unclear == tsql_last_rowcount);
        assert_true(k.info.place.kind == tds_text_place::kind_t::none && !k.info.effect.lone_select);
    }
}

static bytes many(size_t n, const bytes &call) {
    bytes b;
    for (size_t i = 0; i < n; ++i)
        b = b + call + bytes{0xff};
    return b;
}

// A driver's batch of executions is no reason to give up; more handles than are kept are.
static void test_a_thousand_calls(void **) {
    reading k = read_call(many(1000, by_number(10) + nvarchar("INSERT t VALUES (1)")));
    assert_false(k.info.broken);
    assert_int_equal(k.info.calls_count, 1000);
    assert_int_equal(k.info.calls.size(), tds_rpc_calls_max);
    assert_int_equal(k.texts.size(), 1000);
    assert_int_equal(k.info.effect.turned_on, 0);
    assert_false(read_call(many(32, by_number(9) + int_parameter(1))).info.broken);
    assert_true(read_call(many(33, by_number(9) + int_parameter(1))).info.broken);
    assert_true(read_call(many(1000, by_number(12) + int_parameter(1)) + by_number(2)).info.broken);
    assert_false(read_call(many(1000, by_number(12) + int_parameter(1)) + by_number(11)).info.broken);
}

static void test_a_hundred_thousand_parameters(void **) {
    bytes payload = headers() + by_name("p");
    for (size_t i = 0; i < 100000; ++i)
        for (uint8_t b : bytes{0, 0, 0x26, 1, 1, 9})
            payload.push_back(b);
    reading k = read_pieces(rpc, payload, pieces_of(payload.size(), 4088));
    assert_false(k.info.broken);
    assert_int_equal(k.info.calls.at(0).parameters, 100000);
}

// --- Table-valued parameters ---

static bool tvp_is_read(const bytes &rest) {
    reading k = read_call(by_name("p") + parameter(tvp_begin, rest) + int_parameter(77));
    return !k.info.broken && k.info.calls.at(0).parameters == 2 && k.info.calls[0].second == 77;
}

static void test_tvp(void **) {
    bytes columns = tvp_columns(), row = tvp_row(), ordered = tvp_row_in_order(), end{0};
    assert_true(tvp_is_read(columns + end + end));
    assert_true(tvp_is_read(columns + end + row + row + row + end));
    assert_true(tvp_is_read(columns + tvp_unique + end + row + end));
    assert_true(tvp_is_read(columns + tvp_order + end + ordered + ordered + end));
    assert_true(tvp_is_read(columns + tvp_order + tvp_unique + end + ordered + end));
    assert_true(tvp_is_read(bytes{0xff, 0xff, 0, 0}));
    assert_true(tvp_is_read(little16(1) + tvp_column({0x38}, 0x200) + end + bytes{1, 1, 1} + end)); // rows of nothing
}

static void test_tvp_that_is_not_well_formed(void **) {
    bytes columns = tvp_columns(), row = tvp_row(), end{0};
    bytes twice = bytes{0x11} + little16(4) + little16(1) + little16(2) + little16(2) + little16(3);
    bytes outside = bytes{0x11} + little16(4) + little16(1) + little16(2) + little16(5) + little16(3);
    bytes from_zero = bytes{0x11} + little16(4) + little16(0) + little16(1) + little16(2) + little16(3);
    bytes too_few = bytes{0x11} + little16(2) + little16(1) + little16(2);
    for (const bytes &bad :
         {columns + tvp_unique + tvp_unique + end + row + end, columns + tvp_order + tvp_order + end + row + end,
          columns + twice + end + row + end, columns + outside + end + row + end, columns + from_zero + end + row + end,
          columns + too_few + end + row + end, columns + bytes{0x12} + end + row + end, columns + end + bytes{2},
          little16(0) + end + end, little16(1025) + end + end})
        assert_false(tvp_is_read(bad));
}

static void test_tvp_with_many_columns(void **) {
    bytes columns = little16(1024), row{1};
    for (int i = 0; i < 1024; ++i) {
        columns = columns + tvp_column({0x34}, i % 2 == 0 ? 0 : 0x200);
        if (i % 2 == 0)
            row = row + little16(static_cast<uint32_t>(i));
    }
    assert_true(tvp_is_read(columns + bytes{0} + row + row + bytes{0}));
}

static void test_cipher_info(void **) {
    for (bool named : {false, true}) {
        bytes value = little16(30) + fill(30) + cipher(named);
        reading k = read_call(by_name("p") + parameter({0xa5, 0x40, 0x1f}, value, "@a", 8) + int_parameter(5));
        assert_false(k.info.broken);
        assert_int_equal(k.info.calls.at(0).second, 5);
    }
    // An encrypted int is none.
    reading k = read_call(by_name("p") + parameter({0x26, 4}, bytes{4} + little32(1) + cipher(false), "@a", 8));
    assert_false(k.info.broken || k.info.calls.at(0).has_first);
}

// --- Transaction manager ---

static tds_request_info read_transaction(const bytes &request) {
    return read_whole(transaction, headers(3) + request).info;
}

static void test_transaction_requests(void **) {
    bytes name = bytes{4} + utf16("tx"), none{0};
    auto begin = read_transaction(little16(5) + bytes{4} + none);
    assert_true(!begin.broken && begin.tm_type == tds_tm_begin && begin.tm_begins && begin.tm_isolation == 4);
    assert_true(begin.effect.transactions && !begin.effect.calls && !begin.effect.empty && begin.descriptor == 3);
    for (uint16_t type : {tds_tm_commit, tds_tm_rollback}) {
        auto alone = read_transaction(little16(type) + none + none);
        assert_true(!alone.broken && !alone.tm_begins && !alone.tm_savepoint && alone.tm_isolation == 0);
        auto named = read_transaction(little16(type) + name + none);
        assert_int_equal(named.tm_savepoint, type == tds_tm_rollback);
        auto again = read_transaction(little16(type) + none + bytes{1, 2} + name);
        assert_true(!again.broken && again.tm_begins && again.tm_isolation == 2 && !again.tm_savepoint);
    }
    assert_false(read_transaction(little16(9) + name).broken);
    assert_false(read_transaction(little16(6)).broken);
    assert_false(read_transaction(little16(1) + little16(3) + fill(3)).broken);
    for (const bytes &bad :
         {little16(2), little16(5) + bytes{6} + none, little16(5) + bytes{1, 0, 0}, little16(6) + none,
          little16(7) + none, little16(7) + none + bytes{1, 0}, little16(5) + bytes{1, 5, 0}})
        assert_true(read_transaction(bad).broken);
}

// --- Broken ones ---

static void test_broken_request_may_have_done_anything(void **) {
    reading k = read_call(by_number(10) + nvarchar(statement) + fill(3, 0x85));
    const auto &effect = k.info.effect;
    assert_true(k.info.broken && effect.turned_on == tsql_unknown);
    assert_true(effect.calls && effect.transactions && effect.writes && !effect.lone_select && !effect.empty);
    assert_true(effect.last_uses.empty() && effect.last_unclear == tsql_last_rowcount);
    assert_true(k.info.place.kind == tds_text_place::kind_t::none);
}

// A connection that ends in the middle of a message leaves nothing behind for the next one.
static void test_reader_is_used_again(void **) {
    tsql_scanner scanner;
    tds_request_reader *r = tds_request_reader_create(&scanner);
    bytes cut = headers() + by_number(10) + nvarchar_max("SELECT 'not to the end", 7);
    for (size_t size = 0; size < cut.size(); size += 7) {
        {
            tds_request_info left;
            tds_request_begin(r, tds_type_rpc, tds_7_4, false, left);
            tds_request_feed(r, std::span(cut).first(size));
        }
        tds_request_info info;
        bytes payload = headers() + utf16("SELECT 1");
        tds_request_begin(r, tds_type_sql_batch, tds_7_4, false, info);
        tds_request_feed(r, payload);
        tds_request_end(r);
        assert_true(!info.broken && info.effect.lone_select && info.calls_count == 0);
        assert_string_equal(tds_utf8(scanner.texts.back().utf16).c_str(), "SELECT 1");
    }
    tds_request_reader_destroy(r);
}

// --- Other text in its place ---

// The payload with `text` for its statement, read again; empty: it could not be put.
static bytes replaced(const request_kind &kind, const bytes &payload, std::string_view text) {
    reading k = read_whole(kind, payload);
    bytes out{0xee};
    bool put = tds_request_put_text(payload, k.info, utf16(text), out);
    assert_int_equal(out.front(), 0xee);
    out.erase(out.begin());
    assert_int_equal(put, !out.empty());
    if (!put)
        return {};
    reading again = read_whole(kind, out);
    assert_false(again.info.broken);
    assert_int_equal(again.texts.size(), 1);
    assert_string_equal(text_of(again).c_str(), std::string(text).c_str());
    assert_int_equal(again.info.calls_count, k.info.calls_count);
    if (k.info.calls_count > 0)
        assert_int_equal(again.info.calls[0].parameters, k.info.calls[0].parameters);
    return out;
}

static void test_text_of_any_length_is_put(void **) {
    std::string longest(4000, 'x'), longer(4001, 'x');
    bytes tail = nvarchar("@a int") + int_parameter(6, "@a"), front = headers() + by_number(10);
    bytes ntext = parameter(bytes{0x63} + little32(34) + collation_latin, little32(34) + utf16(statement));
    for (const std::string &text : {std::string("x"), std::string(), longest, longer, std::string(100000, 'y')}) {
        auto size = static_cast<uint32_t>(2 * text.size());
        bytes full = utf16(text);
        assert_true(replaced(batch, headers(1) + utf16(statement), text) == headers(1) + full);
        bytes in_plp = text.empty() ? plp({}, 1, 0) : plp(full, full.size(), size);
        assert_true(replaced(rpc, front + nvarchar_max(statement) + tail, text) ==
                    front + parameter(nvarchar_info(0xffff), in_plp) + tail);
        bytes as_short = parameter(nvarchar_info(8000), little16(size) + full);
        bytes as_max = parameter(nvarchar_info(0xffff), in_plp);
        assert_true(replaced(rpc, front + nvarchar(statement) + tail, text) ==
                    front + (size > 8000 ? as_max : as_short) + tail);
        bytes as_ntext =
            parameter(bytes{0x63} + little32(std::max(size, 34U)) + collation_latin, little32(size) + full);
        assert_true(replaced(rpc, front + ntext + tail, text) == front + as_ntext + tail);
    }
    // Without collation.
    bytes in_70 = by_number(10) + parameter({0xe7, 34, 0}, little16(34) + utf16(statement)) + int_parameter(1);
    assert_true(replaced({tds_type_rpc, tds_7_0}, in_70, "x") ==
                by_number(10) + parameter({0xe7, 34, 0}, little16(2) + utf16("x")) + int_parameter(1));
    // The type's largest length grows with the text.
    bytes exact = front + parameter(nvarchar_info(34), little16(34) + utf16(statement)) + tail;
    assert_true(replaced(rpc, exact, "SELECT 12345678901234") ==
                front + parameter(nvarchar_info(42), little16(42) + utf16("SELECT 12345678901234")) + tail);
}

static void test_text_that_cannot_be_put(void **) {
    std::string longer(4001, 'x');
    bytes narrow(statement.begin(), statement.end());
    assert_true(replaced({tds_type_rpc, tds_7_1}, by_number(10) + nvarchar(statement), longer).empty());
    assert_false(replaced({tds_type_rpc, tds_7_1}, by_number(10) + nvarchar(statement), "x").empty());
    bytes front = headers() + by_number(10);
    for (const bytes &call :
         {nvarchar_max(statement, 4), nvarchar(""), nvarchar_max(""),
          parameter(bytes{0xa7, 40, 0} + collation_latin, little16(17) + narrow), nvarchar(statement) + fill(3, 0x85)})
        assert_true(replaced(rpc, front + call, "x").empty());
    // An odd number of bytes, and a payload that is another one.
    bytes payload = front + nvarchar(statement), out;
    reading k = read_whole(rpc, payload);
    assert_false(tds_request_put_text(payload, k.info, fill(3), out));
    assert_false(tds_request_put_text(std::span(payload).first(payload.size() - 2), k.info, fill(2), out));
    assert_true(out.empty());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_at_every_split),
        cmocka_unit_test(test_every_request_cut_anywhere),
        cmocka_unit_test(test_every_byte_spoilt),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_empty_batch),
        cmocka_unit_test(test_odd_batch),
        cmocka_unit_test(test_enclave_package),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_procedures_by_number),
        cmocka_unit_test(test_procedures_by_name),
        cmocka_unit_test(test_names_that_are_too_long),
        cmocka_unit_test(test_other_procedure),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_places_of_a_call),
        cmocka_unit_test(test_separators),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_types_that_do_not_exist),
        cmocka_unit_test(test_lengths_that_lie),
        cmocka_unit_test(test_statements_in_every_type),
        cmocka_unit_test(test_statements_that_are_not_to_be_seen),
        cmocka_unit_test(test_statement_in_a_code_page),
        cmocka_unit_test(test_position_of_the_statement),
        cmocka_unit_test(test_calls_that_run_a_handle),
        cmocka_unit_test(test_options_of_cursors),
        cmocka_unit_test(test_last_values_of_several_calls),
        cmocka_unit_test(test_a_thousand_calls),
        cmocka_unit_test(test_a_hundred_thousand_parameters),
        cmocka_unit_test(test_tvp),
        cmocka_unit_test(test_tvp_that_is_not_well_formed),
        cmocka_unit_test(test_tvp_with_many_columns),
        cmocka_unit_test(test_cipher_info),
        cmocka_unit_test(test_transaction_requests),
        cmocka_unit_test(test_broken_request_may_have_done_anything),
        cmocka_unit_test(test_reader_is_used_again),
        cmocka_unit_test(test_text_of_any_length_is_put),
        cmocka_unit_test(test_text_that_cannot_be_put),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
