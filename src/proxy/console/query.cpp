// A query, run: WHERE, GROUP BY, the items, DISTINCT, UNION and its like, ORDER BY, OFFSET.
#include <algorithm>
#include <numeric>

#include <strings.h>

#include "proxy/console/evaluate.h"

using kind_t = console_expression::kind_t;
using set_t = console_select::set_t;
using base_t = tds_result_type;

static constexpr int32_t counts_differ = 205;
static constexpr int32_t no_such_place = 108;
static constexpr int32_t not_here = 50007;

struct query_run {
    console_world &w;
    const console_query &query;
    console_scope scope;
    std::deque<console_relation> kept; // what the scope looks at
    console_relation result;
    std::vector<console_tuple> keys; // of ORDER BY, as many as rows
};

// ---- the columns -----------------------------------------------------------------------------------------------

static bool is_of(const console_leaf &leaf, const console_item &item) {
    return item.value.parts.empty() || strcasecmp(leaf.alias.c_str(), item.value.parts.back().c_str()) == 0;
}

static void add_star_fields(query_run &q, const console_item &item) {
    size_t before = q.result.fields.size();
    for (const console_leaf &leaf : q.scope.leaves)
        if (is_of(leaf, item))
            for (const console_field &f : leaf.relation->fields)
                q.result.fields.push_back(f);
    if (q.result.fields.size() == before) // of a table that nobody has described
        q.result.fields.push_back({"name", console_type_of(base_t::text)});
}

static void add_fields(query_run &q, const console_select &s) {
    for (const console_item &item : s.items) {
        if (item.star)
            add_star_fields(q, item);
        else
            q.result.fields.push_back({item.name, console_result_type(q.w, item.value, &q.scope)});
    }
}

static void add_star_values(query_run &q, const console_item &item, console_tuple &row) {
    size_t before = row.size();
    for (const console_leaf &leaf : q.scope.leaves)
        for (size_t i = 0; is_of(leaf, item) && i < leaf.relation->fields.size() && console_step(q.w); ++i) {
            row.push_back(leaf.row != nullptr ? (*leaf.row)[i] : console_value());
            console_step_text(q.w, row.back());
        }
    if (row.size() == before)
        row.emplace_back();
}

static console_tuple values_of(query_run &q, const console_select &s) {
    console_tuple row;
    for (const console_item &item : s.items) {
        if (item.star)
            add_star_values(q, item, row);
        else
            row.push_back(console_evaluate(q.w, item.value, &q.scope));
        if (item.assigns)
            console_assign(q.w, item.name, console_value(row.back()));
    }
    return row;
}

// ---- ORDER BY --------------------------------------------------------------------------------------------------

// The column that it names or numbers, or none: then it is an expression.
static size_t place_of(query_run &q, const console_expression &e) {
    if (e.kind == kind_t::value && e.value.kind == console_value::kind_t::number) {
        if (e.value.number >= 1 && e.value.number <= static_cast<int64_t>(q.result.fields.size()))
            return static_cast<size_t>(e.value.number - 1);
        console_fail_with(q.w, no_such_place, "The ORDER BY position number is out of range of the select list.");
        return 0;
    }
    if (e.kind == kind_t::name && e.parts.size() == 1)
        for (size_t i = 0; i < q.result.fields.size(); ++i)
            if (strcasecmp(q.result.fields[i].name.c_str(), e.parts[0].c_str()) == 0)
                return i;
    return SIZE_MAX;
}

static console_tuple keys_of(query_run &q, const console_tuple &row) {
    console_tuple keys;
    for (const console_order &o : q.query.order) {
        size_t place = place_of(q, o.value);
        keys.push_back(place < row.size() ? row[place] : console_evaluate(q.w, o.value, &q.scope));
    }
    return keys;
}

static int order_of(console_world &w, const console_value &a, const console_value &b) {
    if (console_is_null(a) || console_is_null(b))
        return console_is_null(b) - console_is_null(a);
    return console_compare(a, b, w.problem);
}

static bool comes_before(query_run &q, const console_tuple &a, const console_tuple &b) {
    for (size_t i = 0; i < a.size(); ++i) {
        int order = order_of(q.w, a[i], b[i]);
        if (order != 0)
            return q.query.order[i].descending ? order > 0 : order < 0;
    }
    return false;
}

static void sort_rows(query_run &q) {
    size_t n = q.result.rows.size();
    size_t rounds = 1;
    while (n >> rounds != 0)
        ++rounds;
    if (q.query.order.empty() || !console_step(q.w, n * rounds))
        return;
    std::vector<size_t> places(n);
    std::iota(places.begin(), places.end(), size_t{0});
    std::stable_sort(places.begin(), places.end(),
                     [&q](size_t a, size_t b) { return comes_before(q, q.keys[a], q.keys[b]); });
    std::vector<console_tuple> sorted;
    for (size_t place : places)
        sorted.push_back(std::move(q.result.rows[place]));
    q.result.rows = std::move(sorted);
}

