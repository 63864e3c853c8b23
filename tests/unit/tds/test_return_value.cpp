// RETURNVALUEs that are taken out, renumbered or exchanged on their way, wherever the stream is cut.
#include "tds/return_value.h"

#include "cmocka_cpp.h"

#include "tds/token_samples.h"

static bytes returned(uint16_t ordinal, const bytes &info_and_value, uint32_t version = tds_7_4) {
    bytes token = return_value(info_and_value, version);
    set_u16le(token, 1, ordinal);
    return token;
}
static bytes int_value(int32_t value) {
    return bytes{0x26, 4, 4} + little32(static_cast<uint32_t>(value));
}

// As of sp_prepexec in the place of sp_execute: ordinal 0 goes, the others count two less; handles of 7 become 70.
struct editor {
    tds_return_value v;
    bool wide = true;
    int handles = 0;

    void take(std::span<const uint8_t> chunk, bool ends, bytes &out) {
        if (tds_return_feed(v, chunk)) {
            if (tds_return_ordinal(v) == 0)
                v.fate = tds_return_fate::exchange;
            else
                tds_return_set_ordinal(v, static_cast<uint16_t>(tds_return_ordinal(v) - 2));
        }
        int32_t value = 0;
        if (ends && v.fate == tds_return_fate::exchange && tds_return_int(v, wide, value)) {
            ++handles;
            if (value == 7)
                tds_return_set_int(v, 70);
            else
                v.fate = tds_return_fate::drop;
        }
        tds_return_take(v, ends, out);
    }
};

static bytes edited(const bytes &payload, const std::vector<size_t> &pieces, uint32_t version = tds_7_4) {
    tds_walk_options options = options_of(version);
    options.mark_returns = true;
    tds_walker w;
    tds_walk_init(w, options);
    editor e;
    e.wide = tds_version_is_wide(version);
    bytes out;
    size_t at = 0;
    for (size_t piece : pieces) {
        std::span<const uint8_t> in = std::span(payload).subspan(at, std::min(piece, payload.size() - at)), forward;
        at += in.size();
        while (!in.empty()) {
            assert_true(tds_walk(w, in, forward) == tds_walk_result::ok);
            if (w.in_marked)
                e.take(forward, tds_walk_between_tokens(w), out);
            else
                out.insert(out.end(), forward.begin(), forward.end());
        }
    }
    assert_true(tds_walk_end(w) == tds_walk_result::ok);
    return out;
}

static void expect_everywhere(const bytes &payload, const bytes &expected, uint32_t version = tds_7_4) {
    assert_true(edited(payload, {payload.size()}, version) == expected);
    for (size_t cut = 1; cut < payload.size(); ++cut)
        assert_true(edited(payload, {cut, payload.size() - cut}, version) == expected);
    for (size_t piece : {1, 2, 3, 5})
        assert_true(edited(payload, pieces_of(payload.size(), piece), version) == expected);
}

static const bytes status = bytes{tds_token_returnstatus} + little32(0);
static const bytes text = bytes{0xe7, 0xff, 0xff} + collation_latin + little64(6) + little32(6) + fill(6) + little32(0);

static void values_are_edited_at_every_cut(void **) {
    bytes end = done(0, tds_token_doneproc);
    expect_everywhere(status + returned(0, int_value(9)) + returned(3, int_value(5)) + returned(4, text) + end,
                      status + returned(1, int_value(5)) + returned(2, text) + end);
    expect_everywhere(returned(0, int_value(7)) + status + end, returned(0, int_value(70)) + status + end);
    expect_everywhere(returned(3, text) + returned(0, int_value(9)) + end, returned(1, text) + end);
}

static void below_7_2(void **) {
    bytes end = done(0, tds_token_doneproc, tds_7_1);
    expect_everywhere(status + returned(0, int_value(7), tds_7_1) + end,
                      status + returned(0, int_value(70), tds_7_1) + end, tds_7_1);
}

static void what_is_no_handle_stays(void **) {
    bytes end = done(0, tds_token_doneproc);
    for (const bytes &value : {bytes{0x26, 4, 0}, bytes{0x26, 8, 8} + fill(8), text, bytes{0x30, 7}}) {
        bytes payload = returned(0, value) + end;
        expect_everywhere(payload, payload);
    }
    bytes int4 = returned(0, bytes{0x38} + little32(7)) + end;
    expect_everywhere(int4, returned(0, bytes{0x38} + little32(70)) + end);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(values_are_edited_at_every_cut),
        cmocka_unit_test(below_7_2),
        cmocka_unit_test(what_is_no_handle_stays),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
