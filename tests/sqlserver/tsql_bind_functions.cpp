// Function calls: the table of scalar functions, special forms (ISNULL, COALESCE, IIF, ...), aggregates and windows.
#include "tsql_functions.h"
#include "tsql_types.h"

namespace sqlserver {

static const function_row *find_function(const std::string &name) {
    static const std::unordered_map<std::string, const function_row *> all = [] {
        std::unordered_map<std::string, const function_row *> map;
        for (function_list list : {text_functions(), number_functions(), session_functions()})
            for (size_t i = 0; i < list.count; i++)
                map[list.rows[i].name] = &list.rows[i];
        return map;
    }();
    auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
}

static bound_ptr convert_argument(bound_ptr a, char letter) {
    const type_info &t = a->type;
    switch (letter) {
    case 's': return is_char(t.id) && !a->untyped_null ? a : is_binary(t.id) ? a : convert_to(a, t_varchar, false);
    case 'i':
    case 'b': return convert_to(a, t_bigint);
    case 'f': return convert_to(a, t_float);
    case 'n': return a->untyped_null ? convert_to(a, t_int) : is_number(t.id) ? a : convert_to(a, t_float);
    case 'o': return convert_to(a, {type_id::datetimeoffset_, 0, 0, 7});
    case 'x': return is_binary(t.id) ? a : convert_to(a, {type_id::varbinary_, length_max, 0, 0}, false);
    default: return a;
    }
}

static bound_ptr bind_scalar(binder &b, const expr &e, const function_row &row) {
    if (e.args.size() < row.least || e.args.size() > row.most)
        fail(174, 15, 1, "The %s function requires %zu argument(s).", row.name, row.least);
    std::vector<bound_ptr> args;
    std::string letters = row.arguments;
    for (size_t i = 0; i < e.args.size(); i++)
        args.push_back(convert_argument(bind(b, *e.args[i]), letters[std::min(i, letters.size() - 1)]));
    type_info t = row.rule != nullptr ? row.rule(args) : row.type;
    auto out = make_call(row.fn, t, args, row.name);
    out->null_in_null_out = !row.takes_null;
    out->changing = out->changing || row.changing;
    return out;
}

static bound_ptr make_case(std::vector<bound_ptr> args, const type_info &t) {
    auto out = std::make_shared<bound>();
    out->kind = bound_kind::case_;
    out->type = t;
    out->args = std::move(args);
    finish_flags(*out);
    return out;
}

static bound_ptr make_is_null(bound_ptr x, bool negated) {
    auto out = std::make_shared<bound>();
    out->kind = bound_kind::is_null;
    out->type = t_bit;
    out->text = negated ? "not" : "";
    out->args = {std::move(x)};
    out->nullable = false;
    finish_flags(*out);
    return out;
}

static bound_ptr bind_isnull(binder &b, const expr &e) {
    if (e.args.size() != 2)
        fail(174, 15, 1, "The isnull function requires 2 argument(s).");
    bound_ptr x = bind(b, *e.args[0]), y = bind(b, *e.args[1]);
    type_info t = x->untyped_null ? y->type : x->type;
    x = convert_to(x, t);
    y = convert_to(y, t, false);
    bool nullable = x->nullable && y->nullable;
    auto out = make_case({make_is_null(x, true), x, y}, t);
    out->nullable = nullable;
    return out;
}

static bound_ptr bind_coalesce(binder &b, const expr &e) {
    std::vector<bound_ptr> parts, args;
    std::vector<bound_ptr *> all;
    for (const expr_ptr &a : e.args)
        parts.push_back(bind(b, *a));
    bool nullable = true;
    for (bound_ptr &p : parts) {
        all.push_back(&p);
        nullable = nullable && p->nullable;
    }
    if (parts.empty())
        fail(102, 15, 1, "Incorrect syntax near ')'.");
    to_common(all);
    for (size_t i = 0; i + 1 < parts.size(); i++)
        args.insert(args.end(), {make_is_null(parts[i], true), parts[i]});
    args.push_back(parts.back());
    auto out = make_case(args, parts[0]->type);
    out->nullable = nullable;
    return out;
}

static expr_ptr make_expr(expr_kind kind, std::string text, std::vector<expr_ptr> args) {
    auto e = std::make_shared<expr>();
    e->kind = kind;
    e->text = std::move(text);
    e->args = std::move(args);
    return e;
}

static bound_ptr bind_nullif(binder &b, const expr &e) {
    if (e.args.size() != 2)
        fail(174, 15, 1, "The nullif function requires 2 argument(s).");
    bound_ptr x = bind(b, *e.args[0]);
    bound_ptr same = bind(b, *make_expr(expr_kind::compare, "=", {e.args[0], e.args[1]}));
    return make_case({same, make_literal(x->type, value()), x}, x->type);
}

static bound_ptr bind_iif(binder &b, const expr &e) {
    if (e.args.size() != 3)
        fail(174, 15, 1, "The iif function requires 3 argument(s).");
    bound_ptr x = bind(b, *e.args[1]), y = bind(b, *e.args[2]);
    std::vector<bound_ptr *> both{&x, &y};
    to_common(both);
    bound_ptr condition = bind(b, *e.args[0]);
    auto out = make_case({condition, x, y}, x->type);
    out->nullable = x->nullable || y->nullable;
    return out;
}

static bound_ptr bind_choose(binder &b, const expr &e) {
    std::vector<bound_ptr> parts, args;
    std::vector<bound_ptr *> all;
    for (size_t i = 1; i < e.args.size(); i++)
        parts.push_back(bind(b, *e.args[i]));
    for (bound_ptr &p : parts)
        all.push_back(&p);
    if (parts.empty())
        fail(174, 15, 1, "The choose function requires 2 argument(s).");
    to_common(all);
    for (size_t i = 0; i < parts.size(); i++) {
        auto number = make_expr(expr_kind::literal, "", {});
        number->literal = value_int(static_cast<int64_t>(i) + 1);
        args.insert(args.end(), {bind(b, *make_expr(expr_kind::compare, "=", {e.args[0], number})), parts[i]});
    }
    args.push_back(make_literal(parts[0]->type, value()));
    return make_case(args, parts[0]->type);
}

static value call_extreme(const bound &self, std::vector<value> &a, eval_context &) {
    value best;
    for (value &v : a)
        if (!v.null && (best.null || (value_compare(v, best, self.type) > 0) == (self.text == "greatest")))
            best = v;
    return best;
}

static bound_ptr bind_extreme(binder &b, const expr &e) {
    std::vector<bound_ptr> parts;
    std::vector<bound_ptr *> all;
    for (const expr_ptr &a : e.args)
        parts.push_back(bind(b, *a));
    for (bound_ptr &p : parts)
        all.push_back(&p);
    if (parts.empty())
        fail(174, 15, 1, "The %s function requires 1 argument(s).", e.text.c_str());
    to_common(all);
    auto out = make_call(call_extreme, parts[0]->type, parts, e.text);
    out->null_in_null_out = false;
    return out;
}

// --- aggregates and windows

static std::string window_text(binder &b, const window &w) {
    std::string text = " OVER (";
    for (size_t i = 0; i < w.partition.size(); i++)
        text += (i > 0 ? ", " : "PARTITION BY ") + emit_collated(b, bind(b, *w.partition[i]));
    for (size_t i = 0; i < w.order.size(); i++) {
        // ORDER BY (SELECT NULL) means no order
        bool none = w.order[i].e->kind == expr_kind::subquery;
        std::string key = none ? "NULL" : emit_collated(b, bind(b, *w.order[i].e));
        text += (i > 0 ? ", " : " ORDER BY ") + key + (w.order[i].descending ? " DESC" : "");
    }
    return text + (w.frame.empty() ? "" : " " + w.frame) + ")";
}

static bound_ptr sql_result(std::string sql, const type_info &t, bool nullable) {
    auto out = std::make_shared<bound>();
    out->kind = bound_kind::sql;
    out->type = t;
    out->text = std::move(sql);
    out->columns = out->subquery = true;
    out->nullable = nullable;
    return out;
}

static type_info sum_type(const bound &x, const std::string &f) {
    type_info t = x.type;
    if (t.id <= type_id::int_)
        return t_int;
    if (t.id == type_id::bigint_)
        return t;
    if (is_exact(t.id)) {
        t.precision = 38;
        if (f == "avg")
            t.scale = std::max<uint8_t>(t.scale, 6);
        return t;
    }
    if (is_money(t.id))
        return {type_id::money_, 0, 0, 0};
    if (is_float(t.id))
        return t_float;
    fail(8117, 16, 1, "Operand data type %s is invalid for %s operator.", type_name(x.type), f.c_str());
}

static bound_ptr bind_sum(const std::string &f, const bound_ptr &x, const std::string &argument,
                          const std::string &over) {
    type_info t = sum_type(*x, f);
    if (is_float(t.id))
        return sql_result(f + "(" + argument + ")" + over, t, true);
    std::string call = (f == "avg" ? "ts_avg(" : "ts_sum(") + argument + "," + std::to_string(t.scale) + ")" + over;
    if (t.id != type_id::int_ || f == "avg")
        return sql_result(call, t, true);
    return convert_to(sql_result(call, t_bigint, true), t_int); // overflow of int is an error
}

static bound_ptr bind_string_agg(binder &b, const expr &e) {
    if (e.args.size() != 2)
        fail(174, 15, 1, "The string_agg function requires 2 argument(s).");
    bound_ptr x = convert_argument(bind(b, *e.args[0]), 's');
    if (!is_char(x->type.id))
        x = convert_to(x, t_nvarchar, false);
    type_info t = x->type.length == length_max ? x->type : is_nchar(x->type.id) ? t_nvarchar : t_varchar;
    std::string sql = "ts_string_agg(" + emit(b, x) + "," + emit(b, bind(b, *e.args[1]));
    if (e.over != nullptr && !e.path.empty())
        sql += "," + emit(b, bind(b, *e.over->order[0].e)) + (e.path[0] == "desc" ? ",1" : ",0");
    return sql_result(sql + ")", t, true);
}

static bool is_ranking(const std::string &f) {
    return f == "row_number" || f == "rank" || f == "dense_rank" || f == "ntile" || f == "lag" || f == "lead" ||
           f == "first_value" || f == "last_value" || f == "percent_rank" || f == "cume_dist";
}

static bound_ptr bind_ranking(binder &b, const expr &e) {
    if (e.over == nullptr)
        fail(10753, 15, 3, "The function '%s' must have an OVER clause.", e.text.c_str());
    std::string text = e.text + "(";
    type_info t = e.text == "percent_rank" || e.text == "cume_dist" ? t_float : t_bigint;
    bool value_function = e.text == "lag" || e.text == "lead" || e.text == "first_value" || e.text == "last_value";
    for (size_t i = 0; i < e.args.size(); i++) {
        bound_ptr a = bind(b, *e.args[i]);
        if (i == 0 && value_function)
            t = a->type;
        text += (i > 0 ? "," : "") + emit(b, i == 2 ? convert_to(a, t) : a);
    }
    return sql_result(text + ")" + window_text(b, *e.over), t, value_function);
}

bound_ptr bind_aggregate(binder &b, const expr &e, bool &is_aggregate) {
    const std::string &f = e.text;
    bool plain = f == "count" || f == "count_big" || f == "sum" || f == "avg" || f == "min" || f == "max" ||
                 f == "string_agg" || f == "checksum_agg" || f == "stdev" || f == "var";
    is_aggregate = (plain || is_ranking(f)) && !b.fields;
    if (!is_aggregate)
        return nullptr;
    if (is_ranking(f))
        return bind_ranking(b, e);
    if (b.sc != nullptr && e.over == nullptr)
        b.sc->aggregates = true;
    if (f == "string_agg")
        return bind_string_agg(b, e);
    std::string over = e.over != nullptr ? window_text(b, *e.over) : "";
    type_info count_type = f == "count_big" ? t_bigint : t_int;
    if (e.star)
        return sql_result("count(*)" + over, count_type, true);
    if (e.args.size() != 1)
        fail(174, 15, 1, "The %s function requires 1 argument(s).", f.c_str());
    bound_ptr x = bind(b, *e.args[0]);
    if (x->untyped_null && f != "count")
        fail(8117, 16, 1, "Operand data type NULL is invalid for %s operator.", f.c_str());
    std::string argument = (e.distinct ? "DISTINCT " : "") + emit_collated(b, x);
    if (f == "count" || f == "count_big")
        return sql_result("count(" + argument + ")" + over, count_type, true);
    if (f == "min" || f == "max")
        return sql_result(f + "(" + argument + ")" + over, x->type, true);
    if (f != "sum" && f != "avg")
        fail(195, 15, 10, "'%s' is not a recognized built-in function name.", f.c_str());
    if (e.distinct) // SQLite wants one argument for DISTINCT
        return sql_result(f + "(" + argument + ")", sum_type(*x, f).id == type_id::float_ ? t_float : sum_type(*x, f),
                          true);
    return bind_sum(f, x, argument, over);
}

bound_ptr bind_function(binder &b, const expr &e) {
    bool aggregate;
    bound_ptr out = bind_aggregate(b, e, aggregate);
    if (aggregate)
        return out;
    const std::string &f = e.text;
    if (f == "isnull")
        return bind_isnull(b, e);
    if (f == "coalesce")
        return bind_coalesce(b, e);
    if (f == "nullif")
        return bind_nullif(b, e);
    if (f == "iif")
        return bind_iif(b, e);
    if (f == "choose")
        return bind_choose(b, e);
    if (f == "greatest" || f == "least")
        return bind_extreme(b, e);
    const function_row *row = find_function(f);
    if (row == nullptr)
        fail(195, 15, 10, "'%s' is not a recognized built-in function name.", f.c_str());
    return bind_scalar(b, e, *row);
}

bound_ptr bind_global(binder &b, const expr &e) {
    const function_row *row = find_function(e.text);
    if (row == nullptr)
        fail(137, 15, 2, "Must declare the scalar variable \"%s\".", e.text.c_str());
    (void)b;
    return make_call(row->fn, row->type, {}, row->name);
}

} // namespace sqlserver
