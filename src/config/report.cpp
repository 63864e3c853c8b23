// How a defect of a configuration file is reported. Contract in report.h.
#include "config/report.h"

#include <cstring>

namespace {

std::string line_for(const place &where, std::string_view what, std::string_view expected) {
    std::string line(where.file);
    if (where.line > 0)
        line.append(":").append(std::to_string(where.line));
    if (!where.key.empty())
        line += ": " + where.key;
    line += ": ";
    line += what;
    line += "; expected ";
    line += expected;
    return line;
}

} // namespace

void report_error(report &to, const place &where, std::string_view what, std::string_view expected) {
    to.errors.push_back(line_for(where, what, expected));
}

void report_warning(report &to, const place &where, std::string_view what, std::string_view expected) {
    to.warnings.push_back(line_for(where, what, expected));
}

std::string printable(std::string_view text) {
    constexpr size_t longest = 100;
    std::string result = "\"";
    for (char c : text.substr(0, longest))
        result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return result + (text.size() > longest ? "...\"" : "\"");
}

void wipe(std::string &secret) {
    explicit_bzero(secret.data(), secret.size());
    secret.clear();
}
