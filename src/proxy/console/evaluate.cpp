#include "proxy/console/evaluate.h"

#include <algorithm>

#include <strings.h>

#include "proxy/console/functions.h"

using kind_t = console_expression::kind_t;
using truth = console_truth;
using base_t = tds_result_type;

static constexpr int32_t no_such_column = 207;
static constexpr int32_t no_such_variable = 137;
static constexpr int32_t too_many_rows = 512;
static constexpr int32_t too_much = 50007; // as the proxy says of what it refuses
static constexpr uint64_t bytes_a_step = 32;

bool console_step(console_world &w, uint64_t steps) {
    if (w.problem.number != 0)
        return false;
    bool enough = steps <= w.steps;
    w.steps -= enough ? steps : w.steps;
    if (!enough)
        console_fail_with(w, too_much, "tdsbouncer: this asks too much of the console");
    return enough;
}

bool console_step_text(console_world &w, const console_value &v) {
    return console_step(w, v.text.size() / bytes_a_step);
}

console_value console_fail_with(console_world &w, int32_t number, std::string text) {
    if (w.problem.number == 0)
        w.problem = {number, std::move(text)};
    return {};
}

// ---- names -----------------------------------------------------------------------------------------------------

static bool same(const std::string &a, const std::string &b) {
    return strcasecmp(a.c_str(), b.c_str()) == 0;
}

static bool field_of(const console_leaf &leaf, const std::string &name, uint32_t &field) {
    for (uint32_t i = 0; i < leaf.relation->fields.size(); ++i)
        if (same(leaf.relation->fields[i].name, name))
            return field = i, true;
    return false;
}

// Where the name was the last time. It is still there, or another is looked for.
static bool found_again(const console_expression &e, const console_scope &s, const console_leaf *&leaf,
                        uint32_t &field) {
    const console_place &p = e.place;
    if (p.leaf >= s.leaves.size() || p.field >= s.leaves[p.leaf].relation->fields.size())
        return false;
    leaf = &s.leaves[p.leaf], field = p.field;
    return same(leaf->relation->fields[field].name, e.parts.back()) &&
           (e.parts.size() < 2 || same(leaf->alias, e.parts[e.parts.size() - 2]));
}

static bool find_in(const console_expression &e, const console_scope &s, const console_leaf *&leaf, uint32_t &field) {
    if (found_again(e, s, leaf, field))
        return true;
    const std::string *qualifier = e.parts.size() > 1 ? &e.parts[e.parts.size() - 2] : nullptr;
    for (uint32_t i = 0; i < s.leaves.size(); ++i) {
        leaf = &s.leaves[i];
        if ((qualifier == nullptr || same(leaf->alias, *qualifier)) && field_of(*leaf, e.parts.back(), field)) {
            e.place = {i, field};
            return true;
        }
    }
    return false;
}

// A table whose columns nobody has described has this one, too.
static bool find_open(const console_expression &e, const console_scope &s) {
    const std::string *qualifier = e.parts.size() > 1 ? &e.parts[e.parts.size() - 2] : nullptr;
    return std::any_of(s.leaves.begin(), s.leaves.end(), [qualifier](const console_leaf &leaf) {
        return leaf.relation->open && (qualifier == nullptr || same(leaf.alias, *qualifier));
    });
}

bool console_find_name(const console_expression &e, const console_scope *scope, const console_leaf *&leaf,
                       uint32_t &field) {
    for (const console_scope *s = scope; s != nullptr; s = s->outer)
        if (find_in(e, *s, leaf, field))
            return true;
    leaf = nullptr;
    for (const console_scope *s = scope; s != nullptr; s = s->outer)
        if (find_open(e, *s))
            return true;
    return false;
}

static std::string joined(const std::vector<std::string> &parts) {
    std::string all;
    for (const std::string &part : parts)
        all += (all.empty() ? "" : ".") + part;
    return all;
}

static console_value named(console_world &w, const console_expression &e, const console_scope *scope) {
    const console_leaf *leaf = nullptr;
    uint32_t field = 0;
    const console_function *without_brackets = e.parts.size() == 1 ? console_find_niladic(e.parts[0]) : nullptr;
    if (console_find_name(e, scope, leaf, field) && (leaf != nullptr || without_brackets == nullptr))
        return leaf == nullptr || leaf->row == nullptr ? console_value() : (*leaf->row)[field];
    if (without_brackets != nullptr)
        return without_brackets->value(w, {});
    return console_fail_with(w, no_such_column, "Invalid column name '" + joined(e.parts) + "'.");
}

