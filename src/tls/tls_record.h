// Borders of TLS records (RFC 8446 section 5.1). In login-only mode TLS ends in the middle of the stream, so that the
// engine must be given one record at a time.
//
//      type | version 3.x | length BE | fragment
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

inline constexpr size_t tls_record_header_size = 5;
inline constexpr size_t tls_record_max = 16384 + 2048; // fragment, encrypted

inline constexpr uint8_t tls_record_change_cipher = 0x14;
inline constexpr uint8_t tls_record_alert = 0x15;
inline constexpr uint8_t tls_record_handshake = 0x16;
inline constexpr uint8_t tls_record_data = 0x17;

enum class tls_record_result : uint8_t { ok, more, error };

// Reads the header of the record that begins `bytes`; `size` becomes the whole record's size, header included, whether
// or not it has arrived.
[[nodiscard]] inline tls_record_result tls_record_parse(std::span<const uint8_t> bytes, size_t &size) {
    if (!bytes.empty() && (bytes[0] < tls_record_change_cipher || bytes[0] > tls_record_data))
        return tls_record_result::error;
    if (bytes.size() > 1 && bytes[1] != 3)
        return tls_record_result::error;
    if (bytes.size() < tls_record_header_size)
        return tls_record_result::more;
    size_t fragment = static_cast<size_t>(bytes[3]) << 8 | bytes[4];
    size = tls_record_header_size + fragment;
    return fragment == 0 || fragment > tls_record_max ? tls_record_result::error : tls_record_result::ok;
}
