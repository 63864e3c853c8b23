#include "tds/tsql_memo.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>

static constexpr size_t slot_count = 4096;

static uint64_t hash_of(tsql_scope scope, std::span<const uint8_t> utf16) {
    std::string_view bytes(reinterpret_cast<const char *>(utf16.data()), utf16.size());
    uint64_t hash = std::hash<std::string_view>()(bytes) + static_cast<uint64_t>(scope);
    return hash != 0 ? hash : 1; // 0: an empty slot
}

static bool is_same(const tsql_memo_text &known, tsql_scope scope, std::span<const uint8_t> utf16) {
    return known.scope == scope && known.utf16.size() == utf16.size() &&
           memcmp(known.utf16.data(), utf16.data(), utf16.size()) == 0;
}

static void forget(tsql_memo &m, tsql_memo_slot &slot) {
    if (slot.text)
        m.bytes -= slot.text->utf16.size();
    slot.text.reset();
}

// PASSWORD = '...' of a login, a key or a role. Procedures that take one as a parameter are calls.
static bool names_password(std::span<const uint8_t> utf16) {
    static constexpr std::string_view word = "password";
    std::string ascii;
    for (size_t i = 0; i + 1 < utf16.size(); i += 2)
        ascii.push_back(utf16[i + 1] == 0 ? static_cast<char>(utf16[i] | 0x20) : ' ');
    return ascii.find(word) != std::string::npos;
}

static bool may_keep(const tsql_memo &m, std::span<const uint8_t> utf16, const tsql_effect &effect) {
    return m.bytes + utf16.size() <= tsql_memo_bytes_max && !effect.calls && !names_password(utf16);
}

static void keep(tsql_memo &m, tsql_memo_slot &slot, tsql_scope scope, std::span<const uint8_t> utf16,
                 const tsql_effect &effect) {
    forget(m, slot);
    if (!may_keep(m, utf16, effect))
        return;
    slot.text.reset(new tsql_memo_text{scope, {utf16.begin(), utf16.end()}, effect});
    m.bytes += utf16.size();
}

void tsql_memo_scan(tsql_memo &m, tsql_scanner *scanner, tsql_scope scope, std::span<const uint8_t> utf16,
                    tsql_effect &effect) {
    if (utf16.empty() || utf16.size() > tsql_memo_text_max)
        return tsql_scan(scanner, scope, utf16, effect);
    if (m.slots.empty())
        m.slots.resize(slot_count);
    uint64_t hash = hash_of(scope, utf16);
    tsql_memo_slot &slot = m.slots[hash % slot_count];
    bool seen = slot.hash == hash;
    if (seen && slot.text && is_same(*slot.text, scope, utf16)) {
        effect = slot.text->effect;
        return;
    }
    tsql_scan(scanner, scope, utf16, effect);
    if (seen)
        return keep(m, slot, scope, utf16, effect);
    forget(m, slot);
    slot.hash = hash;
}
