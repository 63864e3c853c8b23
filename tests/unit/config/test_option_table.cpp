// The option table agrees with itself and with the structs of config.h.
#include "config/option_table.h"

#include <set>
#include <string>

#include "cmocka_cpp.h" // last: it defines fail()

static const option_section sections[] = {option_section::proxy, option_section::redis, option_section::fallback,
                                          option_section::bucket, option_section::read_only};

// A struct of every section: one as its initializers leave it, one to store into.
struct all_sections {
    proxy_config proxy;
    redis_config redis;
    fallback_config fallback;
    bucket_config bucket;
};

static void *section_of(all_sections &all, option_section section) {
    void *const found[] = {&all.proxy, &all.redis, &all.fallback, &all.bucket, &all.bucket};
    return found[static_cast<size_t>(section)];
}

static bool equal(const host_port_target &a, const host_port_target &b) {
    return *a.host == *b.host && *a.port == *b.port;
}
static bool equal(const std::vector<sentinel_address> *a, const std::vector<sentinel_address> *b) {
    return a->size() == b->size();
}
template <typename T> static bool equal(const T *a, const T *b) {
    return *a == *b;
}

static bool equal_targets(const option_target &a, const option_target &b) {
    return std::visit([&b](const auto &left) { return equal(left, std::get<std::decay_t<decltype(left)>>(b)); }, a);
}

static void names_are_unique_and_found(void **) {
    for (option_section section : sections) {
        std::set<std::string> names;
        for (const option_row &row : option_table()) {
            if (row.section != section)
                continue;
            assert_true(names.insert(row.name).second);
            if (row.alias != nullptr)
                assert_true(names.insert(row.alias).second);
            assert_ptr_equal(option_find(section, row.name), &row);
            assert_ptr_equal(&option_table()[option_index(row)], &row);
        }
    }
    assert_ptr_equal(option_find(option_section::proxy, "pinning_mode"),
                     option_find(option_section::proxy, "pool_mode"));
    assert_null(option_find(option_section::redis, "listen_port"));
}

static void every_row_is_complete(void **) {
    for (const option_row &row : option_table()) {
        assert_true(row.help[0] != '\0');
        bool has_value = row.type != option_type::keys;
        assert_true((row.target != nullptr) == has_value);
        bool has_choices = row.type == option_type::choice || row.type == option_type::choice_list;
        assert_true((row.choices != nullptr) == has_choices);
        assert_true(row.min <= row.max);
        if (row.type == option_type::secret_file) {
            std::string secret(row.name, std::string_view(row.name).size() - 5);
            assert_non_null(option_find(row.section, secret));
            assert_int_equal(option_find(row.section, secret)->type, option_type::secret);
        }
    }
}

static void defaults_pass_their_own_checks(void **) {
    all_sections all;
    for (const option_row &row : option_table()) {
        if (row.target == nullptr || row.default_text[0] == '\0' || option_is_list(row))
            continue;
        std::string what;
        if (!option_store(row, section_of(all, row.section), row.default_text, what))
            fail_msg("default of %s: %s", row.name, what.c_str());
    }
}

// config.h states the defaults once more, for readers and for tests that fill the structs by hand.
static void defaults_equal_the_initializers(void **) {
    all_sections fresh, filled;
    for (const option_row &row : option_table()) {
        if (row.target == nullptr || row.default_text[0] == '\0' || option_is_list(row))
            continue;
        std::string what;
        (void)option_store(row, section_of(filled, row.section), row.default_text, what);
        if (!equal_targets(row.target(section_of(fresh, row.section)), row.target(section_of(filled, row.section))))
            fail_msg("the default of %s differs from config.h", row.name);
    }
}

static void numbers_fit_their_members(void **) {
    all_sections all;
    for (const option_row &row : option_table()) {
        if (row.type != option_type::number && row.type != option_type::duration && row.type != option_type::size)
            continue;
        if (row.target == nullptr)
            continue;
        option_target target = row.target(section_of(all, row.section));
        if (std::holds_alternative<uint16_t *>(target))
            assert_true(row.max <= UINT16_MAX);
        else if (std::holds_alternative<uint32_t *>(target))
            assert_true(row.max <= UINT32_MAX);
        else
            assert_true(std::holds_alternative<uint64_t *>(target));
        assert_true((row.type == option_type::duration) == std::holds_alternative<uint64_t *>(target));
    }
}

static void limits_are_inclusive(void **) {
    all_sections all;
    std::string what;
    const option_row &port = *option_find(option_section::proxy, "listen_port");
    assert_true(option_store(port, &all.proxy, "1", what) && option_store(port, &all.proxy, "65535", what));
    assert_false(option_store(port, &all.proxy, "0", what) || option_store(port, &all.proxy, "65536", what));
    assert_string_equal(what.c_str(), "\"65536\" is out of range");
    assert_int_equal(all.proxy.listen_port, 65535);
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_found),     cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(defaults_pass_their_own_checks), cmocka_unit_test(defaults_equal_the_initializers),
        cmocka_unit_test(numbers_fit_their_members),      cmocka_unit_test(limits_are_inclusive),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
