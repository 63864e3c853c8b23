#include "proxy/greeting.h"

#include "proxy/proxy.h"
#include "proxy/router.h"
#include "tds/packet.h"
#include "tds/prelogin.h"
#include "tls/client_hello.h"

static greeting_result read_prelogin(std::span<const uint8_t> bytes, greeting &out) {
    tds_message_reader reader;
    tds_message_start(reader, tds_type_prelogin, tds_initial_packet_size, tds_initial_packet_size);
    size_t consumed = 0;
    switch (tds_message_read(reader, bytes, consumed)) {
    case tds_read_result::more: return greeting_result::more;
    case tds_read_result::error: out.error = tds_read_error_text(reader.error); return greeting_result::error;
    case tds_read_result::complete: break;
    }
    tds_prelogin options;
    tds_prelogin_error error = tds_prelogin_parse(tds_message_payload(reader), options);
    if (error == tds_prelogin_error::none)
        return greeting_result::complete;
    out.error = tds_prelogin_error_text(error);
    return greeting_result::error;
}

// The first packet has to be there in full; the server judges what is in it.
static greeting_result read_login7(std::span<const uint8_t> bytes, greeting &out) {
    tds_header header;
    switch (tds_header_parse(bytes, tds_initial_packet_size, header)) {
    case tds_header_result::more: return greeting_result::more;
    case tds_header_result::ok: break;
    default: out.error = "LOGIN7 packet of a wrong length"; return greeting_result::error;
    }
    return bytes.size() < header.length ? greeting_result::more : greeting_result::complete;
}

static greeting_result read_client_hello(std::span<const uint8_t> bytes, greeting &out) {
    tls_client_hello hello;
    switch (tls_client_hello_parse(bytes, hello)) {
    case tls_hello_result::more: return greeting_result::more;
    case tls_hello_result::error: out.error = "not a TLS ClientHello"; return greeting_result::error;
    case tls_hello_result::ok: break;
    }
    out.server_name = hello.server_name;
    return greeting_result::complete;
}

greeting_result greeting_read(std::span<const uint8_t> bytes, greeting &out) {
    if (bytes.empty())
        return greeting_result::more;
    switch (bytes[0]) {
    case tds_type_prelogin: out.kind = greeting_kind::prelogin; return read_prelogin(bytes, out);
    case tds_type_login7: out.kind = greeting_kind::login7; return read_login7(bytes, out);
    case 0x16: out.kind = greeting_kind::client_hello; return read_client_hello(bytes, out);
    case tds_type_old_login: out.error = "TDS 4.2 or 5.0 login"; return greeting_result::error;
    case 0x53: out.error = "SMP before login"; return greeting_result::error;
    default: out.error = "not TDS"; return greeting_result::error;
    }
}

proxy_bucket *greeting_choose_bucket(proxy *root, const greeting &g) {
    route_request request;
    request.sni = g.server_name;
    route r = router_route(*root->conf, request);
    return r.bucket >= 0 ? root->routed[static_cast<size_t>(r.bucket)] : nullptr;
}
