// Requests with everything in them that recorded clients do not send, written after MS-TDS by hand. The tests read them
// at every split; fuzz/corpus-requests holds the same bytes, written by `tds_test_request_corpus --write`.
#pragma once

#include "tds/request_stream.h"

struct request_sample {
    const char *name;
    request_kind kind;
    bytes payload;
};

// --- Parameters of every type: TYPE_INFO, value, NULL (empty: there is none) ---

struct parameter_sample {
    const char *name;
    bytes info, value, null_value;
    bool old = true; // exists in TDS 7.1 too
};

inline std::vector<parameter_sample> parameter_samples() {
    const bytes c = collation_latin, l2_null{0xff, 0xff}, l4_null = fill(4, 0xff), plp_null = fill(8, 0xff);
    auto l1 = [](size_t n) { return bytes{static_cast<uint8_t>(n)} + fill(n); };
    auto l2 = [](size_t n) { return little16(static_cast<uint32_t>(n)) + fill(n); };
    auto l4 = [](size_t n) { return little32(static_cast<uint32_t>(n)) + fill(n); };
    return {
        {"tinyint", {0x30}, fill(1), {}},
        {"bit", {0x32}, fill(1), {}},
        {"smallint", {0x34}, fill(2), {}},
        {"int", {0x38}, fill(4), {}},
        {"real", {0x3b}, fill(4), {}},
        {"datetime", {0x3d}, fill(8), {}},
        {"bigint", {0x7f}, fill(8), {}},
        {"intn 8", {0x26, 8}, l1(8), {0}},
        {"intn of no size", {0x26, 8}, l1(3), {0}},
        {"bitn", {0x68, 1}, l1(1), {0}},
        {"fltn", {0x6d, 8}, l1(8), {0}},
        {"guid", {0x24, 16}, l1(16), {0}},
        {"decimaln", {0x6a, 17, 38, 10}, l1(17), {0}},
        {"numeric, legacy", {0x3f, 5, 5, 0}, l1(5), {0}},
        {"date", {0x28}, l1(3), {0}, false},
        {"datetime2", {0x2a, 7}, l1(8), {0}, false},
        {"varchar, legacy", {0x27, 20}, l1(20), {0}},
        {"binary, legacy", {0x2d, 10}, l1(10), {0}},
        {"varbinary", {0xa5, 0x40, 0x1f}, l2(30), l2_null},
        {"varchar", bytes{0xa7, 10, 0} + c, l2(7), l2_null},
        {"nchar", bytes{0xef, 20, 0} + c, l2(20), l2_null},
        {"nvarchar", bytes{0xe7, 20, 0} + c, l2(6), l2_null},
        {"nvarchar empty", bytes{0xe7, 20, 0} + c, l2(0), l2_null},
        {"varbinary(max)", {0xa5, 0xff, 0xff}, plp(fill(10), 4), plp_null, false},
        {"varchar(max)", bytes{0xa7, 0xff, 0xff} + c, plp(fill(3), 1, 3), plp_null, false},
        {"nvarchar(max) empty", bytes{0xe7, 0xff, 0xff} + c, plp({}, 1, 0), plp_null, false},
        {"text", bytes{0x23} + little32(0x7fffffff) + c, l4(5), l4_null},
        {"ntext", bytes{0x63} + little32(0x7ffffffe) + c, l4(6), l4_null},
        {"image", bytes{0x22} + little32(0x7fffffff), l4(0), l4_null},
        {"sql_variant", bytes{0x62} + little32(8009), l4(6), little32(0), false},
        {"udt", bytes{0xf0} + name8("db") + name8("sys") + name8("geo"), plp(fill(22), 22, 22), plp_null, false},
        {"xml", {0xf1, 0}, plp(fill(9), 9), plp_null, false},
        {"xml with schema", bytes{0xf1, 1} + name8("db") + name8("dbo") + name16("schemas"), plp(fill(3), 3, 3),
         plp_null, false},
        {"json", {0xf4}, plp(fill(19), 12), plp_null, false},
        {"vector", {0xf5, 20, 0, 0}, l2(20), l2_null, false},
    };
}

