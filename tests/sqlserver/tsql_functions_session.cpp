// @@variables and the functions of session, server, database and catalog.
#include "tsql_cursor.h"
#include "tsql_functions.h"
#include "tsql_types.h"

#include <cmath>

namespace sqlserver {

value variant_of(const type_info &t, value v) {
    v.variant_type = t;
    return v;
}

namespace {

using args_t = std::vector<value>;

value optional_int(const std::optional<int64_t> &n) {
    return n ? value_text(std::to_string(*n)) : value();
}

value g_spid(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->spid);
}
value g_trancount(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->trancount);
}
value g_rowcount(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->rowcount);
}
value g_error(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->last_error);
}
value g_identity(const bound &, args_t &, eval_context &c) {
    return optional_int(c.f.s->last_identity);
}
value g_scope_identity(const bound &, args_t &, eval_context &c) {
    return optional_int(c.f.scope_identity);
}
value g_nestlevel(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->nest);
}
value g_procid(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.procedure_id);
}
value g_zero(const bound &, args_t &, eval_context &) {
    return value_int(0);
}
value g_fetch_status(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->fetch_status);
}
value g_cursor_rows(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->cursor_rows);
}
value f_cursor_status(const bound &, args_t &a, eval_context &c) {
    return value_int(cursor_status(c.f, a[0].text, a[1].text));
}
value g_lock_timeout(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->options.lock_timeout);
}
value g_textsize(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->options.text_size);
}
value g_datefirst(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->options.date_first);
}
value g_language(const bound &, args_t &, eval_context &c) {
    return value_text(c.f.s->options.language);
}
value g_langid(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->options.language_id);
}
value g_max_precision(const bound &, args_t &, eval_context &) {
    return value_int(38);
}
value g_max_connections(const bound &, args_t &, eval_context &) {
    return value_int(32767);
}

value g_options(const bound &, args_t &, eval_context &c) {
    const set_options &o = c.f.s->options;
    int n = (o.implicit_transactions ? 2 : 0) | (o.cursor_close_on_commit ? 4 : 0) | (o.ansi_warnings ? 8 : 0) |
            (o.ansi_padding ? 16 : 0) | (o.ansi_nulls ? 32 : 0) | (o.arithabort ? 64 : 0) | (o.arithignore ? 128 : 0) |
            (o.quoted_identifier ? 256 : 0) | (o.nocount ? 512 : 0) | (o.ansi_null_dflt_on ? 1024 : 0) |
            (o.ansi_null_dflt_off ? 2048 : 0) | (o.concat_null_yields_null ? 4096 : 0) |
            (o.numeric_roundabort ? 8192 : 0) | (o.xact_abort ? 16384 : 0);
    return value_int(n);
}

value g_version(const bound &, args_t &, eval_context &c) {
    const std::string &v = c.f.s->eng->options.version;
    return value_text("Microsoft SQL Server 2022 (RTM) - " + v +
                      ".1 (X64) \n\tStand-in server for tests\n\tDeveloper "
                      "Edition (64-bit) on Linux <X64>");
}

value g_servername(const bound &, args_t &, eval_context &c) {
    return value_text(c.f.s->eng->options.server_name);
}
value g_servicename(const bound &, args_t &, eval_context &) {
    return value_text("MSSQLSERVER");
}
value g_microsoftversion(const bound &, args_t &, eval_context &c) {
    int major = 16, minor = 0, build = 0;
    sscanf(c.f.s->eng->options.version.c_str(), "%d.%d.%d", &major, &minor, &build);
    return value_int(major << 24 | minor << 16 | build);
}

