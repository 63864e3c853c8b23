// One message for every token and every data type, written after MS-TDS by hand. The tests walk them at every split;
// fuzz/corpus-tokens holds the same bytes, written by `tds_test_token_corpus --write`.
#pragma once

#include "tds/token_stream.h"

struct token_sample {
    const char *name;
    tds_walk_options options;
    bytes payload;
};

struct type_sample {
    const char *name;
    bytes info;       // TYPE_INFO from TDS 7.2 on
    bytes value;      // in a ROW
    bytes null_value; // in a ROW; empty: the type has no NULL
    bytes table;      // TableName
    bool old;         // exists in TDS 7.1 too; without collation: in 7.0
};

// PLP: total, chunks, end
inline bytes plp(uint64_t total, std::initializer_list<size_t> chunks) {
    bytes b = little64(total);
    for (size_t n : chunks)
        b = b + little32(static_cast<uint32_t>(n)) + fill(n);
    return b + little32(0);
}
inline const bytes plp_null = fill(8, 0xff);
inline constexpr uint64_t plp_unknown = 0xfffffffffffffffe;

// 1 byte of length
inline bytes short_value(size_t n) {
    return bytes{static_cast<uint8_t>(n)} + fill(n);
}
// 2 bytes of length
inline bytes long_value(size_t n) {
    return little16(static_cast<uint32_t>(n)) + fill(n);
}
// A value behind a text pointer.
inline bytes pointed_value(size_t pointer, size_t n) {
    return bytes{static_cast<uint8_t>(pointer)} + fill(pointer) + fill(8) + little32(static_cast<uint32_t>(n)) +
           fill(n);
}
inline bytes variant(const bytes &inner) {
    return little32(static_cast<uint32_t>(inner.size())) + inner;
}

