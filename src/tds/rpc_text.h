// The statement that a call of sp_executesql, sp_prepare or sp_prepexec gives as a parameter, as text (MS-TDS 2.2.6.6).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

// `at`: payload offset of the parameter, beginning with its name (tds_rpc_call.parameter_at). Appends its UTF-16LE to
// `out`. False: NULL, a type other than NVARCHAR and NTEXT, more than `limit` bytes, or the payload ends first.
[[nodiscard]] bool tds_rpc_text(std::span<const uint8_t> payload, uint64_t at, uint32_t version, size_t limit,
                                std::vector<uint8_t> &out);
