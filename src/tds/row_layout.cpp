#include "tds/row_layout.h"

#include <algorithm>
#include <cstdlib>

#include "tds/bytes.h"

static constexpr uint32_t kinds_kept = 1024; // bytes that tds_row_layout_clear leaves allocated

template <typename T> static bool grow(T *&data, uint32_t &capacity, size_t need, size_t first) {
    if (need <= capacity)
        return true;
    size_t wanted = std::max<size_t>({need, first, size_t{capacity} * 2});
    auto *larger = static_cast<T *>(realloc(data, wanted * sizeof(T)));
    if (larger == nullptr)
        return false;
    data = larger;
    capacity = static_cast<uint32_t>(wanted);
    return true;
}

template <typename T> static void give_back(T *&data, uint32_t &capacity) {
    free(data);
    data = nullptr;
    capacity = 0;
}

tds_row_layout::~tds_row_layout() {
    free(kinds);
    free(alt);
    free(nulls);
}

void tds_row_layout_clear(tds_row_layout &layout) {
    layout.known = false;
    layout.row = {};
    layout.size = layout.alt_size = 0;
    if (layout.capacity > kinds_kept)
        give_back(layout.kinds, layout.capacity);
    if (layout.nulls_capacity > kinds_kept)
        give_back(layout.nulls, layout.nulls_capacity);
    give_back(layout.alt, layout.alt_capacity);
}

bool tds_row_layout_add(tds_row_layout &layout, tds_value_kind kind) {
    if (layout.size == tds_columns_max || !grow(layout.kinds, layout.capacity, layout.size + size_t{1}, 32))
        return false;
    layout.kinds[layout.size++] = kind;
    return true;
}

bool tds_row_layout_add_alt(tds_row_layout &layout, const tds_column_run &run) {
    if (layout.alt_size == tds_alt_max || !grow(layout.alt, layout.alt_capacity, layout.alt_size + size_t{1}, 4))
        return false;
    layout.alt[layout.alt_size++] = run;
    return true;
}

const tds_column_run *tds_row_layout_find_alt(const tds_row_layout &layout, uint16_t id) {
    for (uint32_t i = layout.alt_size; i > 0; --i)
        if (layout.alt[i - 1].id == id)
            return &layout.alt[i - 1];
    return nullptr;
}

void tds_column_run_close(const tds_row_layout &layout, tds_column_run &run) {
    size_t total = 0;
    for (uint32_t i = 0; i < run.count && total != SIZE_MAX; ++i) {
        size_t n = tds_value_fixed_size(layout.kinds[run.first + i]);
        total = n == SIZE_MAX ? SIZE_MAX : total + n;
    }
    run.fixed_size = total == SIZE_MAX ? 0 : static_cast<uint32_t>(total);
}

bool tds_row_layout_make_nulls(tds_row_layout &layout) {
    return grow(layout.nulls, layout.nulls_capacity, (layout.row.count + size_t{7}) / 8, 8);
}

// A whole PLP value, or null.
static const uint8_t *skip_plp(const uint8_t *p, const uint8_t *end) {
    if (end - p < 8)
        return nullptr;
    if ((get_u32le(p) & get_u32le(p + 4)) == UINT32_MAX)
        return p + 8;
    for (p += 8; end - p >= 4;) {
        size_t n = get_u32le(p);
        p += 4;
        if (n == 0)
            return p;
        if (n > static_cast<size_t>(end - p))
            return nullptr;
        p += n;
    }
    return nullptr;
}

// A whole value of a kind that is rare or long, or null.
static const uint8_t *skip_long(tds_value_kind kind, const uint8_t *p, const uint8_t *end) {
    auto have = static_cast<size_t>(end - p);
    if (kind == tds_value_kind::plp)
        return skip_plp(p, end);
    size_t head = kind == tds_value_kind::length_4 ? 0 : 1;
    if (head == 1 && have > 0) {
        if (p[0] == 0)
            return p + 1;
        head = size_t{1} + p[0] + 8;
    }
    if (have < head + 4)
        return nullptr;
    size_t n = get_u32le(p + head);
    return n > INT32_MAX || n > have - head - 4 ? nullptr : p + head + 4 + n;
}

// A whole value, or null.
static inline const uint8_t *skip_value(tds_value_kind kind, const uint8_t *p, const uint8_t *end) {
    auto have = static_cast<size_t>(end - p);
    size_t n = 0;
    switch (kind) {
    case tds_value_kind::length_1:
        if (have < 1)
            return nullptr;
        n = size_t{1} + p[0];
        break;
    case tds_value_kind::length_2:
        if (have < 2)
            return nullptr;
        n = get_u16le(p);
        n = n == UINT16_MAX ? 2 : n + 2;
        break;
    case tds_value_kind::fixed_1: n = 1; break;
    case tds_value_kind::fixed_2: n = 2; break;
    case tds_value_kind::fixed_4: n = 4; break;
    case tds_value_kind::fixed_8: n = 8; break;
    default: return skip_long(kind, p, end);
    }
    return n > have ? nullptr : p + n;
}

const uint8_t *tds_row_skip(const tds_value_kind *kinds, uint32_t count, uint32_t &column, const uint8_t *p,
                            const uint8_t *end) {
    uint32_t i = column;
    for (; i < count; ++i) {
        const uint8_t *next = skip_value(kinds[i], p, end);
        if (next == nullptr)
            break;
        p = next;
    }
    column = i;
    return p;
}

const uint8_t *tds_row_skip_nulls(const tds_value_kind *kinds, const uint8_t *nulls, uint32_t count, uint32_t &column,
                                  const uint8_t *p, const uint8_t *end) {
    uint32_t i = column;
    for (; i < count; ++i) {
        if ((nulls[i / 8] >> (i % 8) & 1) != 0)
            continue;
        const uint8_t *next = skip_value(kinds[i], p, end);
        if (next == nullptr)
            break;
        p = next;
    }
    column = i;
    return p;
}
