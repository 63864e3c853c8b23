// Calls of prepared statements: their heads as the reader gives them, and what is put in their place.
#include "tds/prepared_call.h"

#include "cmocka_cpp.h"

#include "tds/request_stream.h"

static const bytes value = nvarchar("a value"), output = int_parameter(5, "", 1);

// The heads of a message that is read in pieces; what may be passed on never leads into one that is not complete.
static std::vector<tds_rpc_call> heads_of(const bytes &payload, size_t piece, uint32_t version = tds_7_4) {
    tsql_scanner *scanner = tsql_scanner_create();
    tds_request_reader *reader = tds_request_reader_create(scanner);
    tds_request_info info;
    tds_request_begin(reader, tds_type_rpc, version, false, info);
    for (size_t at = 0; at < payload.size(); at += piece) {
        size_t n = std::min(piece, payload.size() - at), before = info.heads.size();
        tds_request_feed(reader, std::span(payload).subspan(at, n));
        for (size_t i = before; i < info.heads.size(); ++i)
            assert_true(info.heads[i].end <= at + n);
        assert_true(tds_request_held(reader) <= at + n);
        if (!info.heads.empty())
            assert_true(tds_request_held(reader) >= info.heads.back().end);
    }
    tds_request_end(reader);
    assert_false(info.broken);
    tds_request_reader_destroy(reader);
    tsql_scanner_destroy(scanner);
    return std::move(info.heads);
}

static std::vector<tds_rpc_call> heads_of(const bytes &payload, uint32_t version = tds_7_4) {
    auto heads = heads_of(payload, payload.size(), version);
    for (size_t piece : {1, 2, 3, 7})
        assert_true(heads_of(payload, piece, version) == heads);
    return heads;
}

static std::span<const uint8_t> head_in(const bytes &payload, const tds_rpc_call &call) {
    return std::span(payload).subspan(call.at, call.end - call.at);
}

static bytes executing(int32_t handle, uint16_t options = 0) {
    return by_number(12, options) + int_parameter(handle, "@handle");
}

static void heads_come_as_soon_as_they_are_read(void **) {
    bytes payload = headers() + executing(3) + value + bytes{0xff} + by_number(10) + nvarchar("SELECT 1") +
                    bytes{0xff} + by_number(13) + int_null() + nvarchar("@a int") + nvarchar("SELECT @a") + value +
                    bytes{0xff} + by_name("sp_unprepare") + int_parameter(9) + bytes{0xff} + by_number(15);
    auto heads = heads_of(payload);
    assert_int_equal(heads.size(), 4);
    assert_int_equal(heads[0].first, 3);
    assert_int_equal(heads[0].parameters, 1);
    assert_true(heads[1].proc == tds_proc::prepexec && heads[1].null_first && heads[1].parameters == 3);
    assert_int_equal(heads[1].index, 2);
    assert_true(heads[2].proc == tds_proc::unprepare && heads[2].first == 9);
    assert_int_equal(heads[3].parameters, 0);
}

static void heads_below_7_2(void **) {
    bytes payload = executing(3) + value + bytes{0x80} + executing(4);
    auto heads = heads_of(payload, tds_7_1);
    assert_true(heads.size() == 2 && heads[1].first == 4);
}

static void a_handle_is_put_in_place(void **) {
    bytes payload = headers() + executing(0x20000001) + value, out(payload.begin(), payload.begin() + 22);
    auto call = heads_of(payload).at(0);
    tds_put_handle(call, head_in(payload, call), 77, out);
    assert_true(out + value == headers() + executing(77) + value);
    bytes wide = headers() + by_number(12) + parameter({0x26, 8}, bytes{8} + little64(1));
    call = heads_of(wide).at(0);
    out.clear();
    tds_put_handle(call, head_in(wide, call), 77, out);
    assert_true(headers() + out == headers() + by_number(12) + parameter({0x26, 8}, bytes{8} + little64(77)));
}

// What is read of a call by which another is replaced, with the values of the first behind it.
static tds_rpc_call reread(const bytes &replaced, const bytes &rest) {
    return heads_of(headers() + replaced + rest).at(0);
}

