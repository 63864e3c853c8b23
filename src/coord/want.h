// `want`: what an instance with waiting clients and no slot for them says to the others, and who gives way. Pure.
//
//      asker --want.lua--> "<asker> <its slots> <oldest wait> <max> {<holder> <slots>}" --> every instance, the asker
//      too
//
// All of them read the same message, so that just as many give one slot as the asker lacks to its share: an instance
// that holds at least two more than the asker and more than its share (max / holders, the asker counted), those with
// most first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

struct slot_holder {
    std::string id;
    uint32_t slots;
};

struct slot_want {
    slot_holder asker;
    uint64_t oldest_wait = 0; // ms
    uint32_t max = 0;
    std::vector<slot_holder> others; // that hold any
};

// False: not such a message.
[[nodiscard]] bool slot_want_parse(std::string_view text, slot_want &out);

enum class want_answer : uint8_t {
    nothing, // what is free may be taken by this instance as well
    leave,   // what is free is left to the asker for a while
    give,    // likewise, and one slot is given back
};
// Of the instance `id`, which holds `held` slots now (the message may be older).
want_answer slot_want_answer(const slot_want &, std::string_view id, uint32_t held);
// Whether anybody will give one.
bool slot_want_hopeful(const slot_want &);
