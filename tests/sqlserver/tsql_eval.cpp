// Computes bound expressions without SQLite: variables, IF conditions, VALUES rows, SELECT without FROM.
#include "tsql_bind.h"
#include "tsql_types.h"

namespace sqlserver {

bool is_true(const value &v) {
    return !v.null && v.i64 != 0;
}

static value truth(bool b) {
    return value_int(b);
}

static value eval_compare(const bound &b, eval_context &c) {
    value x = eval(*b.args[0], c);
    if (x.null)
        return x;
    value y = eval(*b.args[1], c);
    if (y.null)
        return y;
    int order = value_compare(x, y, b.args[0]->type);
    if (b.text == "=")
        return truth(order == 0);
    if (b.text == "<>")
        return truth(order != 0);
    if (b.text == "<")
        return truth(order < 0);
    if (b.text == ">")
        return truth(order > 0);
    return truth(b.text == "<=" ? order <= 0 : order >= 0);
}

static value eval_in(const bound &b, eval_context &c) {
    value x = eval(*b.args[0], c);
    if (x.null)
        return x;
    value result = truth(false);
    for (size_t i = 1; i < b.args.size(); i++) {
        value y = eval(*b.args[i], c);
        if (y.null)
            result.null = true;
        else if (value_compare(x, y, b.args[0]->type) == 0)
            return truth(true);
    }
    return result;
}

static value eval_logic(const bound &b, eval_context &c) {
    bool stop = b.kind == bound_kind::or_; // the value that decides
    value x = eval(*b.args[0], c);
    if (!x.null && (x.i64 != 0) == stop)
        return x;
    value y = eval(*b.args[1], c);
    if (!y.null && (y.i64 != 0) == stop)
        return y;
    return x.null ? x : y;
}

static value eval_call(const bound &b, eval_context &c) {
    std::vector<value> args(b.args.size());
    for (size_t i = 0; i < args.size(); i++) {
        args[i] = eval(*b.args[i], c);
        if (args[i].null && b.null_in_null_out)
            return value();
    }
    return b.fn(b, args, c);
}

value eval(const bound &b, eval_context &c) {
    switch (b.kind) {
    case bound_kind::literal: return b.literal;
    case bound_kind::variable: {
        auto found = c.f.variables.find(b.text);
        if (found == c.f.variables.end())
            fail(137, 15, 2, "Must declare the scalar variable \"%s\".", b.text.c_str());
        return found->second.val;
    }
    case bound_kind::field: return (*c.row)[b.field];
    case bound_kind::call: return eval_call(b, c);
    case bound_kind::and_:
    case bound_kind::or_: return eval_logic(b, c);
    case bound_kind::not_: {
        value v = eval(*b.args[0], c);
        return v.null ? v : truth(v.i64 == 0);
    }
    case bound_kind::is_null: return truth(eval(*b.args[0], c).null != (b.text == "not"));
    case bound_kind::compare: return eval_compare(b, c);
    case bound_kind::in_list: return eval_in(b, c);
    case bound_kind::case_: // condition, result, condition, result, ..., result
        for (size_t i = 0; i + 1 < b.args.size(); i += 2)
            if (is_true(eval(*b.args[i], c)))
                return eval(*b.args[i + 1], c);
        return eval(*b.args.back(), c);
    default: fail(8624, 16, 1, "Internal error: an expression that only a query can compute.");
    }
}

} // namespace sqlserver
