// Plans: a query or an expression made ready, and expressions computed through them.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

static void plan_columns(plan &p, const std::vector<bound_ptr> &items) {
    for (const bound_ptr &i : items)
        p.columns.push_back({i->name, i->type, i->nullable, i->identity, i->updatable});
}

static bool plan_direct(frame &f, const query &q, plan &p) {
    if (q.core == nullptr || q.core->from != nullptr || !q.ctes.empty() || q.core->distinct || q.core->top != nullptr ||
        !q.core->group_by.empty() || q.core->having != nullptr || q.offset != nullptr || !q.order.empty())
        return false;
    scope sc;
    binder b{f, p, &sc};
    bind_items(b, *q.core, sc, p.items);
    if (q.core->where != nullptr)
        p.where = bind(b, *q.core->where);
    bool simple = !sc.aggregates && (p.where == nullptr || !p.where->subquery);
    for (const bound_ptr &i : p.items)
        simple = simple && !i->subquery;
    if (simple) {
        p.direct = true;
        plan_columns(p, p.items);
        p.params.clear();
        p.calls.clear();
    }
    return simple;
}

plan_ptr plan_query(frame &f, const query &q) {
    auto p = std::make_shared<plan>();
    if (plan_direct(f, q, *p))
        return p;
    p = std::make_shared<plan>();
    binder b{f, *p};
    std::vector<bound_ptr> items;
    p->sql = translate_query(b, q, items, true);
    plan_columns(*p, items);
    return p;
}

plan_ptr plan_expr(frame &f, const expr &e, const type_info *target, bool condition) {
    auto p = std::make_shared<plan>();
    binder b{f, *p};
    bound_ptr x = target != nullptr ? bind_typed(b, e, *target) : bind(b, e);
    p->columns.push_back({"", x->type, true, false, false});
    p->items = {x};
    if (!x->subquery) {
        p->direct = true;
        p->params.clear();
        p->calls.clear();
        return p;
    }
    (void)condition;
    p->sql = "SELECT " + emit(b, x);
    return p;
}

static value run_plan_expr(frame &f, const expr &e, const type_info *target, type_info &type, int purpose) {
    auto &c = cached_plan(f, &e, purpose, [&] { return plan_expr(f, e, target, false); });
    type = c.p->columns[0].type;
    eval_context context{f, nullptr};
    if (c.p->direct)
        return eval(*c.p->items[0], context);
    plan_ptr keep = c.p;
    sqlite3_stmt *st = c.st;
    bind_parameters(f, st, *keep);
    value v;
    if (store_step(f, st, keep.get()))
        v = store_column(st, 0, type);
    sqlite3_reset(st);
    return v;
}

value eval_expr(frame &f, const expr &e, type_info &type) {
    if (e.kind == expr_kind::literal) {
        type = e.type;
        return e.literal;
    }
    return run_plan_expr(f, e, nullptr, type, 1);
}

value eval_as(frame &f, const expr &e, const type_info &target) {
    type_info type;
    bool by_date_order = is_char(e.type.id) && is_date(target.id); // DATEFORMAT counts
    if (e.kind == expr_kind::literal && !by_date_order)
        return e.literal.null ? value() : convert_implicit(e.literal, e.type, target);
    value v = run_plan_expr(f, e, nullptr, type, 1);
    date_order order = date_order::mdy;
    date_order_named(f.s->options.date_format, order);
    bool text = is_char(type.id) && is_date(target.id);
    return convert_implicit(v, type, target, text ? style_date_order + static_cast<int>(order) : 0);
}

bool eval_condition(frame &f, const expr &e) {
    type_info type;
    return is_true(eval_expr(f, e, type));
}

} // namespace sqlserver