static console_value variable(console_world &w, const console_expression &e) {
    if (auto found = w.variables.find(e.text); found != w.variables.end())
        return found->second.value;
    if (const console_function *global = console_find_global(e.text); global != nullptr)
        return global->value(w, {});
    return console_fail_with(w, no_such_variable, "Must declare the scalar variable \"" + e.text + "\".");
}

void console_assign(console_world &w, const std::string &name, console_value &&v) {
    auto found = w.variables.find(name);
    if (found != w.variables.end())
        found->second.value = console_convert(std::move(v), found->second.type, w.problem);
    else
        console_fail_with(w, no_such_variable, "Must declare the scalar variable \"" + name + "\".");
}

// ---- conditions ------------------------------------------------------------------------------------------------

static truth of(bool holds) {
    return holds ? truth::yes : truth::no;
}

static truth inverse(truth t) {
    return t == truth::unknown ? t : of(t == truth::no);
}

static truth compare(console_world &w, console_op op, const console_value &a, const console_value &b) {
    if (console_is_null(a) || console_is_null(b))
        return truth::unknown;
    int order = console_compare(a, b, w.problem);
    switch (op) {
    case console_op::equal: return of(order == 0);
    case console_op::differs: return of(order != 0);
    case console_op::less: return of(order < 0);
    case console_op::greater: return of(order > 0);
    case console_op::at_most: return of(order <= 0);
    default: return of(order >= 0);
    }
}

static truth and_or(console_world &w, const console_expression &e, console_scope *scope, truth ends) {
    truth all = inverse(ends);
    for (const console_expression &a : e.arguments) {
        truth t = console_condition(w, a, scope);
        if (t == ends || w.problem.number != 0)
            return t;
        all = t == truth::unknown ? t : all;
    }
    return all;
}

static truth in_query(console_world &w, const console_value &v, const console_query &q, console_scope *scope) {
    console_relation all = console_run_query(w, q, scope);
    truth found = truth::no;
    for (const console_tuple &row : all.rows) {
        truth t = !row.empty() && console_step(w) ? compare(w, console_op::equal, v, row[0]) : truth::unknown;
        if (t == truth::yes)
            return t;
        found = t == truth::unknown ? t : found;
    }
    return found;
}

static truth in_list(console_world &w, const console_expression &e, console_scope *scope) {
    console_value v = console_evaluate(w, e.arguments[0], scope);
    if (e.query != nullptr)
        return in_query(w, v, *e.query, scope);
    truth found = truth::no;
    for (size_t i = 1; i < e.arguments.size(); ++i) {
        truth t = compare(w, console_op::equal, v, console_evaluate(w, e.arguments[i], scope));
        if (t == truth::yes)
            return t;
        found = t == truth::unknown ? t : found;
    }
    return found;
}

static truth like(console_world &w, const console_expression &e, console_scope *scope) {
    console_value text = console_evaluate(w, e.arguments[0], scope),
                  pattern = console_evaluate(w, e.arguments[1], scope);
    console_value escape = e.arguments.size() > 2 ? console_evaluate(w, e.arguments[2], scope) : console_value();
    if (console_is_null(text) || console_is_null(pattern))
        return truth::unknown;
    std::string of_text = console_spell(text), of_pattern = console_spell(pattern);
    if (!console_step(w, 1 + of_text.size() * of_pattern.size() / bytes_a_step))
        return truth::unknown;
    return of(console_like(of_text, of_pattern, escape.text.empty() ? '\0' : escape.text[0]));
}

static truth between(console_world &w, const console_expression &e, console_scope *scope) {
    console_value v = console_evaluate(w, e.arguments[0], scope);
    truth low = compare(w, console_op::at_least, v, console_evaluate(w, e.arguments[1], scope));
    truth high = compare(w, console_op::at_most, v, console_evaluate(w, e.arguments[2], scope));
    return std::min(low, high);
}

static bool is_condition(const console_expression &e) {
    return e.kind == kind_t::operation &&
           (e.op <= console_op::at_least || (e.op >= console_op::is_null && e.op <= console_op::exists));
}

