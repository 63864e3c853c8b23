// Fuzz target: the scanner of T-SQL. The first byte says which scope the text is of, and whether its bytes are UTF-16
// or characters of one byte each, so that a corpus can be read. Wherever a text is split its effect must be the same,
// and no effect may contradict itself.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "tds/tsql_scan.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

static constexpr size_t all_splits_below = 160; // bytes; longer ones are split at some places

// An exact heap copy, so that AddressSanitizer sees any read behind a piece.
static void feed(tsql_scanner *scanner, std::span<const uint8_t> piece) {
    auto copy = std::make_unique<uint8_t[]>(piece.size());
    if (!piece.empty())
        memcpy(copy.get(), piece.data(), piece.size());
    tsql_scan_feed(scanner, {copy.get(), piece.size()});
}

static tsql_effect scan_split(tsql_scanner *scanner, tsql_scope scope, std::span<const uint8_t> text, size_t at) {
    tsql_effect effect;
    tsql_scan_begin(scanner, scope, effect);
    feed(scanner, text.first(at));
    feed(scanner, text.subspan(at));
    tsql_scan_end(scanner);
    return effect;
}

static void check_consistent(const tsql_effect &e, size_t units) {
    require((e.turned_on & e.turned_off) == 0);
    require((e.passing & ~e.turned_on) == 0);
    require(!e.lone_select || (!e.writes && !e.transactions && !e.calls && !e.empty && e.sets.empty()));
    require(!e.empty || (e.sets.empty() && e.temps.empty() && e.procedures.empty() && e.last_uses.empty()));
    require(e.temps.size() <= tsql_names_max && e.cursors.size() <= tsql_names_max);
    require(e.procedures.size() <= tsql_names_max && e.marks.size() <= tsql_names_max);
    uint64_t end = 0;
    for (const tsql_last_use &use : e.last_uses) {
        require(use.at >= end && use.units >= 7 && use.at + use.units <= units);
        end = use.at + use.units;
    }
    for (const tsql_set &set : e.sets)
        for (char c : set.value)
            require((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                    c == '-' || c == ' ');
}

static std::vector<uint8_t> text_of(const uint8_t *data, size_t size, bool narrow) {
    std::vector<uint8_t> text;
    for (size_t i = 0; i < size; ++i) {
        text.push_back(data[i]);
        if (narrow)
            text.push_back(0);
    }
    return text;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tsql_scanner *scanner = tsql_scanner_create();
    require(scanner != nullptr);
    if (size == 0)
        return 0;
    auto scope = static_cast<tsql_scope>((data[0] & 3U) % 3U);
    std::vector<uint8_t> text = text_of(data + 1, size - 1, (data[0] & 4U) != 0);
    tsql_effect whole = scan_split(scanner, scope, text, text.size());
    check_consistent(whole, text.size() / 2);
    size_t step = text.size() < all_splits_below ? 1 : 1 + text.size() / 13;
    for (size_t at = 0; at < text.size(); at += step)
        require(scan_split(scanner, scope, text, at) == whole);
    return 0;
}
