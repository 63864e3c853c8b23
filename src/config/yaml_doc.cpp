// A YAML file as a tree of nodes that know their lines. Contract in yaml_doc.h.
#include "config/yaml_doc.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr size_t file_limit = 16u << 20;

struct parser {
    yaml_parser_t yaml{};
    parser() { yaml_parser_initialize(&yaml); }
    ~parser() { yaml_parser_delete(&yaml); }
    parser(const parser &) = delete;
    parser &operator=(const parser &) = delete;
};

bool fail(report &to, const std::string &path, const std::string &what, const char *expected) {
    report_error(to, {path, 0, ""}, what, expected);
    return false;
}

// Unbuffered, so that no copy of a password stays in stdio's memory.
bool read_file(const std::string &path, std::string &content, report &to) {
    FILE *file = fopen(path.c_str(), "re");
    if (file == nullptr)
        return fail(to, path, std::string("cannot be opened: ") + strerror(errno), "a readable YAML file");
    setvbuf(file, nullptr, _IONBF, 0);
    size_t size = 0, got = 0;
    content.resize(64 * 1024);
    while ((got = fread(content.data() + size, 1, content.size() - size, file)) > 0) {
        size += got;
        if (size < content.size())
            continue;
        std::string larger(content.size() * 2, '\0');
        larger.replace(0, size, content);
        wipe(content);
        content = std::move(larger);
        if (size > file_limit)
            break;
    }
    bool failed = ferror(file) != 0;
    int error = errno;
    fclose(file);
    if (failed)
        return fail(to, path, std::string("cannot be read: ") + strerror(error), "a readable YAML file");
    if (size > file_limit)
        return fail(to, path, "is longer than 16 MiB", "a smaller file");
    content.resize(size);
    return true;
}

// libyaml names what it met and where, but never quotes the text itself.
bool syntax_error(const yaml_parser_t &yaml, const std::string &path, report &to) {
    const yaml_mark_t &mark = yaml.problem_mark;
    std::string where = path + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
    std::string what = std::string("not YAML: ") + (yaml.problem != nullptr ? yaml.problem : "unreadable text");
    if (yaml.context != nullptr)
        what += std::string(" ") + yaml.context;
    report_error(to, {where, 0, ""}, what, "valid YAML");
    return false;
}

void wipe_scalars(yaml_document_t &document) {
    for (yaml_node_t *node = document.nodes.start; node != document.nodes.top; ++node)
        if (node->type == YAML_SCALAR_NODE)
            explicit_bzero(node->data.scalar.value, node->data.scalar.length);
}

bool parse(yaml_doc &doc, const std::string &content, report &to) {
    parser p;
    yaml_parser_set_input_string(&p.yaml, reinterpret_cast<const unsigned char *>(content.data()), content.size());
    if (yaml_parser_load(&p.yaml, &doc.document) == 0)
        return syntax_error(p.yaml, doc.path, to);
    doc.loaded = true;
    yaml_document_t more;
    if (yaml_parser_load(&p.yaml, &more) == 0)
        return syntax_error(p.yaml, doc.path, to);
    yaml_node_t *second = yaml_document_get_root_node(&more);
    int line = second != nullptr ? yaml_line(*second) : 0;
    wipe_scalars(more);
    yaml_document_delete(&more);
    if (second == nullptr)
        return true;
    report_error(to, {doc.path, line, ""}, "a second YAML document", "one document in the file");
    return false;
}

} // namespace

yaml_doc::~yaml_doc() {
    if (!loaded)
        return;
    wipe_scalars(document);
    yaml_document_delete(&document);
}

bool yaml_doc_load(yaml_doc &doc, const std::string &path, report &to) {
    std::string content;
    doc.path = path;
    bool ok = read_file(path, content, to) && parse(doc, content, to);
    wipe(content);
    return ok;
}

yaml_node_t *yaml_root(yaml_doc &doc) {
    return yaml_document_get_root_node(&doc.document);
}

yaml_node_t *yaml_node(yaml_doc &doc, int index) {
    return yaml_document_get_node(&doc.document, index);
}

bool yaml_is_null(const yaml_node_t &node) {
    if (node.type != YAML_SCALAR_NODE || node.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    std::string_view text = yaml_text(node);
    return text.empty() || text == "~" || text == "null";
}

const char *yaml_kind(const yaml_node_t &node) {
    return node.type == YAML_SEQUENCE_NODE ? "a list" : node.type == YAML_MAPPING_NODE ? "a mapping" : "a value";
}