static int64_t count_of(console_world &w, const std::vector<console_expression> &e, int64_t otherwise) {
    if (e.empty())
        return otherwise;
    console_value v = console_evaluate(w, e[0], nullptr);
    v = console_convert(std::move(v), console_type_of(base_t::bigint), w.problem);
    return std::max<int64_t>(v.number, 0);
}

static void keep_first(std::vector<console_tuple> &rows, int64_t most) {
    if (static_cast<uint64_t>(most) < rows.size())
        rows.resize(static_cast<size_t>(most));
}

// ---- one SELECT ------------------------------------------------------------------------------------------------

static bool same_values(console_world &w, const console_tuple &a, const console_tuple &b) {
    for (size_t i = 0; i < a.size(); ++i)
        if (order_of(w, a[i], b[i]) != 0)
            return false;
    return true;
}

static bool is_among(console_world &w, const console_tuple &row, const std::vector<console_tuple> &rows, size_t first,
                     size_t end) {
    for (size_t i = first; i < end && console_step(w); ++i)
        if (same_values(w, row, rows[i]))
            return true;
    return false;
}

// The rows of one SELECT begin at `first`. Keys of ORDER BY are those of a query with one SELECT only.
static void add_row(query_run &q, const console_select &s, size_t first) {
    console_tuple row = values_of(q, s);
    if (s.distinct && is_among(q.w, row, q.result.rows, first, q.result.rows.size()))
        return;
    if (q.query.selects.size() == 1)
        q.keys.push_back(keys_of(q, row));
    q.result.rows.push_back(std::move(row));
}

static bool holds(query_run &q, const std::vector<console_expression> &condition) {
    return condition.empty() || console_condition(q.w, condition[0], &q.scope) == console_truth::yes;
}

static bool has_aggregate(const console_expression &e) {
    return console_is_aggregate(e) || std::any_of(e.arguments.begin(), e.arguments.end(), has_aggregate);
}

static bool is_grouped(const console_query &q, const console_select &s) {
    return !s.group.empty() || !s.having.empty() ||
           std::any_of(s.items.begin(), s.items.end(), [](const auto &item) { return has_aggregate(item.value); }) ||
           std::any_of(q.order.begin(), q.order.end(), [](const auto &o) { return has_aggregate(o.value); });
}

struct row_group {
    console_tuple keys;
    std::vector<console_combination> rows;
};

static std::vector<row_group> groups_of(query_run &q, const console_select &s,
                                        const std::vector<console_combination> &rows) {
    std::vector<row_group> groups;
    if (s.group.empty())
        groups.emplace_back();
    for (const console_combination &row : rows) {
        console_look_at(q.scope, row);
        console_tuple keys;
        for (const console_expression &e : s.group)
            keys.push_back(console_evaluate(q.w, e, &q.scope));
        row_group *found = nullptr;
        for (size_t i = 0; found == nullptr && i < groups.size() && console_step(q.w); ++i)
            found = same_values(q.w, keys, groups[i].keys) ? &groups[i] : nullptr;
        if (found == nullptr)
            found = &groups.emplace_back(row_group{std::move(keys), {}});
        found->rows.push_back(row);
    }
    return groups;
}

static void add_groups(query_run &q, const console_select &s, const std::vector<console_combination> &rows,
                       size_t first) {
    for (const row_group &group : groups_of(q, s, rows)) {
        console_look_at(q.scope, group.rows.empty() ? console_combination(q.scope.leaves.size()) : group.rows[0]);
        q.scope.group = &group.rows;
        if (holds(q, s.having))
            add_row(q, s, first);
        q.scope.group = nullptr;
    }
}

static void run_values(query_run &q, const console_select &s) {
    for (const auto &given : s.values) {
        console_tuple row;
        for (const console_expression &e : given) {
            if (row.size() >= q.result.fields.size())
                q.result.fields.push_back({});
            console_field &f = q.result.fields[row.size()];
            f.type = console_meet(f.type, console_result_type(q.w, e, q.scope.outer));
            row.push_back(console_evaluate(q.w, e, &q.scope));
        }
        q.result.rows.push_back(std::move(row));
    }
}

static std::vector<console_combination> wanted_rows(query_run &q, const console_select &s) {
    std::vector<console_combination> wanted;
    for (console_combination &row : console_join(q.w, s.from, q.scope, q.kept)) {
        console_look_at(q.scope, row);
        if (console_step(q.w) && holds(q, s.where))
            wanted.push_back(std::move(row));
    }
    return wanted;
}

