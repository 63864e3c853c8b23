// Checking a value's text against its row and storing it. Contract in option_table.h.
#include "config/option_table.h"
#include "config/report.h"
#include "config/value.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

using T = option_type;

constexpr size_t secret_file_limit = 4096;

bool fail(std::string &what, std::string message) {
    what = std::move(message);
    return false;
}

bool wrong(const option_row &row, std::string_view text, std::string &what) {
    if (option_is_secret(row))
        return fail(what, "the value is not accepted");
    return fail(what, text.empty() ? "the value is empty" : printable(text) + " is not accepted");
}

bool store_number(const option_row &row, const option_target &target, uint64_t number, std::string_view text,
                  std::string &what) {
    if (number < row.min || number > row.max)
        return fail(what, printable(text) + " is out of range");
    if (auto *u16 = std::get_if<uint16_t *>(&target))
        **u16 = static_cast<uint16_t>(number);
    else if (auto *u32 = std::get_if<uint32_t *>(&target))
        **u32 = static_cast<uint32_t>(number);
    else
        *std::get<uint64_t *>(target) = number;
    return true;
}

void store_choice(const option_target &target, const option_choice &choice) {
    if (auto *text = std::get_if<std::string *>(&target))
        **text = choice.text;
    else if (auto *flag = std::get_if<bool *>(&target))
        **flag = choice.value != 0;
    else if (auto *mode = std::get_if<pool_mode *>(&target))
        **mode = static_cast<pool_mode>(choice.value);
    else if (auto *tls = std::get_if<client_tls *>(&target))
        **tls = static_cast<client_tls>(choice.value);
    else if (auto *to_server = std::get_if<server_tls *>(&target))
        **to_server = static_cast<server_tls>(choice.value);
    else if (auto *mars = std::get_if<mars_mode *>(&target))
        **mars = static_cast<mars_mode>(choice.value);
    else if (auto *procedures = std::get_if<opaque_procedures *>(&target))
        **procedures = static_cast<opaque_procedures>(choice.value);
    else
        *std::get<health_probe *>(target) = static_cast<health_probe>(choice.value);
}

bool store_one_of(const option_row &row, const option_target &target, std::string_view text, std::string &what) {
    for (const option_choice *choice = row.choices; choice->text != nullptr; ++choice) {
        if (text != choice->text)
            continue;
        store_choice(target, *choice);
        return true;
    }
    return wrong(row, text, what);
}

// The file's content without its last line end, into `secret`. The file is read unbuffered: no copy stays in stdio.
bool store_secret_file(std::string &secret, const char *path, std::string &what) {
    FILE *file = fopen(path, "re");
    if (file == nullptr)
        return fail(what, "cannot read " + printable(path) + ": " + strerror(errno));
    setvbuf(file, nullptr, _IONBF, 0);
    std::string content(secret_file_limit + 1, '\0');
    size_t size = fread(content.data(), 1, content.size(), file);
    bool failed = ferror(file) != 0;
    fclose(file);
    std::string_view text(content.data(), size);
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    if (text.ends_with('\r'))
        text.remove_suffix(1);
    const char *defect = failed                                      ? "cannot be read"
                         : size > secret_file_limit                  ? "is longer than 4096 bytes"
                         : text.empty()                              ? "is empty"
                         : text.find('\0') != std::string_view::npos ? "holds a NUL byte"
                                                                     : nullptr;
    if (defect == nullptr)
        secret.assign(text);
    wipe(content);
    return defect == nullptr || fail(what, printable(path) + " " + defect);
}

bool store_file(const option_target &target, std::string_view text, std::string &what) {
    std::string path(text);
    if (!path.empty() && access(path.c_str(), R_OK) != 0)
        return fail(what, "cannot read " + printable(text) + ": " + strerror(errno));
    *std::get<std::string *>(target) = std::move(path);
    return true;
}

bool store_host_port(const option_row &row, const option_target &target, std::string_view text, std::string &what) {
    const auto &to = std::get<host_port_target>(target);
    return value_host_port(text, *to.host, *to.port) || wrong(row, text, what);
}

bool store_sentinel(const option_row &row, const option_target &target, std::string_view text, std::string &what) {
    sentinel_address address;
    if (!value_host_port(text, address.host, address.port))
        return wrong(row, text, what);
    std::get<std::vector<sentinel_address> *>(target)->push_back(std::move(address));
    return true;
}