value f_app_name(const bound &, args_t &, eval_context &c) {
    return value_text(c.f.s->login.app_name);
}
value f_host_name(const bound &, args_t &, eval_context &c) {
    return value_text(c.f.s->login.host_name);
}
value f_login(const bound &, args_t &a, eval_context &c) {
    if (!a.empty() && a[0].null)
        return {};
    return value_text(current_login(c.f.s));
}
value f_original_login(const bound &, args_t &, eval_context &c) {
    return value_text(c.f.s->login.user);
}
value f_user(const bound &, args_t &, eval_context &c) {
    return value_text(current_user(c.f.s));
}
value f_user_id(const bound &, args_t &, eval_context &) {
    return value_int(1);
}
value f_schema_name(const bound &, args_t &a, eval_context &c) {
    if (a.empty() || a[0].i64 == 1)
        return value_text("dbo");
    database *db = find_database(c.f.s, c.f.s->db);
    for (const auto &[name, id] : session_catalog(c.f.s, *db)->schemas)
        if (id == a[0].i64)
            return value_text(name == "information_schema" ? "INFORMATION_SCHEMA" : name);
    return {};
}
value f_schema_id(const bound &, args_t &a, eval_context &c) {
    database *db = find_database(c.f.s, c.f.s->db);
    catalog_ptr objects = session_catalog(c.f.s, *db);
    auto found = objects->schemas.find(a.empty() ? "dbo" : lower(a[0].text));
    return found == objects->schemas.end() ? value() : value_int(found->second);
}

value f_db_name(const bound &, args_t &a, eval_context &c) {
    if (a.empty())
        return value_text(c.f.s->db);
    for (const auto &[name, db] : c.f.s->eng->databases)
        if (db->id == a[0].i64)
            return value_text(db->name);
    return {};
}

value f_db_id(const bound &, args_t &a, eval_context &c) {
    database *db = find_database(c.f.s, a.empty() ? c.f.s->db : a[0].text);
    return db == nullptr ? value() : value_int(db->id);
}

object_path split_path(const std::string &text) {
    object_path path{""};
    for (size_t i = 0; i < text.size(); i++) {
        char close = text[i] == '[' ? ']' : text[i] == '"' ? '"' : '\0';
        if (close != '\0') {
            for (i++; i < text.size() && text[i] != close; i++)
                path.back().push_back(text[i]);
        } else if (text[i] == '.') {
            path.emplace_back();
        } else {
            path.back().push_back(text[i]);
        }
    }
    return path;
}

bool type_wanted(const cat_object &o, const std::string &type) {
    return type.empty() || same_name(trim(type), o.type);
}

value f_object_id(const bound &, args_t &a, eval_context &c) {
    object_path path = split_path(a[0].text);
    std::string type = a.size() > 1 ? a[1].text : "";
    if (path.size() > 4 || path.back().empty() || path.back()[0] == '@')
        return {};
    resolved r;
    if (resolve(c.f, path, r) && type_wanted(*r.object, type))
        return value_int(r.object->id);
    database *db =
        find_database(c.f.s, path.size() > 2 && !path[path.size() - 3].empty() ? path[path.size() - 3] : c.f.s->db);
    if (db == nullptr)
        return {};
    for (const auto &[name, o] : session_catalog(c.f.s, *db)->objects)
        for (const cat_key &k : o->keys)
            if (same_name(k.def.name, path.back()) && k.def.kind != "IX" && k.def.kind != "UX")
                return value_int(k.id);
    return {};
}

object_ptr object_by_id(eval_context &c, int64_t id) {
    for (const auto &[name, o] : c.f.s->temps)
        if (o->id == id)
            return o;
    for (const auto &[db_name, db] : c.f.s->eng->databases)
        if (same_name(db->name, c.f.s->db))
            for (const auto &[name, o] : session_catalog(c.f.s, *db)->objects)
                if (o->id == id)
                    return o;
    return nullptr;
}

value f_object_name(const bound &self, args_t &a, eval_context &c) {
    object_ptr o = object_by_id(c, a[0].i64);
    if (o == nullptr || (self.text == "object_definition" && (o->encrypted || o->source.empty())))
        return {};
    return value_text(self.text == "object_schema_name"  ? o->schema
                      : self.text == "object_definition" ? o->source
                                                         : o->name);
}