// The sample's TYPE_INFO as a client of `version` writes it.
inline bytes info_for(const parameter_sample &p, uint32_t version) {
    bool collated = p.info.size() > 5 && std::equal(collation_latin.begin(), collation_latin.end(), p.info.end() - 5);
    return version == tds_7_0 && collated ? bytes(p.info.begin(), p.info.end() - 5) : p.info;
}

// --- Table-valued parameters ---

inline const bytes tvp_begin = bytes{0xf3} + name8("") + name8("dbo") + name8("ttype");

inline bytes tvp_column(const bytes &info, uint16_t flags = 1) {
    return little32(0) + little16(flags) + info + name8("");
}

// Four columns, the third of them without values; their values in a row.
inline bytes tvp_columns() {
    return little16(4) + tvp_column({0x26, 4}) + tvp_column(nvarchar_info(0xffff)) + tvp_column({0x38}, 0x0200) +
           tvp_column(bytes{0x63} + little32(100) + collation_latin);
}
inline bytes tvp_row() {
    return bytes{1, 4} + little32(7) + plp(utf16("abc"), 4) + little32(4) + utf16("de");
}
// The same values in the order 4, 2, 1, 3.
inline bytes tvp_row_in_order() {
    return bytes{1} + little32(4) + utf16("de") + plp(utf16("abc"), 4) + bytes{4} + little32(7);
}
inline const bytes tvp_unique = bytes{0x10} + little16(2) + little16(1) + bytes{5} + little16(2) + bytes{4};
inline const bytes tvp_order = bytes{0x11} + little16(4) + little16(4) + little16(2) + little16(1) + little16(3);

// --- ParamCipherInfo ---

// With the algorithm by number, or by name.
inline bytes cipher(bool named) {
    return nvarchar_info(200) + (named ? bytes{0} + name8("AEAD") : bytes{2}) + bytes{1} + little32(5) + little32(6) +
           little32(7) + little64(8) + bytes{1};
}

