// Bulk load: INSERT BULK, and the rows that come in a message of their own. MS-TDS 2.2.6.1.
#include "tsql_functions.h"
#include "tsql_rows.h"
#include "tsql_types.h"

#include <algorithm>

namespace sqlserver {

namespace {

object_path path_of(const std::string &full) {
    object_path path{""};
    for (char c : full) {
        if (c == '\n')
            path.emplace_back();
        else
            path.back().push_back(c);
    }
    return path;
}

std::vector<size_t> bulk_targets(const resolved &r, const bulk_load &load) {
    std::vector<size_t> targets;
    for (const std::string &name : load.columns) {
        int i = object_column(*r.object, name);
        if (i < 0)
            fail(207, 16, 1, "Invalid column name '%s'.", name.c_str());
        targets.push_back(static_cast<size_t>(i));
    }
    for (size_t i = 0; load.columns.empty() && i < r.object->columns.size(); i++)
        if (r.object->columns[i].def.computed == nullptr)
            targets.push_back(i);
    return targets;
}

// What a client sent for an identity column counts only under IDENTITY_INSERT, a NULL for a column with a default only
// with KEEP_NULLS.
bool takes_value(frame &f, const resolved &r, const bulk_load &load, size_t column, const value &v) {
    const column_def &d = r.object->columns[column].def;
    if (d.identity)
        return f.s->identity_insert == lower(full_name(f, r));
    return !v.null || load.keep_nulls || d.default_value == nullptr;
}

} // namespace

void exec_insert_bulk(frame &f, const stmt &s) {
    resolved r;
    if (!resolve(f, s.path, r))
        fail_unknown_object(s.path);
    bulk_load load;
    for (size_t i = 0; i < s.path.size(); i++)
        load.table += (i > 0 ? "\n" : "") + s.path[i];
    load.columns = s.columns;
    load.keep_nulls = std::find(s.words.begin(), s.words.end(), "keep_nulls") != s.words.end();
    bulk_targets(r, load);
    f.s->bulk = load;
    send_done(f, 0, 0xF0, 0);
}

void run_bulk_load(frame &f, const bulk_load &load, bulk_source &source) {
    resolved r;
    object_path path = path_of(load.table);
    if (!resolve(f, path, r))
        fail_unknown_object(path);
    std::vector<size_t> targets = bulk_targets(r, load);
    if (targets.size() != source.types.size())
        fail(4891, 16, 1, "Insert bulk failed due to a schema change of the target table.");
    write_scope write(f);
    std::vector<value> sent;
    uint64_t count = 0;
    for (; source.next(sent) && !f.h->cancelled(); count++) {
        std::vector<value> row(r.object->columns.size());
        std::vector<bool> have(row.size());
        for (size_t i = 0; i < targets.size(); i++) {
            have[targets[i]] = takes_value(f, r, load, targets[i], sent[i]);
            if (have[targets[i]])
                row[targets[i]] = column_value(f, r, targets[i], sent[i], source.types[i]);
        }
        insert_row(f, r, row, have);
    }
    if (source.broken)
        fail(4804, 21, 1,
             "While reading current row from host, a premature end-of-message was encountered--an incoming data stream "
             "was interrupted when the server expected to see more data. The host program may have terminated. Ensure "
             "that you are using a supported client application programming interface (API).");
    if (f.h->cancelled()) // the scope takes the rows back
        return;
    write.commit();
    f.s->rowcount = static_cast<int64_t>(count);
    send_done(f, done_count, 0xF0, count);
}

} // namespace sqlserver
