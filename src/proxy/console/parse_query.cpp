// Queries of the admin console's batches, from tokens: WITH, SELECT, FROM with its joins, UNION, ORDER BY.
#include "proxy/console/reader.h"

using join_t = console_source::join_t;
using set_t = console_select::set_t;

static console_source read_source(console_reader &r);

// Whether a query stands here, behind any number of opening brackets.
bool console_begins_query(const console_reader &r) {
    size_t ahead = 0;
    while (console_is_symbol(console_look(r, ahead), '('))
        ++ahead;
    const console_token *t = console_look(r, ahead);
    return console_is_word(t, "SELECT") || (ahead == 0 && (console_is_word(t, "WITH") || console_is_word(t, "VALUES")));
}

static void read_column_names(console_reader &r, std::vector<std::string> &names) {
    if (!console_take_symbol(r, '('))
        return;
    do
        names.push_back(console_take_name(r));
    while (console_take_symbol(r, ','));
    console_expect_symbol(r, ')');
}

// ---- FROM ------------------------------------------------------------------------------------------------------

static void read_hints(console_reader &r) {
    bool with = console_is_word(console_look(r), "WITH") && console_is_symbol(console_look(r, 1), '(');
    r.at += with;
    if ((with || console_is_word(console_look(r, 1), "NOLOCK")) && console_take_symbol(r, '('))
        console_skip_brackets(r);
}

static void read_alias(console_reader &r, console_source &s) {
    if (console_take_word(r, "AS") || console_is_alias(console_look(r)))
        s.alias = console_take_name(r);
    read_column_names(r, s.columns);
}

static console_source read_in_brackets(console_reader &r) {
    console_source s;
    if (console_begins_query(r)) {
        s.kind = console_source::kind_t::query;
        s.query = std::make_shared<console_query>(console_read_query(r));
        console_expect_symbol(r, ')');
        read_alias(r, s);
        return s;
    }
    s = read_source(r);
    console_expect_symbol(r, ')');
    return s;
}

static console_source read_primary(console_reader &r) {
    console_deeper level(r);
    if (console_take_symbol(r, '('))
        return read_in_brackets(r);
    console_source s;
    const console_token *t = console_look(r);
    if (t != nullptr && t->kind == tsql_token_kind::variable)
        s.parts.push_back(r.tokens[r.at++].text);
    else
        s.parts = console_take_parts(r);
    if (console_is_symbol(console_look(r), '(') && !console_is_word(console_look(r, 1), "NOLOCK")) {
        ++r.at;
        s.kind = console_source::kind_t::function;
        console_skip_brackets(r); // what it is about does not matter: none has rows
    }
    read_hints(r);
    read_alias(r, s);
    read_hints(r);
    return s;
}

// False: no join stands here.
static bool take_join(console_reader &r, join_t &join) {
    if (console_take_word(r, "CROSS")) {
        bool apply = console_take_word(r, "APPLY");
        join = apply ? join_t::cross_apply : join_t::inner;
        if (!apply)
            console_expect_word(r, "JOIN");
        return true;
    }
    if (console_is_word(console_look(r), "OUTER") && console_is_word(console_look(r, 1), "APPLY")) {
        r.at += 2;
        join = join_t::outer_apply;
        return true;
    }
    join = console_take_word(r, "LEFT")    ? join_t::left
           : console_take_word(r, "RIGHT") ? join_t::right
           : console_take_word(r, "FULL")  ? join_t::full
                                           : join_t::inner;
    bool named = join != join_t::inner || console_take_word(r, "INNER");
    if (named && join != join_t::inner)
        console_take_word(r, "OUTER");
    if (named && !console_take_word(r, "LOOP") && !console_take_word(r, "HASH"))
        console_take_word(r, "MERGE");
    if (named)
        console_expect_word(r, "JOIN");
    return named || console_take_word(r, "JOIN");
}

static console_source joined(console_source &&left, join_t join, console_source &&right) {
    console_source s;
    s.kind = console_source::kind_t::join;
    s.join = join;
    s.sides.push_back(std::move(left));
    s.sides.push_back(std::move(right));
    return s;
}

