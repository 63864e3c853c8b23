#include "proxy/console_select.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

#include <strings.h>

#include "proxy/console.h"
#include "tds/response.h"
#include "tds/result_build.h"

using kind_t = console_value::kind_t;

static constexpr int32_t no_such_variable = 137;
static constexpr int32_t no_such_function = 195;
static constexpr int32_t conversion_failed = 245;
static constexpr size_t most_units = 4000;

static console_value number(int64_t n) {
    return {kind_t::number, n, {}};
}

static console_value text(std::string_view s) {
    return {kind_t::text, 0, std::string(s)};
}

std::string console_time(int64_t unix_ms) {
    time_t seconds = unix_ms / 1000;
    tm parts{};
    gmtime_r(&seconds, &parts);
    char day[32], all[48];
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts);
    snprintf(all, sizeof all, "%s.%03d", day, static_cast<int>(unix_ms % 1000));
    return all;
}

// ---- names -----------------------------------------------------------------------------------------------------

struct console_name {
    const char *name;
    console_value (*value)(const console_facts &);
};

static const console_name variables[] = {
    {"@@VERSION", [](const console_facts &f) { return text(f.version); }},
    {"@@SERVERNAME", [](const console_facts &f) { return text(f.server_name); }},
    {"@@SPID", [](const console_facts &f) { return number(f.spid); }},
    {"@@TRANCOUNT", [](const console_facts &f) { return number(f.transactions); }},
    {"@@ERROR", [](const console_facts &f) { return number(f.last_error); }},
    {"@@MICROSOFTVERSION", [](const console_facts &f) { return number(int64_t{f.product_major} << 24); }},
    {"@@LANGUAGE", [](const console_facts &) { return text("us_english"); }},
    {"@@SERVICENAME", [](const console_facts &) { return text("MSSQLSERVER"); }},
    {"@@MAX_PRECISION", [](const console_facts &) { return number(38); }},
    {"@@DATEFIRST", [](const console_facts &) { return number(7); }},
    {"@@LOCK_TIMEOUT", [](const console_facts &) { return number(-1); }},
    {"@@TEXTSIZE", [](const console_facts &) { return number(INT32_MAX); }},
    {"@@OPTIONS", [](const console_facts &) { return number(5496); }},
    {"@@ROWCOUNT", [](const console_facts &) { return number(0); }},
    {"@@NESTLEVEL", [](const console_facts &) { return number(0); }},
    {"@@LANGID", [](const console_facts &) { return number(0); }},
    {"@@IDENTITY", [](const console_facts &) { return console_value(); }},
};

static console_value user_name(const console_facts &f) {
    return text(f.user);
}
static console_value now(const console_facts &f) {
    return text(console_time(f.unix_time));
}

// Their arguments do not matter.
static const console_name functions[] = {
    {"DB_NAME", [](const console_facts &) { return text(console_database); }},
    {"ORIGINAL_DB_NAME", [](const console_facts &) { return text(console_database); }},
    {"DB_ID", [](const console_facts &) { return number(1); }},
    {"SUSER_SNAME", user_name},
    {"SUSER_NAME", user_name},
    {"ORIGINAL_LOGIN", user_name},
    {"USER_NAME", user_name},
    {"SYSTEM_USER", user_name},
    {"SESSION_USER", user_name},
    {"CURRENT_USER", user_name},
    {"USER", user_name},
    {"SCHEMA_NAME", [](const console_facts &) { return text("dbo"); }},
    {"HOST_NAME", [](const console_facts &f) { return text(f.host); }},
    {"APP_NAME", [](const console_facts &f) { return text(f.application); }},
    {"GETDATE", now},
    {"GETUTCDATE", now},
    {"SYSDATETIME", now},
    {"SYSUTCDATETIME", now},
    {"CURRENT_TIMESTAMP", now},
    {"XACT_STATE", [](const console_facts &f) { return number(f.transactions > 0); }},
    {"SCOPE_IDENTITY", [](const console_facts &) { return console_value(); }},
};

static const console_name properties[] = {
    {"ProductVersion", [](const console_facts &f) { return text(f.product_version); }},
    {"ProductMajorVersion", [](const console_facts &f) { return text(std::to_string(f.product_major)); }},
    {"ServerName", [](const console_facts &f) { return text(f.server_name); }},
    {"MachineName", [](const console_facts &f) { return text(f.server_name); }},
    {"ProductLevel", [](const console_facts &) { return text("RTM"); }},
    {"Edition", [](const console_facts &) { return text("tdsbouncer admin console"); }},
    {"EngineEdition", [](const console_facts &) { return number(3); }},
    {"Collation", [](const console_facts &) { return text("SQL_Latin1_General_CP1_CI_AS"); }},
    {"IsClustered", [](const console_facts &) { return number(0); }},
    {"IsHadrEnabled", [](const console_facts &) { return number(0); }},
    {"IsIntegratedSecurityOnly", [](const console_facts &) { return number(0); }},
};

template <size_t N> static const console_name *find_name(const console_name (&names)[N], const std::string &name) {
    for (const console_name &n : names)
        if (strcasecmp(n.name, name.c_str()) == 0)
            return &n;
    return nullptr;
}

// ---- values ----------------------------------------------------------------------------------------------------

