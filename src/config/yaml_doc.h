// A YAML file as a tree of nodes that know their lines, over libyaml.
#pragma once

#include "config/report.h"

#include <yaml.h>

#include <string>
#include <string_view>

// The file's bytes and every scalar are overwritten when it goes: it may hold passwords.
struct yaml_doc {
    std::string path;
    yaml_document_t document{};
    bool loaded = false;

    yaml_doc() = default;
    ~yaml_doc();
    yaml_doc(const yaml_doc &) = delete;
    yaml_doc &operator=(const yaml_doc &) = delete;
};

// Reads and parses `path` (at most 16 MiB, one document). On failure false and one error as "file:line:column: ...".
[[nodiscard]] bool yaml_doc_load(yaml_doc &doc, const std::string &path, report &to);

yaml_node_t *yaml_root(yaml_doc &doc); // nullptr when the file is empty
yaml_node_t *yaml_node(yaml_doc &doc, int index);
inline int yaml_line(const yaml_node_t &node) {
    return static_cast<int>(node.start_mark.line) + 1;
}

// The text of a scalar node.
inline std::string_view yaml_text(const yaml_node_t &node) {
    return {reinterpret_cast<const char *>(node.data.scalar.value), node.data.scalar.length};
}
// Nothing, ~ or null, unquoted: a key without a value.
bool yaml_is_null(const yaml_node_t &node);
const char *yaml_kind(const yaml_node_t &node); // "a value", "a list", "a mapping"