static void run_select(query_run &q, const console_select &s) {
    size_t first = q.result.rows.size();
    if (!s.values.empty())
        return run_values(q, s);
    q.scope.leaves.clear();
    std::vector<console_combination> rows = wanted_rows(q, s);
    console_look_at(q.scope, console_combination(q.scope.leaves.size()));
    add_fields(q, s);
    if (is_grouped(q.query, s)) {
        add_groups(q, s, rows, first);
    } else {
        for (size_t i = 0; i < rows.size() && q.w.problem.number == 0; ++i) {
            console_look_at(q.scope, rows[i]);
            add_row(q, s, first);
        }
    }
    if (q.query.selects.size() > 1) // of one by itself the first ones are taken when it is sorted
        keep_first(q.result.rows, count_of(q.w, s.top, INT64_MAX));
}

// ---- the whole -------------------------------------------------------------------------------------------------

static void without_doubles(query_run &q, std::vector<console_tuple> &rows) {
    std::vector<console_tuple> all;
    for (console_tuple &row : rows)
        if (!is_among(q.w, row, all, 0, all.size()))
            all.push_back(std::move(row));
    rows = std::move(all);
}

// What another SELECT gives, to what those before it gave.
static void combine(query_run &q, set_t set, console_relation &&before) {
    console_relation &now = q.result;
    if (now.fields.size() != before.fields.size()) {
        console_fail_with(q.w, counts_differ, "All queries combined must have an equal number of expressions.");
        return;
    }
    for (size_t i = 0; i < now.fields.size(); ++i)
        now.fields[i] = {before.fields[i].name, console_meet(before.fields[i].type, now.fields[i].type)};
    std::vector<console_tuple> rows = std::move(now.rows);
    now.rows.clear();
    if (set == set_t::except || set == set_t::intersect) {
        for (console_tuple &row : before.rows)
            if (is_among(q.w, row, rows, 0, rows.size()) == (set == set_t::intersect))
                now.rows.push_back(std::move(row));
    } else {
        now.rows = std::move(before.rows);
        for (console_tuple &row : rows)
            now.rows.push_back(std::move(row));
    }
    if (set != set_t::union_all)
        without_doubles(q, now.rows);
}

// UNION is sorted by its columns only.
static void make_keys(query_run &q) {
    if (q.query.selects.size() == 1 && q.query.selects[0].values.empty())
        return;
    q.scope.leaves.assign(1, {"", &q.result, nullptr});
    for (const console_tuple &row : q.result.rows) {
        q.scope.leaves[0].row = &row;
        q.keys.push_back(keys_of(q, row));
    }
}

static void cut_rows(query_run &q) {
    const console_select &s = q.query.selects[0];
    if (!q.query.offset.empty()) {
        auto skipped =
            std::min<uint64_t>(static_cast<uint64_t>(count_of(q.w, q.query.offset, 0)), q.result.rows.size());
        q.result.rows.erase(q.result.rows.begin(), q.result.rows.begin() + static_cast<ptrdiff_t>(skipped));
        keep_first(q.result.rows, count_of(q.w, q.query.fetch, INT64_MAX));
    }
    if (q.query.selects.size() == 1)
        keep_first(q.result.rows, count_of(q.w, s.top, INT64_MAX));
}

// What FOR XML makes of no row is NULL.
static void check_kind(query_run &q) {
    if (q.query.for_xml && !q.result.rows.empty())
        console_fail_with(q.w, not_here, "tdsbouncer: the console makes no XML and no JSON");
}

static void run_selects(query_run &q) {
    for (const console_select &s : q.query.selects) {
        console_relation before = std::move(q.result);
        q.result = {};
        run_select(q, s);
        if (&s != &q.query.selects.front() && q.w.problem.number == 0)
            combine(q, s.set, std::move(before));
    }
}

console_relation console_run_query(console_world &w, const console_query &query, const console_scope *outer) {
    query_run q{w, query, {}, {}, {}, {}};
    q.scope.outer = outer;
    for (const console_common &c : query.with)
        q.scope.common.push_back(&c);
    if (!console_step(w))
        return {};
    run_selects(q);
    if (w.problem.number == 0)
        make_keys(q);
    if (w.problem.number == 0)
        sort_rows(q);
    cut_rows(q);
    check_kind(q);
    return std::move(q.result);
}

const std::string &console_into(const console_query &q) {
    return q.selects[0].into;
}

bool console_assigns(const console_query &q) {
    return q.selects[0].values.empty() && q.selects[0].items[0].assigns;
}
