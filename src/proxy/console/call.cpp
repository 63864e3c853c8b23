// Calls of functions: those that look at their arguments one by one, aggregates, and those of the tables.
#include <algorithm>

#include "proxy/console/evaluate.h"
#include "proxy/console/functions.h"

using kind_t = console_expression::kind_t;
using base_t = tds_result_type;

static constexpr int32_t no_such_function = 195;
static constexpr int32_t no_aggregate_here = 147;
static constexpr int32_t wrong_arguments = 174;

// ---- aggregates ------------------------------------------------------------------------------------------------

enum class aggregate : uint8_t { none, count, least, most, sum, average };

static aggregate aggregate_of(const console_expression &e) {
    static constexpr struct {
        const char *name;
        aggregate what;
    } names[] = {{"COUNT", aggregate::count}, {"COUNT_BIG", aggregate::count}, {"MIN", aggregate::least},
                 {"MAX", aggregate::most},    {"SUM", aggregate::sum},         {"AVG", aggregate::average}};
    if (e.kind == kind_t::call && e.arguments.size() == 1)
        for (const auto &n : names)
            if (e.text == n.name)
                return n.what;
    return aggregate::none;
}

bool console_is_aggregate(const console_expression &e) {
    return aggregate_of(e) != aggregate::none;
}

// The values that it is about: without NULL.
static console_tuple values_of(console_world &w, const console_expression &e, console_scope &scope,
                               const std::vector<console_combination> &rows) {
    console_tuple values;
    for (const console_combination &row : rows) {
        console_look_at(scope, row);
        bool star = e.arguments[0].kind == kind_t::star;
        console_value v = star ? console_number_value(1) : console_evaluate(w, e.arguments[0], &scope);
        bool known = e.distinct && std::any_of(values.begin(), values.end(), [&](const console_value &other) {
                         return console_step(w) && console_compare(v, other, w.problem) == 0;
                     });
        if (!console_is_null(v) && !known)
            values.push_back(std::move(v));
        if (!console_step(w))
            break;
    }
    return values;
}

static console_value folded(console_world &w, aggregate what, const console_tuple &values) {
    if (what == aggregate::count)
        return console_number_value(static_cast<int64_t>(values.size()));
    if (values.empty())
        return {};
    console_value all = values[0];
    for (size_t i = 1; i < values.size(); ++i) {
        if (what == aggregate::sum || what == aggregate::average)
            all = console_arithmetic('+', all, values[i], w.problem);
        else if (int order = console_compare(values[i], all, w.problem);
                 what == aggregate::least ? order < 0 : order > 0)
            all = values[i];
    }
    if (what == aggregate::average)
        all = console_arithmetic('/', all, console_number_value(static_cast<int64_t>(values.size())), w.problem);
    return all;
}

console_value console_aggregate(console_world &w, const console_expression &e, console_scope &scope) {
    const auto *rows = scope.group;
    if (rows == nullptr)
        return console_fail_with(w, no_aggregate_here, "An aggregate may not appear here.");
    std::vector<console_leaf> before = scope.leaves;
    scope.group = nullptr;
    console_value v = folded(w, aggregate_of(e), values_of(w, e, scope, *rows));
    scope.group = rows;
    scope.leaves = std::move(before);
    return v;
}

// ---- those that need not look at all of their arguments --------------------------------------------------------

static console_value first_that_is(console_world &w, const console_expression &e, console_scope *scope) {
    for (const console_expression &argument : e.arguments)
        if (console_value v = console_evaluate(w, argument, scope); !console_is_null(v) || w.problem.number != 0)
            return v;
    return {};
}

static console_value null_if(console_world &w, const console_expression &e, console_scope *scope) {
    console_value a = console_evaluate(w, e.arguments[0], scope), b = console_evaluate(w, e.arguments[1], scope);
    bool same = !console_is_null(a) && !console_is_null(b) && console_compare(a, b, w.problem) == 0;
    return same ? console_value() : a;
}