value f_col_name(const bound &, args_t &a, eval_context &c) {
    object_ptr o = object_by_id(c, a[0].i64);
    if (o == nullptr || a[1].i64 < 1 || a[1].i64 > static_cast<int64_t>(o->columns.size()))
        return {};
    return value_text(o->columns[static_cast<size_t>(a[1].i64 - 1)].def.name);
}

value f_col_length(const bound &, args_t &a, eval_context &c) {
    resolved r;
    if (!resolve(c.f, split_path(a[0].text), r))
        return {};
    int i = object_column(*r.object, a[1].text);
    return i < 0 ? value() : value_int(type_max_length(r.object->columns[static_cast<size_t>(i)].def.type));
}

value f_columnproperty(const bound &, args_t &a, eval_context &c) {
    object_ptr o = object_by_id(c, a[0].i64);
    int i = o == nullptr ? -1 : object_column(*o, a[1].text);
    if (i < 0)
        return {};
    const column_def &d = o->columns[static_cast<size_t>(i)].def;
    std::string p = lower(a[2].text);
    if (p == "isidentity")
        return value_int(d.identity);
    if (p == "allowsnull")
        return value_int(d.nullable);
    if (p == "iscomputed")
        return value_int(d.computed != nullptr);
    return p == "columnid" ? value_int(i + 1) : value();
}

value f_objectproperty(const bound &, args_t &a, eval_context &c) {
    object_ptr o = object_by_id(c, a[0].i64);
    std::string p = lower(a[1].text);
    if (o == nullptr)
        return {};
    if (p == "istable" || p == "isusertable")
        return value_int(o->type == "U");
    if (p == "isview")
        return value_int(o->type == "V");
    if (p == "isprocedure")
        return value_int(o->type == "P");
    if (p == "tablehasidentity")
        return value_int(o->identity_column >= 0);
    return value_int(0);
}

value f_ident_current(const bound &, args_t &a, eval_context &c) {
    resolved r;
    if (!resolve(c.f, split_path(a[0].text), r) || r.object->identity_column < 0)
        return {};
    const column_def &d = r.object->columns[static_cast<size_t>(r.object->identity_column)].def;
    return value_text(std::to_string(r.object->identity->used ? r.object->identity->last : d.seed));
}

value f_serverproperty(const bound &, args_t &a, eval_context &c) {
    const engine_options &o = c.f.s->eng->options;
    std::string p = lower(a[0].text);
    auto text = [](std::string s) { return variant_of(t_sysname, value_text(std::move(s))); };
    auto number = [](int64_t n) { return variant_of(t_int, value_int(n)); };
    if (p == "productversion")
        return text(o.version + ".1");
    if (p == "productmajorversion")
        return text(o.version.substr(0, o.version.find('.')));
    if (p == "productlevel")
        return text("RTM");
    if (p == "edition")
        return text("Developer Edition (64-bit)");
    if (p == "engineedition")
        return number(3);
    if (p == "servername" || p == "machinename" || p == "computernamephysicalnetbios")
        return text(o.server_name);
    if (p == "collation" || p == "sqlcharsetname")
        return text("SQL_Latin1_General_CP1_CI_AS");
    if (p == "isclustered" || p == "ishadrenabled" || p == "isintegratedsecurityonly" || p == "isfulltextinstalled" ||
        p == "isxtpsupported" || p == "issingleuser" || p == "isadvancedanalyticsinstalled")
        return number(0);
    if (p == "processid")
        return number(1);
    return {};
}

value f_databasepropertyex(const bound &, args_t &a, eval_context &c) {
    database *db = find_database(c.f.s, a[0].text);
    std::string p = lower(a[1].text);
    if (db == nullptr)
        return {};
    auto text = [](const char *s) { return variant_of(t_sysname, value_text(s)); };
    return p == "status"          ? text("ONLINE")
           : p == "updateability" ? text("READ_WRITE")
           : p == "recovery"      ? text("SIMPLE")
           : p == "collation"     ? text("SQL_Latin1_General_CP1_CI_AS")
           : p == "useraccess"    ? text("MULTI_USER")
                                  : value();
}

