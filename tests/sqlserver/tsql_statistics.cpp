// SET STATISTICS IO, TIME, PROFILE, XML and SET SHOWPLAN_*: messages and results that a statement gets beside its own,
// or instead of being run. The numbers are made up; that they come at all is what a client sees of the option.
#include "tsql_functions.h"

#include <algorithm>

namespace sqlserver {

namespace {

constexpr type_info t_max{type_id::nvarchar_, length_max, 0, 0};
constexpr const char *xml_title = "Microsoft SQL Server 2005 XML Showplan";

void add_table(std::vector<std::string> &out, const object_path &path) {
    if (!path.empty() && path.back().compare(0, 1, "@") != 0 &&
        std::find(out.begin(), out.end(), path.back()) == out.end())
        out.push_back(path.back());
}

void tables_of_query(std::vector<std::string> &out, const query *q);

void tables_of(std::vector<std::string> &out, const table_ref *t) {
    if (t == nullptr)
        return;
    if (t->kind == table_kind::named)
        add_table(out, t->path);
    tables_of_query(out, t->sub.get());
    tables_of(out, t->left.get());
    tables_of(out, t->right.get());
}

void tables_of_query(std::vector<std::string> &out, const query *q) {
    if (q == nullptr)
        return;
    if (q->core != nullptr)
        tables_of(out, q->core->from.get());
    tables_of_query(out, q->left.get());
    tables_of_query(out, q->right.get());
}

bool is_query(const stmt &s) {
    return s.kind == stmt_kind::select || s.kind == stmt_kind::insert || s.kind == stmt_kind::update ||
           s.kind == stmt_kind::delete_;
}

std::string statement_text(const frame &f, const stmt &s) {
    const std::string &all = f.tree->text;
    return s.at < all.size() ? all.substr(s.at, s.length) : std::string();
}

void send_plan(frame &f, const stmt &s, bool xml, bool executed) {
    std::string text = statement_text(f, s);
    row_set set;
    if (executed && !xml) {
        set.columns = {{"Rows", t_bigint}, {"Executes", t_bigint}};
        set.rows = {{value(), value()}};
        set.rows[0][0].null = set.rows[0][1].null = false;
        set.rows[0][0].i64 = f.s->rowcount;
        set.rows[0][1].i64 = 1;
    } else {
        set.rows.emplace_back();
    }
    set.columns.push_back({xml ? xml_title : "StmtText", t_max, false, false, false});
    value v;
    v.null = false;
    v.text = xml ? "<ShowPlanXML/>" : text;
    set.rows[0].push_back(v);
    int64_t before = f.s->rowcount;
    send_rows(f, set, 0xC1, true);
    f.s->rowcount = before;
}

} // namespace

bool showplan_instead(frame &f, const stmt &s) {
    const set_options &o = f.s->options;
    if (!o.showplan_all && !o.showplan_text && !o.showplan_xml)
        return false;
    if (s.kind != stmt_kind::set_option)
        send_plan(f, s, o.showplan_xml, false);
    return s.kind != stmt_kind::set_option;
}

void statistics_after(frame &f, const stmt &s) {
    const set_options &o = f.s->options;
    if (is_query(s) && (o.statistics_profile || o.statistics_xml))
        send_plan(f, s, o.statistics_xml, true);
    std::vector<std::string> tables;
    if (is_query(s) && o.statistics_io) {
        add_table(tables, s.path);
        tables_of(tables, s.from.get());
        tables_of_query(tables, s.q.get());
    }
    for (const std::string &name : tables)
        f.h->message(3615, 1, 0,
                     "Table '" + name +
                         "'. Scan count 1, logical reads 1, physical reads 0, page server reads 0, read-ahead reads 0, "
                         "page server read-ahead reads 0, lob logical reads 0, lob physical reads 0, lob page server "
                         "reads 0, lob read-ahead reads 0, lob page server read-ahead reads 0.",
                     f.procedure, s.line);
    if (o.statistics_time)
        f.h->message(3612, 1, 0, "\n SQL Server Execution Times:\n   CPU time = 0 ms,  elapsed time = 0 ms.",
                     f.procedure, s.line);
}

void statistics_of_compilation(frame &f) {
    if (f.s->options.statistics_time)
        f.h->message(3613, 1, 0, "SQL Server parse and compile time: \n   CPU time = 0 ms, elapsed time = 0 ms.",
                     f.procedure, 1);
}

} // namespace sqlserver
