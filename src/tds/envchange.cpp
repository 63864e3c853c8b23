#include "tds/envchange.h"

#include "tds/bytes.h"
#include "tds/packet.h"
#include "tds/utf16.h"

// How a value of this type is written: bytes of its length field (0: unknown type), and bytes per unit of the length.
struct value_form {
    uint8_t length_size;
    uint8_t unit;
};

static value_form form_of(uint8_t type) {
    if ((type >= 1 && type <= 6) || type == 13 || type == 19)
        return {1, 2};
    if ((type >= 7 && type <= 12) || (type >= 16 && type <= 18))
        return {1, 1};
    if (type == tds_env_routing || type == tds_env_routing_enhanced)
        return {2, 1};
    return {0, 0};
}

static bool take_value(std::span<const uint8_t> &in, value_form form, std::span<const uint8_t> &out) {
    if (in.size() < form.length_size)
        return false;
    size_t n = (form.length_size == 1 ? in[0] : get_u16le(in.data())) * size_t{form.unit};
    if (n > in.size() - form.length_size)
        return false;
    out = in.subspan(form.length_size, n);
    in = in.subspan(form.length_size + n);
    return true;
}

bool tds_envchange_next(std::span<const uint8_t> &rest, tds_envchange &out) {
    if (rest.empty())
        return false;
    auto in = rest.subspan(1);
    out = {rest[0], {}, {}};
    auto form = form_of(out.type);
    if (form.length_size == 0) {
        out.new_value = in;
        rest = {};
        return true;
    }
    if (!take_value(in, form, out.new_value) || !take_value(in, form, out.old_value))
        return false;
    rest = in;
    return true;
}

// US_VARCHAR
static bool take_text(std::span<const uint8_t> &in, std::string &out) {
    std::span<const uint8_t> value;
    if (!take_value(in, {2, 2}, value))
        return false;
    out = tds_utf8(value);
    return true;
}

bool tds_routing_parse(uint8_t type, std::span<const uint8_t> new_value, tds_routing &out) {
    out = {};
    if (new_value.size() < 3 || new_value[0] != 0)
        return false;
    tds_routing r;
    r.type = type;
    r.port = get_u16le(new_value.data() + 1);
    auto in = new_value.subspan(3);
    if (r.port == 0 || !take_text(in, r.server) || r.server.empty())
        return false;
    if (type == tds_env_routing_enhanced && !take_text(in, r.database))
        return false;
    out = r;
    return true;
}

uint32_t tds_envchange_packet_size(std::span<const uint8_t> new_value) {
    uint32_t size = 0;
    for (size_t i = 0; i + 1 < new_value.size(); i += 2) {
        uint32_t unit = get_u16le(new_value.data() + i);
        if (unit < '0' || unit > '9')
            return 0;
        size = size * 10 + (unit - '0');
        if (size > tds_packet_size_max)
            return 0;
    }
    return size;
}