value f_context_info(const bound &, args_t &, eval_context &c) {
    return c.f.s->options.context_info.empty() ? value() : value_text(c.f.s->options.context_info);
}

value f_session_context(const bound &, args_t &a, eval_context &c) {
    auto found = c.f.s->context.find(lower(a[0].text));
    return found == c.f.s->context.end() ? value() : found->second;
}

value f_sessionproperty(const bound &, args_t &a, eval_context &c) {
    const set_options &o = c.f.s->options;
    const std::pair<const char *, bool> all[] = {{"ansi_nulls", o.ansi_nulls},
                                                 {"ansi_padding", o.ansi_padding},
                                                 {"ansi_warnings", o.ansi_warnings},
                                                 {"arithabort", o.arithabort},
                                                 {"concat_null_yields_null", o.concat_null_yields_null},
                                                 {"numeric_roundabort", o.numeric_roundabort},
                                                 {"quoted_identifier", o.quoted_identifier}};
    for (auto &[name, on] : all)
        if (same_name(a[0].text, name))
            return variant_of(t_int, value_int(on));
    return {};
}

value f_xact_state(const bound &, args_t &, eval_context &c) {
    return value_int(c.f.s->trancount == 0 ? 0 : c.f.s->doomed ? -1 : 1);
}

value f_tran_id(const bound &, args_t &, eval_context &c) {
    return value_int(static_cast<int64_t>(c.f.s->tran_id));
}

value f_connectionproperty(const bound &, args_t &a, eval_context &c) {
    std::string p = lower(a[0].text);
    auto text = [](std::string s) { return variant_of(t_sysname, value_text(std::move(s))); };
    return p == "net_transport"        ? text("TCP")
           : p == "protocol_type"      ? text("TSQL")
           : p == "auth_scheme"        ? text("SQL")
           : p == "client_net_address" ? text(c.f.s->login.client_address)
                                       : value();
}

std::string lock_resource(eval_context &c, const std::string &name) {
    return c.f.s->db + "\n" + name;
}

bool transaction_owner(const value &owner) {
    return same_name(owner.text, "Transaction");
}

// APPLOCK_MODE(principal, resource, owner): of this session
value f_applock_mode(const bound &, args_t &a, eval_context &c) {
    auto [from, to] = c.f.s->eng->app_locks.equal_range(lock_resource(c, a[1].text));
    const char *mode = "NoLock";
    for (auto it = from; it != to; ++it) {
        if (it->second.owner != c.f.s->spid || it->second.transaction != transaction_owner(a[2]))
            continue;
        if (it->second.exclusive)
            return value_text("Exclusive");
        mode = "Shared";
    }
    return value_text(mode);
}

// APPLOCK_TEST(principal, resource, mode, owner): could be had now
value f_applock_test(const bound &, args_t &a, eval_context &c) {
    bool outside = transaction_owner(a[3]) && c.f.s->trancount == 0;
    bool exclusive = !same_name(a[2].text, "Shared");
    return value_int(!outside && app_lock_free(c.f.s, lock_resource(c, a[1].text), exclusive));
}

value f_one(const bound &, args_t &, eval_context &) {
    return value_int(1);
}

// In a CATCH block of this scope or of a caller.
const sql_error *caught(eval_context &c) {
    for (frame *f = &c.f; f != nullptr; f = f->parent)
        if (f->caught)
            return &*f->caught;
    return nullptr;
}

value f_error_number(const bound &self, args_t &, eval_context &c) {
    const sql_error *e = caught(c);
    if (e == nullptr)
        return {};
    return value_int(self.text == "error_number"  ? e->number
                     : self.text == "error_line"  ? e->line
                     : self.text == "error_state" ? e->state
                                                  : e->severity);
}

value f_error_text(const bound &self, args_t &, eval_context &c) {
    const sql_error *e = caught(c);
    if (e == nullptr || (self.text == "error_procedure" && e->procedure.empty()))
        return {};
    return value_text(self.text == "error_message" ? e->text : e->procedure);
}

value f_formatmessage(const bound &, args_t &a, eval_context &) {
    return a[0];
}