inline std::vector<type_sample> type_samples() {
    const bytes l2_null{0xff, 0xff}, table = bytes{2} + name16("dbo") + name16("t");
    const bytes c = collation_latin;
    return {
        {"tinyint", {0x30}, fill(1), {}, {}, true},
        {"bit", {0x32}, fill(1), {}, {}, true},
        {"smallint", {0x34}, fill(2), {}, {}, true},
        {"int", {0x38}, fill(4), {}, {}, true},
        {"smalldatetime", {0x3a}, fill(4), {}, {}, true},
        {"real", {0x3b}, fill(4), {}, {}, true},
        {"money", {0x3c}, fill(8), {}, {}, true},
        {"datetime", {0x3d}, fill(8), {}, {}, true},
        {"float", {0x3e}, fill(8), {}, {}, true},
        {"smallmoney", {0x7a}, fill(4), {}, {}, true},
        {"bigint", {0x7f}, fill(8), {}, {}, true},
        {"intn 1", {0x26, 1}, short_value(1), {0}, {}, true},
        {"intn 8", {0x26, 8}, short_value(8), {0}, {}, true},
        {"bitn", {0x68, 1}, short_value(1), {0}, {}, true},
        {"fltn", {0x6d, 8}, short_value(8), {0}, {}, true},
        {"moneyn", {0x6e, 4}, short_value(4), {0}, {}, true},
        {"datetimn", {0x6f, 8}, short_value(8), {0}, {}, true},
        {"guid", {0x24, 16}, short_value(16), {0}, {}, true},
        {"decimaln", {0x6a, 17, 38, 10}, short_value(17), {0}, {}, true},
        {"numericn", {0x6c, 9, 18, 2}, short_value(9), {0}, {}, true},
        {"decimal, legacy", {0x37, 17, 38, 10}, short_value(17), {0}, {}, true},
        {"numeric, legacy", {0x3f, 5, 5, 0}, short_value(5), {0}, {}, true},
        {"date", {0x28}, short_value(3), {0}, {}, false},
        {"time", {0x29, 7}, short_value(5), {0}, {}, false},
        {"datetime2", {0x2a, 0}, short_value(6), {0}, {}, false},
        {"datetimeoffset", {0x2b, 3}, short_value(9), {0}, {}, false},
        {"char, legacy", {0x2f, 10}, short_value(10), {0}, {}, true},
        {"varchar, legacy", {0x27, 20}, short_value(20), {0}, {}, true},
        {"binary, legacy", {0x2d, 10}, short_value(10), {0}, {}, true},
        {"varbinary, legacy", {0x25, 10}, short_value(3), {0}, {}, true},
        {"binary", {0xad, 10, 0}, long_value(10), l2_null, {}, true},
        {"varbinary", {0xa5, 0x40, 0x1f}, long_value(30), l2_null, {}, true},
        {"varbinary empty", {0xa5, 0x40, 0x1f}, long_value(0), l2_null, {}, true},
        {"char", bytes{0xaf, 10, 0} + c, long_value(10), l2_null, {}, true},
        {"varchar", bytes{0xa7, 10, 0} + c, long_value(7), l2_null, {}, true},
        {"nchar", bytes{0xef, 20, 0} + c, long_value(20), l2_null, {}, true},
        {"nvarchar", bytes{0xe7, 20, 0} + c, long_value(6), l2_null, {}, true},
        {"varbinary(max)", {0xa5, 0xff, 0xff}, plp(10, {4, 6}), plp_null, {}, false},
        {"varchar(max)", bytes{0xa7, 0xff, 0xff} + c, plp(plp_unknown, {1, 1, 30}), plp_null, {}, false},
        {"nvarchar(max)", bytes{0xe7, 0xff, 0xff} + c, plp(0, {}), plp_null, {}, false},
        {"max, total too small", bytes{0xe7, 0xff, 0xff} + c, plp(1, {20, 20}), plp_null, {}, false},
        {"max, total too large", bytes{0xe7, 0xff, 0xff} + c, plp(uint64_t{1} << 63, {2}), plp_null, {}, false},
        {"text", bytes{0x23} + little32(0x7fffffff) + c, pointed_value(16, 5), {0}, table, true},
        {"ntext", bytes{0x63} + little32(0x7ffffffe) + c, pointed_value(5, 6), {0}, table, true},
        {"image", bytes{0x22} + little32(0x7fffffff), pointed_value(1, 0), {0}, table, true},
        {"sql_variant", bytes{0x62} + little32(8009), variant(bytes{0x38, 0} + fill(4)), little32(0), {}, false},
        {"sql_variant of nvarchar",
         bytes{0x62} + little32(8009),
         variant(bytes{0xe7, 7} + c + little16(8) + fill(8)),
         little32(0),
         {},
         false},
        {"udt",
         bytes{0xf0} + little16(0xffff) + name8("db") + name8("sys") + name8("geo") + name16("Assembly, V=1"),
         plp(22, {22}),
         plp_null,
         {},
         false},
        {"xml", {0xf1, 0}, plp(plp_unknown, {9}), plp_null, {}, false},
        {"xml with schema",
         bytes{0xf1, 1} + name8("db") + name8("dbo") + name16("schemas"),
         plp(3, {3}),
         plp_null,
         {},
         false},
        {"json", {0xf4}, plp(plp_unknown, {12, 7}), plp_null, {}, false},
        {"vector", {0xf5, 20, 0, 0}, long_value(20), l2_null, {}, false},
    };
}

// The samples' TYPE_INFO and table name as a server writes them for `version`.
inline bytes info_for(const type_sample &t, uint32_t version) {
    bool collated = t.info.size() > 5 && std::equal(collation_latin.begin(), collation_latin.end(), t.info.end() - 5);
    if (version == tds_7_0 && collated)
        return {t.info.begin(), t.info.end() - 5};
    return t.info;
}
inline bytes table_for(const type_sample &t, uint32_t version) {
    return t.table.empty() || tds_version_is_wide(version) ? t.table : name16("dbo.t");
}

