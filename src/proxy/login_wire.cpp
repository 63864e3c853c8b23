#include "proxy/login_wire.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tds/response.h"
#include "tls/tls_record.h"

static size_t take_header(login_unit &unit, std::span<const uint8_t> in, size_t size) {
    size_t n = std::min<size_t>(size - unit.have, in.size());
    memcpy(unit.header + unit.have, in.data(), n);
    unit.have = static_cast<uint8_t>(unit.have + n);
    return n;
}

static login_unit_result take_body(login_unit &unit, tls_engine *engine, std::span<const uint8_t> in,
                                   size_t &consumed) {
    consumed = std::min<size_t>(unit.left, in.size());
    if (!tls_engine_feed(engine, in.first(consumed)))
        return login_unit_result::overflow;
    unit.left -= static_cast<uint32_t>(consumed);
    if (unit.left > 0)
        return login_unit_result::more;
    unit = {};
    return login_unit_result::complete;
}

login_unit_result login_unit_record(login_unit &unit, tls_engine *engine, std::span<const uint8_t> in,
                                    size_t &consumed) {
    if (unit.have == tls_record_header_size)
        return take_body(unit, engine, in, consumed);
    consumed = take_header(unit, in, tls_record_header_size);
    size_t size = 0;
    std::span<const uint8_t> header(unit.header, unit.have);
    switch (tls_record_parse(header, size)) {
    case tls_record_result::error: return login_unit_result::malformed;
    case tls_record_result::more: return login_unit_result::more;
    case tls_record_result::ok: break;
    }
    unit.left = static_cast<uint32_t>(size - tls_record_header_size);
    return tls_engine_feed(engine, header) ? login_unit_result::more : login_unit_result::overflow;
}

login_unit_result login_unit_packet(login_unit &unit, tls_engine *engine, size_t limit, std::span<const uint8_t> in,
                                    size_t &consumed) {
    if (unit.have == tds_header_size)
        return take_body(unit, engine, in, consumed);
    consumed = take_header(unit, in, tds_header_size);
    if (unit.have < tds_header_size)
        return login_unit_result::more;
    tds_header h;
    if (tds_header_parse(unit.header, limit, h) != tds_header_result::ok || h.length == tds_header_size)
        return login_unit_result::malformed;
    unit.left = static_cast<uint32_t>(h.length - tds_header_size);
    return login_unit_result::more;
}

bool login_flight_bare(tls_engine *engine, iobuf &out, size_t limit) {
    auto cipher = tls_engine_output(engine);
    bool fits = iobuf_append(out, cipher, limit);
    tls_engine_sent(engine, cipher.size());
    return fits;
}

bool login_flight_wrapped(tls_engine *engine, uint16_t spid, iobuf &out, size_t limit) {
    auto cipher = tls_engine_output(engine);
    if (cipher.empty())
        return true;
    std::vector<uint8_t> packets;
    tds_put_message(packets, tds_type_prelogin, cipher, tds_initial_packet_size, spid);
    tls_engine_sent(engine, cipher.size());
    return iobuf_append(out, packets, limit);
}
