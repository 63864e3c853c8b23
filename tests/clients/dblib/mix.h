// Scenario `mix` with db-lib: plays the plan of ../mix.py on many connections at once and compares every answer.
#pragma once

#include "client.h"

typedef std::vector<std::string> mix_step;           // its fields
typedef std::vector<std::vector<mix_step>> mix_plan; // the steps of each connection

mix_plan mix_read_plan(const std::string &path);       // empty when there is no such file
int mix_run(const options &opt, const mix_plan &plan); // prints the report; the exit status
