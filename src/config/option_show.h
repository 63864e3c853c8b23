// A value of the configuration as it would stand in the file, for people to read.
#pragma once

#include <string>

#include "config/option_table.h"

// `section` as in option_row.target. Of a secret only whether there is one: "(set)" or "". Lists: their elements, with
// commas between them. "" for rows without a value of their own (keys).
std::string option_show(const option_row &row, const void *section);
