// Fuzz target: texts for the admin console. What is read is run as far as it is queries, over the catalog and a table
// with two rows; it ends, within its steps, with rows as wide as their names or with a problem.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "proxy/console/commands.h"
#include "proxy/console/evaluate.h"
#include "proxy/console/parse.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

// The proxy's own commands, without what they do.
static constexpr console_column columns[] = {{{"bucket", tds_result_type::text, 64}, ""},
                                             {{"clients", tds_result_type::integer}, ""}};
static constexpr console_command commands[] = {
    {"SHOW POOLS", "[bucket]", console_argument::optional, false, "", columns, nullptr},
    {"PAUSE", "[bucket]", console_argument::optional, true, "", {}, nullptr},
    {"KILL", "<session>", console_argument::required, true, "", {}, nullptr},
};

std::span<const console_command> console_commands() {
    return commands;
}

static bool show(void *, std::string_view, console_relation &relation) {
    for (const console_column &c : columns)
        relation.fields.push_back({std::string(c.column.name), {c.column.type, c.column.units, true}});
    relation.rows = {{console_text_value("b1"), console_number_value(7)}, {console_text_value("b2"), {}}};
    return true;
}

static void run(console_world &w, const console_query &query) {
    console_relation all = console_run_query(w, query);
    for (const console_tuple &row : all.rows)
        require(w.problem.number != 0 || row.size() == all.fields.size());
    w.problem = {};
    w.seen.clear();
}

static void run(console_world &w, const std::vector<console_statement> &all) {
    for (const console_statement &st : all) {
        if (st.query != nullptr)
            run(w, *st.query);
        for (const console_expression &e : st.value)
            (void)console_evaluate(w, e, nullptr);
        w.problem = {};
        run(w, st.body);
        run(w, st.otherwise);
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::vector<uint8_t> text; // of one byte each: a corpus that can be read
    for (size_t i = 0; i < size && i < 4096; ++i) {
        text.push_back(data[i]);
        text.push_back(0);
    }
    console_batch batch = console_parse(text);
    require(batch.good || batch.statements.empty());
    console_tables tables;
    tables["#t"].fields = {{"a", {tds_result_type::integer, 0, true}}, {"b", {tds_result_type::text, 128, true}}};
    tables["#t"].rows = {{console_number_value(1), console_text_value("x")}, {console_number_value(2), {}}};
    console_world w;
    w.facts.database = "tdsbouncer";
    w.variables["@A"] = {{tds_result_type::integer, 0, true}, console_number_value(5)};
    w.tables = &tables;
    w.show = show;
    w.steps = 20'000;
    run(w, batch.statements);
    return 0;
}
