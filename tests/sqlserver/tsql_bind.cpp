// Syntax tree to bound expressions: names resolved, types computed, implicit conversions made visible.
#include "tsql_bind.h"

#include "tsql_types.h"

#include <cmath>

namespace sqlserver {

void finish_flags(bound &b) {
    for (const bound_ptr &a : b.args) {
        b.columns = b.columns || a->columns;
        b.subquery = b.subquery || a->subquery;
        b.changing = b.changing || a->changing;
    }
}

bound_ptr make_literal(const type_info &t, value v) {
    auto b = std::make_shared<bound>();
    b->type = t;
    b->nullable = v.null;
    b->literal = std::move(v);
    return b;
}

bound_ptr make_call(scalar_function fn, const type_info &t, std::vector<bound_ptr> args, std::string detail) {
    auto b = std::make_shared<bound>();
    b->kind = bound_kind::call;
    b->type = t;
    b->fn = fn;
    b->text = std::move(detail);
    b->args = std::move(args);
    b->nullable = true;
    finish_flags(*b);
    return b;
}

// Without a style text becomes a date by the session's DATEFORMAT.
static int style_of(const bound &self, const eval_context &c) {
    date_order order = date_order::mdy;
    if (self.style != 0 || !is_char(self.args[0]->type.id) || !is_date(self.type.id))
        return self.style;
    date_order_named(c.f.s->options.date_format, order);
    return style_date_order + static_cast<int>(order);
}

static value call_convert(const bound &self, std::vector<value> &args, eval_context &c) {
    return convert(args[0], self.args[0]->type, self.type, style_of(self, c));
}

static value call_convert_implicit(const bound &self, std::vector<value> &args, eval_context &c) {
    return convert_implicit(args[0], self.args[0]->type, self.type, style_of(self, c));
}

// Conversions that change neither the value nor how it is stored only change the type.
static bool same_storage(const type_info &from, const type_info &to) {
    if (is_integer(from.id) && is_integer(to.id))
        return from.id <= to.id;
    if (is_char(from.id) && is_char(to.id))
        return to.length == length_max || (to.id != type_id::char_ && to.id != type_id::nchar_ &&
                                           from.length != length_max && from.length <= to.length);
    if (is_exact(from.id) && is_exact(to.id))
        return from.scale == to.scale && from.precision <= to.precision;
    if (is_binary(from.id) && is_binary(to.id))
        return to.length == length_max || (to.id != type_id::binary_ && from.length <= to.length);
    if (from.id == type_id::real_ && to.id == type_id::float_)
        return true;
    return from.id == to.id && from.scale == to.scale && from.length == to.length;
}

bound_ptr convert_to(bound_ptr e, const type_info &to, bool implicit, int style) {
    const type_info from = e->type;
    if (e->untyped_null && e->kind == bound_kind::literal)
        return make_literal(to, value());
    if (same_storage(from, to)) {
        if (from.id == to.id && from.length == to.length && from.precision == to.precision && from.scale == to.scale)
            return e;
        auto copy = std::make_shared<bound>(*e);
        if (e->kind == bound_kind::call || e->kind == bound_kind::case_) {
            // the call computes by its own type: keep it inside
            copy = std::make_shared<bound>();
            copy->kind = bound_kind::case_;
            copy->args = {e};
            copy->nullable = e->nullable;
            finish_flags(*copy);
        }
        copy->type = to;
        return copy;
    }
    if (e->kind == bound_kind::literal && !is_char(from.id))
        return make_literal(to,
                            implicit ? convert_implicit(e->literal, from, to) : convert(e->literal, from, to, style));
    bool nullable = e->nullable;
    auto b = make_call(implicit ? call_convert_implicit : call_convert, to, {std::move(e)});
    b->style = style;
    b->nullable = nullable;
    return b;
}

bound_ptr bind_typed(binder &b, const expr &e, const type_info &target) {
    return convert_to(bind(b, e), target);
}

bound_ptr to_common(std::vector<bound_ptr *> &parts) {
    type_info t;
    bool any = false;
    for (bound_ptr *p : parts)
        if (!(*p)->untyped_null) {
            t = any ? type_common(t, (*p)->type) : (*p)->type;
            any = true;
        }
    for (bound_ptr *p : parts)
        *p = convert_to(*p, t);
    return *parts[0];
}

// --- names

static bool part_matches(const std::string &want, const std::string &have) {
    return want.empty() || same_name(want, have);
}

static bool source_matches(const source &s, const object_path &path) {
    size_t n = path.size() - 1; // qualifiers
    if (n == 0)
        return true;
    const std::string &table = path[n - 1];
    if (n == 1)
        return same_name(table, s.alias);
    return same_name(table, s.table) && part_matches(path[n - 2], s.schema.empty() ? "dbo" : s.schema) &&
           (n < 3 || part_matches(path[n - 3], s.db));
}

static bound_ptr column_bound(const binder &b, const scope &sc, size_t source_index, size_t column_index) {
    const source &s = sc.sources[source_index];
    const source_column &c = s.columns[column_index];
    auto out = std::make_shared<bound>();
    out->kind = b.fields ? bound_kind::field : bound_kind::column;
    out->type = c.type;
    out->nullable = c.nullable;
    out->identity = c.identity;
    out->updatable = c.updatable;
    out->columns = true;
    out->text = c.sql;
    out->name = c.name;
    if (b.fields)
        out->field = sc.field_base[source_index] + column_index;
    return out;
}

static bound_ptr find_column(const binder &b, const expr &e) {
    const std::string &name = e.path.back();
    bool known_table = e.path.size() == 1;
    for (const scope *sc = b.sc; sc != nullptr; sc = sc->outer) {
        bound_ptr found;
        for (size_t i = 0; i < sc->sources.size(); i++) {
            if (!source_matches(sc->sources[i], e.path))
                continue;
            known_table = true;
            for (size_t k = 0; k < sc->sources[i].columns.size(); k++) {
                if (!same_name(sc->sources[i].columns[k].name, name))
                    continue;
                if (found != nullptr)
                    fail(209, 16, 1, "Ambiguous column name '%s'.", name.c_str());
                found = column_bound(b, *sc, i, k);
            }
        }
        if (found != nullptr)
            return found;
    }
    std::string full;
    for (const std::string &part : e.path)
        full += (full.empty() ? "" : ".") + part;
    if (!known_table)
        fail(4104, 16, 1, "The multi-part identifier \"%s\" could not be bound.", full.c_str());
    if (b.sc == nullptr && e.path.size() == 1)
        fail(207, 16, 1, "Invalid column name '%s'.", name.c_str());
    fail(207, 16, 1, "Invalid column name '%s'.", name.c_str());
}

// --- operators

static value call_integer(const bound &self, std::vector<value> &a, eval_context &) {
    int64_t x = a[0].i64, y = a[1].i64, r = 0;
    bool bad = false;
    switch (self.text[0]) {
    case '+': bad = __builtin_add_overflow(x, y, &r); break;
    case '-': bad = __builtin_sub_overflow(x, y, &r); break;
    case '*': bad = __builtin_mul_overflow(x, y, &r); break;
    case '&': r = x & y; break;
    case '|': r = x | y; break;
    case '^': r = x ^ y; break;
    default:
        if (y == 0)
            fail(8134, 16, 1, "Divide by zero error encountered.");
        bad = x == INT64_MIN && y == -1;
        r = bad ? 0 : self.text[0] == '/' ? x / y : x % y;
    }
    bool fits = self.type.id == type_id::bigint_ ||
                (self.type.id == type_id::int_ && r >= INT32_MIN && r <= INT32_MAX) ||
                (self.type.id == type_id::smallint_ && r >= INT16_MIN && r <= INT16_MAX) ||
                (self.type.id == type_id::tinyint_ && r >= 0 && r <= 255) || self.type.id == type_id::bit_;
    if (bad || !fits)
        fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type %s.", type_name(self.type));
    return value_int(r);
}

static value call_float(const bound &self, std::vector<value> &a, eval_context &) {
    double x = a[0].f64, y = a[1].f64, r = 0;
    if (self.text[0] == '/' && y == 0)
        fail(8134, 16, 1, "Divide by zero error encountered.");
    r = self.text[0] == '+' ? x + y : self.text[0] == '-' ? x - y : self.text[0] == '*' ? x * y : x / y;
    if (!std::isfinite(r))
        fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type float.");
    return value_float(r);
}

static value call_decimal(const bound &self, std::vector<value> &a, eval_context &) {
    decimal x, y, r;
    decimal_parse(a[0].text, x);
    decimal_parse(a[1].text, y);
    char op = self.text[0];
    if (op == '-')
        y.negative = !y.negative;
    r = op == '*'   ? decimal_multiply(x, y)
        : op == '/' ? decimal_divide(x, y, self.type.scale)
        : op == '%' ? decimal_modulo(x, y)
                    : decimal_add(x, y);
    if (!decimal_rescale(r, self.type.scale) || !decimal_fits(r, self.type.precision))
        fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type numeric.");
    return value_text(decimal_text(r));
}

static value call_money(const bound &self, std::vector<value> &a, eval_context &) {
    __int128 x = a[0].i64, y = a[1].i64, r;
    char op = self.text[0];
    if ((op == '/' || op == '%') && y == 0)
        fail(8134, 16, 1, "Divide by zero error encountered.");
    r = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y / 10000 : op == '%' ? x % y : x * 10000 / y;
    if (r > INT64_MAX || r < INT64_MIN)
        fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type money.");
    return value_int(static_cast<int64_t>(r));
}

static value call_concat_text(const bound &self, std::vector<value> &a, eval_context &) {
    bool cut;
    std::string text = a[0].text + a[1].text;
    return value_text(self.type.length == length_max ? std::move(text) : fit_text(std::move(text), self.type, cut));
}

static value call_date_shift(const bound &self, std::vector<value> &a, eval_context &) { // datetime + number of days
    int64_t sum = datetime_number(a[0]), by = datetime_number(a[1]) - days_1900 * ticks_per_day;
    return datetime_round(datetime_from_number(self.text[0] == '+' ? sum + by : sum - by), self.type);
}

static bound_ptr bind_text_plus(bound_ptr a, bound_ptr b) {
    type_info t = type_common(a->type, b->type);
    bool binary = is_binary(t.id);
    uint32_t limit = is_nchar(t.id) ? 4000 : 8000;
    t.id = binary ? type_id::varbinary_ : is_nchar(t.id) ? type_id::nvarchar_ : type_id::varchar_;
    auto length = [](const bound &x) { return x.type.length; };
    bool max = (length(*a) == length_max && !a->untyped_null) || (length(*b) == length_max && !b->untyped_null);
    t.length = max ? length_max : std::min(length(*a) + length(*b), limit);
    type_info wide = t;
    wide.length = max ? length_max : limit;
    auto side = [&](bound_ptr x) {
        return is_char(x->type.id) || is_binary(x->type.id) ? x : convert_to(std::move(x), wide);
    };
    bool nullable = a->nullable || b->nullable;
    auto out = make_call(call_concat_text, t, {side(a), side(b)});
    out->nullable = nullable;
    return out;
}

// What an operand counts as in decimal arithmetic: an integer literal has as many digits as it is written with.
static type_info operand_decimal(const bound &v, const bound &other) {
    if (is_char(v.type.id))
        return other.type;
    type_info t = decimal_type_of(v.type);
    if (v.kind == bound_kind::literal && is_integer(v.type.id))
        t.precision = static_cast<uint8_t>(std::to_string(std::llabs(v.literal.i64)).size());
    return t;
}

bound_ptr bind_binary(const std::string &op, bound_ptr a, bound_ptr b, int32_t line) {
    (void)line;
    if (a->untyped_null)
        a = convert_to(a, b->untyped_null ? type_info() : b->type);
    if (b->untyped_null)
        b = convert_to(b, a->type);
    type_id x = a->type.id, y = b->type.id;
    bool text_a = is_char(x) || is_binary(x), text_b = is_char(y) || is_binary(y);
    if (op == "+" && text_a && text_b)
        return bind_text_plus(a, b);
    bool nullable = a->nullable || b->nullable;
    bound_ptr out;
    type_info t = type_common(a->type, b->type);
    if (is_date(t.id)) {
        bool old = t.id == type_id::datetime_ || t.id == type_id::smalldatetime_;
        if (!old || (op != "+" && op != "-"))
            fail(8117, 16, 1, "Operand data type %s is invalid for %s operator.", type_name(t),
                 op == "+"   ? "add"
                 : op == "-" ? "subtract"
                 : op == "*" ? "multiply"
                             : "divide");
        out = make_call(call_date_shift, t, {convert_to(a, t), convert_to(b, t)}, op);
    } else if (!is_number(t.id) && !is_binary(t.id)) {
        const char *verb = op == "+"   ? "add"
                           : op == "-" ? "subtract"
                           : op == "*" ? "multiply"
                           : op == "/" ? "divide"
                                       : "modulo";
        if (is_char(x) && is_char(y))
            fail(8117, 16, 1, "Operand data type %s is invalid for %s operator.", type_name(a->type), verb);
        fail(402, 16, 1, "The data types %s and %s are incompatible in the %s operator.", type_name(a->type),
             type_name(b->type), verb);
    } else if (is_float(t.id)) {
        if (op == "&" || op == "|" || op == "^" || op == "%")
            fail(402, 16, 1, "The data types %s and %s are incompatible in the modulo operator.", type_name(a->type),
                 type_name(b->type));
        type_info wide{type_id::float_, 0, 0, 0};
        out = make_call(call_float, t.id == type_id::real_ && x == y ? t : wide, {convert_to(a, t), convert_to(b, t)},
                        op);
    } else if (is_exact(t.id)) {
        type_info ta = operand_decimal(*a, *b), tb = operand_decimal(*b, *a), result = decimal_result(op[0], ta, tb);
        if (!is_exact(x) && !is_exact(y))
            result.id = type_id::numeric_;
        else
            result.id = is_exact(x) ? x : y;
        auto side = [&](bound_ptr v, const type_info &want) { return is_exact(v->type.id) ? v : convert_to(v, want); };
        out = make_call(call_decimal, result, {side(a, ta), side(b, tb)}, op);
    } else if (is_money(t.id)) {
        out = make_call(call_money, t, {convert_to(a, t), convert_to(b, t)}, op);
    } else {
        if (is_binary(t.id))
            t = {type_id::int_, 0, 0, 0};
        out = make_call(call_integer, t, {convert_to(a, t), convert_to(b, t)}, op);
    }
    out->nullable = nullable;
    return out;
}

static value call_negate(const bound &self, std::vector<value> &a, eval_context &) {
    value v = a[0];
    v.i64 = self.text[0] == '~' ? (self.type.id == type_id::bit_ ? !v.i64 : ~v.i64) : -v.i64;
    v.f64 = -v.f64;
    if (is_exact(self.type.id)) {
        decimal d;
        decimal_parse(v.text, d);
        d.negative = !d.negative;
        v.text = decimal_text(d);
    }
    return v;
}

static bound_ptr bind_unary(binder &b, const expr &e) {
    bound_ptr a = bind(b, *e.args[0]);
    if (e.text == "+")
        return a;
    if (a->untyped_null)
        a = convert_to(a, type_info());
    if (!is_number(a->type.id))
        fail(8117, 16, 1, "Operand data type %s is invalid for minus operator.", type_name(a->type));
    eval_context none{b.f, nullptr};
    auto out = make_call(call_negate, a->type, {a}, e.text);
    if (a->kind == bound_kind::literal) {
        auto folded = make_literal(a->type, eval(*out, none));
        // -2147483648 is an int although 2147483648 is not
        if (is_exact(a->type.id) && folded->literal.text == "-2147483648")
            return make_literal({type_id::int_, 0, 0, 0}, value_int(INT32_MIN));
        return folded;
    }
    out->nullable = a->nullable;
    return out;
}

// --- conditions

static bound_ptr make_node(bound_kind kind, std::vector<bound_ptr> args, std::string text = {}) {
    auto out = std::make_shared<bound>();
    out->kind = kind;
    out->type = {type_id::bit_, 0, 0, 0};
    out->args = std::move(args);
    out->text = std::move(text);
    finish_flags(*out);
    return out;
}

static bound_ptr negate_if(bool negated, bound_ptr e) {
    return negated ? make_node(bound_kind::not_, {std::move(e)}) : e;
}

static bound_ptr bind_compare(const std::string &op, bound_ptr a, bound_ptr b) {
    for (const bound_ptr &x : {a, b})
        if (x->type.id == type_id::text_ || x->type.id == type_id::ntext_ || x->type.id == type_id::image_)
            fail(402, 16, 1, "The data types %s and %s are incompatible in the %s operator.", type_name(a->type),
                 type_name(b->type),
                 op == "="    ? "equal to"
                 : op == "<>" ? "not equal to"
                 : op == "<"  ? "less than"
                              : "greater than");
    // decimals of different scale compare as they are
    if (!(is_exact(a->type.id) && is_exact(b->type.id)) && !(is_char(a->type.id) && is_char(b->type.id))) {
        std::vector<bound_ptr *> both{&a, &b};
        to_common(both);
    }
    return make_node(bound_kind::compare, {a, b}, op);
}

static value call_like(const bound &, std::vector<value> &a, eval_context &) {
    size_t at = 0;
    uint32_t escape = a.size() > 2 && !a[2].text.empty() ? utf8_next(a[2].text, at) : 0;
    return value_int(text_like(a[0].text, a[1].text, escape));
}

static bound_ptr bind_like(binder &b, const expr &e) {
    std::vector<bound_ptr> args;
    for (const expr_ptr &a : e.args) {
        bound_ptr x = bind(b, *a);
        args.push_back(is_char(x->type.id) && !x->untyped_null ? x : convert_to(x, {type_id::nvarchar_, 4000, 0, 0}));
    }
    return negate_if(e.negated, make_call(call_like, {type_id::bit_, 0, 0, 0}, args));
}

static bound_ptr bind_in(binder &b, const expr &e) {
    std::vector<bound_ptr> args;
    for (const expr_ptr &a : e.args)
        args.push_back(bind(b, *a));
    std::vector<bound_ptr *> all;
    for (bound_ptr &a : args)
        all.push_back(&a);
    to_common(all);
    return negate_if(e.negated, make_node(bound_kind::in_list, args));
}

static bound_ptr bind_case(binder &b, const expr &e) {
    std::vector<bound_ptr> results, conditions;
    size_t i = e.simple_case ? 1 : 0;
    for (; i + 1 < e.args.size(); i += 2) {
        bound_ptr when = bind(b, *e.args[i]);
        conditions.push_back(e.simple_case ? bind_compare("=", bind(b, *e.args[0]), when) : when);
        results.push_back(bind(b, *e.args[i + 1]));
    }
    if (e.has_else) {
        results.push_back(bind(b, *e.args.back()));
    } else {
        auto none = make_literal(type_info(), value());
        none->untyped_null = true;
        results.push_back(none);
    }
    std::vector<bound_ptr *> all;
    bool typed = false;
    for (bound_ptr &r : results) {
        all.push_back(&r);
        typed = typed || !r->untyped_null;
    }
    if (!typed)
        fail(8133, 16, 1,
             "At least one of the result expressions in a CASE specification must be an expression other "
             "than the NULL constant.");
    to_common(all);
    std::vector<bound_ptr> args;
    bool nullable = false;
    for (size_t k = 0; k < conditions.size(); k++)
        args.insert(args.end(), {conditions[k], results[k]});
    args.push_back(results.back());
    for (const bound_ptr &r : results)
        nullable = nullable || r->nullable;
    auto out = make_node(bound_kind::case_, args);
    out->type = results[0]->type;
    out->nullable = nullable;
    return out;
}

static bound_ptr sql_node(std::string sql, const type_info &t) {
    auto out = std::make_shared<bound>();
    out->kind = bound_kind::sql;
    out->type = t;
    out->text = std::move(sql);
    out->subquery = out->columns = true;
    return out;
}

static void one_column(const std::vector<bound_ptr> &items) {
    if (items.size() != 1)
        fail(116, 16, 1,
             "Only one expression can be specified in the select list when the subquery is not introduced "
             "with EXISTS.");
}

static bound_ptr bind_subquery(binder &b, const expr &e) {
    if (b.fields)
        fail(1046, 15, 1, "Subqueries are not allowed in this context. Only scalar expressions are allowed.");
    type_info bit{type_id::bit_, 0, 0, 0};
    std::vector<bound_ptr> items;
    std::string sql = translate_query(b, *e.sub, items, false);
    if (e.kind == expr_kind::exists)
        return sql_node("EXISTS (" + sql + ")", bit);
    one_column(items);
    if (e.kind == expr_kind::subquery)
        return sql_node("(" + sql + ")", items[0]->type);
    bound_ptr left = bind(b, *e.args[0]);
    const char *collate = collation_of(items[0]->type);
    type_info t = type_common(left->type, items[0]->type);
    std::string x = emit(b, convert_to(left, t)) + (collate != nullptr ? std::string(" COLLATE ") + collate : "");
    // the items keep their type: numbers of different kinds are brought together one by one
    std::string inner = sql;
    if (!same_storage(items[0]->type, t)) {
        std::string alias = "q" + std::to_string(b.next_alias++);
        auto field = std::make_shared<bound>();
        field->kind = bound_kind::column;
        field->type = items[0]->type;
        field->columns = true;
        field->text = alias + ".c1";
        inner = "SELECT " + emit(b, convert_to(field, t)) + " FROM (" + sql + ") AS " + alias;
    }
    if (e.kind == expr_kind::in_query)
        return sql_node("(" + x + (e.negated ? " NOT IN (" : " IN (") + inner + "))", bit);
    std::string alias = "q" + std::to_string(b.next_alias++);
    static const std::pair<const char *, const char *> opposite[] = {{"=", "<>"}, {"<>", "="}, {"<", ">="},
                                                                     {">", "<="}, {"<=", ">"}, {">=", "<"}};
    std::string op = e.text;
    for (auto &[from, to] : opposite)
        if (e.negated && e.text == from)
            op = to;
    std::string test =
        "EXISTS (SELECT 1 FROM (" + inner + ") AS " + alias + " WHERE " + x + " " + op + " " + alias + ".c1)";
    return sql_node(e.negated ? "NOT " + test : test, bit);
}

static value call_try(const bound &self, std::vector<value> &args, eval_context &c) {
    try {
        return convert(args[0], self.args[0]->type, self.type, style_of(self, c));
    } catch (const sql_error &) {
        return {};
    }
}

static bound_ptr bind_cast(binder &b, const expr &e) {
    type_info t = e.type;
    bound_ptr a = bind(b, *e.args[0]);
    int style = 0;
    if (e.args.size() > 1) {
        eval_context none{b.f, nullptr};
        style = static_cast<int>(eval(*bind_typed(b, *e.args[1], type_info()), none).i64);
    }
    if (a->untyped_null)
        return make_literal(t, value());
    if (e.try_) {
        auto out = make_call(call_try, t, {a});
        out->style = style;
        return out;
    }
    return convert_to(a, t, false, style);
}

bound_ptr bind(binder &b, const expr &e) {
    switch (e.kind) {
    case expr_kind::literal: {
        auto out = make_literal(e.type, e.literal);
        out->untyped_null = e.literal.null;
        return out;
    }
    case expr_kind::variable: {
        auto found = b.f.variables.find(e.text);
        if (found == b.f.variables.end())
            fail(137, 15, 2, "Must declare the scalar variable \"%s\".", e.text.c_str());
        auto out = std::make_shared<bound>();
        out->kind = bound_kind::variable;
        out->type = found->second.type;
        out->text = e.text;
        return out;
    }
    case expr_kind::global: return bind_global(b, e);
    case expr_kind::column: return find_column(b, e);
    case expr_kind::unary: return bind_unary(b, e);
    case expr_kind::binary: {
        bound_ptr left = bind(b, *e.args[0]); // in the order written: aliases are numbered as they come
        return bind_binary(e.text, left, bind(b, *e.args[1]), e.line);
    }
    case expr_kind::compare: {
        bound_ptr left = bind(b, *e.args[0]);
        return bind_compare(e.text, left, bind(b, *e.args[1]));
    }
    case expr_kind::and_: return make_node(bound_kind::and_, {bind(b, *e.args[0]), bind(b, *e.args[1])});
    case expr_kind::or_: return make_node(bound_kind::or_, {bind(b, *e.args[0]), bind(b, *e.args[1])});
    case expr_kind::not_: return make_node(bound_kind::not_, {bind(b, *e.args[0])});
    case expr_kind::is_null: return make_node(bound_kind::is_null, {bind(b, *e.args[0])}, e.negated ? "not" : "");
    case expr_kind::like: return bind_like(b, e);
    case expr_kind::between: {
        bound_ptr x = bind(b, *e.args[0]);
        auto both = make_node(bound_kind::and_,
                              {bind_compare(">=", x, bind(b, *e.args[1])), bind_compare("<=", x, bind(b, *e.args[2]))});
        return negate_if(e.negated, both);
    }
    case expr_kind::in_list: return bind_in(b, e);
    case expr_kind::in_query:
    case expr_kind::exists:
    case expr_kind::subquery:
    case expr_kind::quantified: return bind_subquery(b, e);
    case expr_kind::case_: return bind_case(b, e);
    case expr_kind::cast: return bind_cast(b, e);
    case expr_kind::call: return bind_function(b, e);
    case expr_kind::default_: fail(156, 15, 1, "Incorrect syntax near the keyword 'DEFAULT'.");
    case expr_kind::next_row: break;
    }
    fail(8624, 16, 1, "Internal error: unknown expression.");
}

} // namespace sqlserver