value f_parsename(const bound &, args_t &a, eval_context &) {
    object_path path = split_path(a[0].text);
    int64_t n = a[1].i64;
    return n < 1 || n > static_cast<int64_t>(path.size()) ? value()
                                                          : value_text(path[path.size() - static_cast<size_t>(n)]);
}

value f_type_name(const bound &, args_t &a, eval_context &) {
    for (int i = 0; i <= static_cast<int>(type_id::sql_variant_); i++)
        if (type_system_id(static_cast<type_id>(i)) == a[0].i64)
            return value_text(type_name({static_cast<type_id>(i), 0, 0, 0}));
    return {};
}

value f_type_id(const bound &, args_t &a, eval_context &) {
    type_info t;
    return type_by_name(lower(a[0].text), t) ? value_int(type_system_id(t.id)) : value();
}

value f_variant_property(const bound &self, args_t &a, eval_context &) {
    const type_info &t = self.args[0]->type.id == type_id::sql_variant_ ? a[0].variant_type : self.args[0]->type;
    std::string p = lower(a[1].text);
    if (p == "basetype")
        return variant_of(t_sysname, value_text(type_name(t)));
    int64_t n = p == "precision"   ? type_precision(t)
                : p == "scale"     ? type_scale(t)
                : p == "maxlength" ? type_max_length(t)
                                   : -9;
    return n == -9 ? value() : variant_of(t_int, value_int(n));
}

constexpr type_info t_numeric38{type_id::numeric_, 0, 38, 0}, t_tinyint{type_id::tinyint_, 0, 0, 0},
    t_nchar128{type_id::nvarchar_, 128, 0, 0}, t_context{type_id::varbinary_, 128, 0, 0};