inline std::vector<request_sample> request_samples() {
    std::vector<request_sample> all;
    auto add = [&all](const char *name, const request_kind &kind, const bytes &payload) {
        all.push_back({name, kind, payload});
    };
    const request_kind batch{tds_type_sql_batch}, rpc{}, rpc_71{tds_type_rpc, tds_7_1}, tm{tds_type_transaction};
    add("batch", batch, headers(0x1122334455667788) + utf16("SELECT @@ROWCOUNT"));
    add("batch-empty", batch, headers());
    add("batch-7.1", {tds_type_sql_batch, tds_7_1}, utf16("SELECT 1"));
    add("batch-enclave", {tds_type_sql_batch, tds_7_4, true}, headers() + little16(5) + fill(5) + utf16("SELECT 2"));
    add("batch-all-headers", batch,
        little32(4 + 26 + 18 + 14) + little32(26) + little16(3) + fill(20) + little32(18) + little16(2) + little64(9) +
            little32(1) + little32(14) + little16(1) + fill(8) + utf16("PRINT 1"));
    add("batch-no-headers", batch, little32(4) + utf16("PRINT 1"));
    add("bulk", {tds_type_bulk}, fill(40, 0x81));

    bytes every = headers() + by_name("p"), every_71 = by_name("p");
    for (const parameter_sample &p : parameter_samples()) {
        every = every + parameter(p.info, p.value, "@v", 1);
        if (p.old)
            every_71 = every_71 + parameter(p.info, p.value);
        if (!p.null_value.empty())
            every = every + parameter(p.info, p.null_value);
        if (p.old && !p.null_value.empty())
            every_71 = every_71 + parameter(p.info, p.null_value, "@v", 2);
    }
    add("every-type", rpc, every + parameter({0x1f}, {}));
    add("every-type-7.1", rpc_71, every_71);

    add("executesql", rpc,
        headers() + by_number(10) + nvarchar("SELECT @@ROWCOUNT, @a") + nvarchar("@a int") + int_parameter(5, "@a"));
    add("executesql-max", rpc, headers() + by_number(10) + nvarchar_max("SELECT @@ROWCOUNT"));
    add("executesql-chunks", rpc, headers() + by_number(10) + nvarchar_max("SELECT @@ROWCOUNT", 1));
    add("executesql-ntext", rpc,
        headers() + by_name("sp_executesql") +
            parameter(bytes{0x63} + little32(34) + collation_latin, little32(34) + utf16("SELECT @@ROWCOUNT")));
    add("executesql-varchar", rpc,
        headers() + by_number(10) +
            parameter(bytes{0xa7, 0x40, 0x1f} + collation_latin, {8, 0, 'S', 'E', 'L', 'E', 'C', 'T', ' ', '1'}));
    add("executesql-enclave", {tds_type_rpc, tds_7_4, true},
        headers() + by_number(10) + little16(0) + nvarchar("SELECT 3") + bytes{0xff} + by_number(15) + little16(3) +
            fill(3) + int_parameter(7));
    add("executesql-7.1", rpc_71,
        by_name("sp_executesql") + nvarchar("SELECT @@ROWCOUNT") + bytes{0x80} + by_number(15) + int_parameter(3) +
            bytes{0x80});
    add("executesql-7.0", {tds_type_rpc, tds_7_0},
        by_name("sp_executesql") + parameter({0xe7, 100, 0}, little16(4) + utf16("SE")));
    add("prepexec", rpc,
        headers() + by_number(13) + int_null() + nvarchar("@a int") + nvarchar("SELECT @a") + int_parameter(5, "@a"));
    add("cursoropen", rpc,
        headers() + by_number(2) + int_null() + nvarchar_max("SELECT 1") + int_parameter(0x1008, {}, 1) +
            int_parameter(4, {}, 1) + int_parameter(0, {}, 1));
    add("cursorprepexec", rpc,
        headers() + by_number(5) + int_null() + int_null() + nvarchar("") + nvarchar("SELECT 1") +
            int_parameter(0x2010, {}, 1) + int_parameter(0x2001, {}, 1) + int_parameter(10, {}, 1));
    add("prepexecrpc", rpc, headers() + by_number(14) + int_null() + nvarchar("p 1"));
    add("separators", rpc,
        headers() + by_number(15) + int_parameter(1) + bytes{0xfe} + by_number(12, 2) + int_parameter(2) + bytes{0xff} +
            by_name("dbo.p", 1) + bytes{0xff});
    add("encrypted", rpc,
        headers() + by_name("p") + parameter({0xa5, 0x40, 0x1f}, little16(30) + fill(30) + cipher(false), "@a", 8) +
            parameter({0xa5, 0x40, 0x1f}, little16(0xffff) + cipher(true), "@b", 9) + int_parameter(1));

    add("tvp", rpc,
        headers() + by_name("p") + parameter(tvp_begin, tvp_columns() + bytes{0} + tvp_row() + tvp_row() + bytes{0}) +
            int_parameter(1));
    add("tvp-options", rpc,
        headers() + by_name("p") +
            parameter(tvp_begin, tvp_columns() + tvp_unique + tvp_order + bytes{0} + tvp_row_in_order() + bytes{0}) +
            int_parameter(1));
    add("tvp-null", rpc, headers() + by_name("p") + parameter(tvp_begin, {0xff, 0xff, 0, 0}) + int_parameter(1));
    add("tvp-empty", rpc, headers() + by_name("p") + parameter(tvp_begin, tvp_columns() + bytes{0, 0}, "@t", 2));

    add("tm-begin", tm, headers() + little16(5) + bytes{4, 0});
    add("tm-commit-begin", tm, headers(5) + little16(7) + bytes{0, 1, 3, 4} + utf16("tx"));
    add("tm-rollback-savepoint", tm, headers(5) + little16(8) + bytes{4} + utf16("sp") + bytes{0});
    add("tm-save", tm, headers(5) + little16(9) + bytes{4} + utf16("sp"));
    add("tm-propagate", tm, headers() + little16(1) + little16(10) + fill(10));
    add("tm-address", tm, headers() + little16(0) + little16(0));
    add("tm-promote", tm, headers(5) + little16(6));
    return all;
}
