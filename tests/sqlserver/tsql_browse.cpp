// SET NO_BROWSETABLE ON: a SELECT of one table has the columns of its primary key too, hidden where they were not asked
// for, and says which column of the table each is (TABNAME, COLINFO). SqlClient's CommandBehavior.KeyInfo sets it.
// Joins and the like are answered as ever.
#include "tsql_bind.h"
#include "tsql_functions.h"

#include <algorithm>

namespace sqlserver {

static bool is_plain(const query &q) {
    const select_core *c = q.core.get();
    return c != nullptr && c->from != nullptr && c->from->kind == table_kind::named && q.ctes.empty() && !c->distinct &&
           c->group_by.empty() &&
           std::all_of(c->items.begin(), c->items.end(), [](const select_item &i) { return i.variable.empty(); });
}

static const cat_key *primary_key(const cat_object &o) {
    for (const cat_key &k : o.keys)
        if (k.def.kind == "PK")
            return &k;
    return nullptr;
}

// The table's columns that the items are, in the order of the result; an empty name is an expression.
static std::vector<std::string> origins(const select_core &core, const cat_object &o) {
    std::vector<std::string> out;
    for (const select_item &i : core.items) {
        if (i.star)
            for (const cat_column &c : o.columns)
                out.push_back(c.def.name);
        else
            out.push_back(i.e->kind == expr_kind::column && object_column(o, i.e->path.back()) >= 0 ? i.e->path.back()
                                                                                                    : "");
    }
    return out;
}

static void add_column(select_core &core, const std::string &name) {
    select_item item;
    item.e = std::make_shared<expr>();
    item.e->kind = expr_kind::column;
    item.e->path = {name};
    core.items.push_back(item);
}

plan_ptr plan_browse(frame &f, const query &q) {
    resolved r;
    if (!is_plain(q) || !resolve(f, q.core->from->path, r))
        return plan_query(f, q);
    query wider = q;
    wider.core = std::make_shared<select_core>(*q.core);
    std::vector<std::string> from = origins(*q.core, *r.object), keys;
    if (const cat_key *k = primary_key(*r.object); k != nullptr)
        for (size_t column : k->columns)
            keys.push_back(r.object->columns[column].def.name);
    auto among = [](const std::vector<std::string> &all, const std::string &name) {
        return std::any_of(all.begin(), all.end(), [&](const std::string &one) { return same_name(one, name); });
    };
    size_t asked = from.size();
    for (const std::string &key : keys)
        if (!among(from, key)) {
            add_column(*wider.core, key);
            from.push_back(key);
        }
    plan_ptr p = plan_query(f, wider);
    p->browse_table = q.core->from->path;
    for (size_t i = 0; i < from.size() && i < p->columns.size(); i++) {
        column &c = p->columns[i];
        c.hidden = i >= asked;
        c.expression = from[i].empty();
        c.key = among(keys, from[i]);
        c.base_name = c.expression || same_name(c.name, from[i]) ? "" : from[i];
    }
    return p;
}

} // namespace sqlserver
