// FROM: the rows of its tables, joined. The relations that queries and functions make are kept as long as they are
// looked at; those of the catalog and of #tables are others'.
#include <algorithm>

#include <strings.h>

#include "proxy/console/catalog.h"
#include "proxy/console/evaluate.h"

using source_kind = console_source::kind_t;
using join_t = console_source::join_t;

struct join_run {
    console_world &w;
    console_scope &scope;
    std::deque<console_relation> &kept;
};

// ---- one table -------------------------------------------------------------------------------------------------

static const console_relation *keep(join_run &run, console_relation &&relation) {
    return &run.kept.emplace_back(std::move(relation));
}

static void rename(console_relation &relation, const std::vector<std::string> &columns) {
    for (size_t i = 0; i < std::min(columns.size(), relation.fields.size()); ++i)
        relation.fields[i].name = columns[i];
}

// A query of WITH sees those before it.
static const console_relation *common_table(join_run &run, const std::string &name) {
    for (const console_scope *s = &run.scope; s != nullptr; s = s->outer)
        for (size_t i = s->common.size(); i-- > 0;) {
            const console_common &c = *s->common[i];
            if (strcasecmp(c.name.c_str(), name.c_str()) != 0)
                continue;
            console_scope before;
            before.outer = s->outer;
            before.common.assign(s->common.begin(), s->common.begin() + static_cast<ptrdiff_t>(i));
            console_relation relation = console_run_query(run.w, *c.query, &before);
            rename(relation, c.columns);
            return keep(run, std::move(relation));
        }
    return nullptr;
}

static const console_relation *table_of(join_run &run, const console_source &s) {
    const std::string &name = s.parts.back();
    if (s.parts.size() == 1)
        if (const console_relation *common = common_table(run, name); common != nullptr)
            return common;
    if (name.starts_with('#') || name.starts_with('@'))
        return console_find_table(run.w, name);
    return console_find_view(run.w, s.parts);
}

static const console_relation *relation_of(join_run &run, const console_source &s) {
    if (s.kind == source_kind::query) {
        console_relation relation = console_run_query(run.w, *s.query, &run.scope);
        rename(relation, s.columns);
        return keep(run, std::move(relation));
    }
    if (s.kind == source_kind::function) {
        console_relation none;
        none.open = console_is_system_function(s.parts);
        if (!none.open)
            console_fail_with(run.w, 208, "Invalid object name '" + s.parts.back() + "'.");
        return keep(run, std::move(none));
    }
    return table_of(run, s);
}

static std::vector<console_combination> all_rows(join_run &run, const console_relation &relation) {
    std::vector<console_combination> all;
    if (!console_step(run.w, relation.rows.size()))
        return all;
    for (const console_tuple &row : relation.rows)
        all.push_back({&row});
    return all;
}

// While a query in FROM is run, it sees what is around this one, and not the tables beside it.
static std::vector<console_combination> of_table(join_run &run, const console_source &s, bool lateral) {
    std::vector<console_leaf> beside;
    if (!lateral)
        beside.swap(run.scope.leaves);
    const console_relation *relation = relation_of(run, s);
    if (!lateral)
        beside.swap(run.scope.leaves);
    static const console_relation nothing;
    relation = relation != nullptr ? relation : &nothing;
    run.scope.leaves.push_back({s.alias.empty() && !s.parts.empty() ? s.parts.back() : s.alias, relation, nullptr});
    return all_rows(run, *relation);
}

// ---- joins -----------------------------------------------------------------------------------------------------

static std::vector<console_combination> of_source(join_run &run, const console_source &s);

static void look_at(console_scope &scope, size_t first, const console_combination &rows) {
    for (size_t i = 0; i < rows.size(); ++i)
        scope.leaves[first + i].row = rows[i];
}

void console_look_at(console_scope &scope, const console_combination &rows) {
    look_at(scope, 0, rows);
}

static console_combination both(const console_combination &a, const console_combination &b) {
    console_combination all = a;
    all.insert(all.end(), b.begin(), b.end());
    return all;
}

static bool goes_with(join_run &run, const console_source &s, size_t first, const console_combination &all) {
    look_at(run.scope, first, all);
    return s.on.empty() || console_condition(run.w, s.on[0], &run.scope) == console_truth::yes;
}

static std::vector<console_combination> of_join(join_run &run, const console_source &s) {
    size_t first = run.scope.leaves.size();
    std::vector<console_combination> left = of_source(run, s.sides[0]);
    size_t middle = run.scope.leaves.size();
    std::vector<console_combination> right = of_source(run, s.sides[1]);
    console_combination no_left(middle - first), no_right(run.scope.leaves.size() - middle);
    std::vector<console_combination> all;
    std::vector<bool> right_used(right.size());
    for (const console_combination &l : left) {
        bool used = false;
        for (size_t i = 0; i < right.size() && console_step(run.w); ++i)
            if (console_combination one = both(l, right[i]); goes_with(run, s, first, one)) {
                all.push_back(std::move(one));
                used = right_used[i] = true;
            }
        if (!used && (s.join == join_t::left || s.join == join_t::full))
            all.push_back(both(l, no_right));
    }
    for (size_t i = 0; i < right.size() && (s.join == join_t::right || s.join == join_t::full); ++i)
        if (!right_used[i])
            all.push_back(both(no_left, right[i]));
    return all;
}

// The right side is run anew for each row of the left one; and once without any, to learn its columns.
static std::vector<console_combination> of_apply(join_run &run, const console_source &s) {
    size_t first = run.scope.leaves.size();
    std::vector<console_combination> left = of_source(run, s.sides[0]), all;
    size_t middle = run.scope.leaves.size();
    if (left.empty()) {
        look_at(run.scope, first, console_combination(middle - first));
        of_table(run, s.sides[1], true);
        return all;
    }
    for (size_t i = 0; i < left.size() && console_step(run.w); ++i) {
        run.scope.leaves.resize(middle);
        look_at(run.scope, first, left[i]);
        std::vector<console_combination> right = of_table(run, s.sides[1], true);
        for (const console_combination &r : right)
            all.push_back(both(left[i], r));
        if (right.empty() && s.join == join_t::outer_apply)
            all.push_back(both(left[i], {nullptr}));
    }
    return all;
}

static std::vector<console_combination> of_source(join_run &run, const console_source &s) {
    if (s.kind != source_kind::join)
        return of_table(run, s, false);
    bool applies = s.join == join_t::cross_apply || s.join == join_t::outer_apply;
    if (!applies)
        return of_join(run, s);
    if (s.sides[1].kind != source_kind::join)
        return of_apply(run, s);
    console_fail_with(run.w, 102, "Incorrect syntax near 'APPLY'.");
    return {};
}

std::vector<console_combination> console_join(console_world &w, const std::vector<console_source> &from,
                                              console_scope &scope, std::deque<console_relation> &kept) {
    join_run run{w, scope, kept};
    std::vector<console_combination> all{{}};
    for (const console_source &s : from) {
        std::vector<console_combination> before = std::move(all), next = of_source(run, s);
        all.clear();
        for (const console_combination &a : before)
            for (const console_combination &b : next)
                if (console_step(w))
                    all.push_back(both(a, b));
    }
    return all;
}