// Two ROWs, values and NULLs, of all these types.
inline bytes rows_of(const std::vector<type_sample> &types, uint32_t version) {
    bytes b = metadata(types.size());
    for (const type_sample &t : types)
        b = b + column(info_for(t, version), version, table_for(t, version));
    for (int null_row = 0; null_row < 2; ++null_row) {
        b.push_back(tds_token_row);
        for (const type_sample &t : types)
            b = b + (null_row == 1 && !t.null_value.empty() ? t.null_value : t.value);
    }
    return b;
}

// An NBCROW in which every `step`-th column is NULL (0: none).
inline bytes nbcrow(const std::vector<type_sample> &types, size_t step) {
    bytes bitmap((types.size() + 7) / 8, 0), values;
    for (size_t i = 0; i < types.size(); ++i)
        if (step > 0 && i % step == 0)
            bitmap[i / 8] = static_cast<uint8_t>(bitmap[i / 8] | 1 << i % 8);
        else
            values = values + types[i].value;
    return bytes{tds_token_nbcrow} + bitmap + values;
}

inline std::vector<type_sample> old_types() {
    auto all = type_samples();
    std::erase_if(all, [](const type_sample &t) { return !t.old; });
    return all;
}

inline bytes key_table() {
    bytes value = long_value(20) + name8("STORE") + name16("path/to/key") + name8("RSA_OAEP");
    bytes key = fill(4) + fill(4) + fill(4) + fill(8);
    return little16(2) + key + bytes{2} + value + value + key + bytes{0};
}
// What stands behind TYPE_INFO of an encrypted column: ordinal, user type, plain TYPE_INFO, algorithm, kind, version.
inline bytes crypto_of(const bytes &plain, bool named_algorithm) {
    return little16(0) + little32(0) + plain + (named_algorithm ? bytes{0} + name8("AES") : bytes{2}) + bytes{1, 1};
}
inline const bytes cipher_info{0xa5, 0xff, 0xff}; // what an encrypted column is on the wire

inline bytes encrypted_result() {
    bytes nvarchar = bytes{0xe7, 20, 0} + collation_latin;
    return metadata(3) + key_table() + column({0x38}) +
           column(cipher_info, tds_7_4, {}, 0x0809, crypto_of({0x38}, false)) +
           column({0xa5, 100, 0}, tds_7_4, {}, 0x0809, crypto_of(nvarchar, true)) + bytes{tds_token_row} + fill(4) +
           plp(16, {16}) + long_value(65) + bytes{tds_token_nbcrow, 0x02} + fill(4) + long_value(0);
}

// COMPUTE: two ALTMETADATA, then rows of both.
inline bytes compute_result(uint32_t version) {
    bytes op = bytes{0x4d} + little16(1);
    bytes first = bytes{tds_token_altmetadata} + little16(1) + little16(1) + bytes{1} + little16(1) + op +
                  column({0x26, 4}, version);
    bytes second = bytes{tds_token_altmetadata} + little16(2) + little16(2) + bytes{0} + op + column({0x38}, version) +
                   op + column({0xad, 9, 0}, version);
    return metadata(1) + column({0x38}, version) + first + second + bytes{tds_token_row} + fill(4) +
           bytes{tds_token_altrow} + little16(2) + fill(4) + long_value(9) + bytes{tds_token_altrow} + little16(1) +
           short_value(4) + bytes{tds_token_row} + fill(4);
}

inline bytes return_value(const bytes &info_and_value, uint32_t version = tds_7_4, uint16_t flags = 0) {
    bytes user_type(tds_version_is_wide(version) ? 4 : 2, 0);
    return bytes{tds_token_returnvalue} + little16(0) + name8("@handle") + bytes{1} + user_type + little16(flags) +
           info_and_value;
}

inline bytes classification(int version) {
    auto rank = [version](uint32_t v) { return version == 2 ? little32(v) : bytes{}; };
    bytes property = little16(0) + little16(0xffff) + rank(20);
    return bytes{tds_token_dataclassification} + little16(1) + name8("Confidential") + name8("id1") + little16(2) +
           name8("Name") + name8("id2") + name8("") + name8("") + rank(10) + little16(2) + little16(0) + little16(2) +
           property + property;
}

