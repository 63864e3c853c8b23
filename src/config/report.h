// How a defect of a configuration file is reported: "file:line: key: what is wrong; expected what".
#pragma once

#include <string>
#include <string_view>
#include <vector>

struct report {
    std::vector<std::string> &errors;
    std::vector<std::string> &warnings;
};

struct place {
    std::string_view file;
    int line = 0; // 0: the file as a whole
    std::string key;
};

void report_error(report &, const place &, std::string_view what, std::string_view expected);
void report_warning(report &, const place &, std::string_view what, std::string_view expected);

// `text` in quotes, cut to a sensible length, control characters replaced: fit for a terminal and one line.
std::string printable(std::string_view text);

// Overwrites the characters of `secret` and empties it.
void wipe(std::string &secret);
