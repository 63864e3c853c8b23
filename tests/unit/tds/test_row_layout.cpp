// Stepping over the values of rows: what is whole is stepped over, what is not is left where it begins.
#include "cmocka_cpp.h"

#include "tds/row_layout.h"
#include "tds/token_samples.h"

static void add(tds_row_layout &layout, std::initializer_list<tds_value_kind> kinds) {
    layout.row.first = layout.size;
    layout.row.count = static_cast<uint32_t>(kinds.size());
    for (auto kind : kinds)
        assert_true(tds_row_layout_add(layout, kind));
    tds_column_run_close(layout, layout.row);
}

static void test_fixed_size_of_rows(void **) {
    using k = tds_value_kind;
    tds_row_layout layout;
    add(layout, {k::fixed_1, k::fixed_2, k::fixed_4, k::fixed_8});
    assert_int_equal(layout.row.fixed_size, 15);
    add(layout, {k::fixed_1, k::length_1});
    assert_int_equal(layout.row.fixed_size, 0);
    assert_int_equal(layout.row.first, 4);
    tds_row_layout_clear(layout);
    assert_int_equal(layout.size, 0);
    assert_int_equal(layout.row.count, 0);
}

// Every kind alone, its value cut at every byte: nothing is stepped over until the last byte is there.
static void test_each_kind_whole_or_not(void **) {
    struct {
        tds_value_kind kind;
        bytes value;
    } cases[] = {
        {tds_value_kind::fixed_1, fill(1)},
        {tds_value_kind::fixed_2, fill(2)},
        {tds_value_kind::fixed_4, fill(4)},
        {tds_value_kind::fixed_8, fill(8)},
        {tds_value_kind::length_1, short_value(0)},
        {tds_value_kind::length_1, short_value(255)},
        {tds_value_kind::length_2, long_value(0)},
        {tds_value_kind::length_2, long_value(65534)},
        {tds_value_kind::length_2, {0xff, 0xff}},
        {tds_value_kind::length_4, little32(0)},
        {tds_value_kind::length_4, variant(fill(9))},
        {tds_value_kind::plp, plp_null},
        {tds_value_kind::plp, plp(0, {})},
        {tds_value_kind::plp, plp(plp_unknown, {1, 70000, 2})},
        {tds_value_kind::text, {0}},
        {tds_value_kind::text, pointed_value(16, 40)},
    };
    for (const auto &c : cases) {
        for (size_t n = 0; n <= c.value.size();
             n += c.value.size() > 1000 && n > 40 && n + 40 < c.value.size() ? 37 : 1) {
            bytes copy(c.value.begin(), c.value.begin() + static_cast<long>(n)); // exact, for AddressSanitizer
            uint32_t column = 0;
            const uint8_t *p = tds_row_skip(&c.kind, 1, column, copy.data(), copy.data() + n);
            assert_int_equal(column, n == c.value.size() ? 1 : 0);
            assert_int_equal(p - copy.data(), n == c.value.size() ? n : 0);
        }
    }
}

static void test_nulls_have_no_value(void **) {
    tds_value_kind kinds[20];
    std::fill(kinds, kinds + 20, tds_value_kind::fixed_4);
    const uint8_t nulls[] = {0xff, 0x0f, 0xf4}; // columns 0 to 11 and 18, and surplus bits
    bytes data = fill(7 * 4);
    uint32_t column = 0;
    const uint8_t *p = tds_row_skip_nulls(kinds, nulls, 20, column, data.data(), data.data() + data.size());
    assert_int_equal(column, 20);
    assert_int_equal(p - data.data(), data.size());
    column = 0;
    p = tds_row_skip_nulls(kinds, nulls, 20, column, data.data(), data.data() + 5);
    assert_int_equal(column, 13);
    assert_int_equal(p - data.data(), 4);
}

static void test_alternative_runs(void **) {
    tds_row_layout layout;
    for (int id : {3, 1, 3}) {
        tds_column_run run;
        run.id = static_cast<uint16_t>(id);
        run.count = layout.alt_size + 1;
        assert_true(tds_row_layout_add_alt(layout, run));
    }
    assert_int_equal(tds_row_layout_find_alt(layout, 1)->count, 2);
    assert_int_equal(tds_row_layout_find_alt(layout, 3)->count, 3);
    assert_null(tds_row_layout_find_alt(layout, 2));
}

static void test_limit_of_columns(void **) {
    tds_row_layout layout;
    for (size_t i = 0; i < tds_columns_max; ++i)
        assert_true(tds_row_layout_add(layout, tds_value_kind::fixed_1));
    assert_false(tds_row_layout_add(layout, tds_value_kind::fixed_1));
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_size_of_rows),  cmocka_unit_test(test_each_kind_whole_or_not),
        cmocka_unit_test(test_nulls_have_no_value), cmocka_unit_test(test_alternative_runs),
        cmocka_unit_test(test_limit_of_columns),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
