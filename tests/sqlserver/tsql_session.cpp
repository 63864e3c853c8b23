// Sessions: what is known by name, messages and DONE, parse cache, USE, temp tables; see the header.
#include "tsql_session.h"

#include "tsql_parser.h"
#include "tsql_types.h"

#include <sqlite3.h>

namespace sqlserver {

frame *frame_root(frame *f) {
    while (f->parent != nullptr)
        f = f->parent;
    return f;
}

database *find_database(session *s, std::string_view name) {
    auto found = s->eng->databases.find(lower(name));
    return found == s->eng->databases.end() ? nullptr : found->second.get();
}

catalog_ptr session_catalog(session *s, const database &db) {
    if (!s->dirty.empty()) {
        auto mine = s->dirty.find(lower(db.name));
        if (mine != s->dirty.end())
            return mine->second;
    }
    return db.objects;
}

void send_done(frame &f, uint16_t status, uint16_t command, uint64_t rows) {
    if (f.s->options.nocount)
        status &= static_cast<uint16_t>(~done_count);
    bool select = command == 0xC1;
    if (f.in_proc && f.s->options.nocount && !select && (status & done_error) == 0)
        return;
    f.s->done_sent = true;
    f.s->result_open = false;
    f.h->done(f.in_proc ? done_kind::done_in_proc : done_kind::done, status, command, status & done_count ? rows : 0);
}

void send_message(frame &f, const sql_error &e) {
    if (e.number != 0 || !e.text.empty())
        f.h->message(e.number, e.state, e.severity, e.text, e.procedure, e.line);
}

void change_database(session *s, host &h, std::string_view name, bool announce) {
    database *db = find_database(s, name);
    if (db == nullptr)
        fail(911, 16, 1, "Database '%s' does not exist. Make sure that the name is entered correctly.",
             std::string(name).c_str());
    std::string before = s->db;
    s->db = db->name;
    if (!announce)
        return;
    h.env_text(env::database, db->name, before);
    h.message(5701, 2, 0, "Changed database context to '" + db->name + "'.", "", 1);
}

std::shared_ptr<const batch> cached_parse(session *s, std::string_view text, const std::vector<declaration> &known,
                                          std::string_view parameters) {
    constexpr size_t longest = 65536, most = 4096;
    bool quoted = s->options.quoted_identifier;
    if (text.size() + parameters.size() > longest)
        return parse_batch(text, quoted, known);
    std::string key = (quoted ? "1" : "0") + std::string(parameters) + "\n" + std::string(text);
    auto &cache = s->eng->parsed;
    auto found = cache.find(key);
    if (found != cache.end())
        return found->second;
    auto tree = parse_batch(text, quoted, known);
    if (cache.size() >= most)
        cache.clear();
    cache[key] = tree;
    return tree;
}

void drop_temp(session *s, const std::string &name, host *) {
    auto drop = [&](const object_ptr &o, const std::string &schema) {
        if (o->type == "U" && s->conn != nullptr)
            sqlite3_exec(s->conn, ("DROP TABLE IF EXISTS \"" + schema + "\"." + quote_name(o->table, '"')).c_str(),
                         nullptr, nullptr, nullptr);
    };
    if (name.compare(0, 2, "##") == 0) {
        auto found = s->eng->global_temps.find(name);
        if (found == s->eng->global_temps.end())
            return;
        drop(found->second, store_attach(s, *find_database(s, "tempdb")));
        s->eng->global_temps.erase(found);
        s->eng->global_owners.erase(name);
        s->eng->schema_version++;
        return;
    }
    auto found = s->temps.find(name);
    if (found == s->temps.end())
        return;
    drop(found->second, "temp");
    s->temps.erase(found);
    s->temp_version++;
}

bool language_apply(set_options &o, std::string_view name) {
    struct language {
        const char *name, *alias, *date_format;
        int32_t date_first;
        int16_t id;
    };
    static const language all[] = {
        // of sys.syslanguages
        {"us_english", "English", "mdy", 7, 0},
        {"Deutsch", "German", "dmy", 1, 1},
        {"Français", "French", "dmy", 1, 2},
        {"日本語", "Japanese", "ymd", 7, 3},
        {"Dansk", "Danish", "dmy", 1, 4},
        {"Español", "Spanish", "dmy", 1, 5},
        {"Italiano", "Italian", "dmy", 1, 6},
        {"Nederlands", "Dutch", "dmy", 1, 7},
        {"Norsk", "Norwegian", "dmy", 1, 8},
        {"Português", "Portuguese", "dmy", 7, 9},
        {"Suomi", "Finnish", "dmy", 1, 10},
        {"Svenska", "Swedish", "ymd", 1, 11},
        {"polski", "Polish", "dmy", 1, 14},
        {"русский", "Russian", "dmy", 1, 21},
        {"Türkçe", "Turkish", "dmy", 1, 22},
        {"British", "British English", "dmy", 1, 23},
        {"Português (Brasil)", "Brazilian", "dmy", 7, 27},
        {"한국어", "Korean", "ymd", 7, 29},
        {"简体中文", "Simplified Chinese", "ymd", 7, 30},
    };
    for (const language &l : all) {
        if (!same_name(name, l.name) && !same_name(name, l.alias))
            continue;
        o.language = l.name;
        o.date_format = l.date_format;
        o.date_first = l.date_first;
        o.language_id = l.id;
        return true;
    }
    return false;
}

// What a login starts with: ODBC and OLE DB drivers switch the ANSI options on, db-lib does not.
void session_defaults(session *s) {
    set_options o;
    bool odbc = s->login.odbc;
    o.ansi_nulls = o.ansi_null_dflt_on = o.ansi_padding = o.ansi_warnings = o.concat_null_yields_null =
        o.quoted_identifier = odbc;
    o.text_size = odbc ? INT32_MAX : 4096;
    language_apply(o, s->login.language); // an unknown one leaves the default
    s->options = s->login_options = o;
}

} // namespace sqlserver
