// What the proxy itself sends to servers besides LOGIN7 (MS-TDS 2.2.6), and the quoting of what it puts into SQL text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tds/prelogin.h"

// Appends a SQLBatch message with packets of at most `packet_size` bytes (the size that was negotiated), all but the
// last of exactly that size. From 7.2 on ALL_HEADERS with the transaction descriptor (0: none) come first. `sql`:
// UTF-8, not empty. `status`: further bits of the first packet, as tds_status_reset.
void tds_put_batch(std::vector<uint8_t> &out, uint32_t version, std::string_view sql, uint64_t descriptor,
                   size_t packet_size, uint8_t status = 0);

// Appends an ATTENTION.
void tds_put_attention(std::vector<uint8_t> &out);

std::string tds_quote_name(std::string_view name); // a]b -> [a]]b]
std::string tds_quote_text(std::string_view text); // it's -> N'it''s'
// Of a language: bare where that can be (Babelfish takes no N'..' there), else as a text.
std::string tds_quote_language(std::string_view name);
