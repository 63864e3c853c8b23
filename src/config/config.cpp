// Reading the two files into the structs by way of the option table. Contract in config.h.
#include "config/config.h"
#include "config/checks.h"
#include "config/option_table.h"
#include "config/report.h"
#include "config/value.h"
#include "config/yaml_doc.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace {

using S = option_section;

// A mapping read_only while its bucket is read; a bucket of its own in the end.
struct read_only_target {
    size_t parent;
    bucket_config conf;
    key_lines lines;
};

// One file while it is read.
struct reader {
    yaml_doc doc;
    report &to;
    std::vector<read_only_target> read_only;
};

// One section while it is read: where its values go and which keys were met.
struct section_reader {
    reader &file;
    S section;
    void *target;
    std::string prefix; // "proxy", "buckets[0]"
    key_lines &lines;
    size_t bucket = 0; // index, in section bucket
};

place at(const reader &r, const yaml_node_t &node, std::string key) {
    return {r.doc.path, yaml_line(node), std::move(key)};
}

// Text that could be part of a key; anything else (a password in the wrong place) is not repeated in a message.
std::string shown_key(std::string_view text) {
    bool plain = !text.empty() && text.size() <= 40;
    for (char c : text)
        plain = plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    return plain ? std::string(text) : "(unreadable)";
}

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row.back();
}

std::string expected_key(S section, std::string_view unknown) {
    const option_row *nearest = nullptr;
    size_t best = 4; // more differences than three are no misspelling
    for (const option_row &row : option_table()) {
        if (row.section != section || unknown.size() > 40)
            continue;
        size_t distance = edit_distance(unknown, row.name);
        if (distance < best) {
            best = distance;
            nearest = &row;
        }
    }
    std::string expected = std::string("a key of ") + option_section_name(section);
    return nearest != nullptr ? expected + ", perhaps " + nearest->name : expected;
}

bool expand(const section_reader &s, const option_row &row, const yaml_node_t &node, std::string &text) {
    std::string variable;
    place where = at(s.file, node, s.prefix + "." + row.name);
    switch (value_expand(yaml_text(node), text, variable)) {
    case expand_result::ok: return true;
    case expand_result::unset:
        report_error(s.file.to, where, "environment variable " + variable + " is not set",
                     "it to be set, or ${" + variable + ":-default}");
        return false;
    case expand_result::malformed:
        report_error(s.file.to, where, "${ that names no variable",
                     "${NAME} or ${NAME:-default}, or $${ for a plain ${");
        return false;
    }
    return false;
}

void read_scalar(section_reader &s, const option_row &row, const yaml_node_t &node) {
    place where = at(s.file, node, s.prefix + "." + row.name);
    if (node.type != YAML_SCALAR_NODE)
        return report_error(s.file.to, where, std::string(yaml_kind(node)) + " instead of a single value",
                            option_expected(row));
    if (yaml_is_null(node))
        return report_error(s.file.to, where, "no value",
                            option_expected(row) + (row.default_text[0] != '\0' ? "" : ", \"\" for none"));
    std::string text, what;
    if (expand(s, row, node, text) && !option_store(row, s.target, text, what))
        report_error(s.file.to, where, what, option_expected(row));
    wipe(text);
}

void read_list(section_reader &s, const option_row &row, const yaml_node_t &node) {
    if (node.type != YAML_SEQUENCE_NODE)
        return report_error(s.file.to, at(s.file, node, s.prefix + "." + row.name),
                            std::string(yaml_kind(node)) + " instead of a list", option_expected(row));
    for (const yaml_node_item_t *item = node.data.sequence.items.start; item != node.data.sequence.items.top; ++item)
        read_scalar(s, row, *yaml_node(s.file.doc, *item));
}

void read_mapping(section_reader &s, const option_row &row, const yaml_node_t &node);

void read_value(section_reader &s, const option_row &row, const yaml_node_t &node) {
    if (row.type == option_type::keys)
        read_mapping(s, row, node);
    else if (option_is_list(row))
        read_list(s, row, node);
    else
        read_scalar(s, row, node);
}

void read_pair(section_reader &s, const yaml_node_t &key, const yaml_node_t &value) {
    std::string_view name = key.type == YAML_SCALAR_NODE ? yaml_text(key) : std::string_view();
    const option_row *row = option_find(s.section, name);
    place where = at(s.file, key, s.prefix + "." + shown_key(name));
    if (row == nullptr)
        return report_error(s.file.to, where, "unknown key", expected_key(s.section, name));
    int &line = s.lines[option_index(*row)];
    if (line != 0)
        return report_error(s.file.to, where, "given twice, first in line " + std::to_string(line), "it once");
    line = yaml_line(key);
    read_value(s, *row, value);
}