static truth plain_condition(console_world &w, const console_expression &e, console_scope *scope) {
    switch (e.op) {
    case console_op::or_: return and_or(w, e, scope, truth::yes);
    case console_op::and_: return and_or(w, e, scope, truth::no);
    case console_op::not_: return inverse(console_condition(w, e.arguments[0], scope));
    case console_op::is_null: return of(console_is_null(console_evaluate(w, e.arguments[0], scope)));
    case console_op::like: return like(w, e, scope);
    case console_op::in: return in_list(w, e, scope);
    case console_op::between: return between(w, e, scope);
    case console_op::exists: return of(!console_run_query(w, *e.query, scope).rows.empty());
    default:
        return compare(w, e.op, console_evaluate(w, e.arguments[0], scope), console_evaluate(w, e.arguments[1], scope));
    }
}

console_truth console_condition(console_world &w, const console_expression &e, console_scope *scope) {
    if (!console_step(w))
        return truth::unknown;
    if (!is_condition(e))
        return of(console_is_set(console_evaluate(w, e, scope)));
    truth t = plain_condition(w, e, scope);
    return e.negated ? inverse(t) : t;
}

bool console_holds(console_world &w, const console_expression &e) {
    return console_condition(w, e, nullptr) == truth::yes && w.problem.number == 0;
}

// ---- values ----------------------------------------------------------------------------------------------------

static console_value chosen(console_world &w, const console_expression &e, console_scope *scope) {
    bool simple = e.op == console_op::case_simple;
    console_value operand = simple ? console_evaluate(w, e.arguments[0], scope) : console_value();
    size_t i = simple;
    for (; i + 1 < e.arguments.size() && w.problem.number == 0; i += 2) {
        truth t = simple ? compare(w, console_op::equal, operand, console_evaluate(w, e.arguments[i], scope))
                         : console_condition(w, e.arguments[i], scope);
        if (t == truth::yes)
            return console_evaluate(w, e.arguments[i + 1], scope);
    }
    return i < e.arguments.size() ? console_evaluate(w, e.arguments[i], scope) : console_value();
}

static char sign_of(console_op op) {
    switch (op) {
    case console_op::add: return '+';
    case console_op::subtract: return '-';
    case console_op::multiply: return '*';
    case console_op::divide: return '/';
    case console_op::modulo: return '%';
    case console_op::bit_and: return '&';
    case console_op::bit_or: return '|';
    default: return '^';
    }
}

static console_value arithmetic(console_world &w, const console_expression &e, console_scope *scope) {
    console_value first = console_evaluate(w, e.arguments[0], scope);
    if (e.op == console_op::negate)
        return console_arithmetic('-', console_number_value(0), first, w.problem);
    if (e.op == console_op::complement)
        return console_arithmetic('^', first, console_number_value(-1), w.problem);
    console_value second = console_evaluate(w, e.arguments[1], scope);
    return console_arithmetic(sign_of(e.op), first, second, w.problem);
}

static console_value operation(console_world &w, const console_expression &e, console_scope *scope) {
    if (e.op == console_op::case_when || e.op == console_op::case_simple)
        return chosen(w, e, scope);
    if (is_condition(e)) { // where a value is wanted: nothing of T-SQL, but harmless
        truth t = console_condition(w, e, scope);
        return t == truth::unknown ? console_value() : console_number_value(t == truth::yes);
    }
    return arithmetic(w, e, scope);
}

static console_value only_value(console_world &w, const console_query &q, console_scope *scope) {
    console_relation all = console_run_query(w, q, scope);
    if (all.rows.size() > 1)
        return console_fail_with(w, too_many_rows, "Subquery returned more than 1 value.");
    return all.rows.empty() || all.rows[0].empty() ? console_value() : std::move(all.rows[0][0]);
}

// CONVERT's style of a date and time as text: it is written as style 121 has it.
static std::string styled(std::string text, int64_t style) {
    bool time = text.size() == 23 && text[4] == '-' && text[10] == ' ';
    if (time && style == 126)
        text[10] = 'T';
    else if (time && (style == 20 || style == 120))
        text.resize(19);
    else if (time && (style == 23 || style == 112))
        text.resize(10);
    if (time && style == 112)
        std::erase(text, '-');
    return text;
}