// a JOIN b JOIN c ON .. ON ..: the condition belongs to the inner one.
static console_source read_joins(console_reader &r, console_source &&s) {
    static constexpr int joins_max = 64; // each is a level when it is run
    console_deeper level(r);
    join_t join = join_t::inner;
    for (int joins = 0; r.good && take_join(r, join); ++joins) {
        bool crossed = console_is_word(&r.tokens[r.at - 2], "CROSS") || join >= join_t::cross_apply;
        r.good = r.good && joins < joins_max;
        s = joined(std::move(s), join, read_primary(r));
        if (crossed || !r.good)
            continue;
        if (!console_is_word(console_look(r), "ON"))
            s.sides[1] = read_joins(r, std::move(s.sides[1]));
        console_expect_word(r, "ON");
        if (r.good)
            s.on.push_back(console_read_expression(r));
    }
    return std::move(s);
}

static console_source read_source(console_reader &r) {
    console_deeper level(r);
    return r.good ? read_joins(r, read_primary(r)) : console_source();
}

// ---- SELECT ----------------------------------------------------------------------------------------------------

static bool take_star(console_reader &r, console_item &item) {
    item.star = console_take_symbol(r, '*');
    if (!r.good || item.star || !console_is_name(console_look(r)))
        return item.star;
    size_t before = r.at;
    std::vector<std::string> parts = console_take_parts(r);
    if (r.good && console_is_symbol(console_look(r), '.') && console_is_symbol(console_look(r, 1), '*')) {
        r.at += 2;
        item.star = true;
        item.value.parts = std::move(parts);
    } else {
        r.at = before;
        r.good = true;
    }
    return item.star;
}

static void read_item_front(console_reader &r, console_item &item) {
    const console_token *t = console_look(r);
    bool variable = t != nullptr && t->kind == tsql_token_kind::variable && t->text[1] != '@';
    bool named = console_is_name(t) || (t != nullptr && t->kind == tsql_token_kind::text);
    if ((!variable && !named) || !console_is_symbol(console_look(r, 1), '='))
        return;
    item.name = variable ? console_upper(t->text) : t->text;
    item.assigns = variable;
    r.at += 2;
}

// value, value AS name, value name, name = value, @variable = value
static console_item read_item(console_reader &r) {
    console_item item;
    if (take_star(r, item))
        return item;
    read_item_front(r, item);
    item.value = console_read_expression(r);
    bool as = console_take_word(r, "AS");
    const console_token *t = console_look(r);
    bool text = t != nullptr && t->kind == tsql_token_kind::text;
    if (r.good && item.name.empty() && (text || console_is_alias(t) || (as && console_is_name(t)))) {
        item.name = t->text;
        ++r.at;
    } else if (as) {
        r.good = false;
    }
    if (r.good && item.name.empty() && item.value.kind == console_expression::kind_t::name)
        item.name = item.value.parts.back();
    return item;
}

// A number or a variable alone: what follows is no more of it.
static console_expression read_count(console_reader &r) {
    console_expression e;
    const console_token *t = console_look(r);
    r.good = r.good && t != nullptr && (t->kind == tsql_token_kind::number || t->kind == tsql_token_kind::variable);
    if (!r.good)
        return e;
    if (t->kind == tsql_token_kind::variable) {
        e.kind = console_expression::kind_t::variable;
        e.text = console_upper(t->text);
    } else {
        e.value = console_text_value(t->text); // it becomes a number where it is looked at
    }
    ++r.at;
    return e;
}

static void read_top(console_reader &r, console_select &s) {
    if (!console_take_word(r, "TOP"))
        return;
    if (console_take_symbol(r, '(')) {
        s.top.push_back(console_read_expression(r));
        console_expect_symbol(r, ')');
    } else {
        s.top.push_back(read_count(r));
    }
    r.good = r.good && !console_take_word(r, "PERCENT");
    if (console_take_word(r, "WITH"))
        console_expect_word(r, "TIES");
}

static void read_from(console_reader &r, console_select &s) {
    if (!console_take_word(r, "FROM"))
        return;
    do
        s.from.push_back(read_source(r));
    while (console_take_symbol(r, ','));
}

static void read_group(console_reader &r, console_select &s) {
    if (console_take_word(r, "GROUP")) {
        console_expect_word(r, "BY");
        do
            s.group.push_back(console_read_expression(r));
        while (console_take_symbol(r, ','));
    }
    if (console_take_word(r, "HAVING"))
        s.having.push_back(console_read_expression(r));
}

static void read_values(console_reader &r, console_select &s) {
    do {
        std::vector<console_expression> &row = s.values.emplace_back();
        console_expect_symbol(r, '(');
        do
            row.push_back(console_read_expression(r));
        while (console_take_symbol(r, ','));
        console_expect_symbol(r, ')');
        r.good = r.good && row.size() == s.values.front().size();
    } while (console_take_symbol(r, ','));
}

