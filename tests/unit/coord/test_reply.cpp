// Replies of any shape are read without a crash, and INFO's text without a mistake.
#include <cstring>

#include "cmocka_cpp.h"

#include <hiredis/hiredis.h>

#include "coord/redis_reply.h"

// Parses one RESP reply with hiredis' own reader.
struct parsed {
    redisReader *reader = redisReaderCreate();
    redisReply *reply = nullptr;
    explicit parsed(const char *resp) {
        redisReaderFeed(reader, resp, strlen(resp));
        void *out = nullptr;
        assert_int_equal(redisReaderGetReply(reader, &out), REDIS_OK);
        reply = static_cast<redisReply *>(out);
    }
    ~parsed() {
        if (reply != nullptr)
            freeReplyObject(reply);
        redisReaderFree(reader);
    }
};

static void test_wrong_shapes(void **) {
    for (const char *resp : {"+OK\r\n", "-ERR no\r\n", ":5\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "$2\r\nab\r\n"}) {
        parsed p(resp);
        assert_null(reply_element(p.reply, 0));
        assert_int_equal(reply_strings(p.reply).size(), 0);
        assert_int_equal(reply_integers(p.reply).size(), 0);
    }
    assert_int_equal(reply_integer(nullptr, 9), 9);
    assert_null(reply_element(nullptr, 0));
    assert_int_equal(reply_text(nullptr).size(), 0);
    assert_false(reply_is_error(nullptr));
}

static void test_right_shapes(void **) {
    parsed p("*3\r\n:-4\r\n*2\r\n$2\r\na1\r\n$2\r\na2\r\n*2\r\n:7\r\n$1\r\nx\r\n");
    assert_int_equal(reply_integer(reply_element(p.reply, 0), 0), -4);
    assert_true(reply_strings(reply_element(p.reply, 1)) == (std::vector<std::string>{"a1", "a2"}));
    assert_true(reply_integers(reply_element(p.reply, 2)) == (std::vector<int64_t>{7, 0}));
    assert_null(reply_element(p.reply, 3));
    parsed e("-NOSCRIPT No matching script.\r\n");
    assert_true(reply_is_error(e.reply) && reply_is_noscript(e.reply));
    parsed o("-OOM no\r\n");
    assert_false(reply_is_noscript(o.reply));
}

static void test_info(void **) {
    const char *info = "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\nlast:1";
    assert_true(info_value(info, "maxmemory_policy") == "allkeys-lru");
    assert_true(info_value(info, "maxmemory") == "0");
    assert_true(info_value(info, "last") == "1");
    assert_true(info_value(info, "policy").empty());
    assert_true(info_value("", "x").empty());
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_right_shapes),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