inline bytes login_ack(uint32_t big_endian_version) {
    bytes b{1};
    put_u32be(b, big_endian_version);
    return token16(tds_token_loginack, b + name8("Microsoft SQL Server") + bytes{16, 0, 0x10, 0x68});
}

inline bytes routing(uint8_t type) {
    bytes value = bytes{0} + little16(11000) + name16("other.example") +
                  (type == tds_env_routing_enhanced ? name16("db2") : bytes{});
    return token16(tds_token_envchange,
                   bytes{type} + little16(static_cast<uint32_t>(value.size())) + value + little16(0));
}

inline bytes login_answer() {
    bytes feature_ack = bytes{tds_token_featureextack, 0x01} + little32(7) + fill(7) + bytes{0x04} + little32(3) +
                        bytes{2, 0, 0} + bytes{0x09} + little32(2) + bytes{2, 1} + bytes{0x0a} + little32(1) +
                        bytes{1, 0xff};
    return change(1, utf16("labdb"), utf16("master"), 2) + notice(5701, 10) + change(7, collation_latin, {}) +
           change(2, utf16("us_english"), {}, 2) + notice(5703, 10) + login_ack(0x74000004) +
           change(4, utf16("8000"), utf16("4096"), 2) + feature_ack + metadata(0) + little16(0) + done(0);
}

inline bytes promoted(size_t n) {
    return bytes{tds_token_envchange, 1, 0, tds_env_promote} + little32(static_cast<uint32_t>(n)) + fill(n) + bytes{0};
}

inline bytes session_changes() {
    bytes two_groups = bytes{tds_env_commit, 0, 8} + descriptor_1 + bytes{tds_env_begin, 8} + descriptor_1 + bytes{0};
    return change(tds_env_begin, descriptor_1, {}) + change(tds_env_commit, {}, descriptor_1) +
           change(tds_env_enlist, descriptor_1, {}) + change(tds_env_defect, {}, descriptor_1) +
           change(tds_env_enlist, {}, descriptor_1) + change(tds_env_rollback, {}, descriptor_1) + reset_token +
           change(tds_env_ended, descriptor_1, {}) + change(13, utf16("partner"), {}, 2) + change(16, fill(40), {}) +
           change(19, utf16("user instance"), {}, 2) + change(3, utf16("cp1"), {}, 2) + promoted(70) +
           token16(tds_token_envchange, bytes{99} + fill(30)) + token16(tds_token_envchange, two_groups);
}

