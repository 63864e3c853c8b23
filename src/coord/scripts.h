// The Lua scripts of lua/, built into the binary by scripts.cmake.
#pragma once

#include <cstddef>
#include <cstdint>

enum class script : uint8_t { acquire, release, register_, reap, audit, want };
constexpr size_t coord_script_count = 6;

struct coord_script {
    const char *name;
    const char *text;
};

// In the order of enum script.
extern const coord_script coord_scripts[coord_script_count];
