#include "tds/error_number.h"

#include <algorithm>
#include <iterator>

struct error_row {
    int32_t number;
    tds_error_kind kind;
};

// Sorted by number.
static constexpr error_row rows[] = {
    {701, tds_error_kind::transient},   // memory
    {921, tds_error_kind::transient},   // database not recovered yet
    {922, tds_error_kind::transient},   // being recovered
    {927, tds_error_kind::transient},   // being restored
    {945, tds_error_kind::transient},   // files or memory missing
    {976, tds_error_kind::transient},   // availability group: secondary not readable
    {978, tds_error_kind::transient},   // only for read-only intent
    {983, tds_error_kind::transient},   // replica neither primary nor secondary
    {1807, tds_error_kind::in_use},     // CREATE DATABASE: no exclusive lock on model
    {3101, tds_error_kind::in_use},     // RESTORE
    {3702, tds_error_kind::in_use},     // DROP DATABASE
    {4221, tds_error_kind::transient},  // readable secondary waits for row versions
    {5030, tds_error_kind::in_use},     // ALTER DATABASE, renaming it
    {5061, tds_error_kind::in_use},     // ... and its options
    {5064, tds_error_kind::in_use},     // in single-user mode, and somebody is there
    {5070, tds_error_kind::in_use},     // likewise, a state that others must leave first
    {6005, tds_error_kind::transient},  // shutting down
    {8645, tds_error_kind::transient},  // timeout waiting for memory
    {8651, tds_error_kind::transient},  // low memory
    {10928, tds_error_kind::busy},      // worker or session limit
    {10929, tds_error_kind::busy},      // minimum guarantee
    {17142, tds_error_kind::transient}, // paused
    {17187, tds_error_kind::transient}, // not ready for connections yet
    {17803, tds_error_kind::transient}, // memory
    {17809, tds_error_kind::busy},      // maximum of user connections
    {17810, tds_error_kind::transient}, // dedicated administrator connection in use
    {18401, tds_error_kind::transient}, // script upgrade mode
    {18451, tds_error_kind::transient}, // shutting down
    {40020, tds_error_kind::transient}, // Azure: service errors from here on
    {40143, tds_error_kind::transient}, {40166, tds_error_kind::transient},
    {40197, tds_error_kind::transient}, {40501, tds_error_kind::busy}, // service busy
    {40540, tds_error_kind::transient}, {40613, tds_error_kind::transient},
    {42108, tds_error_kind::transient}, // pool paused
    {42109, tds_error_kind::transient}, // warming up
    {49918, tds_error_kind::transient}, // not enough resources
    {49919, tds_error_kind::transient}, {49920, tds_error_kind::transient},
};

static constexpr bool by_number(const error_row &a, const error_row &b) {
    return a.number < b.number;
}
static_assert(std::is_sorted(std::begin(rows), std::end(rows), by_number));

tds_error_kind tds_error_kind_of(int32_t number) {
    const auto *row = std::lower_bound(std::begin(rows), std::end(rows), error_row{number, {}}, by_number);
    return row != std::end(rows) && row->number == number ? row->kind : tds_error_kind::permanent;
}
