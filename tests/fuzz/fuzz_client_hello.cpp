// Fuzz target: the reader of TLS ClientHellos. What it says of a prefix must agree with what it says of the whole.
#include <cstdint>
#include <cstdlib>

#include "tls/client_hello.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tls_client_hello whole, part;
    auto result = tls_client_hello_parse({data, size}, whole);
    auto earlier = tls_client_hello_parse({data, size / 2}, part);
    if (result == tls_hello_result::more)
        require(earlier == tls_hello_result::more);
    if (earlier == tls_hello_result::error)
        require(result == tls_hello_result::error);
    if (earlier == tls_hello_result::ok)
        require(result == tls_hello_result::ok && part.server_name == whole.server_name);
    require(whole.server_name.size() <= 255 || result != tls_hello_result::ok);
    return 0;
}
