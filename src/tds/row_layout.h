// What a row looks like: one byte per column that says how to step over its value (MS-TDS 2.2.7.19, 2.2.5.5.1).
// Filled while metadata is read, so its memory never exceeds what arrived.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tds/coltype.h"

// Columns of one COLMETADATA and all its ALTMETADATA together.
inline constexpr size_t tds_columns_max = 0x20000;
inline constexpr size_t tds_alt_max = 256; // COMPUTE clauses of one statement

// A run of columns: those of COLMETADATA, or those of one ALTMETADATA.
struct tds_column_run {
    uint32_t first = 0;
    uint32_t count = 0;
    uint16_t id = 0;         // of ALTMETADATA
    uint32_t fixed_size = 0; // bytes of every row when all columns are of fixed size, else 0
};

struct tds_row_layout {
    tds_value_kind *kinds = nullptr;
    uint32_t size = 0;
    uint32_t capacity = 0;
    bool known = false; // COLMETADATA with columns was read
    tds_column_run row;
    tds_column_run *alt = nullptr;
    uint32_t alt_size = 0;
    uint32_t alt_capacity = 0;
    uint8_t *nulls = nullptr; // bitmap of the NBCROW being read, one bit per column of `row`
    uint32_t nulls_capacity = 0;

    tds_row_layout() = default;
    ~tds_row_layout();
    tds_row_layout(const tds_row_layout &) = delete;
    tds_row_layout &operator=(const tds_row_layout &) = delete;
};

// Forgets all columns; large memory is given back, little is kept for the next metadata.
void tds_row_layout_clear(tds_row_layout &layout);

// Appends a column. False: over tds_columns_max or out of memory.
[[nodiscard]] bool tds_row_layout_add(tds_row_layout &layout, tds_value_kind kind);

// Appends a run of ALTMETADATA. False: over tds_alt_max or out of memory.
[[nodiscard]] bool tds_row_layout_add_alt(tds_row_layout &layout, const tds_column_run &run);

// The last run with this id, or null.
const tds_column_run *tds_row_layout_find_alt(const tds_row_layout &layout, uint16_t id);

// Computes fixed_size once the run's columns are complete.
void tds_column_run_close(const tds_row_layout &layout, tds_column_run &run);

// Makes room for the bitmap of `row`. False: out of memory.
[[nodiscard]] bool tds_row_layout_make_nulls(tds_row_layout &layout);

// Steps over the values that lie wholly in [p, end), from column `column` on; `column` is counted up and the place
// behind the last value stepped over is returned. The value at that place, if column < count, does not lie wholly
// there, or is of a kind with an inner structure that reaches over the end.
const uint8_t *tds_row_skip(const tds_value_kind *kinds, uint32_t count, uint32_t &column, const uint8_t *p,
                            const uint8_t *end);

// The same for an NBCROW: columns whose bit is set in `nulls` have no value.
const uint8_t *tds_row_skip_nulls(const tds_value_kind *kinds, const uint8_t *nulls, uint32_t count, uint32_t &column,
                                  const uint8_t *p, const uint8_t *end);
