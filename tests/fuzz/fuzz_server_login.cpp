// Fuzz target: the proxy's login at a server that may send anything. The last byte decides the policy and the size of
// the reads.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/server_login.h"
#include "tds/login7_build.h"
#include "tds/packet.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

static const tls_client_context *context() {
    static tls_client_context *made = [] {
        std::string error;
        return tls_client_context_create({}, error);
    }();
    return made;
}

static std::vector<uint8_t> login7(unsigned choice) {
    static constexpr uint8_t fedauth[] = {tds_feature_fedauth, 2, 0, 0, 0, 0x04, 0x01};
    static constexpr uint32_t versions[] = {tds_7_4, tds_7_1_sp1, tds_8_0, tds_7_0};
    tds_login7_request request;
    request.version = versions[choice % 4];
    request.password = "secret";
    request.features = fedauth;
    std::vector<uint8_t> payload;
    require(tds_login7_build(request, payload));
    return payload;
}

static void check_settled(server_login *c, server_login_result result) {
    const tds_login_answer &answer = server_login_answer(c);
    require((result == server_login_result::done) == (answer.outcome == tds_login_outcome::accepted));
    require(!server_login_payload(c).empty());
    uint32_t size = server_login_packet_size(c);
    require(size >= 512 && size <= tds_packet_size_max);
}

static server_login_result feed(server_login *c, std::span<const uint8_t> in, size_t piece) {
    auto result = server_login_feed(c, {}, nullptr);
    while (!in.empty()) {
        size_t consumed = 0, n = std::min(piece, in.size());
        result = server_login_feed(c, in.first(n), &consumed);
        in = in.subspan(consumed);
        server_login_sent(c, server_login_output(c).size() / 2);
        if (result == server_login_result::token) {
            check_settled(c, result);
            server_login_send(c, tds_type_sspi, in.first(std::min<size_t>(in.size(), 10)));
        } else if (result == server_login_result::done || result == server_login_result::refused) {
            return result;
        } else {
            require(consumed == n);
        }
    }
    return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static constexpr server_tls policies[] = {server_tls::disable, server_tls::prefer, server_tls::require,
                                              server_tls::strict};
    unsigned choice = size == 0 ? 0U : data[size - 1];
    server_login_options options;
    options.tls_policy = policies[choice % 4];
    options.tls = context();
    options.host = "db.example";
    options.fedauth_required = choice % 8 >= 4;
    server_login *c = server_login_create(options, login7(choice / 8));
    require(c != nullptr);
    auto result = feed(c, {data, size}, choice / 4 + 1);
    if (result == server_login_result::done || result == server_login_result::refused)
        check_settled(c, result);
    require((result == server_login_result::failed) != server_login_error_text(c).empty());
    server_login_destroy(c);
    return 0;
}