static console_value converted(console_world &w, const console_expression &e, console_scope *scope) {
    console_value v = console_evaluate(w, e.arguments[0], scope);
    if (e.arguments.size() > 1 && v.kind == console_value::kind_t::text && e.type.base == base_t::text)
        v.text = styled(std::move(v.text), console_evaluate(w, e.arguments[1], scope).number);
    return console_convert(std::move(v), e.type, w.problem);
}

static console_value evaluated(console_world &w, const console_expression &e, console_scope *scope) {
    switch (e.kind) {
    case kind_t::value: return e.value;
    case kind_t::variable: return variable(w, e);
    case kind_t::name: return named(w, e, scope);
    case kind_t::call: return console_call_function(w, e, scope);
    case kind_t::cast: return converted(w, e, scope);
    case kind_t::operation: return operation(w, e, scope);
    case kind_t::query: return only_value(w, *e.query, scope);
    case kind_t::star: break;
    }
    return {};
}

console_value console_evaluate(console_world &w, const console_expression &e, console_scope *scope) {
    if (!console_step(w))
        return {};
    console_value v = evaluated(w, e, scope);
    if (!console_step_text(w, v))
        return {};
    return v;
}

// ---- types -----------------------------------------------------------------------------------------------------

static console_type type_of_value(const console_value &v) {
    switch (v.kind) {
    case console_value::kind_t::null: break;
    case console_value::kind_t::number:
        return console_type_of(v.number >= INT32_MIN && v.number <= INT32_MAX ? base_t::integer : base_t::bigint);
    case console_value::kind_t::real: return console_type_of(base_t::real);
    case console_value::kind_t::text:
    case console_value::kind_t::binary: {
        auto units = static_cast<uint16_t>(std::clamp<size_t>(v.text.size(), 1, console_units_max));
        return console_type_of(v.kind == console_value::kind_t::text ? base_t::text : base_t::binary, units);
    }
    }
    return {};
}

static console_type type_of_operation(console_world &w, const console_expression &e, const console_scope *scope) {
    if (is_condition(e))
        return console_type_of(base_t::integer);
    bool cases = e.op == console_op::case_when || e.op == console_op::case_simple;
    size_t first = e.op == console_op::case_simple;
    console_type all;
    unsigned units = 0;
    for (size_t i = first; i < e.arguments.size(); ++i) {
        bool condition = cases && (i - first) % 2 == 0 && i + 1 < e.arguments.size();
        if (condition)
            continue;
        console_type one = console_result_type(w, e.arguments[i], scope);
        units += one.units;
        all = console_meet(all, one);
    }
    if (e.op == console_op::add && all.base == base_t::text)
        all.units = static_cast<uint16_t>(std::min<unsigned>(units, console_units_max));
    if (!cases && all.base == base_t::bit)
        all.base = base_t::integer;
    return all;
}

static console_type type_of_name(console_world &w, const console_expression &e, const console_scope *scope) {
    const console_leaf *leaf = nullptr;
    uint32_t field = 0;
    if (console_find_name(e, scope, leaf, field) && leaf != nullptr)
        return leaf->relation->fields[field].type;
    const console_function *niladic = e.parts.size() == 1 ? console_find_niladic(e.parts[0]) : nullptr;
    if (niladic != nullptr)
        return niladic->type;
    if (!console_find_name(e, scope, leaf, field))
        console_fail_with(w, no_such_column, "Invalid column name '" + joined(e.parts) + "'.");
    return {};
}

static console_type type_of_variable(console_world &w, const console_expression &e) {
    if (auto found = w.variables.find(e.text); found != w.variables.end())
        return found->second.type;
    const console_function *global = console_find_global(e.text);
    return global != nullptr ? global->type : console_type();
}

console_type console_result_type(console_world &w, const console_expression &e, const console_scope *scope) {
    if (!console_step(w))
        return {};
    switch (e.kind) {
    case kind_t::value: return type_of_value(e.value);
    case kind_t::variable: return type_of_variable(w, e);
    case kind_t::name: return type_of_name(w, e, scope);
    case kind_t::call: return console_call_type(w, e, scope);
    case kind_t::cast: return e.type;
    case kind_t::operation: return type_of_operation(w, e, scope);
    case kind_t::query: {
        console_relation all = console_run_query(w, *e.query, scope);
        return all.fields.empty() ? console_type() : all.fields[0].type;
    }
    case kind_t::star: break;
    }
    return {};
}