const function_row rows[] = {
    {"@@spid", 0, 0, "", t_smallint, g_spid},
    {"@@trancount", 0, 0, "", t_int, g_trancount},
    {"@@rowcount", 0, 0, "", t_int, g_rowcount},
    {"rowcount_big", 0, 0, "", t_bigint, g_rowcount},
    {"@@error", 0, 0, "", t_int, g_error},
    {"@@identity", 0, 0, "", t_numeric38, g_identity},
    {"scope_identity", 0, 0, "", t_numeric38, g_scope_identity},
    {"@@nestlevel", 0, 0, "", t_int, g_nestlevel},
    {"@@procid", 0, 0, "", t_int, g_procid},
    {"@@fetch_status", 0, 0, "", t_int, g_fetch_status},
    {"@@cursor_rows", 0, 0, "", t_int, g_cursor_rows},
    {"cursor_status", 2, 2, "s", t_smallint, f_cursor_status},
    {"@@lock_timeout", 0, 0, "", t_int, g_lock_timeout},
    {"@@textsize", 0, 0, "", t_int, g_textsize},
    {"@@datefirst", 0, 0, "", t_tinyint, g_datefirst},
    {"@@language", 0, 0, "", t_nchar128, g_language},
    {"@@langid", 0, 0, "", t_smallint, g_langid},
    {"@@options", 0, 0, "", t_int, g_options},
    {"@@version", 0, 0, "", {type_id::nvarchar_, 300, 0, 0}, g_version},
    {"@@servername", 0, 0, "", t_sysname, g_servername},
    {"@@servicename", 0, 0, "", t_sysname, g_servicename},
    {"@@max_precision", 0, 0, "", t_tinyint, g_max_precision},
    {"@@max_connections", 0, 0, "", t_int, g_max_connections},
    {"@@microsoftversion", 0, 0, "", t_int, g_microsoftversion},
    {"@@dbts", 0, 0, "", t_bigint, g_zero},
    {"@@cpu_busy", 0, 0, "", t_int, g_zero},
    {"@@connections", 0, 0, "", t_int, g_zero},
    {"app_name", 0, 0, "", t_sysname, f_app_name},
    {"host_name", 0, 0, "", t_sysname, f_host_name},
    {"suser_sname", 0, 1, "a", t_sysname, f_login, nullptr, true},
    {"suser_name", 0, 1, "a", t_sysname, f_login, nullptr, true},
    {"system_user", 0, 0, "", t_sysname, f_login},
    {"original_login", 0, 0, "", t_sysname, f_original_login},
    {"user_name", 0, 1, "a", t_sysname, f_user},
    {"current_user", 0, 0, "", t_sysname, f_user},
    {"session_user", 0, 0, "", t_sysname, f_user},
    {"user", 0, 0, "", t_sysname, f_user},
    {"user_id", 0, 1, "a", t_int, f_user_id},
    {"suser_id", 0, 1, "a", t_int, f_user_id},
    {"database_principal_id", 0, 1, "a", t_int, f_user_id},
    {"schema_name", 0, 1, "i", t_sysname, f_schema_name},
    {"schema_id", 0, 1, "s", t_int, f_schema_id},
    {"db_name", 0, 1, "i", t_sysname, f_db_name},
    {"db_id", 0, 1, "s", t_smallint, f_db_id},
    {"object_id", 1, 2, "s", t_int, f_object_id},
    {"object_name", 1, 2, "ia", t_sysname, f_object_name},
    {"object_schema_name", 1, 2, "ia", t_sysname, f_object_name},
    {"object_definition", 1, 1, "i", {type_id::nvarchar_, length_max, 0, 0}, f_object_name},
    {"col_name", 2, 2, "i", t_sysname, f_col_name},
    {"col_length", 2, 2, "s", t_smallint, f_col_length},
    {"columnproperty", 3, 3, "is", t_int, f_columnproperty},
    {"objectproperty", 2, 2, "is", t_int, f_objectproperty},
    {"objectpropertyex", 2, 2, "is", t_int, f_objectproperty},
    {"ident_current", 1, 1, "s", t_numeric38, f_ident_current},
    {"serverproperty", 1, 1, "s", t_variant, f_serverproperty},
    {"databasepropertyex", 2, 2, "s", t_variant, f_databasepropertyex},
    {"context_info", 0, 0, "", t_context, f_context_info},
    {"session_context", 1, 1, "s", t_variant, f_session_context},
    {"sessionproperty", 1, 1, "s", t_variant, f_sessionproperty},
    {"applock_mode", 3, 3, "s", {type_id::nvarchar_, 32, 0, 0}, f_applock_mode},
    {"applock_test", 4, 4, "s", t_smallint, f_applock_test},
    {"xact_state", 0, 0, "", t_smallint, f_xact_state},
    {"current_transaction_id", 0, 0, "", t_bigint, f_tran_id},
    {"connectionproperty", 1, 1, "s", t_variant, f_connectionproperty},
    {"has_dbaccess", 1, 1, "s", t_int, f_one},
    {"is_srvrolemember", 1, 2, "s", t_int, f_one},
    {"is_member", 1, 1, "s", t_int, f_one},
    {"is_rolemember", 1, 2, "s", t_int, f_one},
    {"has_perms_by_name", 3, 5, "a", t_int, f_one, nullptr, true},
    {"permissions", 0, 2, "a", t_int, f_one},
    {"error_number", 0, 0, "", t_int, f_error_number},
    {"error_line", 0, 0, "", t_int, f_error_number},
    {"error_state", 0, 0, "", t_int, f_error_number},
    {"error_severity", 0, 0, "", t_int, f_error_number},
    {"error_message", 0, 0, "", t_nvarchar, f_error_text},
    {"error_procedure", 0, 0, "", t_sysname, f_error_text},
    {"formatmessage", 1, 20, "sa", t_nvarchar, f_formatmessage},
    {"parsename", 2, 2, "si", t_sysname, f_parsename},
    {"type_name", 1, 1, "i", t_sysname, f_type_name},
    {"type_id", 1, 1, "s", t_int, f_type_id},
    {"sql_variant_property", 2, 2, "as", t_variant, f_variant_property},
};

} // namespace

function_list session_functions() {
    return {rows, sizeof rows / sizeof rows[0]};
}

} // namespace sqlserver
