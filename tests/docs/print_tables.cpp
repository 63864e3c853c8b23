// Writes the tables of README.md and docs/ from the tables in src/, or checks that they are current.
//
//      print-tables --write|--check ROOT
//
// A generated block stands in a file between two comment lines:  <!-- table: NAME -->  and  <!-- end of table -->
#include "base/error_table.h"
#include "base/metric_table.h"
#include "config/option_table.h"
#include "proxy/console/commands.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

struct block {
    const char *file;
    const char *name;
    std::string (*text)();
};

std::string code(const std::string &text) {
    return text.empty() ? "" : "`" + text + "`";
}

std::string shown_default(const option_row &row) {
    if ((row.flags & option_required) != 0)
        return "required";
    if ((row.flags & option_inherits) != 0)
        return "proxy's";
    if (row.type == option_type::keys)
        return "none";
    return row.default_text[0] == '\0' ? "`\"\"`" : code(row.default_text);
}

// What a value looks like, without the examples that the page has above its tables.
std::string shown_value(const option_row &row) {
    std::string text = option_expected(row);
    for (const char *examples : {" such as 500ms, 30s, 5m or 1h", " such as 65536, 64KiB or 1MiB"})
        if (size_t at = text.find(examples); at != std::string::npos)
            text.erase(at, strlen(examples));
    return text;
}

// The rows of a section; those of a mapping in it with the mapping's name in front.
std::string option_lines(option_section section, const std::string &prefix) {
    std::string text;
    for (const option_row &row : option_table()) {
        if (row.section != section)
            continue;
        std::string name = code(prefix + row.name) + (row.alias != nullptr ? " (" + code(row.alias) + ")" : "");
        const char *restart = (row.flags & option_restart) != 0 ? " *(restart)*" : "";
        text +=
            "| " + name + " | " + shown_default(row) + " | " + shown_value(row) + " | " + row.help + restart + " |\n";
        if (row.type == option_type::keys)
            text += option_lines(option_section::read_only, std::string(row.name) + ".");
    }
    return text;
}

std::string options_of(option_section section) {
    return "| key | default | value | what it does |\n| --- | --- | --- | --- |\n" + option_lines(section, "");
}

std::string options_short() {
    std::string text = "| section | keys (default) |\n| --- | --- |\n";
    for (option_section section :
         {option_section::proxy, option_section::redis, option_section::fallback, option_section::bucket}) {
        std::string keys;
        for (const option_row &row : option_table())
            if (row.section == section)
                keys += (keys.empty() ? "" : ", ") + code(row.name) + " (" + shown_default(row) + ")";
        text += "| " + code(option_section_name(section)) + " | " + keys + " |\n";
    }
    return text;
}

std::string metrics_table() {
    constexpr const char *types[] = {"gauge", "counter", "histogram"};
    std::string text = "| series | type | labels | what it says |\n| --- | --- | --- | --- |\n";
    for (size_t i = 0; i < static_cast<size_t>(metric::count_); ++i) {
        const metric_info &m = metric_describe(static_cast<metric>(i));
        std::string labels;
        for (const char *label : m.labels)
            if (label != nullptr)
                labels += (labels.empty() ? "" : ", ") + code(label);
        text +=
            "| " + code(m.name) + " | " + types[static_cast<size_t>(m.type)] + " | " + labels + " | " + m.help + " |\n";
    }
    return text;
}

std::string errors_table() {
    std::string text = "| number | severity | text |\n| --- | --- | --- |\n";
    for (const error_info &e : error_table)
        text += "| " + std::to_string(static_cast<unsigned>(e.number)) + " | " + std::to_string(e.severity) + " | " +
                e.text + " |\n";
    return text;
}

std::string command_text(const console_command &c) {
    std::string words = c.words;
    if (c.argument_name[0] != '\0')
        words.append(" ").append(c.argument_name);
    return words;
}

std::string console_table() {
    std::string text = "| command | who | what it does |\n| --- | --- | --- |\n";
    for (const console_command &c : console_commands())
        text += "| " + code(command_text(c)) + " | " + (c.admin_only ? "admin" : "all") + " | " + c.help + " |\n";
    return text;
}

