// cmocka 1.1.5's header needs these before it and C linkage around it. Its macro `fail` is a function of <ios>.
#pragma once
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <ios>
extern "C" {
#include <cmocka.h>
}
