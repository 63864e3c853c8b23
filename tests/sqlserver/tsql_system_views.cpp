// The rows of the system views.
#include "tsql_functions.h"
#include "tsql_types.h"

namespace sqlserver {

namespace {

using rows_t = std::vector<std::vector<value>>;

value text(std::string s) {
    return value_text(std::move(s));
}
value number(int64_t n) {
    return value_int(n);
}

source_column col(const char *name, const type_info &t, bool nullable = true) {
    return {name, t, nullable, false, false, ""};
}

constexpr type_info t_char2{type_id::char_, 2, 0, 0}, t_desc{type_id::nvarchar_, 60, 0, 0},
    t_tiny{type_id::tinyint_, 0, 0, 0}, t_long{type_id::nvarchar_, length_max, 0, 0},
    t_short_text{type_id::nvarchar_, 30, 0, 0}, t_yes{type_id::varchar_, 3, 0, 0}, t_uid{type_id::varchar_, 48, 0, 0};

int32_t schema_id(session *s, database *db, const std::string &name) {
    catalog_ptr c = session_catalog(s, *db);
    auto found = c->schemas.find(lower(name));
    return found == c->schemas.end() ? 1 : found->second;
}

std::vector<object_ptr> objects_of(session *s, database *db) {
    std::vector<object_ptr> out;
    if (lower(db->name) == "tempdb") {
        for (const auto &[name, o] : s->temps)
            out.push_back(o);
        for (const auto &[name, o] : s->eng->global_temps)
            out.push_back(o);
    }
    for (const auto &[name, o] : session_catalog(s, *db)->objects)
        out.push_back(o);
    return out;
}

const char *type_description(const std::string &type) {
    return type == "U"    ? "USER_TABLE"
           : type == "V"  ? "VIEW"
           : type == "P"  ? "SQL_STORED_PROCEDURE"
           : type == "PK" ? "PRIMARY_KEY_CONSTRAINT"
           : type == "UQ" ? "UNIQUE_CONSTRAINT"
           : type == "F"  ? "FOREIGN_KEY_CONSTRAINT"
                          : "CHECK_CONSTRAINT";
}

void add_object(rows_t &out, session *s, database *db, const cat_object &o, const std::string &name, int32_t id,
                const std::string &type, int32_t parent) {
    std::string padded = type.size() == 1 ? type + " " : type;
    value created = datetime_round(datetime_from_number(o.created), t_datetime);
    value modified = datetime_round(datetime_from_number(std::max(o.created, o.modified)), t_datetime);
    out.push_back({text(name), number(id), number(schema_id(s, db, o.schema)), number(parent), text(padded),
                   text(type_description(type)), created, modified, number(0)});
}

template <const char *wanted> void objects_rows(session *s, database *db, rows_t &out) {
    std::string want = wanted;
    for (const object_ptr &o : objects_of(s, db)) {
        if (want.empty() || want == o->type)
            add_object(out, s, db, *o, o->name, o->id, o->type, 0);
        for (const cat_key &k : o->keys)
            if (k.def.kind != "IX" && k.def.kind != "UX" && (want.empty() || want == k.def.kind))
                add_object(out, s, db, *o, k.def.name, k.id, k.def.kind, o->id);
    }
}

constexpr char any_type[] = "", type_u[] = "U", type_v[] = "V", type_p[] = "P", type_f[] = "F", type_c[] = "C";

const std::vector<source_column> object_columns = {col("name", t_sysname, false),
                                                   col("object_id", t_int, false),
                                                   col("schema_id", t_int, false),
                                                   col("parent_object_id", t_int, false),
                                                   col("type", t_char2),
                                                   col("type_desc", t_desc),
                                                   col("create_date", t_datetime, false),
                                                   col("modify_date", t_datetime, false),
                                                   col("is_ms_shipped", t_bit, false)};

void sysobjects_rows(session *s, database *db, rows_t &out) {
    rows_t all;
    objects_rows<any_type>(s, db, all);
    for (auto &r : all)
        out.push_back({r[0], r[1], r[4], number(1), r[3], r[6], r[4]});
}

void columns_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        for (size_t i = 0; i < o->columns.size(); i++) {
            const column_def &d = o->columns[i].def;
            int id = type_system_id(d.type.id);
            out.push_back({number(o->id), text(d.name), number(static_cast<int64_t>(i) + 1), number(id), number(id),
                           number(type_max_length(d.type)), number(type_precision(d.type)), number(type_scale(d.type)),
                           number(d.nullable), number(d.identity), number(d.computed != nullptr),
                           is_char(d.type.id) ? text("SQL_Latin1_General_CP1_CI_AS") : value(),
                           number(d.default_value != nullptr ? 1 : 0)});
        }
}

void openkeys_rows(session *s, database *, rows_t &out) {
    for (const std::string &key : s->open_keys) {
        size_t border = key.find('\n');
        const database *db = find_database(s, key.substr(0, border));
        if (db != nullptr)
            out.push_back({number(db->id), text(db->name), text(key.substr(border + 1)), number(1)});
    }
}

void types_rows(session *, database *, rows_t &out) {
    for (int i = 0; i <= static_cast<int>(type_id::sql_variant_); i++) {
        type_info t{static_cast<type_id>(i),
                    is_char(static_cast<type_id>(i)) || is_binary(static_cast<type_id>(i)) ? 8000u : 0u, 38, 7};
        int id = type_system_id(t.id);
        out.push_back({text(type_name(t)), number(id), number(id), number(4), number(type_max_length(t)),
                       number(type_precision(t)), number(type_scale(t)), number(1), number(0)});
    }
}

bool is_index(const cat_key &k) {
    return k.def.kind != "F" && k.def.kind != "C";
}

void indexes_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db)) {
        int64_t id = 1;
        bool pk = false;
        for (const cat_key &k : o->keys)
            pk = pk || k.def.kind == "PK";
        if (o->type == "U" && !pk)
            out.push_back({number(o->id), value(), number(0), number(0), text("HEAP"), number(0), number(0), number(0),
                           number(0)});
        for (const cat_key &k : o->keys) {
            if (!is_index(k))
                continue;
            bool primary = k.def.kind == "PK";
            id += !primary;
            out.push_back({number(o->id), text(k.def.name), number(primary ? 1 : id), number(primary ? 1 : 2),
                           text(primary ? "CLUSTERED" : "NONCLUSTERED"), number(k.def.kind != "IX"), number(primary),
                           number(k.def.kind == "UQ"), number(0)});
        }
    }
}