std::string console_columns() {
    constexpr const char *types[] = {"varbinary", "nvarchar", "uniqueidentifier", "bit",   "tinyint",
                                     "smallint",  "int",      "bigint",           "float", "datetime"};
    std::string text;
    for (const console_command &c : console_commands()) {
        if (c.columns.empty())
            continue;
        text += (text.empty() ? "### " : "\n### ") + std::string(c.words) +
                "\n\n| column | type | what it says |\n| --- | --- | --- |\n";
        for (const console_column &column : c.columns) {
            std::string type = types[static_cast<size_t>(column.column.type)];
            if (column.column.type == tds_result_type::text)
                type.append("(").append(std::to_string(column.column.units)).append(")");
            text += "| " + code(std::string(column.column.name)) + " | " + type + " | " + column.help + " |\n";
        }
    }
    return text;
}

// Text for roff: its escape character, and what would be a request at the beginning of a line. Code marks go.
std::string roff(const std::string &text) {
    std::string out = text.starts_with('.') ? "\\&" : "";
    for (char c : text) {
        if (c == '`')
            continue;
        if (c == '\\' || c == '-')
            out += '\\';
        out += c == '\\' ? 'e' : c;
    }
    return out;
}

std::string man_options(option_section section, const std::string &prefix = "") {
    std::string text;
    for (const option_row &row : option_table()) {
        if (row.section != section)
            continue;
        text += ".TP\n.B " + roff(prefix + row.name) + "\n";
        if ((row.flags & option_restart) != 0)
            text += ".RI ( restart )\n";
        text += roff(row.help) + " (" + roff(shown_value(row)) + "; default: " + roff(shown_default(row)) + ")\n";
        if (row.type == option_type::keys)
            text += man_options(option_section::read_only, std::string(row.name) + ".");
    }
    return text;
}

// The end mark stands in a comment.
std::string man_block(option_section section) {
    return man_options(section) + ".\\\" ";
}

const block blocks[] = {
    {"README.md", "options", options_short},
    {"README.md", "errors", errors_table},
    {"docs/configuration.md", "proxy", [] { return options_of(option_section::proxy); }},
    {"docs/configuration.md", "redis", [] { return options_of(option_section::redis); }},
    {"docs/configuration.md", "fallback", [] { return options_of(option_section::fallback); }},
    {"docs/configuration.md", "buckets", [] { return options_of(option_section::bucket); }},
    {"docs/man/tdsbouncer.yaml.5", "man-proxy", [] { return man_block(option_section::proxy); }},
    {"docs/man/tdsbouncer.yaml.5", "man-redis", [] { return man_block(option_section::redis); }},
    {"docs/man/tdsbouncer.yaml.5", "man-fallback", [] { return man_block(option_section::fallback); }},
    {"docs/man/tdsbouncer.yaml.5", "man-buckets", [] { return man_block(option_section::bucket); }},
    {"docs/metrics.md", "metrics", metrics_table},
    {"docs/metrics.md", "errors", errors_table},
    {"docs/console.md", "commands", console_table},
    {"docs/console.md", "columns", console_columns},
};

bool read_file(const std::string &path, std::string &text) {
    std::ifstream file(path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
    return file.good() || file.eof();
}

// Puts the block's current text into `page`. False when the page has no place for it.
bool replace_block(std::string &page, const block &b) {
    std::string begin = std::string("<!-- table: ") + b.name + " -->\n", end = "<!-- end of table -->";
    size_t from = page.find(begin);
    size_t to = from == std::string::npos ? from : page.find(end, from);
    if (to == std::string::npos)
        return false;
    page.replace(from + begin.size(), to - from - begin.size(), b.text());
    return true;
}

bool write_file(const std::string &path, const std::string &text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    return file.flush().good();
}

bool handle(const std::string &root, const block &b, bool write) {
    std::string path = root + "/" + b.file, page;
    if (!read_file(path, page)) {
        fprintf(stderr, "%s: cannot be read\n", path.c_str());
        return false;
    }
    std::string before = page;
    if (!replace_block(page, b)) {
        fprintf(stderr, "%s: has no block \"<!-- table: %s -->\"\n", path.c_str(), b.name);
        return false;
    }
    if (page == before)
        return true;
    if (write)
        return write_file(path, page);
    fprintf(stderr, "%s: table %s is not that of src/; run make docs\n", path.c_str(), b.name);
    return false;
}

} // namespace

int main(int argc, char **argv) {
    bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (!write && !(argc == 3 && strcmp(argv[1], "--check") == 0)) {
        fprintf(stderr, "usage: print-tables --write|--check ROOT\n");
        return 2;
    }
    bool ok = true;
    for (const block &b : blocks)
        ok = handle(argv[2], b, write) && ok;
    return ok ? 0 : 1;
}