static void an_execution_becomes_a_prepexec(void **) {
    bytes preparing =
        headers() + by_number(11) + int_null() + nvarchar("@a int", "@params") + nvarchar("SELECT @a", "@stmt");
    tds_prepared_text text;
    auto prepare = heads_of(preparing).at(0);
    assert_true(tds_prepared_text_read(prepare, head_in(preparing, prepare), text));
    bytes payload = headers() + executing(3, 0x0003) + output + value, out;
    auto call = heads_of(payload).at(0);
    tds_put_prepexec(call, head_in(payload, call), text, out);
    assert_true(out == by_number(13, 0x0001) + int_null() + nvarchar("@a int") + nvarchar("SELECT @a"));
    auto again = reread(out, output + value);
    assert_true(again.proc == tds_proc::prepexec && again.null_first && !again.swapped);
    tds_prepared_text once_more;
    assert_true(tds_prepared_text_read(again, out, once_more) && once_more == text);
}

static void what_is_not_all_there_is_no_text(void **) {
    tds_prepared_text text;
    for (const bytes &call : {by_number(11) + int_null() + nvarchar("@a int"), by_number(13) + int_null(),
                              by_number(13) + int_null() + nvarchar("SELECT 1", "@stmt") + nvarchar("", "@params")}) {
        bytes payload = headers() + call;
        auto head = heads_of(payload).at(0);
        assert_false(tds_prepared_text_read(head, head_in(payload, head), text));
    }
}

static bytes without_handle(const bytes &handle) {
    bytes payload = headers() + by_number(13) + handle + nvarchar("") + nvarchar("SELECT 1"), out;
    auto call = heads_of(payload).at(0);
    tds_put_no_handle(call, head_in(payload, call), out);
    return out;
}

static void an_old_handle_becomes_null(void **) {
    bytes rest = nvarchar("") + nvarchar("SELECT 1");
    assert_true(without_handle(int_parameter(5, "", 1)) == by_number(13) + int_null() + rest);
    assert_true(without_handle(int_null()) == by_number(13) + int_null() + rest);
    assert_true(without_handle(parameter({0x38}, little32(5), {}, 1)) ==
                by_number(13) + parameter({0x38}, little32(0), {}, 1) + rest);
}

static void an_unprepare_becomes_nothing(void **) {
    bytes payload = headers() + by_name("sp_unprepare", 2) + int_parameter(5), out;
    auto call = heads_of(payload).at(0);
    tds_put_nothing(call, head_in(payload, call), out);
    assert_true(heads_of(headers() + out).empty());
    out.clear();
    tds_put_no_procedure(call, head_in(payload, call), out);
    assert_true(heads_of(headers() + out).empty());
    assert_true(std::equal(out.end() - 9, out.end(), payload.end() - 9));
}

static void a_head_that_never_comes_is_let_go(void **) {
    tsql_scanner *scanner = tsql_scanner_create();
    tds_request_reader *reader = tds_request_reader_create(scanner);
    tds_request_info info;
    bytes payload = headers() + by_number(11) + int_null() + nvarchar("@a int") + nvarchar_max(std::string(5000, 'x'));
    payload.resize(payload.size() - 100);
    tds_request_begin(reader, tds_type_rpc, tds_7_4, false, info);
    tds_request_feed(reader, payload);
    assert_int_equal(tds_request_held(reader), headers().size());
    assert_true(tds_request_let_go(reader).proc == tds_proc::prepare);
    assert_int_equal(tds_request_held(reader), payload.size());
    assert_true(tds_request_let_go(reader).proc == tds_proc::other && info.heads.empty());
    tds_request_reader_destroy(reader);
    tsql_scanner_destroy(scanner);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(heads_come_as_soon_as_they_are_read),
        cmocka_unit_test(heads_below_7_2),
        cmocka_unit_test(a_handle_is_put_in_place),
        cmocka_unit_test(an_execution_becomes_a_prepexec),
        cmocka_unit_test(what_is_not_all_there_is_no_text),
        cmocka_unit_test(an_old_handle_becomes_null),
        cmocka_unit_test(an_unprepare_becomes_nothing),
        cmocka_unit_test(a_head_that_never_comes_is_let_go),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
