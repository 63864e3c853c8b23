// How fast the token walker goes over results: bytes of payload per second on one core, for a few shapes of rows and
// sizes of pieces.
//
//      token-bench [--rounds N] [--check]      --check: exit 1 when a goal is missed
//
// Goals: 1 GiB/s on rows of small columns, 4 GiB/s on PLP. The result lies in the cache, as what was just received
// does.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/token_walk.h"

using bytes = std::vector<uint8_t>;

static constexpr size_t result_size = 1 << 20;
static constexpr double gib = 1024.0 * 1024 * 1024;

struct column {
    uint8_t type;
    std::vector<uint8_t> info; // what follows the type
};

static const column int4{0x38, {}};
static const column int8{0x7f, {}};
static const column intn{0x26, {4}};
static const column bitn{0x68, {1}};
static const column datetime2{0x2a, {7}};
static const column decimaln{0x6c, {9, 18, 2}};
static const column nvarchar{0xe7, {100, 0, 9, 4, 0xd0, 0, 0x34}};
static const column nvarchar_max{0xe7, {0xff, 0xff, 9, 4, 0xd0, 0, 0x34}};

static void put_metadata(bytes &out, const std::vector<column> &columns) {
    put_u8(out, tds_token_colmetadata);
    put_u16le(out, static_cast<uint32_t>(columns.size()));
    for (const column &c : columns) {
        put_u32le(out, 0);
        put_u16le(out, 9);
        put_u8(out, c.type);
        out.insert(out.end(), c.info.begin(), c.info.end());
        put_u8(out, 0);
    }
}

static unsigned random_below(unsigned n) {
    static uint64_t seed = 0x9e3779b97f4a7c15;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return static_cast<unsigned>(seed % n);
}

static void put_data(bytes &out, size_t n) {
    out.insert(out.end(), n, 0x41);
}

static void put_value(bytes &out, const column &c, size_t long_size) {
    if (c.type == int4.type)
        put_data(out, 4);
    else if (c.type == int8.type)
        put_data(out, 8);
    else if (c.info[0] == 0xff) {
        put_u64le(out, long_size);
        for (size_t left = long_size; left > 0;) {
            size_t n = std::min<size_t>(left, 32768);
            put_u32le(out, static_cast<uint32_t>(n));
            put_data(out, n);
            left -= n;
        }
        put_u32le(out, 0);
    } else if (c.type == nvarchar.type) {
        size_t n = 2 * (4 + random_below(20));
        put_u16le(out, static_cast<uint32_t>(n));
        put_data(out, n);
    } else {
        size_t n = c.type == datetime2.type ? 8 : c.type == decimaln.type ? 9 : c.info[0];
        put_u8(out, static_cast<uint32_t>(n));
        put_data(out, n);
    }
}

struct shape {
    const char *name;
    std::vector<column> columns;
    unsigned null_percent; // over 0: rows are NBCROWs
    size_t long_size;
    double goal; // GiB/s
};

static bytes make_result(const shape &s) {
    bytes out;
    put_metadata(out, s.columns);
    while (out.size() < result_size) {
        put_u8(out, s.null_percent > 0 ? tds_token_nbcrow : tds_token_row);
        size_t bitmap = out.size();
        if (s.null_percent > 0)
            put_data(out, 0), out.resize(out.size() + (s.columns.size() + 7) / 8);
        for (size_t i = 0; i < s.columns.size(); ++i) {
            if (random_below(100) < s.null_percent)
                out[bitmap + i / 8] = static_cast<uint8_t>(out[bitmap + i / 8] | 1 << i % 8);
            else
                put_value(out, s.columns[i], s.long_size);
        }
    }
    tds_put_done(out, tds_7_4, tds_token_done, tds_done_count, 0xc1, 1);
    return out;
}

// Seconds for one walk over the whole result.
static double walk(tds_walker &w, const bytes &result, size_t piece) {
    auto begin = std::chrono::steady_clock::now();
    size_t forwarded = 0;
    for (size_t at = 0; at < result.size(); at += piece) {
        auto in = std::span(result).subspan(at, std::min(piece, result.size() - at));
        while (!in.empty()) {
            std::span<const uint8_t> forward;
            if (tds_walk(w, in, forward) != tds_walk_result::ok)
                abort();
            forwarded += forward.size();
        }
    }
    if (tds_walk_end(w) != tds_walk_result::ok || forwarded != result.size())
        abort();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

static double measure(const bytes &result, size_t piece, int rounds) {
    tds_walker w;
    tds_walk_options options;
    options.version = tds_7_4;
    options.drop_session_state = options.drop_reset = true;
    tds_walk_init(w, options);
    double best = 1e9;
    for (int i = 0; i < rounds; ++i)
        best = std::min(best, walk(w, result, piece));
    return static_cast<double>(result.size()) / gib / best;
}

int main(int argc, char **argv) {
    int rounds = 200;
    bool check = false, missed = false;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
    }
    const std::vector<column> mixed = {int4, intn, nvarchar, datetime2, bitn, nvarchar, decimaln, int8, intn, nvarchar};
    std::vector<column> wide; // a row of some 6 KiB
    for (int i = 0; i < 30; ++i)
        wide.insert(wide.end(), mixed.begin(), mixed.end());
    const shape shapes[] = {
        {"1 int", {int4}, 0, 0, 1},
        {"8 int not null", {int4, int8, int4, int8, int4, int4, int8, int4}, 0, 0, 1},
        {"8 int nullable", {intn, intn, intn, intn, intn, intn, intn, intn}, 0, 0, 1},
        {"10 mixed", mixed, 0, 0, 1},
        {"10 mixed, NULLs", mixed, 30, 0, 1},
        {"300 mixed", wide, 0, 0, 1},
        {"300 mixed, NULLs", wide, 30, 0, 1},
        {"PLP of 8 KiB", {int4, nvarchar_max}, 0, 8192, 4},
        {"PLP of 1 MiB", {int4, nvarchar_max}, 0, 1 << 20, 4},
    };
    printf("| rows | piece | GiB/s | goal |\n| --- | --- | --- | --- |\n");
    for (const shape &s : shapes) {
        bytes result = make_result(s);
        for (size_t piece : {size_t{7992}, size_t{65536}}) {
            double speed = measure(result, piece, rounds);
            printf("| %s | %zu | %.2f | %.0f |\n", s.name, piece, speed, s.goal);
            missed = missed || speed < s.goal;
        }
    }
    return check && missed ? 1 : 0;
}