key_lines no_lines() {
    return key_lines(option_table().size(), 0);
}

// Fills in the table's defaults. They pass the same checks as a file's values; the tests see to it that all do.
void set_defaults(S section, void *target) {
    std::string what;
    for (const option_row &row : option_table())
        if (row.section == section && row.target != nullptr && row.default_text[0] != '\0' && !option_is_list(row))
            (void)option_store(row, target, row.default_text, what);
}

void read_section(section_reader &&s, const yaml_node_t &node) {
    set_defaults(s.section, s.target);
    if (node.type == YAML_MAPPING_NODE) {
        const auto &pairs = node.data.mapping.pairs;
        for (const yaml_node_pair_t *pair = pairs.start; pair != pairs.top; ++pair)
            read_pair(s, *yaml_node(s.file.doc, pair->key), *yaml_node(s.file.doc, pair->value));
    } else if (!yaml_is_null(node)) {
        return report_error(s.file.to, at(s.file, node, s.prefix), std::string(yaml_kind(node)) + " instead of keys",
                            "keys, one per line");
    }
    for (const option_row &row : option_table())
        if (row.section == s.section && (row.flags & option_required) != 0 && s.lines[option_index(row)] == 0)
            report_error(s.file.to, at(s.file, node, s.prefix + "." + row.name), "missing", option_expected(row));
}

// read_only, the one mapping there is. Its rows fill in a bucket_config, as those of buckets[] do.
void read_mapping(section_reader &s, const option_row &row, const yaml_node_t &node) {
    if (node.type != YAML_MAPPING_NODE)
        return report_error(s.file.to, at(s.file, node, s.prefix + "." + row.name),
                            std::string(yaml_is_null(node) ? "no value" : yaml_kind(node)) + " instead of keys",
                            option_expected(row));
    size_t parent = s.bucket;
    read_only_target &target = s.file.read_only.emplace_back(read_only_target{parent, {}, no_lines()});
    target.conf.line = yaml_line(node);
    read_section({s.file, S::read_only, &target.conf, s.prefix + "." + row.name, target.lines, parent}, node);
}

// Calls `each` for every key of the file's top level; reports what `each` does not know and what is there twice.
template <typename Each> bool read_top(reader &r, const char *known, Each each) {
    yaml_node_t *root = yaml_root(r.doc);
    if (root == nullptr || root->type != YAML_MAPPING_NODE) {
        report_error(r.to, {r.doc.path, root != nullptr ? yaml_line(*root) : 1, ""},
                     root == nullptr || yaml_is_null(*root) ? "the file is empty" : "no sections", known);
        return false;
    }
    std::vector<std::string_view> seen;
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair != root->data.mapping.pairs.top; ++pair) {
        const yaml_node_t &key = *yaml_node(r.doc, pair->key);
        std::string_view name = key.type == YAML_SCALAR_NODE ? yaml_text(key) : std::string_view();
        if (std::find(seen.begin(), seen.end(), name) != seen.end())
            report_error(r.to, at(r, key, shown_key(name)), "given twice", "it once");
        else if (!each(name, *yaml_node(r.doc, pair->value)))
            report_error(r.to, at(r, key, shown_key(name)), "unknown section", known);
        seen.push_back(name);
    }
    return true;
}

void read_proxy_file(reader &r, config &c, config_lines &lines) {
    bool whole =
        read_top(r, "the sections proxy, redis and fallback", [&](std::string_view name, const yaml_node_t &node) {
            if (name == "proxy") {
                lines.proxy = yaml_line(node);
                read_section({r, S::proxy, &c.proxy, "proxy", lines.keys}, node);
            } else if (name == "redis") {
                lines.redis = yaml_line(node);
                c.redis.enabled = true;
                read_section({r, S::redis, &c.redis, "redis", lines.keys}, node);
            } else if (name == "fallback") {
                read_section({r, S::fallback, &c.fallback, "fallback", lines.keys}, node);
            } else {
                return false;
            }
            return true;
        });
    if (whole && lines.proxy == 0)
        report_error(r.to, {r.doc.path, 1, "proxy"}, "missing", "the section proxy");
}

void read_bucket_list(reader &r, config &c, config_lines &lines, const yaml_node_t &list) {
    if (list.type != YAML_SEQUENCE_NODE)
        return report_error(r.to, at(r, list, "buckets"), std::string(yaml_kind(list)) + " instead of a list",
                            "a list of buckets");
    const auto &items = list.data.sequence.items;
    size_t count = static_cast<size_t>(items.top - items.start);
    c.buckets.reserve(2 * count); // no bucket moves once it holds a password; each may have a read-only target
    lines.buckets.reserve(2 * count);
    for (size_t i = 0; i < count; ++i) {
        const yaml_node_t &node = *yaml_node(r.doc, items.start[i]);
        bucket_config &bucket = c.buckets.emplace_back();
        bucket.line = yaml_line(node);
        read_section(
            {r, S::bucket, &bucket, "buckets[" + std::to_string(i) + "]", lines.buckets.emplace_back(no_lines()), i},
            node);
    }
    if (count == 0)
        report_error(r.to, at(r, list, "buckets"), "the list is empty", "at least one bucket");
}

