// Variables and #tables of the console: GUI tools put what they have asked into them, and read it back.
#include <algorithm>

#include "proxy/console/catalog.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/run.h"

static constexpr int32_t no_object = 208, columns_differ = 213, no_column = 207, exists = 2714, cannot_drop = 3701,
                         assigns_and_gives = 141, too_much = 50007;
static constexpr uint16_t command_select = 0xc1, command_insert = 0xc3, command_delete = 0xc4, command_update = 0xc5;

// ---- variables -------------------------------------------------------------------------------------------------

console_type console_type_of_value(const console_value &v) {
    switch (v.kind) {
    case console_value::kind_t::number: return console_type_of(tds_result_type::bigint);
    case console_value::kind_t::real: return console_type_of(tds_result_type::real);
    case console_value::kind_t::binary: return console_type_of(tds_result_type::binary, 8000);
    default: return console_type_of(tds_result_type::text, console_units_max);
    }
}

// A table variable is a #table of the session, until the next text that declares it.
static void declare_table(console_run &r, const console_statement &st) {
    console_drop_table(*r.s->console, console_lower(st.name));
    console_run_create(r, st);
}

void console_run_declare(console_run &r, const console_statement &st) {
    if (!st.name.empty())
        return declare_table(r, st);
    for (size_t i = 0; i < st.items.size(); ++i) {
        if (r.world.variables.size() >= console_variables_max)
            return console_fail(r, too_much, "tdsbouncer: this asks too much of the console");
        r.world.variables[st.items[i].name] = {st.columns[i].type, {}};
        if (st.items[i].assigns)
            console_assign(r.world, st.items[i].name, console_evaluate(r.world, st.items[i].value, nullptr));
    }
    console_failed(r);
}

void console_run_assign(console_run &r, const console_statement &st) {
    console_value v = console_evaluate(r.world, st.items[0].value, nullptr);
    console_assign(r.world, st.items[0].name, std::move(v));
    console_failed(r);
}

void console_run_select_assign(console_run &r, const console_query &query) {
    const auto &items = query.selects[0].items;
    if (!std::all_of(items.begin(), items.end(), [](const console_item &item) { return item.assigns; }))
        return console_fail(r, assigns_and_gives, "A SELECT that assigns must not give rows.");
    console_relation all = console_run_query(r.world, query);
    if (!console_failed(r))
        console_count(r, command_select, all.rows.size());
}

// ---- #tables ---------------------------------------------------------------------------------------------------

static size_t bytes_of(const std::vector<console_tuple> &rows) {
    size_t bytes = 0;
    for (const console_tuple &row : rows)
        for (const console_value &v : row)
            bytes += sizeof v + v.text.size();
    return bytes;
}

static void too_large(console_run &r) {
    console_fail(r, too_much, "tdsbouncer: this asks too much of the console");
}

bool console_drop_table(console_session &c, const std::string &name) {
    auto found = c.tables.find(name);
    if (found == c.tables.end())
        return false;
    c.tables_bytes -= bytes_of(found->second.rows);
    c.tables.erase(found);
    return true;
}

static console_relation *find_table(console_run &r, const std::string &name) {
    auto found = r.s->console->tables.find(console_lower(name));
    if (found != r.s->console->tables.end())
        return &found->second;
    console_fail(r, no_object, "Invalid object name '" + name + "'.");
    return nullptr;
}

static bool make_table(console_run &r, const std::string &name, console_relation &&relation) {
    console_session &c = *r.s->console;
    size_t bytes = bytes_of(relation.rows);
    bool large = c.tables.size() >= console_tables_max || relation.rows.size() > console_table_rows_max ||
                 relation.fields.size() > console_table_columns_max ||
                 c.tables_bytes + bytes > console_tables_bytes_max;
    if (c.tables.contains(console_lower(name))) {
        console_fail(r, exists, "There is already an object named '" + name + "' in the database.");
        return false;
    }
    if (large) {
        too_large(r);
        return false;
    }
    c.tables_bytes += bytes;
    c.tables.emplace(console_lower(name), std::move(relation));
    return true;
}

void console_run_create(console_run &r, const console_statement &st) {
    console_relation relation;
    for (const console_column_definition &c : st.columns) {
        if (c.identity)
            relation.identity = static_cast<int32_t>(relation.fields.size());
        relation.fields.push_back({c.name, c.type});
    }
    if (make_table(r, st.name, std::move(relation)) && st.verb == console_verb::create)
        console_succeed(r);
}

void console_run_into(console_run &r, const std::string &name, console_relation &&relation) {
    uint64_t rows = relation.rows.size();
    if (make_table(r, name, std::move(relation)))
        console_count(r, command_select, rows);
}

void console_run_drop(console_run &r, const console_statement &st) {
    for (const std::string &name : st.names)
        if (!console_drop_table(*r.s->console, console_lower(name)) && !st.if_exists)
            return console_fail(r, cannot_drop,
                                "Cannot drop the table '" + name +
                                    "', because it does not exist or you do not have permission.");
    console_succeed(r);
}