void index_columns_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db)) {
        int64_t id = 1;
        for (const cat_key &k : o->keys) {
            if (!is_index(k))
                continue;
            id += k.def.kind != "PK";
            for (size_t i = 0; i < k.columns.size(); i++)
                out.push_back({number(o->id), number(k.def.kind == "PK" ? 1 : id), number(static_cast<int64_t>(i) + 1),
                               number(static_cast<int64_t>(k.columns[i]) + 1), number(static_cast<int64_t>(i) + 1),
                               number(0), number(0)});
        }
    }
}

void schemas_rows(session *s, database *db, rows_t &out) {
    for (const auto &[name, id] : session_catalog(s, *db)->schemas)
        out.push_back({text(name == "information_schema" ? "INFORMATION_SCHEMA" : name), number(id), number(1)});
}

void modules_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        if (o->type == "P" || o->type == "V")
            out.push_back(
                {number(o->id), o->encrypted ? value() : text(o->source), number(1), number(o->quoted_identifier)});
}

void databases_rows(session *s, database *, rows_t &out) {
    for (const auto &[name, db] : s->eng->databases)
        out.push_back({text(db->name), number(db->id), datetime_round(datetime_from_number(db->created), t_datetime),
                       number(160), text("SQL_Latin1_General_CP1_CI_AS"), number(0), text("ONLINE"), number(3),
                       text("SIMPLE"), number(0), number(0), number(1), number(0), text("MULTI_USER")});
}

void sysdatabases_rows(session *s, database *, rows_t &out) {
    for (const auto &[name, db] : s->eng->databases)
        out.push_back({text(db->name), number(db->id), datetime_round(datetime_from_number(db->created), t_datetime)});
}

value moment(int64_t n) {
    return datetime_round(datetime_from_number(n), t_datetime);
}

value id_of(session *s, const std::string &db) {
    database *d = find_database(s, db);
    return number(d == nullptr ? 1 : d->id);
}

