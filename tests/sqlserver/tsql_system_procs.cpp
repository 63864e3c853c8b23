// sp_executesql, sp_prepare and its family, application locks, session context, sp_reset_connection, catalog
// procedures.
#include "tsql_system_procs.h"

#include "tsql_bind.h"
#include "tsql_cursor.h"
#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_types.h"

namespace sqlserver {

namespace {

using arguments_t = std::vector<call_argument>;

constexpr type_info t_max{type_id::nvarchar_, length_max, 0, 0};

const call_argument *find_argument(const arguments_t &all, size_t position, const char *name) {
    for (const call_argument &a : all)
        if (!a.name.empty() && same_name(a.name, name))
            return &a;
    return position < all.size() && all[position].name.empty() ? &all[position] : nullptr;
}

} // namespace

std::string text_argument(const std::vector<call_argument> &all, size_t position, const char *name,
                          const char *otherwise) {
    const call_argument *a = find_argument(all, position, name);
    return a == nullptr || a->val.null || a->use_default ? otherwise : convert(a->val, a->type, t_max).text;
}

namespace {

int64_t int_argument(const arguments_t &all, size_t position, const char *name, int64_t otherwise = 0) {
    const call_argument *a = find_argument(all, position, name);
    return a == nullptr || a->val.null || a->use_default ? otherwise : convert(a->val, a->type, t_bigint).i64;
}

flow run_prepared(frame &f, const std::string &text, const std::string &parameters, arguments_t &all, size_t first) {
    std::vector<declaration> declared;
    if (!trim(parameters).empty())
        declared = parse_parameters(parameters);
    return exec_text(f, text, declared, parameters, all, first, true);
}

flow sp_executesql(frame &f, arguments_t &all, int32_t &status) {
    const call_argument *statement = find_argument(all, 0, "@statement");
    if (statement == nullptr)
        statement = find_argument(all, 0, "@stmt");
    if (statement == nullptr && !all.empty())
        statement = &all[0];
    if (statement == nullptr)
        fail(201, 16, 10,
             "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.");
    if (!is_nchar(statement->type.id) && !statement->val.null)
        fail(214, 16, 2, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.");
    std::string parameters = all.size() > 1 && !all[1].val.null ? convert(all[1].val, all[1].type, t_max).text : "";
    std::string text = statement->val.text;
    f.s->last_error = 0;
    flow r = run_prepared(f, text, parameters, all, std::min<size_t>(2, all.size()));
    status = f.s->last_error; // @@ERROR of the text's last statement
    return r;
}

int32_t keep_prepared(session *s, prepared p) {
    int32_t handle = 1;
    while (s->eng->options.reuse_handles && s->handles.count(handle) != 0)
        handle++;
    if (!s->eng->options.reuse_handles)
        handle = s->next_handle++;
    s->handles[handle] = std::move(p);
    return handle;
}

int32_t new_handle(frame &f, const std::string &text, const std::string &parameters) {
    session *s = f.s;
    std::optional<sql_error> wrong;
    try {
        cached_parse(s, text, trim(parameters).empty() ? std::vector<declaration>() : parse_parameters(parameters),
                     parameters);
    } catch (const sql_error &thrown) {
        wrong = thrown; // sent outside of the catch block: sending may switch fibers
    }
    if (wrong && s->try_depth == 0)
        send_message(f, *wrong);
    if (wrong)
        fail(8180, 16, 1, "Statement(s) could not be prepared.");
    return keep_prepared(s, {text, parameters, false, s->db});
}

// sp_prepare @handle OUTPUT, @params, @stmt [, @options]
flow sp_prepare(frame &f, arguments_t &all, int32_t &) {
    if (all.size() < 3)
        fail(201, 16, 10, "Procedure or function 'sp_prepare' expects parameter '@stmt', which was not supplied.");
    std::string parameters = text_argument(all, 1, "@params"), text = text_argument(all, 2, "@stmt");
    all[0].val = value_int(new_handle(f, text, parameters));
    all[0].type = t_int;
    all[0].output = true;
    bool metadata =
        f.s->eng->options.prepare_tells_columns || (all.size() > 3 && (int_argument(all, 3, "@options") & 1) != 0);
    if (!metadata)
        return flow::next;
    bool before = f.s->options.fmtonly; // only the columns of the result
    frame inner;
    inner.s = f.s;
    inner.h = f.h;
    inner.parent = &f;
    inner.in_proc = true;
    inner.tree = cached_parse(
        f.s, text, trim(parameters).empty() ? std::vector<declaration>() : parse_parameters(parameters), parameters);
    for (const declaration &d : trim(parameters).empty() ? std::vector<declaration>() : parse_parameters(parameters))
        inner.variables[d.name] = {d.type, value()};
    f.s->options.fmtonly = true;
    flow r = flow::next;
    for (const stmt_ptr &s : inner.tree->body)
        if (s->kind == stmt_kind::select && r == flow::next)
            r = run_stmt(inner, *s);
    f.s->options.fmtonly = before;
    return r;
}

const prepared &find_handle(frame &f, const call_argument &a) {
    int64_t n = a.val.null ? 0 : convert(a.val, a.type, t_bigint).i64;
    auto found = f.s->handles.find(static_cast<int32_t>(n));
    if (found == f.s->handles.end())
        fail(8179, 16, 3, "Could not find prepared statement with handle %lld.", static_cast<long long>(n));
    return found->second;
}

// The arguments from `first` on are the procedure's.
flow call_with_rest(frame &f, const std::string &name, arguments_t &all, size_t first, int32_t &status) {
    auto from = all.begin() + static_cast<std::ptrdiff_t>(std::min(first, all.size()));
    arguments_t rest(from, all.end());
    parser p;
    p.sql = name;
    p.tokens = lex(name, true);
    flow r = call_procedure(f, path(p), rest, status);
    std::copy(rest.begin(), rest.end(), from);
    return r;
}

// The session is in another database for a while, without its client being told.
struct in_database {
    session *s;
    std::string before;
    in_database(session *of, const std::string &db) : s(of), before(std::exchange(of->db, db)) {}
    ~in_database() { s->db = before; }
    in_database(const in_database &) = delete;
    in_database &operator=(const in_database &) = delete;
};

flow sp_execute(frame &f, arguments_t &all, int32_t &status) {
    if (all.empty())
        fail(201, 16, 10, "Procedure or function 'sp_execute' expects parameter '@handle', which was not supplied.");
    prepared p = find_handle(f, all[0]);
    if (p.call)
        return call_with_rest(f, p.text, all, 1, status);
    in_database there(f.s, p.db);
    return run_prepared(f, p.text, p.parameters, all, 1);
}

// sp_prepexec @handle OUTPUT, @params, @stmt, values...
flow sp_prepexec(frame &f, arguments_t &all, int32_t &) {
    if (all.size() < 3)
        fail(201, 16, 10, "Procedure or function 'sp_prepexec' expects parameter '@stmt', which was not supplied.");
    if (f.s->eng->options.prepexec_wants_names && all.size() > 3 && all[3].name.empty())
        fail(33557097, 16, 1, "unexpected parameter definition");
    std::string parameters = all[1].val.null ? "" : convert(all[1].val, all[1].type, t_max).text;
    std::string text = convert(all[2].val, all[2].type, t_max).text;
    if (!all[0].val.null)
        f.s->handles.erase(static_cast<int32_t>(convert(all[0].val, all[0].type, t_bigint).i64));
    all[0].val = value_int(new_handle(f, text, parameters));
    all[0].type = t_int;
    all[0].output = true;
    return run_prepared(f, text, parameters, all, 3);
}

// sp_prepexecrpc @handle OUTPUT, @procedure, values...
flow sp_prepexecrpc(frame &f, arguments_t &all, int32_t &status) {
    if (all.size() < 2)
        fail(201, 16, 10,
             "Procedure or function 'sp_prepexecrpc' expects parameter '@rpccall', which was not supplied.");
    std::string name = convert(all[1].val, all[1].type, t_max).text;
    if (!all[0].val.null)
        f.s->handles.erase(static_cast<int32_t>(convert(all[0].val, all[0].type, t_bigint).i64));
    all[0].val = value_int(keep_prepared(f.s, {name, "", true, f.s->db}));
    all[0].type = t_int;
    all[0].output = true;
    return call_with_rest(f, name, all, 2, status);
}

flow sp_unprepare(frame &f, arguments_t &all, int32_t &) {
    if (all.empty())
        fail(201, 16, 10, "Procedure or function 'sp_unprepare' expects parameter '@handle', which was not supplied.");
    find_handle(f, all[0]);
    f.s->handles.erase(static_cast<int32_t>(convert(all[0].val, all[0].type, t_bigint).i64));
    return flow::next;
}

flow sp_reset_connection(frame &f, arguments_t &, int32_t &) {
    f.s->eng->counters.reset_calls++;
    return session_reset(f.s, false, *f.h) ? flow::next : flow::abort;
}

flow sp_set_session_context(frame &f, arguments_t &all, int32_t &) {
    std::string key = lower(text_argument(all, 0, "@key"));
    const call_argument *v = find_argument(all, 1, "@value");
    auto &fixed = f.s->read_only_context;
    if (std::find(fixed.begin(), fixed.end(), key) != fixed.end())
        fail(15664, 16, 1,
             "Cannot set key '%s' in the session context. The key has been set as read_only for this session.",
             key.c_str());
    f.s->context[key] = v == nullptr                          ? value()
                        : v->type.id == type_id::sql_variant_ ? v->val
                                                              : variant_of(v->type, v->val);
    if (int_argument(all, 2, "@read_only") != 0)
        fixed.push_back(key);
    return flow::next;
}

flow sp_getapplock(frame &f, arguments_t &all, int32_t &status) {
    session *s = f.s;
    std::string resource = s->db + "\n" + text_argument(all, 0, "@Resource");
    bool exclusive = !same_name(text_argument(all, 1, "@LockMode"), "Shared");
    bool transaction = same_name(text_argument(all, 2, "@LockOwner", "Transaction"), "Transaction");
    int64_t timeout = int_argument(all, 3, "@LockTimeout", s->options.lock_timeout);
    if (transaction && s->trancount == 0) {
        status = -999;
        return flow::next;
    }
    int64_t waited = 0;
    for (; !app_lock_free(s, resource, exclusive); waited += 10) {
        if (timeout >= 0 && waited >= timeout) {
            status = -1;
            return flow::next;
        }
        if (!f.h->wait(10)) {
            status = -2;
            return flow::abort;
        }
    }
    s->eng->app_locks.emplace(resource, app_lock{s->spid, exclusive, transaction, 1});
    status = waited > 0 ? 1 : 0;
    return flow::next;
}

flow sp_releaseapplock(frame &f, arguments_t &all, int32_t &status) {
    std::string resource = f.s->db + "\n" + text_argument(all, 0, "@Resource");
    bool transaction = same_name(text_argument(all, 1, "@LockOwner", "Transaction"), "Transaction");
    auto [from, to] = f.s->eng->app_locks.equal_range(resource);
    for (auto it = from; it != to; ++it)
        if (it->second.owner == f.s->spid && it->second.transaction == transaction) {
            f.s->eng->app_locks.erase(it);
            return flow::next;
        }
    status = -999;
    fail(1223, 16, 1,
         "Cannot release the application lock (Database Principal: 'public', Resource: '%s') because it is not "
         "currently held.",
         text_argument(all, 0, "@Resource").c_str());
}

std::string role_key(session *s, const std::string &role) {
    return lower(s->db + "\n" + role);
}

flow sp_addapprole(frame &f, arguments_t &all, int32_t &) {
    std::string role = text_argument(all, 0, "@rolename");
    if (!f.s->eng->app_roles.emplace(role_key(f.s, role), text_argument(all, 1, "@password")).second)
        fail(15023, 16, 1, "User, group, or role '%s' already exists in the current database.", role.c_str());
    return flow::next;
}

// sp_setapprole @rolename, @password, @encrypt, @fCreateCookie, @cookie OUTPUT
flow sp_setapprole(frame &f, arguments_t &all, int32_t &) {
    std::string role = text_argument(all, 0, "@rolename");
    auto found = f.s->eng->app_roles.find(role_key(f.s, role));
    if (f.s->nest > 0)
        fail(15422, 16, 1, "Application roles can only be activated at the ad hoc level.");
    if (found == f.s->eng->app_roles.end() || found->second != text_argument(all, 1, "@password"))
        fail(15161, 16, 1, "Cannot set application role '%s' because it does not exist or the password is incorrect.",
             role.c_str());
    impersonated i;
    i.name = role;
    i.kind = principal::role;
    i.no_revert = true;
    for (call_argument &a : all)
        if (int_argument(all, 3, "@fCreateCookie") != 0 && a.output) {
            i.cookie = new_cookie();
            a.val = value_text(i.cookie);
            a.type = {type_id::varbinary_, 8000, 0, 0};
        }
    f.s->impersonation.push_back(i);
    return flow::next;
}

flow sp_unsetapprole(frame &f, arguments_t &all, int32_t &) {
    const call_argument *cookie = find_argument(all, 0, "@cookie");
    auto &stack = f.s->impersonation;
    if (cookie == nullptr || stack.empty() || stack.back().kind != principal::role || stack.back().cookie.empty() ||
        stack.back().cookie != cookie->val.text)
        fail(15592, 16, 1, "Cannot unset application role because none was set or the cookie is invalid.");
    stack.pop_back();
    return flow::next;
}

// sp_xml_preparedocument @hdoc OUTPUT, @xmltext
flow sp_xml_preparedocument(frame &f, arguments_t &all, int32_t &) {
    if (all.empty())
        fail(201, 16, 10,
             "Procedure or function 'sp_xml_preparedocument' expects parameter '@hdoc', which was not supplied.");
    int32_t handle = f.s->next_document;
    f.s->next_document += 2;
    f.s->documents[handle] = text_argument(all, 1, "@xmltext");
    all[0].val = value_int(handle);
    all[0].type = t_int;
    return flow::next;
}

flow sp_xml_removedocument(frame &f, arguments_t &all, int32_t &) {
    if (f.s->documents.erase(static_cast<int32_t>(int_argument(all, 0, "@hdoc"))) == 0)
        fail(6607, 16, 3, "sp_xml_removedocument: The value supplied for parameter number 1 is invalid.");
    return flow::next;
}

flow do_nothing(frame &, arguments_t &, int32_t &) {
    return flow::next;
}

// Catalog procedures are queries over the system views.
flow run_catalog(frame &f, const char *sql, const std::vector<std::pair<const char *, std::string>> &values) {
    std::string declared;
    arguments_t all;
    for (const auto &[name, text] : values) {
        declared += (declared.empty() ? "" : ", ") + std::string(name) + " nvarchar(400)";
        call_argument a;
        a.type = t_max;
        a.val = text.empty() ? value() : value_text(text);
        all.push_back(a);
    }
    return exec_text(f, sql, parse_parameters(declared), declared, all, 0, true);
}

flow sp_tables(frame &f, arguments_t &all, int32_t &) {
    return run_catalog(
        f,
        "SELECT DB_NAME() AS TABLE_QUALIFIER, s.name AS TABLE_OWNER, o.name AS TABLE_NAME, CAST(CASE o.type WHEN 'U' "
        "THEN 'TABLE' ELSE 'VIEW' END AS varchar(32)) AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS "
        "FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id WHERE o.type IN ('U', 'V') "
        "AND (@n IS NULL OR o.name LIKE @n) AND (@o IS NULL OR s.name LIKE @o) ORDER BY 4, 1, 2, 3",
        {{"@n", text_argument(all, 0, "@table_name")}, {"@o", text_argument(all, 1, "@table_owner")}});
}

flow sp_columns(frame &f, arguments_t &all, int32_t &) {
    return run_catalog(
        f,
        "SELECT DB_NAME() AS TABLE_QUALIFIER, s.name AS TABLE_OWNER, o.name AS TABLE_NAME, c.name AS COLUMN_NAME, "
        "CAST(CASE t.name WHEN 'int' THEN 4 WHEN 'smallint' THEN 5 WHEN 'tinyint' THEN -6 WHEN 'bigint' THEN -5 WHEN "
        "'bit' "
        "THEN -7 WHEN 'float' THEN 6 WHEN 'real' THEN 7 WHEN 'decimal' THEN 3 WHEN 'numeric' THEN 2 WHEN 'money' THEN "
        "3 WHEN "
        "'varchar' THEN 12 WHEN 'char' THEN 1 WHEN 'nchar' THEN -8 WHEN 'nvarchar' THEN -9 WHEN 'datetime' THEN 11 "
        "WHEN "
        "'varbinary' THEN -3 WHEN 'binary' THEN -2 WHEN 'uniqueidentifier' THEN -11 ELSE -9 END AS smallint) AS "
        "DATA_TYPE, "
        "CAST(CASE WHEN c.is_identity = 1 THEN t.name + ' identity' ELSE t.name END AS sysname) AS TYPE_NAME, "
        "CAST(CASE WHEN c.precision = 0 THEN c.max_length ELSE c.precision END AS int) AS [PRECISION], "
        "CAST(c.max_length AS "
        "int) AS LENGTH, CAST(c.scale AS smallint) AS SCALE, CAST(10 AS smallint) AS RADIX, CAST(c.is_nullable AS "
        "smallint) "
        "AS NULLABLE, CAST(NULL AS varchar(254)) AS REMARKS, CAST(NULL AS nvarchar(4000)) AS COLUMN_DEF, CAST(0 AS "
        "smallint) "
        "AS SQL_DATA_TYPE, CAST(NULL AS smallint) AS SQL_DATETIME_SUB, CAST(NULL AS int) AS CHAR_OCTET_LENGTH, "
        "c.column_id AS "
        "ORDINAL_POSITION, CAST(CASE c.is_nullable WHEN 1 THEN 'YES' ELSE 'NO' END AS varchar(254)) AS IS_NULLABLE, "
        "CAST(0 AS "
        "tinyint) AS SS_DATA_TYPE FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id JOIN sys.schemas "
        "s ON "
        "s.schema_id = o.schema_id JOIN sys.types t ON t.user_type_id = c.user_type_id WHERE (@n IS NULL OR o.name "
        "LIKE @n) "
        "AND (@o IS NULL OR s.name LIKE @o) AND (@c IS NULL OR c.name LIKE @c) ORDER BY 3, 17",
        {{"@n", text_argument(all, 0, "@table_name")},
         {"@o", text_argument(all, 1, "@table_owner")},
         {"@c", text_argument(all, 3, "@column_name")}});
}

flow sp_pkeys(frame &f, arguments_t &all, int32_t &) {
    return run_catalog(
        f,
        "SELECT DB_NAME() AS TABLE_QUALIFIER, s.name AS TABLE_OWNER, o.name AS TABLE_NAME, c.name AS COLUMN_NAME, "
        "CAST(k.key_ordinal AS smallint) AS KEY_SEQ, i.name AS PK_NAME FROM sys.indexes i JOIN sys.index_columns k ON "
        "k.object_id = i.object_id AND k.index_id = i.index_id JOIN sys.columns c ON c.object_id = k.object_id AND "
        "c.column_id "
        "= k.column_id JOIN sys.objects o ON o.object_id = i.object_id JOIN sys.schemas s ON s.schema_id = o.schema_id "
        "WHERE "
        "i.is_primary_key = 1 AND o.name = @n ORDER BY 5",
        {{"@n", text_argument(all, 0, "@table_name")}});
}

flow sp_databases(frame &f, arguments_t &, int32_t &) {
    return run_catalog(
        f,
        "SELECT name AS DATABASE_NAME, CAST(8192 AS int) AS DATABASE_SIZE, CAST(NULL AS varchar(254)) AS REMARKS FROM "
        "sys.databases ORDER BY 1",
        {{"@x", ""}});
}

flow sp_who(frame &f, arguments_t &, int32_t &) {
    return run_catalog(
        f,
        "SELECT session_id AS spid, CAST(0 AS smallint) AS ecid, status, login_name AS loginame, host_name AS "
        "hostname, '0' "
        "AS blk, DB_NAME(database_id) AS dbname, CAST('AWAITING COMMAND' AS nchar(16)) AS cmd, 0 AS request_id FROM "
        "sys.dm_exec_sessions ORDER BY 1",
        {{"@x", ""}});
}

flow sp_datatype_info(frame &f, arguments_t &, int32_t &) {
    return run_catalog(
        f,
        "SELECT name AS TYPE_NAME, CAST(CASE name WHEN 'int' THEN 4 WHEN 'bigint' THEN -5 WHEN 'smallint' THEN 5 WHEN "
        "'tinyint' "
        "THEN -6 WHEN 'bit' THEN -7 WHEN 'float' THEN 6 WHEN 'real' THEN 7 WHEN 'decimal' THEN 3 WHEN 'numeric' THEN 2 "
        "WHEN "
        "'char' THEN 1 WHEN 'varchar' THEN 12 WHEN 'nvarchar' THEN -9 WHEN 'datetime' THEN 11 ELSE -8 END AS smallint) "
        "AS "
        "DATA_TYPE, CAST(precision AS int) AS [PRECISION], CAST('''' AS varchar(32)) AS LITERAL_PREFIX, CAST('''' AS "
        "varchar(32)) AS LITERAL_SUFFIX, CAST(NULL AS varchar(32)) AS CREATE_PARAMS, CAST(1 AS smallint) AS NULLABLE, "
        "CAST(0 AS "
        "smallint) AS CASE_SENSITIVE, CAST(3 AS smallint) AS SEARCHABLE, CAST(NULL AS smallint) AS UNSIGNED_ATTRIBUTE, "
        "CAST(0 "
        "AS smallint) AS MONEY, CAST(0 AS smallint) AS AUTO_INCREMENT, name AS LOCAL_TYPE_NAME FROM sys.types ORDER BY "
        "2, 1",
        {{"@x", ""}});
}

// A row for each line, or for 255 characters of it; the line's end stays on it.
void add_lines(row_set &set, const std::string &text) {
    constexpr size_t longest = 255;
    for (size_t from = 0; from < text.size();) {
        size_t end = std::min(text.find('\n', from), text.size() - 1) + 1;
        std::string line = text.substr(from, end - from);
        for (size_t at = 0, units = utf16_length(line); at < units; at += longest)
            set.rows.push_back({value_text(utf16_substring(line, at, longest))});
        from = end;
    }
}

flow sp_helptext(frame &f, arguments_t &all, int32_t &status) {
    std::string name = text_argument(all, 0, "@objname");
    parser p;
    p.sql = name;
    p.tokens = lex(name, true);
    resolved r;
    if (!resolve(f, path(p), r)) {
        status = 1;
        fail(15009, 16, 1, "The object '%s' does not exist in database '%s' or is invalid for this operation.",
             name.c_str(), f.s->db.c_str());
    }
    if (r.object->source.empty()) {
        status = 1;
        fail(15197, 16, 1, "There is no text for object '%s'.", name.c_str());
    }
    if (r.object->encrypted) {
        f.h->message(15471, 1, 10, "The text for object '" + name + "' is encrypted.", "sp_helptext", 1);
        return flow::next;
    }
    row_set set;
    set.columns = {{"Text", {type_id::nvarchar_, 255, 0, 0}, true, false, false}};
    add_lines(set, r.object->source);
    frame inner = f;
    inner.in_proc = true;
    send_rows(inner, set, 0xC1, true);
    return flow::next;
}

const std::pair<const char *, system_procedure> procedures[] = {
    {"sp_executesql", sp_executesql},
    {"sp_prepare", sp_prepare},
    {"sp_execute", sp_execute},
    {"sp_prepexec", sp_prepexec},
    {"sp_prepexecrpc", sp_prepexecrpc},
    {"sp_unprepare", sp_unprepare},
    {"sp_reset_connection", sp_reset_connection},
    {"sp_set_session_context", sp_set_session_context},
    {"sp_getapplock", sp_getapplock},
    {"sp_releaseapplock", sp_releaseapplock},
    {"sp_addapprole", sp_addapprole},
    {"sp_setapprole", sp_setapprole},
    {"sp_unsetapprole", sp_unsetapprole},
    {"sp_xml_preparedocument", sp_xml_preparedocument},
    {"sp_xml_removedocument", sp_xml_removedocument},
    {"sp_configure", do_nothing},
    {"sp_tables", sp_tables},
    {"sp_columns", sp_columns},
    {"sp_columns_100", sp_columns},
    {"sp_pkeys", sp_pkeys},
    {"sp_databases", sp_databases},
    {"sp_who", sp_who},
    {"sp_who2", sp_who},
    {"sp_tablecollations_90", sp_tablecollations},
    {"sp_tablecollations_100", sp_tablecollations},
    {"sp_procedure_params_100_managed", sp_procedure_params},
    {"sp_datatype_info", sp_datatype_info},
    {"sp_datatype_info_100", sp_datatype_info},
    {"sp_helptext", sp_helptext},
    {"sp_updatestats", do_nothing},
    {"sp_addextendedproperty", do_nothing},
    {"sp_cursoropen", sp_cursoropen},
    {"sp_cursorfetch", sp_cursorfetch},
    {"sp_cursorclose", sp_cursorclose},
    {"sp_cursor", sp_cursor},
    {"sp_cursorprepare", sp_cursorprepare},
    {"sp_cursorexecute", sp_cursorexecute},
    {"sp_cursorprepexec", sp_cursorprepexec},
    {"sp_cursorunprepare", sp_cursorunprepare},
    {"sp_cursoroption", sp_cursoroption},
};

} // namespace

system_procedure find_system_procedure(std::string_view name) {
    for (const auto &[known, fn] : procedures)
        if (name == known)
            return fn;
    return nullptr;
}

} // namespace sqlserver