// The fields of the table that the values are for, in their order.
static bool places_of(console_run &r, const console_relation &table, const console_statement &st, size_t count,
                      std::vector<size_t> &places) {
    for (const std::string &name : st.names) {
        auto found = std::find_if(table.fields.begin(), table.fields.end(), [&name](const console_field &f) {
            return console_lower(f.name) == console_lower(name);
        });
        if (found == table.fields.end()) {
            console_fail(r, no_column, "Invalid column name '" + name + "'.");
            return false;
        }
        places.push_back(static_cast<size_t>(found - table.fields.begin()));
    }
    for (size_t i = 0; st.names.empty() && i < table.fields.size(); ++i)
        if (static_cast<int32_t>(i) != table.identity)
            places.push_back(i);
    if (places.size() == count)
        return true;
    console_fail(r, columns_differ, "Column name or number of supplied values does not match table definition.");
    return false;
}

static void add_rows(console_run &r, console_relation &table, const std::vector<size_t> &places,
                     std::vector<console_tuple> &&rows) {
    std::vector<console_tuple> added;
    for (console_tuple &given : rows) {
        console_tuple row(table.fields.size());
        for (size_t i = 0; i < places.size(); ++i)
            row[places[i]] = console_convert(std::move(given[i]), table.fields[places[i]].type, r.world.problem);
        if (table.identity >= 0)
            row[static_cast<size_t>(table.identity)] =
                console_number_value(static_cast<int64_t>(table.rows.size() + added.size()) + 1);
        added.push_back(std::move(row));
    }
    if (console_failed(r))
        return;
    size_t bytes = bytes_of(added);
    if (table.rows.size() + added.size() > console_table_rows_max ||
        r.s->console->tables_bytes + bytes > console_tables_bytes_max ||
        !console_step(r.world, bytes / sizeof(console_value))) {
        r.world.problem = {};
        return too_large(r);
    }
    r.s->console->tables_bytes += bytes;
    for (console_tuple &row : added)
        table.rows.push_back(std::move(row));
    console_count(r, command_insert, added.size());
}

// What an EXEC gives, instead of sending it.
static console_relation rows_of_call(console_run &r, const console_statement &call) {
    console_relation rows;
    console_relation *before = r.captured;
    r.captured = &rows;
    console_run_statements(r, {call});
    r.captured = before;
    return rows;
}

void console_run_insert(console_run &r, const console_statement &st) {
    if (find_table(r, st.name) == nullptr)
        return;
    bool calls = !st.body.empty();
    console_relation rows = calls ? rows_of_call(r, st.body[0]) : console_run_query(r.world, *st.query);
    if (console_failed(r) || r.flow != console_flow::on)
        return;
    console_relation *table = find_table(r, st.name); // the call may have dropped it
    std::vector<size_t> places;
    if (calls && rows.fields.empty())
        return console_count(r, command_insert, 0);
    if (table != nullptr && places_of(r, *table, st, rows.fields.size(), places))
        add_rows(r, *table, places, std::move(rows.rows));
}

// The table's rows, one after another, as a query of one table sees them.
static bool holds(console_run &r, const console_statement &st, console_scope &scope, const console_tuple &row) {
    scope.leaves[0].row = &row;
    return st.value.empty() || console_condition(r.world, st.value[0], &scope) == console_truth::yes;
}

static bool replace_rows(console_run &r, console_relation &table, std::vector<console_tuple> &&rows) {
    size_t bytes = r.s->console->tables_bytes - bytes_of(table.rows) + bytes_of(rows);
    console_step(r.world, table.rows.size() * table.fields.size());
    if (bytes > console_tables_bytes_max)
        console_fail_with(r.world, too_much, "tdsbouncer: this asks too much of the console");
    if (console_failed(r))
        return false;
    r.s->console->tables_bytes = bytes;
    table.rows = std::move(rows);
    return true;
}

void console_run_erase(console_run &r, const console_statement &st) {
    console_relation *table = find_table(r, st.name);
    if (table == nullptr)
        return;
    console_scope scope;
    scope.leaves.push_back({st.name, table, nullptr});
    std::vector<console_tuple> kept;
    for (const console_tuple &row : table->rows)
        if (!holds(r, st, scope, row))
            kept.push_back(row);
    size_t erased = table->rows.size() - kept.size();
    if (!replace_rows(r, *table, std::move(kept)))
        return;
    console_count(r, command_delete, erased);
}

static console_tuple changed(console_run &r, const console_statement &st, const std::vector<size_t> &places,
                             console_scope &scope, const console_tuple &row) {
    console_tuple all = row;
    for (size_t i = 0; i < places.size(); ++i) {
        console_value v = console_evaluate(r.world, st.items[i].value, &scope);
        all[places[i]] =
            console_convert(std::move(v), scope.leaves[0].relation->fields[places[i]].type, r.world.problem);
    }
    return all;
}

void console_run_update(console_run &r, const console_statement &st) {
    console_relation *table = find_table(r, st.name);
    console_statement names;
    for (const console_item &item : st.items)
        names.names.push_back(item.name);
    std::vector<size_t> places;
    if (table == nullptr || !places_of(r, *table, names, st.items.size(), places))
        return;
    console_scope scope;
    scope.leaves.push_back({st.name, table, nullptr});
    std::vector<console_tuple> rows;
    uint64_t count = 0;
    for (const console_tuple &row : table->rows) {
        bool change = holds(r, st, scope, row);
        rows.push_back(change ? changed(r, st, places, scope, row) : row);
        count += change;
    }
    if (replace_rows(r, *table, std::move(rows)))
        console_count(r, command_update, count);
}