static console_select read_select(console_reader &r) {
    console_select s;
    if (console_take_word(r, "VALUES")) {
        read_values(r, s);
        return s;
    }
    console_expect_word(r, "SELECT");
    s.distinct = console_take_word(r, "DISTINCT");
    if (!s.distinct)
        console_take_word(r, "ALL");
    read_top(r, s);
    do
        s.items.push_back(read_item(r));
    while (console_take_symbol(r, ','));
    if (console_take_word(r, "INTO"))
        s.into = console_take_parts(r).back();
    read_from(r, s);
    if (console_take_word(r, "WHERE"))
        s.where.push_back(console_read_expression(r));
    read_group(r, s);
    return s;
}

// ---- the whole -------------------------------------------------------------------------------------------------

static void read_order(console_reader &r, console_query &q) {
    if (!console_take_word(r, "ORDER"))
        return;
    console_expect_word(r, "BY");
    do {
        console_order &order = q.order.emplace_back();
        order.value = console_read_expression(r);
        order.descending = console_take_word(r, "DESC");
        if (!order.descending)
            console_take_word(r, "ASC");
    } while (console_take_symbol(r, ','));
}

static void take_rows(console_reader &r) {
    if (!console_take_word(r, "ROWS"))
        console_expect_word(r, "ROW");
}

static void read_offset(console_reader &r, console_query &q) {
    if (!console_take_word(r, "OFFSET"))
        return;
    q.offset.push_back(console_read_expression(r));
    take_rows(r);
    if (!console_take_word(r, "FETCH"))
        return;
    if (!console_take_word(r, "NEXT"))
        console_expect_word(r, "FIRST");
    q.fetch.push_back(console_read_expression(r));
    take_rows(r);
    console_expect_word(r, "ONLY");
}

// FOR XML PATH ('')
static void read_for(console_reader &r, console_query &q) {
    if (console_take_word(r, "FOR")) {
        if (!console_take_word(r, "BROWSE")) {
            q.for_xml = true;
            if (!console_take_word(r, "JSON"))
                console_expect_word(r, "XML");
            while (r.good && !console_at_end(r) && !console_is_symbol(console_look(r), ')')) {
                if (console_take_symbol(r, '('))
                    console_skip_brackets(r);
                else
                    ++r.at;
            }
        }
    }
    if (console_take_word(r, "OPTION")) {
        console_expect_symbol(r, '(');
        console_skip_brackets(r);
    }
}

static bool take_set(console_reader &r, set_t &set) {
    if (console_take_word(r, "UNION")) {
        set = console_take_word(r, "ALL") ? set_t::union_all : set_t::union_;
        return true;
    }
    if (console_take_word(r, "EXCEPT"))
        return set = set_t::except, true;
    if (console_take_word(r, "INTERSECT"))
        return set = set_t::intersect, true;
    return false;
}

// (SELECT ...) UNION SELECT ...: what stands in brackets has no ORDER BY of its own.
static void read_selects(console_reader &r, console_query &q) {
    console_deeper level(r);
    set_t set = set_t::first;
    do {
        size_t first = q.selects.size();
        if (console_take_symbol(r, '(')) {
            read_selects(r, q);
            console_expect_symbol(r, ')');
            r.good = r.good && (set == set_t::first || q.selects.size() == first + 1); // else another order of work
        } else if (r.good) {
            q.selects.push_back(read_select(r));
        }
        if (r.good)
            q.selects[first].set = set;
    } while (r.good && take_set(r, set));
}

static void read_with(console_reader &r, console_query &q) {
    if (!console_take_word(r, "WITH"))
        return;
    do {
        console_common &c = q.with.emplace_back();
        c.name = console_take_name(r);
        read_column_names(r, c.columns);
        console_expect_word(r, "AS");
        console_expect_symbol(r, '(');
        c.query = std::make_shared<console_query>(console_read_query(r));
        console_expect_symbol(r, ')');
    } while (console_take_symbol(r, ','));
}

console_query console_read_query(console_reader &r) {
    console_query q;
    console_deeper level(r);
    if (!r.good)
        return q;
    read_with(r, q);
    read_selects(r, q);
    read_order(r, q);
    read_offset(r, q);
    read_for(r, q);
    return q;
}
