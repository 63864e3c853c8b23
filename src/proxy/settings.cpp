#include "proxy/settings.h"

static constexpr size_t few = 64; // not worth a sweep

settings_ptr settings_intern(settings_table &table, tds_session_state &&state) {
    std::weak_ptr<const tds_session_state> &known = table.known[tds_state_key(state)];
    settings_ptr kept = known.lock();
    if (!kept) {
        kept = std::make_shared<const tds_session_state>(std::move(state));
        known = kept;
    }
    return kept;
}

void settings_sweep(settings_table &table) {
    if (table.known.size() > few)
        std::erase_if(table.known, [](const auto &entry) { return entry.second.expired(); });
}