bool store_text(const option_row &row, const option_target &target, std::string_view text, bool fits,
                std::string &what) {
    if (!fits || text.find('\0') != std::string_view::npos)
        return wrong(row, text, what);
    if (auto *list = std::get_if<std::vector<std::string> *>(&target))
        (*list)->emplace_back(text);
    else
        std::get<std::string *>(target)->assign(text);
    return true;
}

std::string range_text(const option_row &row) {
    std::string (*text)(uint64_t) = row.type == T::duration ? duration_text
                                    : row.type == T::size   ? size_text
                                                            : [](uint64_t n) { return std::to_string(n); };
    return ", " + text(row.min) + " to " + text(row.max);
}

std::string choice_list(const option_row &row) {
    std::string list;
    for (const option_choice *choice = row.choices; choice->text != nullptr; ++choice)
        list += (list.empty() ? "" : " or ") + std::string(choice->text);
    return list;
}

std::string key_list(option_section section) {
    std::string list;
    for (const option_row &row : option_table())
        if (row.section == section)
            list += (list.empty() ? "" : ", ") + std::string(row.name);
    return list;
}

} // namespace

bool option_is_list(const option_row &row) {
    return row.type == T::choice_list || row.type == T::host_list || row.type == T::host_port_list ||
           row.type == T::pattern_list;
}

bool option_is_secret(const option_row &row) {
    return row.type == T::secret;
}

std::string option_expected(const option_row &row) {
    switch (row.type) {
    case T::text:
    case T::secret: return "text";
    case T::secret_file:
    case T::file: return "the name of a readable file";
    case T::name: return "1 to 100 of A-Z a-z 0-9 . _ -";
    case T::host: return "a host name or IP address";
    case T::ip: return "an IP address";
    case T::ipv4: return "an IPv4 address";
    case T::host_port: return "host:port";
    case T::number: return "a whole number" + range_text(row);
    case T::boolean: return "true or false";
    case T::duration: return "a duration such as 500ms, 30s, 5m or 1h" + range_text(row);
    case T::size: return "a size such as 65536, 64KiB or 1MiB" + range_text(row);
    case T::version: return "a version such as 16.0 or 16.0.4135";
    case T::choice: return choice_list(row);
    case T::choice_list: return "a list of " + choice_list(row);
    case T::host_list: return "a list of host names";
    case T::host_port_list: return "a list of host:port";
    case T::pattern_list: return "a list of names or patterns with * and ?";
    case T::keys: return "the keys " + key_list(option_section::read_only);
    }
    return "";
}

bool option_store(const option_row &row, void *section, std::string_view text, std::string &what) {
    if (row.target == nullptr)
        return wrong(row, text, what);
    option_target target = row.target(section);
    uint64_t number = 0;
    if (text.empty() && (row.type == T::name || row.type == T::version) && row.default_text[0] == '\0' &&
        (row.flags & option_required) == 0)
        return store_text(row, target, text, true, what);
    switch (row.type) {
    case T::text:
    case T::secret: return store_text(row, target, text, true, what);
    case T::secret_file: return store_secret_file(*std::get<std::string *>(target), std::string(text).c_str(), what);
    case T::file: return store_file(target, text, what);
    case T::name: return store_text(row, target, text, value_name(text), what);
    case T::host:
    case T::host_list: return store_text(row, target, text, value_host(text), what);
    case T::ip: return store_text(row, target, text, value_ip(text, false), what);
    case T::ipv4: return store_text(row, target, text, value_ip(text, true), what);
    case T::version: return store_text(row, target, text, value_version(text), what);
    case T::host_port: return store_host_port(row, target, text, what);
    case T::host_port_list: return store_sentinel(row, target, text, what);
    case T::pattern_list: return store_text(row, target, text, !text.empty() && text.size() <= 384, what);
    case T::choice:
    case T::choice_list: return store_one_of(row, target, text, what);
    case T::boolean: return value_boolean(text, *std::get<bool *>(target)) || wrong(row, text, what);
    case T::number:
        return value_number(text, number) ? store_number(row, target, number, text, what) : wrong(row, text, what);
    case T::duration:
        return value_duration(text, number) ? store_number(row, target, number, text, what) : wrong(row, text, what);
    case T::size:
        return value_size(text, number) ? store_number(row, target, number, text, what) : wrong(row, text, what);
    case T::keys: break; // a mapping: its rows hold the values
    }
    return wrong(row, text, what);
}