inline std::vector<token_sample> token_samples() {
    const auto modern = options_of(tds_7_4);
    auto encrypted = modern, class1 = modern, class2 = modern;
    encrypted.column_encryption = true;
    class1.data_classification = 1;
    class2.data_classification = 2;
    auto types = type_samples(), old = old_types();
    bytes int_row = metadata(1) + column({0x38}) + bytes{tds_token_row} + fill(4);
    bytes fed = little32(1) + bytes{1} + little32(6) + little32(13) + utf16("sts");
    return {
        {"types", modern, rows_of(types, tds_7_4) + done(tds_done_count)},
        {"types-nbcrow", modern, rows_of(types, tds_7_4) + nbcrow(types, 1) + nbcrow(types, 3) + done(0)},
        {"types-8.0", options_of(tds_8_0), rows_of(types, tds_8_0) + done(0)},
        {"types-7.2", options_of(tds_7_2), rows_of(old, tds_7_2) + done(0)},
        {"types-7.1", options_of(tds_7_1), rows_of(old, tds_7_1) + done(0, tds_token_done, tds_7_1)},
        {"types-7.0", options_of(tds_7_0), rows_of(old, tds_7_0) + done(0, tds_token_done, tds_7_0)},
        {"fixed-rows", modern, int_row + bytes{tds_token_row} + fill(4) + bytes{tds_token_row} + fill(4) + done(0)},
        {"several-results", modern,
         int_row + done(tds_done_more) + notice(1, 0) + int_row + notice(50001, 16) + bytes{tds_token_row} + fill(4) +
             done(tds_done_error)},
        {"no-columns", modern, metadata(0) + done(0)},
        {"same-columns", modern,
         int_row + done(tds_done_more) + metadata(0xffff) + bytes{tds_token_row} + fill(4) + done(0)},
        {"encrypted", encrypted, encrypted_result() + done(0)},
        {"encrypted-plain", encrypted,
         metadata(1) + little16(0) + column({0x38}) + bytes{tds_token_row} + fill(4) + metadata(0xffff) + done(0)},
        {"compute", options_of(tds_7_3b), compute_result(tds_7_3b) + done(0)},
        {"compute-7.1", options_of(tds_7_1), compute_result(tds_7_1) + done(0, tds_token_done, tds_7_1)},
        {"procedure", modern,
         int_row + done(tds_done_more, tds_token_doneinproc) + bytes{tds_token_returnstatus} + little32(3) +
             return_value(bytes{0x26, 4} + short_value(4)) +
             return_value(bytes{0xe7, 0xff, 0xff} + collation_latin + plp(plp_unknown, {30})) +
             return_value(bytes{0xf0} + little16(30) + name8("d") + name8("s") + name8("t") + name16("a") + plp_null) +
             done(0, tds_token_doneproc)},
        {"procedure-encrypted", encrypted,
         return_value(cipher_info + bytes(4, 0) + bytes{0x38, 2, 1, 1} + plp(16, {16}), tds_7_4, 0x0800) +
             done(0, tds_token_doneproc)},
        {"procedure-7.1", options_of(tds_7_1),
         return_value(bytes{0x26, 4, 4, 1, 2, 3, 4}, tds_7_1) + done(0, tds_token_doneproc, tds_7_1)},
        {"batch-of-calls", modern,
         done(tds_done_rpc_in_batch | tds_done_more, tds_token_doneproc) +
             done(tds_done_rpc_in_batch, tds_token_doneproc) + done(0, tds_token_doneproc)},
        {"browse", modern,
         metadata(1) + column({0x38}) + token16(tds_token_tabname, bytes{1} + name16("t")) +
             token16(tds_token_colinfo, {1, 1, 8}) + token16(tds_token_order, little16(1)) + bytes{tds_token_row} +
             fill(4) + done(0)},
        {"offset", options_of(tds_7_1), bytes{tds_token_offset} + fill(4) + done(0, tds_token_done, tds_7_1)},
        {"errors", modern,
         notice(8134, 16) + notice(50000, 20) + notice(208, 16) + notice(0, 0) + done(tds_done_error)},
        {"errors-7.1", options_of(tds_7_1), notice(8134, 16, tds_7_1) + done(tds_done_error, tds_token_done, tds_7_1)},
        {"login", modern, login_answer()},
        {"login-routed", modern, login_ack(0x74000004) + routing(tds_env_routing) + done(0)},
        {"login-routed-enhanced", modern, routing(tds_env_routing_enhanced) + done(0)},
        {"session-changes", modern, session_changes() + done(0)},
        {"session-state", modern, session_state(1, {5, 4, 1, 2, 3, 4}) + session_state(0, {}) + done(0)},
        {"sspi", modern, token16(tds_token_sspi, fill(60))},
        {"fedauth", modern, bytes{tds_token_fedauthinfo} + little32(static_cast<uint32_t>(fed.size())) + fed},
        {"classification", class1, metadata(1) + column({0x38}) + classification(1) + done(0)},
        {"classification-2", class2, metadata(1) + column({0x38}) + classification(2) + done(0)},
        {"attention", modern, done(tds_done_attention)},
        {"attention-same-message", modern, done(tds_done_error) + done(tds_done_attention)},
    };
}