void sessions_rows(session *s, database *, rows_t &out) {
    for (const auto &[spid, x] : s->eng->sessions) {
        const set_options &o = x->options;
        out.push_back({number(spid),
                       moment(x->login_time),
                       text(x->login.host_name),
                       text(x->login.app_name),
                       number(x->login.client_pid),
                       number(7),
                       text(x->login.library_name),
                       text(current_login(x)),
                       text(x->login.user),
                       text(x->stats.running ? "running" : "sleeping"),
                       number(0),
                       number(0),
                       moment(x->batch_time),
                       moment(x->end_time),
                       number(0),
                       number(0),
                       number(0),
                       number(1),
                       number(o.text_size),
                       text(o.language),
                       text(o.date_format),
                       number(o.date_first),
                       number(o.quoted_identifier),
                       number(o.arithabort),
                       number(o.ansi_null_dflt_on),
                       number(false),
                       number(o.ansi_warnings),
                       number(o.ansi_padding),
                       number(o.ansi_nulls),
                       number(o.concat_null_yields_null),
                       number(x->isolation),
                       number(o.lock_timeout),
                       number(o.deadlock_priority),
                       number(x->rowcount),
                       number(x->last_error),
                       id_of(s, x->db),
                       number(x->trancount),
                       o.context_info.empty() ? value() : value_text(o.context_info)});
    }
}

void connections_rows(session *s, database *, rows_t &out) {
    for (const auto &[spid, x] : s->eng->sessions)
        out.push_back({number(spid), moment(x->login_time), text("TCP"), text("TSQL"), number(x->login.tds_version),
                       text(x->login.encrypted ? "TRUE" : "FALSE"), text("SQL"), number(x->login.packet_size),
                       text(x->login.client_address)});
}

void requests_rows(session *s, database *, rows_t &out) {
    for (const auto &[spid, x] : s->eng->sessions)
        if (x->stats.running)
            out.push_back({number(spid), number(0), moment(x->batch_time), text("running"), text("SELECT"),
                           id_of(s, x->db), number(1), number(0), value(), number(x->trancount), number(x->isolation)});
}

void processes_rows(session *s, database *, rows_t &out) {
    for (const auto &[spid, x] : s->eng->sessions)
        out.push_back({number(spid), number(0), id_of(s, x->db), text(x->login.user), text(x->login.host_name),
                       text(x->login.app_name), text(x->stats.running ? "runnable" : "sleeping"), moment(x->login_time),
                       number(x->trancount)});
}

void configurations_rows(session *, database *, rows_t &out) {
    auto add = [&](int64_t id, const char *name, int64_t v) {
        out.push_back({number(id), text(name), variant_of(t_int, number(v)), variant_of(t_int, number(v)), text(name)});
    };
    add(103, "user connections", 0);
    add(505, "network packet size (B)", 4096);
    add(1544, "max server memory (MB)", 2147483647);
    add(16384, "Agent XPs", 0);
}

void info_tables_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        if (o->type == "U" || o->type == "V")
            out.push_back(
                {text(db->name), text(o->schema), text(o->name), text(o->type == "U" ? "BASE TABLE" : "VIEW")});
}

void info_columns_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        for (size_t i = 0; i < o->columns.size(); i++) {
            const column_def &d = o->columns[i].def;
            bool chars = is_char(d.type.id) || is_binary(d.type.id), numeric = is_number(d.type.id);
            out.push_back(
                {text(db->name), text(o->schema), text(o->name), text(d.name), number(static_cast<int64_t>(i) + 1),
                 d.default_value != nullptr ? text("(" + d.default_text + ")") : value(),
                 text(d.nullable ? "YES" : "NO"), text(type_name(d.type)),
                 chars ? number(d.type.length == length_max ? -1 : d.type.length) : value(),
                 numeric ? number(type_precision(d.type)) : value(), numeric ? number(type_scale(d.type)) : value(),
                 is_date(d.type.id) ? number(type_scale(d.type)) : value()});
        }
}

void info_routines_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        if (o->type == "P")
            out.push_back({text(db->name), text(o->schema), text(o->name), text("PROCEDURE"), text(o->source)});
}

void default_rows(session *s, database *db, rows_t &out) {
    for (const object_ptr &o : objects_of(s, db))
        for (size_t i = 0; i < o->columns.size(); i++)
            if (o->columns[i].def.default_value != nullptr)
                out.push_back({text(o->columns[i].def.default_name), number(o->id + 500000 + static_cast<int64_t>(i)),
                               number(o->id), number(static_cast<int64_t>(i) + 1),
                               text("(" + o->columns[i].def.default_text + ")")});
}

void principals_rows(session *s, database *, rows_t &out) {
    out.push_back({text("sa"), number(1), text("S"), text("SQL_LOGIN"), number(0)});
    for (const std::string &login : s->eng->options.logins)
        if (std::string name = login.substr(0, login.find(':')); !same_name(name, "sa"))
            out.push_back(
                {text(name), number(static_cast<int64_t>(out.size()) + 256), text("S"), text("SQL_LOGIN"), number(0)});
}

} // namespace

