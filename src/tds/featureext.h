// FeatureExt: the list of features in a LOGIN7, and in the FEATUREEXTACK of its answer (MS-TDS 2.2.6.4, 2.2.7.11). The
// form of both is a run of
//
//      id u8 | length u32 | data
//
// ended by 0xFF. A "run" below is one without its terminator, as tds_login7.features.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tds/login7.h"

inline constexpr uint8_t tds_feature_session_recovery = 0x01;
inline constexpr uint8_t tds_feature_fedauth = 0x02;
inline constexpr uint8_t tds_feature_column_encryption = 0x04;
inline constexpr uint8_t tds_feature_data_classification = 0x09;
inline constexpr uint8_t tds_feature_utf8 = 0x0a;
inline constexpr uint8_t tds_feature_json = 0x0d;
inline constexpr uint8_t tds_feature_vector = 0x0e;
inline constexpr uint8_t tds_feature_terminator = 0xff;

// The features that change the stream of tokens: the pool key holds them, the proxy passes them on. Others are
// neither asked for on a pooled connection nor acknowledged.
inline constexpr uint8_t tds_stream_features[] = {tds_feature_column_encryption, tds_feature_data_classification,
                                                  tds_feature_utf8, tds_feature_json, tds_feature_vector};

// Bytes of the run that begins `block` and ends before a terminator; false when it is malformed, has a feature twice or
// more than 64.
[[nodiscard]] bool tds_features_measure(std::span<const uint8_t> block, size_t &size);

// Of a run those features whose id is in `keep`, in their order.
std::vector<uint8_t> tds_features_keep(std::span<const uint8_t> features, std::span<const uint8_t> keep);

// Finds a feature in a run. False: it is not there.
bool tds_feature_find(std::span<const uint8_t> features, uint8_t id, tds_feature &out);