static console_value fail(console_problem &problem, int32_t error, std::string what) {
    if (problem.number == 0)
        problem = {error, std::move(what)};
    return {};
}

static console_value converted(console_value &&v, const std::string &type, console_problem &problem) {
    bool to_text = type.find("CHAR") != std::string::npos || type == "SYSNAME" || type == "TEXT" || type == "NTEXT" ||
                   type.find("DATE") != std::string::npos || type == "SQL_VARIANT";
    if (v.kind == kind_t::number && to_text)
        return text(std::to_string(v.number));
    if (v.kind != kind_t::text || to_text)
        return std::move(v);
    int64_t n = 0;
    const char *end = v.text.data() + v.text.size();
    auto [last, error] = std::from_chars(v.text.data(), end, n);
    if (error != std::errc() || last != end)
        return fail(problem, conversion_failed,
                    "Conversion failed when converting the value to data type " + type + ".");
    return number(n);
}

static console_value first_argument(const console_expression &e, const console_facts &f, console_problem &problem) {
    return e.arguments.empty() ? console_value() : console_evaluate(e.arguments[0], f, problem);
}

static console_value first_that_is(const console_expression &e, const console_facts &f, console_problem &problem) {
    for (const console_expression &argument : e.arguments)
        if (console_value v = console_evaluate(argument, f, problem); v.kind != kind_t::null)
            return v;
    return {};
}

static console_value property(const console_value &name, const console_facts &f) {
    const console_name *found = find_name(properties, name.text);
    return found != nullptr ? found->value(f) : console_value();
}

static console_value called(const console_expression &e, const console_facts &f, console_problem &problem) {
    if (e.text == "CAST" || e.text == "CONVERT")
        return converted(first_argument(e, f, problem), e.type, problem);
    if (e.text == "ISNULL" || e.text == "COALESCE")
        return first_that_is(e, f, problem);
    if (e.text == "SERVERPROPERTY")
        return property(first_argument(e, f, problem), f);
    if (const console_name *found = find_name(functions, e.text); found != nullptr)
        return found->value(f);
    return fail(problem, no_such_function, "'" + e.text + "' is not a recognized built-in function name.");
}

console_value console_evaluate(const console_expression &e, const console_facts &f, console_problem &problem) {
    switch (e.kind) {
    case console_expression::kind_t::null: break;
    case console_expression::kind_t::number: return number(e.number);
    case console_expression::kind_t::text: return text(e.text);
    case console_expression::kind_t::call: return called(e, f, problem);
    case console_expression::kind_t::variable:
        if (const console_name *found = find_name(variables, e.text); found != nullptr)
            return found->value(f);
        return fail(problem, no_such_variable, "Must declare the scalar variable \"" + e.text + "\".");
    }
    return {};
}

static int compare(const console_value &a, const console_value &b) {
    if (a.kind == kind_t::text && b.kind == kind_t::text)
        return strcasecmp(a.text.c_str(), b.text.c_str());
    return a.number < b.number ? -1 : a.number > b.number;
}

bool console_holds(const console_statement &s, const console_facts &f, console_problem &problem) {
    console_value left = console_evaluate(s.left, f, problem), right = console_evaluate(s.right, f, problem);
    if (left.kind == kind_t::null || right.kind == kind_t::null)
        return false;
    if (left.kind != right.kind) { // as numbers
        console_value &other = left.kind == kind_t::text ? left : right;
        other = converted(console_value(other), "int", problem);
    }
    int order = compare(left, right);
    switch (s.compare) {
    case console_compare::equal: return order == 0;
    case console_compare::differs: return order != 0;
    case console_compare::less: return order < 0;
    case console_compare::greater: return order > 0;
    case console_compare::at_most: return order <= 0;
    case console_compare::at_least: return order >= 0;
    }
    return false;
}

// ---- SELECT ----------------------------------------------------------------------------------------------------

// An INT where it fits, as a literal is.
static tds_result_column column_of(const console_item &item, const console_value &v) {
    tds_result_column c{item.name};
    bool small = v.number >= INT32_MIN && v.number <= INT32_MAX;
    if (v.kind == kind_t::number)
        c.type = small ? tds_result_type::integer : tds_result_type::bigint;
    else if (v.text.size() > c.units)
        c.units = static_cast<uint16_t>(std::min(v.text.size(), most_units));
    return c;
}

static void put_value(std::vector<uint8_t> &out, const tds_result_column &c, const console_value &v) {
    switch (v.kind) {
    case kind_t::null: return tds_put_null(out, c);
    case kind_t::number: return tds_put_int(out, c, v.number);
    case kind_t::text: return tds_put_text(out, c, v.text);
    }
}

void console_put_select(const console_statement &s, const console_facts &f, uint32_t version, console_problem &problem,
                        std::vector<uint8_t> &out) {
    std::vector<console_value> values;
    std::vector<tds_result_column> columns;
    for (const console_item &item : s.items) {
        values.push_back(console_evaluate(item.value, f, problem));
        columns.push_back(column_of(item, values.back()));
    }
    if (problem.number != 0)
        return;
    tds_put_columns(out, version, columns);
    tds_put_row(out);
    for (size_t i = 0; i < values.size(); ++i)
        put_value(out, columns[i], values[i]);
}
