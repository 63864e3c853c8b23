#include "proxy/console/catalog.h"

#include <algorithm>
#include <cstring>

#include <strings.h>

#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"

using base_t = tds_result_type;

static constexpr int32_t no_object = 208;
static constexpr int32_t first_object_id = 1'000'000'001;
static constexpr int views_deep = 8;

static bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// ---- databases -------------------------------------------------------------------------------------------------

bool console_find_database(const std::string &name, std::string_view &spelled) {
    for (std::string_view known : {console_database, std::string_view("master")})
        if (same(name, known))
            return spelled = known, true;
    return false;
}

// Those that a server has always: whatever is asked of them is empty.
static bool is_database(std::string_view name) {
    std::string_view spelled;
    return console_find_database(std::string(name), spelled) || same(name, "msdb") || same(name, "tempdb") ||
           same(name, "model");
}

// ---- what SHOW says --------------------------------------------------------------------------------------------

std::vector<console_shown> console_shown_views() {
    std::vector<console_shown> all;
    int32_t id = first_object_id;
    for (const console_command &c : console_commands()) {
        const char *what = strchr(c.words, ' ');
        if (c.columns.empty() || what == nullptr)
            continue;
        ++what;
        all.push_back({console_lower(what), what, &c, id++});
    }
    return all;
}

console_type console_column_type(const tds_result_column &c) {
    return console_type_of(c.type, c.units);
}

static console_relation shown_views() {
    console_relation all;
    all.fields = {{"name", console_type_of(base_t::text)},
                  {"object_id", console_type_of(base_t::integer)},
                  {"help", console_type_of(base_t::text, 256)}};
    for (const console_shown &v : console_shown_views())
        all.rows.push_back(
            {console_text_value(v.name), console_number_value(v.object_id), console_text_value(v.command->help)});
    return all;
}

static console_tuple column_row(const console_shown &v, const console_column &c, int64_t number) {
    bool text = c.column.type == base_t::text;
    bool big = c.column.type == base_t::bigint;
    return {console_number_value(v.object_id),
            console_text_value(c.column.name),
            console_number_value(number),
            console_number_value(text  ? 231
                                 : big ? 127
                                       : 56),
            console_text_value(text  ? "nvarchar"
                               : big ? "bigint"
                                     : "int"),
            console_number_value(text  ? 2 * c.column.units
                                 : big ? 8
                                       : 4),
            console_number_value(text  ? 0
                                 : big ? 19
                                       : 10),
            text ? console_text_value("SQL_Latin1_General_CP1_CI_AS") : console_value(),
            console_text_value(c.help)};
}

static console_relation shown_columns() {
    console_relation all;
    for (const char *name : {"object_id", "name", "column_id", "type_id", "type_name", "max_length", "precision",
                             "collation_name", "help"})
        all.fields.push_back({name, console_type_of(base_t::text, 256)});
    for (size_t i : {0U, 2U, 3U, 5U, 6U})
        all.fields[i].type = console_type_of(base_t::integer);
    for (const console_shown &v : console_shown_views()) {
        int64_t number = 0;
        for (const console_column &c : v.command->columns)
            all.rows.push_back(column_row(v, c, ++number));
    }
    return all;
}

// What the table's queries are made of: #.views and #.columns, of the database that they are about.
static console_relation inner_view(const console_world &w, std::string_view name) {
    console_relation all = same(name, "views") ? shown_views() : shown_columns();
    if (!same(w.facts.database, console_database))
        all.rows.clear();
    return all;
}

// ---- the table of views ----------------------------------------------------------------------------------------

// name type=constant: the type is one of the letters below, text if there is none; no constant behind = is NULL.
struct described_column {
    console_field field;
    bool constant = false;
    console_value value;
};

static console_type type_of_letter(char letter) {
    switch (letter) {
    case 'b': return console_type_of(base_t::bit);
    case 't': return console_type_of(base_t::tinyint);
    case 's': return console_type_of(base_t::smallint);
    case 'i': return console_type_of(base_t::integer);
    case 'l': return console_type_of(base_t::bigint);
    case 'd': return console_type_of(base_t::datetime);
    case 'g': return console_type_of(base_t::guid);
    case 'v': return console_type_of(base_t::binary, 85);
    case 'c': return console_type_of(base_t::text, 2);
    case 'm': return console_type_of(base_t::text, 4000);
    default: return console_type_of(base_t::text);
    }
}

static described_column described(std::string_view text) {
    described_column c;
    size_t equals = text.find('=');
    std::string_view front = text.substr(0, equals);
    size_t blank = front.find(' ');
    c.field.name = front.substr(0, blank);
    c.field.type = type_of_letter(blank == std::string_view::npos ? '\0' : front[blank + 1]);
    c.constant = equals != std::string_view::npos;
    std::string_view constant = c.constant ? text.substr(equals + 1) : std::string_view();
    console_problem problem;
    if (!constant.empty())
        c.value = console_convert(console_text_value(constant), c.field.type, problem);
    return c;
}