static console_value either(console_world &w, const console_expression &e, console_scope *scope) {
    bool yes = console_condition(w, e.arguments[0], scope) == console_truth::yes;
    return console_evaluate(w, e.arguments[yes ? 1 : 2], scope);
}

struct lazy_function {
    const char *name;
    size_t arguments; // at least
    size_t typed;     // the first argument whose type is the result's
    console_value (*value)(console_world &, const console_expression &, console_scope *);
};

static constexpr lazy_function lazy[] = {
    {"ISNULL", 2, 0, first_that_is},
    {"COALESCE", 1, 0, first_that_is},
    {"NULLIF", 2, 0, null_if},
    {"IIF", 3, 1, either},
};

static const lazy_function *find_lazy(const console_expression &e) {
    for (const lazy_function &f : lazy)
        if (e.text == f.name)
            return &f;
    return nullptr;
}

// ---- all of them -----------------------------------------------------------------------------------------------

static console_value called_lazily(console_world &w, const lazy_function &f, const console_expression &e,
                                   console_scope *scope) {
    if (e.arguments.size() < f.arguments)
        return console_fail_with(w, wrong_arguments, "The " + e.text + " function requires more arguments.");
    return f.value(w, e, scope);
}

static const console_function *function_of(const console_expression &e) {
    if (e.text == "SERVERPROPERTY" && e.arguments.size() == 1 && e.arguments[0].kind == kind_t::value)
        return console_find_property(e.arguments[0].value.text);
    size_t dot = e.text.rfind('.');
    bool system = dot == std::string::npos || e.text.compare(0, dot, "SYS") == 0;
    return system ? console_find_function(dot == std::string::npos ? e.text : e.text.substr(dot + 1)) : nullptr;
}

console_value console_call_function(console_world &w, const console_expression &e, console_scope *scope) {
    if (console_is_aggregate(e)) {
        if (scope != nullptr)
            return console_aggregate(w, e, *scope);
        return console_fail_with(w, no_aggregate_here, "An aggregate may not appear here.");
    }
    if (const lazy_function *f = find_lazy(e); f != nullptr)
        return called_lazily(w, *f, e, scope);
    console_tuple values;
    for (const console_expression &argument : e.arguments)
        values.push_back(console_evaluate(w, argument, scope));
    const console_function *f = function_of(e);
    if (f == nullptr && e.text == "SERVERPROPERTY") // whose name is no literal, or nobody's
        f = values.size() == 1 ? console_find_property(values[0].text) : nullptr;
    else if (f == nullptr)
        return console_fail_with(w, no_such_function, "'" + e.text + "' is not a recognized built-in function name.");
    return f == nullptr || w.problem.number != 0 ? console_value() : f->value(w, values);
}

static console_type type_of_aggregate(console_world &w, const console_expression &e, const console_scope *scope) {
    if (aggregate_of(e) == aggregate::count)
        return console_type_of(e.text == "COUNT" ? base_t::integer : base_t::bigint);
    return console_result_type(w, e.arguments[0], scope);
}

console_type console_call_type(console_world &w, const console_expression &e, const console_scope *scope) {
    if (console_is_aggregate(e))
        return type_of_aggregate(w, e, scope);
    if (const lazy_function *f = find_lazy(e); f != nullptr) {
        console_type all;
        for (size_t i = f->typed; i < e.arguments.size(); ++i)
            all = console_meet(all, console_result_type(w, e.arguments[i], scope));
        return all;
    }
    const console_function *f = function_of(e);
    if (f == nullptr)
        return console_type_of(base_t::text);
    bool by_argument = f->type_of >= 0 && static_cast<size_t>(f->type_of) < e.arguments.size();
    if (!by_argument)
        return f->type;
    console_type one = console_result_type(w, e.arguments[static_cast<size_t>(f->type_of)], scope);
    return one.known ? one : f->type;
}