const std::vector<system_view> &all_system_views() {
    static const std::vector<system_view> views = {
        {"sys", "objects", object_columns, objects_rows<any_type>},
        {"sys", "all_objects", object_columns, objects_rows<any_type>},
        {"sys", "tables", object_columns, objects_rows<type_u>},
        {"sys", "views", object_columns, objects_rows<type_v>},
        {"sys", "procedures", object_columns, objects_rows<type_p>},
        {"sys", "foreign_keys", object_columns, objects_rows<type_f>},
        {"sys", "check_constraints", object_columns, objects_rows<type_c>},
        {"sys",
         "sysobjects",
         {col("name", t_sysname), col("id", t_int), col("xtype", t_char2), col("uid", t_smallint),
          col("parent_obj", t_int), col("crdate", t_datetime), col("type", t_char2)},
         sysobjects_rows},
        {"sys",
         "columns",
         {col("object_id", t_int, false), col("name", t_sysname), col("column_id", t_int, false),
          col("system_type_id", t_tiny, false), col("user_type_id", t_int, false), col("max_length", t_smallint, false),
          col("precision", t_tiny, false), col("scale", t_tiny, false), col("is_nullable", t_bit),
          col("is_identity", t_bit, false), col("is_computed", t_bit, false), col("collation_name", t_sysname),
          col("default_object_id", t_int)},
         columns_rows},
        {"sys",
         "openkeys",
         {col("database_id", t_int), col("database_name", t_sysname), col("key_name", t_sysname),
          col("status", t_smallint)},
         openkeys_rows},
        {"sys",
         "types",
         {col("name", t_sysname, false), col("system_type_id", t_tiny, false), col("user_type_id", t_int, false),
          col("schema_id", t_int, false), col("max_length", t_smallint, false), col("precision", t_tiny, false),
          col("scale", t_tiny, false), col("is_nullable", t_bit), col("is_user_defined", t_bit, false)},
         types_rows},
        {"sys",
         "indexes",
         {col("object_id", t_int, false), col("name", t_sysname), col("index_id", t_int, false),
          col("type", t_tiny, false), col("type_desc", t_desc), col("is_unique", t_bit), col("is_primary_key", t_bit),
          col("is_unique_constraint", t_bit), col("is_disabled", t_bit)},
         indexes_rows},
        {"sys",
         "index_columns",
         {col("object_id", t_int, false), col("index_id", t_int, false), col("index_column_id", t_int, false),
          col("column_id", t_int, false), col("key_ordinal", t_tiny, false), col("is_descending_key", t_bit),
          col("is_included_column", t_bit)},
         index_columns_rows},
        {"sys",
         "schemas",
         {col("name", t_sysname, false), col("schema_id", t_int, false), col("principal_id", t_int)},
         schemas_rows},
        {"sys",
         "sql_modules",
         {col("object_id", t_int, false), col("definition", t_long), col("uses_ansi_nulls", t_bit),
          col("uses_quoted_identifier", t_bit)},
         modules_rows},
        {"sys",
         "default_constraints",
         {col("name", t_sysname, false), col("object_id", t_int, false), col("parent_object_id", t_int, false),
          col("parent_column_id", t_int, false), col("definition", t_long)},
         default_rows},
        {"sys",
         "databases",
         {col("name", t_sysname, false), col("database_id", t_int, false), col("create_date", t_datetime, false),
          col("compatibility_level", t_tiny, false), col("collation_name", t_sysname), col("state", t_tiny),
          col("state_desc", t_desc), col("recovery_model", t_tiny), col("recovery_model_desc", t_desc),
          col("is_read_only", t_bit), col("is_auto_close_on", t_bit, false),
          col("is_read_committed_snapshot_on", t_bit), col("snapshot_isolation_state", t_tiny),
          col("user_access_desc", t_desc)},
         databases_rows},
        {"sys",
         "sysdatabases",
         {col("name", t_sysname), col("dbid", t_smallint), col("crdate", t_datetime)},
         sysdatabases_rows},
        {"sys",
         "dm_exec_sessions",
         {col("session_id", t_smallint, false),
          col("login_time", t_datetime, false),
          col("host_name", t_sysname),
          col("program_name", t_sysname),
          col("host_process_id", t_int),
          col("client_version", t_int),
          col("client_interface_name", {type_id::nvarchar_, 32, 0, 0}),
          col("login_name", t_sysname, false),
          col("original_login_name", t_sysname, false),
          col("status", t_short_text, false),
          col("cpu_time", t_int, false),
          col("memory_usage", t_int, false),
          col("last_request_start_time", t_datetime, false),
          col("last_request_end_time", t_datetime),
          col("reads", t_bigint, false),
          col("writes", t_bigint, false),
          col("logical_reads", t_bigint, false),
          col("is_user_process", t_bit, false),
          col("text_size", t_int, false),
          col("language", t_sysname),
          col("date_format", {type_id::nvarchar_, 3, 0, 0}),
          col("date_first", t_smallint, false),
          col("quoted_identifier", t_bit, false),
          col("arithabort", t_bit, false),
          col("ansi_null_dflt_on", t_bit, false),
          col("ansi_defaults", t_bit, false),
          col("ansi_warnings", t_bit, false),
          col("ansi_padding", t_bit, false),
          col("ansi_nulls", t_bit, false),
          col("concat_null_yields_null", t_bit, false),
          col("transaction_isolation_level", t_smallint, false),
          col("lock_timeout", t_int, false),
          col("deadlock_priority", t_int, false),
          col("row_count", t_bigint, false),
          col("prev_error", t_int, false),
          col("database_id", t_smallint, false),
          col("open_transaction_count", t_int, false),
          col("context_info", {type_id::varbinary_, 128, 0, 0})},
         sessions_rows},
        {"sys",
         "dm_exec_connections",
         {col("session_id", t_int), col("connect_time", t_datetime, false), col("net_transport", t_sysname, false),
          col("protocol_type", t_sysname), col("protocol_version", t_bigint), col("encrypt_option", t_sysname, false),
          col("auth_scheme", t_sysname, false), col("net_packet_size", t_int), col("client_net_address", t_uid)},
         connections_rows},
        {"sys",
         "dm_exec_requests",
         {col("session_id", t_smallint, false), col("request_id", t_int, false), col("start_time", t_datetime, false),
          col("status", t_short_text, false), col("command", {type_id::nvarchar_, 32, 0, 0}, false),
          col("database_id", t_smallint, false), col("user_id", t_int, false), col("blocking_session_id", t_smallint),
          col("wait_type", t_desc), col("open_transaction_count", t_int, false),
          col("transaction_isolation_level", t_smallint, false)},
         requests_rows},
        {"sys",
         "sysprocesses",
         {col("spid", t_smallint, false), col("blocked", t_smallint, false), col("dbid", t_smallint, false),
          col("loginame", t_sysname, false), col("hostname", t_sysname, false), col("program_name", t_sysname, false),
          col("status", t_short_text, false), col("login_time", t_datetime, false),
          col("open_tran", t_smallint, false)},
         processes_rows},
        {"sys",
         "configurations",
         {col("configuration_id", t_int, false), col("name", t_sysname, false), col("value", t_variant),
          col("value_in_use", t_variant), col("description", t_sysname, false)},
         configurations_rows},
        {"sys",
         "server_principals",
         {col("name", t_sysname, false), col("principal_id", t_int, false), col("type", t_char2, false),
          col("type_desc", t_desc), col("is_disabled", t_bit)},
         principals_rows},
        {"INFORMATION_SCHEMA",
         "tables",
         {col("TABLE_CATALOG", t_sysname), col("TABLE_SCHEMA", t_sysname), col("TABLE_NAME", t_sysname, false),
          col("TABLE_TYPE", {type_id::varchar_, 10, 0, 0})},
         info_tables_rows},
        {"INFORMATION_SCHEMA",
         "columns",
         {col("TABLE_CATALOG", t_sysname), col("TABLE_SCHEMA", t_sysname), col("TABLE_NAME", t_sysname, false),
          col("COLUMN_NAME", t_sysname), col("ORDINAL_POSITION", t_int), col("COLUMN_DEFAULT", t_nvarchar),
          col("IS_NULLABLE", t_yes), col("DATA_TYPE", t_sysname), col("CHARACTER_MAXIMUM_LENGTH", t_int),
          col("NUMERIC_PRECISION", t_tiny), col("NUMERIC_SCALE", t_int), col("DATETIME_PRECISION", t_smallint)},
         info_columns_rows},
        {"INFORMATION_SCHEMA",
         "routines",
         {col("ROUTINE_CATALOG", t_sysname), col("ROUTINE_SCHEMA", t_sysname), col("ROUTINE_NAME", t_sysname, false),
          col("ROUTINE_TYPE", {type_id::nvarchar_, 20, 0, 0}), col("ROUTINE_DEFINITION", t_nvarchar)},
         info_routines_rows},
    };
    return views;
}

} // namespace sqlserver