static std::vector<described_column> described_all(std::string_view text) {
    std::vector<described_column> all;
    while (!text.empty()) {
        text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
        size_t comma = text.find(',');
        all.push_back(described(text.substr(0, comma)));
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return all;
}

static console_tuple filled(console_world &w, const std::vector<described_column> &columns, console_tuple &&given) {
    console_tuple row;
    size_t next = 0;
    for (const described_column &c : columns) {
        bool is_given = !c.constant && next < given.size();
        row.push_back(is_given ? console_convert(std::move(given[next++]), c.field.type, w.problem) : c.value);
    }
    return row;
}

static console_relation run_rows(console_world &w, const char *text) {
    console_relation rows;
    console_batch batch = console_parse_utf8(text);
    if (batch.good && ++w.views <= views_deep)
        rows = console_run_query(w, *batch.statements[0].query);
    else
        console_fail_with(w, no_object, "tdsbouncer: a view of the console cannot be read");
    w.views -= batch.good;
    return rows;
}

static console_relation view_of_table(console_world &w, const console_view &view) {
    console_relation all;
    all.open = true;
    std::vector<described_column> columns = described_all(view.columns);
    for (const described_column &c : columns)
        all.fields.push_back(c.field);
    if (!console_step(w, 4 * columns.size())) // reading its description
        return all;
    if (view.rows != nullptr)
        for (console_tuple &row : run_rows(w, view.rows).rows)
            all.rows.push_back(filled(w, columns, std::move(row)));
    return all;
}

// ---- names -----------------------------------------------------------------------------------------------------

struct view_name {
    std::string_view database, schema, name;
};

static view_name name_of(const console_world &w, const std::vector<std::string> &parts) {
    size_t n = parts.size();
    view_name v{w.facts.database, "", parts.back()};
    if (n > 1)
        v.schema = parts[n - 2];
    if (n > 2 && !parts[n - 3].empty())
        v.database = parts[n - 3];
    return v;
}

static bool is_schema_of_system(std::string_view schema) {
    return same(schema, "sys") || same(schema, "INFORMATION_SCHEMA");
}

// sysobjects stands alone, too; and everything in msdb is the system's.
static bool is_system_view(const view_name &v) {
    bool dbo = v.schema.empty() || same(v.schema, "dbo");
    bool old =
        dbo && (same(v.name.substr(0, 3), "sys") || same(v.database, "msdb") || same(v.name.substr(0, 4), "spt_"));
    return is_schema_of_system(v.schema) || old;
}

static const console_view *in_table(const view_name &v) {
    std::string_view schema = is_schema_of_system(v.schema) ? v.schema : "sys";
    for (const console_view &view : console_views())
        if (same(view.schema, schema) && same(view.name, v.name))
            return &view;
    return nullptr;
}

static bool show(console_world &w, const view_name &v, console_relation &relation) {
    bool dbo = v.schema.empty() || same(v.schema, "dbo");
    if (!dbo || !same(v.database, console_database) || w.show == nullptr)
        return false;
    for (const console_shown &shown : console_shown_views())
        if (same(shown.name, v.name))
            return w.show(w.who, shown.what, relation) && console_step(w, relation.rows.size());
    return false;
}

static bool make_view(console_world &w, const view_name &v, console_relation &relation) {
    if (same(v.schema, "#")) {
        relation = inner_view(w, v.name);
        return true;
    }
    if (show(w, v, relation))
        return true;
    if (!is_system_view(v) || !is_database(v.database))
        return false;
    const console_view *view = in_table(v);
    if (view == nullptr) {
        relation.open = true;
        return true;
    }
    std::string before = w.facts.database;
    w.facts.database = v.database;
    relation = view_of_table(w, *view);
    w.facts.database = std::move(before);
    return true;
}

const console_relation *console_find_view(console_world &w, const std::vector<std::string> &parts) {
    view_name v = name_of(w, parts);
    std::string key;
    for (std::string_view part : {v.database, v.schema, v.name})
        key.append(part).append(".");
    key = console_lower(key);
    if (auto found = w.seen.find(key); found != w.seen.end())
        return found->second.get();
    console_relation relation;
    if (!make_view(w, v, relation)) {
        std::string name;
        for (const std::string &part : parts)
            name += (name.empty() ? "" : ".") + part;
        console_fail_with(w, no_object, "Invalid object name '" + name + "'.");
        return nullptr;
    }
    return (w.seen[key] = std::make_shared<const console_relation>(std::move(relation))).get();
}

const console_relation *console_find_table(console_world &w, const std::string &name) {
    if (w.tables != nullptr)
        if (auto found = w.tables->find(console_lower(name)); found != w.tables->end())
            return &found->second;
    console_fail_with(w, no_object, "Invalid object name '" + name + "'.");
    return nullptr;
}

bool console_is_system_function(const std::vector<std::string> &parts) {
    bool schema = parts.size() > 1 && (same(parts[parts.size() - 2], "sys") || parts.size() > 2);
    std::string_view name = parts.back();
    return schema || same(name.substr(0, 3), "fn_") || same(name.substr(0, 2), "::");
}
