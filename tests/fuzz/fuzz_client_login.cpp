// Fuzz target: a whole login as the proxy answers it. The last byte decides the policy and the size of the reads.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proxy/client_login.h"

static const tls_context *context() {
    static tls_context *made = [] {
        tls_context_options options;
        options.self_signed = tls_self_signed::ecdsa;
        std::string error;
        return tls_context_create(options, error);
    }();
    return made;
}

static void require(bool condition) {
    if (!condition)
        abort();
}

static client_login_result feed(client_login *c, std::span<const uint8_t> in, size_t piece) {
    auto result = client_login_result::more;
    while (!in.empty() && result != client_login_result::ready) {
        size_t consumed = 0, n = std::min(piece, in.size());
        result = client_login_feed(c, in.first(n), &consumed);
        require(consumed == n || result == client_login_result::ready);
        in = in.subspan(consumed);
        require(client_login_output(c).size() <= 128 * 1024);
        client_login_sent(c, client_login_output(c).size() / 2);
    }
    return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned choice = size == 0 ? 0U : data[size - 1];
    client_login_options options;
    options.tls = context();
    options.policy = static_cast<tds_tls_policy>(choice % 3);
    client_login *c = client_login_create(options);
    require(c != nullptr);
    auto result = feed(c, {data, size}, choice / 3 + 1);
    if (result == client_login_result::ready) {
        client_login_answer_error(c, proxy_error::queue_full);
        require(!client_login_output(c).empty());
        result = client_login_feed(c, {}, nullptr);
        require(result == client_login_result::closed);
    }
    if (result == client_login_result::closed)
        require(!client_login_error_text(c).empty());
    client_login_destroy(c);
    return 0;
}
