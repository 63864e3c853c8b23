#include "tds/prepared_call.h"

#include "tds/bytes.h"
#include "tds/login7.h"

static constexpr uint16_t by_number = 0xffff;
static constexpr uint16_t with_recompile = 0x0001; // of OptionFlags; the others are about metadata that has been sent
static constexpr uint8_t by_reference = 0x01;
static constexpr uint8_t type_intn = 0x26;

using bytes = std::span<const uint8_t>;

static void put(std::vector<uint8_t> &out, bytes part) {
    out.insert(out.end(), part.begin(), part.end());
}

// Offsets of a call count from the payload's beginning.
static size_t in_head(const tds_rpc_call &call, uint64_t at) {
    return static_cast<size_t>(at - call.at);
}

// A parameter without its name.
static std::vector<uint8_t> bare(bytes parameter) {
    size_t name = 1 + 2 * size_t{parameter[0]};
    return {parameter.begin() + static_cast<ptrdiff_t>(name), parameter.end()};
}

bool tds_prepared_text_read(const tds_rpc_call &call, bytes head, tds_prepared_text &text) {
    if (call.parameters < 3 || call.swapped)
        return false;
    size_t declaration = in_head(call, call.parameter_at[1]), statement = in_head(call, call.parameter_at[2]);
    text.declaration = bare(head.subspan(declaration, statement - declaration));
    text.statement = bare(head.subspan(statement));
    return true;
}

void tds_put_handle(const tds_rpc_call &call, bytes head, int32_t handle, std::vector<uint8_t> &out) {
    size_t at = in_head(call, call.first_at);
    put(out, head.first(at));
    put_u32le(out, static_cast<uint32_t>(handle));
    if (call.first_size == 8)
        put_u32le(out, handle < 0 ? UINT32_MAX : 0);
    put(out, head.subspan(at + call.first_size));
}

void tds_put_no_handle(const tds_rpc_call &call, bytes head, std::vector<uint8_t> &out) {
    if (!call.has_first)
        return put(out, head);
    size_t at = in_head(call, call.first_at);
    put(out, head.first(at - 1));
    bool fixed = head[at - 1] != call.first_size; // INTN has its size there, the others their type
    if (fixed) {
        put(out, head.subspan(at - 1, 1));
        out.insert(out.end(), call.first_size, 0);
    } else {
        put_u8(out, 0);
    }
    put(out, head.subspan(at + call.first_size));
}

// Another procedure under the options of the call, and what may stand between those and the parameters.
static void put_procedure(const tds_rpc_call &call, bytes head, tds_proc proc, uint16_t options,
                          std::vector<uint8_t> &out) {
    put_u16le(out, by_number);
    put_u16le(out, static_cast<uint8_t>(proc));
    put_u16le(out, options);
    size_t behind = in_head(call, call.options_at) + 2;
    put(out, head.subspan(behind, in_head(call, call.parameter_at[0]) - behind));
}

static void put_parameter(bytes bare_parameter, std::vector<uint8_t> &out) {
    put_u8(out, 0);
    put(out, bare_parameter);
}

void tds_put_prepexec(const tds_rpc_call &call, bytes head, const tds_prepared_text &text, std::vector<uint8_t> &out) {
    static constexpr uint8_t null_handle[] = {0, by_reference, type_intn, 4, 0};
    put_procedure(call, head, tds_proc::prepexec, call.options & with_recompile, out);
    put(out, null_handle);
    put_parameter(text.declaration, out);
    put_parameter(text.statement, out);
}

void tds_put_nothing(const tds_rpc_call &call, bytes head, std::vector<uint8_t> &out) {
    static constexpr uint8_t collation[] = {0x09, 0x04, 0xd0, 0x00, 0x34};
    put_procedure(call, head, tds_proc::execute_sql, 0, out);
    put_u16le(out, 0); // no name, no status
    put_u8(out, 0xe7); // NVARCHAR
    put_u16le(out, 8000);
    put(out, collation);
    put_u16le(out, 0); // of no length
}

void tds_put_no_procedure(const tds_rpc_call &call, bytes head, std::vector<uint8_t> &out) {
    static constexpr char name[] = "sp_execute with no handle";
    put_u16le(out, sizeof name - 1);
    for (const char *c = name; *c != '\0'; ++c)
        put_u16le(out, static_cast<uint8_t>(*c));
    put(out, head.subspan(in_head(call, call.options_at)));
}

std::vector<uint8_t> tds_prepared_payload(bytes bare_parameter, uint32_t version) {
    std::vector<uint8_t> payload;
    if (tds_version_is_wide(version))
        put_u32le(payload, 4); // ALL_HEADERS: none
    put_u16le(payload, by_number);
    put_u16le(payload, static_cast<uint8_t>(tds_proc::execute_sql));
    put_u16le(payload, 0);
    put_parameter(bare_parameter, payload);
    return payload;
}
