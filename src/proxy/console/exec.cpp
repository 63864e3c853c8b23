// EXEC in the console: the catalog procedures, sp_executesql, and texts inside of texts.
#include <algorithm>

#include <strings.h>

#include "proxy/console/catalog.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"
#include "proxy/console/procedures.h"
#include "proxy/console/run.h"
#include "tds/response.h"
#include "tds/utf16.h"

static constexpr int32_t no_procedure = 2812, too_deep = 217;
static constexpr int texts_deep = 8;

static void drop_new_tables(console_session &c, const std::set<std::string> &before) {
    std::set<std::string> made;
    for (const auto &[name, table] : c.tables)
        if (!before.contains(name))
            made.insert(name);
    for (const std::string &name : made)
        console_drop_table(c, name);
}

// Variables and #tables of the text inside are its own.
void console_run_inner(console_run &r, std::string_view text, console_variables &&variables) {
    if (++r.world.depth > texts_deep) {
        --r.world.depth;
        return console_fail(r, too_deep, "Maximum nesting level exceeded.");
    }
    std::set<std::string> before;
    for (const auto &[name, table] : r.s->console->tables)
        before.insert(name);
    std::swap(r.world.variables, variables);
    std::vector<uint8_t> wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    console_run_text(r, wire);
    std::swap(r.world.variables, variables);
    drop_new_tables(*r.s->console, before);
    --r.world.depth;
}

// ---- sp_executesql ---------------------------------------------------------------------------------------------

// "@a int, @b nvarchar(10) OUTPUT" declares; the values follow in their order or by their names.
static console_variables declared(console_run &r, const std::string &definition,
                                  std::span<console_argument_value> given) {
    console_variables all;
    console_batch batch = console_parse_utf8("DECLARE " + definition);
    if (definition.empty() || !batch.good || batch.statements.size() != 1)
        return all;
    const console_statement &st = batch.statements[0];
    for (size_t i = 0; i < st.items.size(); ++i)
        all[st.items[i].name] = {st.columns[i].type, {}};
    for (size_t i = 0; i < given.size(); ++i) {
        const std::string &name = !given[i].name.empty() ? given[i].name : i < st.items.size() ? st.items[i].name : "";
        if (auto found = all.find(name); found != all.end())
            found->second.value = console_convert(std::move(given[i].value), found->second.type, r.world.problem);
    }
    return all;
}

static void execute_text(console_run &r, std::vector<console_argument_value> &&given) {
    std::string text = given.empty() ? "" : console_spell(given[0].value);
    std::string definition = given.size() > 1 ? console_spell(given[1].value) : "";
    console_variables variables;
    if (given.size() > 2)
        variables = declared(r, definition, std::span(given).subspan(2));
    if (!console_failed(r))
        console_run_inner(r, text, std::move(variables));
}

// ---- procedures ------------------------------------------------------------------------------------------------

static std::string_view last_part(std::string_view name) {
    size_t dot = name.rfind('.');
    std::string_view part = dot == std::string_view::npos ? name : name.substr(dot + 1);
    part = part.substr(0, part.find(';'));
    if (part.size() > 1 && part.front() == '[' && part.back() == ']')
        part = part.substr(1, part.size() - 2);
    return part;
}

// [master].sys.sp_tables, master..sp_tables: of that database, if it is one.
static std::string database_of(const console_run &r, std::string_view name) {
    size_t dot = name.find('.');
    std::string first(name.substr(0, dot));
    std::erase_if(first, [](char c) { return c == '[' || c == ']' || c == '"'; });
    std::string_view spelled;
    bool there = dot != std::string_view::npos && console_find_database(first, spelled);
    return there ? std::string(spelled) : r.world.facts.database;
}

static console_variables parameters_of(const console_procedure &p, std::vector<console_argument_value> &&given) {
    console_variables all;
    for (size_t i = 0; !console_parameter(p, i).empty(); ++i)
        all[console_parameter(p, i)] = {console_type_of(tds_result_type::text), {}};
    for (size_t i = 0; i < given.size(); ++i) {
        std::string name = given[i].name.empty() ? console_parameter(p, i) : given[i].name;
        if (!name.empty())
            all[name] = {console_type_of_value(given[i].value), std::move(given[i].value)};
    }
    return all;
}

bool console_run_procedure(console_run &r, const std::string &name, std::vector<console_argument_value> &&given) {
    std::string_view part = last_part(name);
    if (part.size() == 13 && strncasecmp(part.data(), "sp_executesql", 13) == 0)
        return execute_text(r, std::move(given)), true;
    const console_procedure *p = console_find_procedure(part);
    if (p == nullptr)
        return false;
    std::string database = database_of(r, name);
    std::swap(database, r.world.facts.database);
    console_run_inner(r, p->text, parameters_of(*p, std::move(given)));
    std::swap(database, r.world.facts.database);
    return true;
}

void console_run_call(console_run &r, const console_statement &st) {
    std::vector<console_argument_value> given;
    for (const console_item &item : st.items)
        given.push_back({item.name, console_evaluate(r.world, item.value, nullptr)});
    if (console_failed(r))
        return;
    if (!console_run_procedure(r, st.name, std::move(given)))
        return console_fail(r, no_procedure, "Could not find stored procedure '" + st.name + "'.");
    if (!st.target.empty())
        console_assign(r.world, st.target, console_number_value(r.s->console->last_error));
    console_failed(r);
}