void read_buckets_file(reader &r, config &c, config_lines &lines) {
    bool there = false;
    bool whole = read_top(r, "the section buckets", [&](std::string_view name, const yaml_node_t &node) {
        if (name != "buckets")
            return false;
        there = true;
        read_bucket_list(r, c, lines, node);
        return true;
    });
    if (whole && !there)
        report_error(r.to, {r.doc.path, 1, "buckets"}, "missing", "the section buckets");
}

void inherit(config &c, const config_lines &lines) {
    auto index = [](const char *key) { return option_index(*option_find(S::bucket, key)); };
    for (size_t i = 0; i < c.buckets.size(); ++i) {
        bucket_config &b = c.buckets[i];
        const key_lines &given = lines.buckets[i];
        if (given[index("pool_mode")] == 0)
            b.mode = c.proxy.mode;
        if (given[index("queue_timeout")] == 0)
            b.queue_timeout = c.proxy.queue_timeout;
        if (given[index("max_queue_size")] == 0)
            b.max_queue_size = c.proxy.max_queue_size;
        if (given[index("rate_limit")] == 0)
            b.rate_limit = c.proxy.rate_limit;
        if (b.mode == pool_mode::transaction && given[index("idle_timeout")] == 0)
            b.idle_timeout = c.proxy.idle_timeout;
        if (b.mode == pool_mode::transaction && given[index("session_timeout")] == 0)
            b.session_timeout = c.proxy.session_timeout;
    }
}

// Makes buckets of the read-only targets: their parents' keys but for what the mapping gives and what names the parent.
void append_read_only(config &c, config_lines &lines, std::vector<read_only_target> &targets) {
    for (read_only_target &target : targets) {
        const bucket_config &parent = c.buckets[target.parent];
        bucket_config &b = c.buckets.emplace_back(parent);
        b.id = parent.id + read_only_suffix;
        b.host = target.conf.host;
        b.port = target.conf.port;
        b.max_connections = target.conf.max_connections;
        b.line = target.conf.line;
        b.listen_port = 0;
        b.min_idle = 0;
        b.aliases.clear();
        b.databases.clear();
        b.read_only_of = static_cast<int32_t>(target.parent);
        c.buckets[target.parent].read_only = static_cast<int32_t>(c.buckets.size() - 1);
        lines.buckets.push_back(std::move(target.lines));
    }
}

void name_instance(config &c, report &to) {
    const char *environment = getenv("PROXY_INSTANCE_ID");
    char host[HOST_NAME_MAX + 1] = "";
    if (environment != nullptr && *environment != '\0') {
        if (!value_name(environment))
            return report_error(to, {"environment", 0, "PROXY_INSTANCE_ID"},
                                printable(environment) + " is not accepted",
                                option_expected(*option_find(S::proxy, "instance_id")));
        c.proxy.instance_id = environment;
    }
    if (c.proxy.instance_id.empty() && gethostname(host, sizeof host - 1) == 0)
        c.proxy.instance_id = value_name(host) ? host : "tdsbouncer";
}

} // namespace

std::unique_ptr<config> config_load(const std::string &proxy_file, const std::string &buckets_file,
                                    std::vector<std::string> &errors, std::vector<std::string> &warnings) {
    report to{errors, warnings};
    reader proxy{{}, to, {}}, buckets{{}, to, {}};
    size_t before = errors.size();
    auto c = std::make_unique<config>();
    config_lines lines{proxy_file, buckets_file, 0, 0, no_lines(), {}};
    if (yaml_doc_load(proxy.doc, proxy_file, to))
        read_proxy_file(proxy, *c, lines);
    if (yaml_doc_load(buckets.doc, buckets_file, to))
        read_buckets_file(buckets, *c, lines);
    inherit(*c, lines);
    append_read_only(*c, lines, buckets.read_only);
    name_instance(*c, to);
    if (lines.proxy != 0 && !c->buckets.empty()) // a file that is missing or not YAML was reported; nothing to compare
        config_check(*c, lines, to);
    if (errors.size() == before)
        return c;
    config_wipe(*c);
    return nullptr;
}

void config_wipe(config &c) {
    wipe(c.redis.password);
    wipe(c.redis.sentinel_password);
    wipe(c.proxy.admin_password);
    wipe(c.proxy.monitor_password);
    for (bucket_config &b : c.buckets)
        wipe(b.password);
}
