// The table of scalar functions. Each file of functions has a list; bind_function looks the name up in all of them.
#pragma once

#include "tsql_bind.h"

namespace sqlserver {

// arguments: one letter each, the last one repeats: s text, i int, b bigint, f float, d date or time, a anything,
//            n number
// result:    int, bigint, float, bit, datetime, datetime2, date, guid, varchar(n) as type_info; or a rule that looks at
//            the bound arguments
struct function_row {
    const char *name;
    size_t least, most;
    const char *arguments;
    type_info type;
    scalar_function fn;
    type_info (*rule)(const std::vector<bound_ptr> &args) = nullptr;
    bool takes_null = false; // fn sees NULLs
    bool changing = false;
};

struct function_list {
    const function_row *rows;
    size_t count;
};

function_list text_functions();
function_list number_functions();
function_list session_functions();

constexpr type_info t_int{type_id::int_, 0, 0, 0}, t_bigint{type_id::bigint_, 0, 0, 0},
    t_float{type_id::float_, 0, 0, 0}, t_bit{type_id::bit_, 0, 0, 0}, t_datetime{type_id::datetime_, 0, 0, 0},
    t_datetime2{type_id::datetime2_, 0, 0, 7}, t_sysname{type_id::nvarchar_, 128, 0, 0},
    t_nvarchar{type_id::nvarchar_, 4000, 0, 0}, t_varchar{type_id::varchar_, 8000, 0, 0},
    t_smallint{type_id::smallint_, 0, 0, 0}, t_variant{type_id::sql_variant_, 0, 0, 0},
    t_guid{type_id::uniqueidentifier_, 0, 0, 0};

value variant_of(const type_info &t, value v);

} // namespace sqlserver
