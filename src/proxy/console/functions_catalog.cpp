// Functions about databases, objects, and what the user may do.

#include <strings.h>

#include "proxy/console/catalog.h"
#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/console/functions.h"

using arguments = std::span<const console_value>;
using base_t = tds_result_type;

static constexpr console_type text = console_type_of(base_t::text, 128);
static constexpr console_type number = console_type_of(base_t::integer);

static std::string first(arguments a, size_t i = 0) {
    return i < a.size() ? console_spell(a[i]) : "";
}

static bool is(const std::string &a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), b.size()) == 0;
}

static console_value yes_or_null(bool yes, int64_t n = 1) {
    return yes ? console_number_value(n) : console_value();
}

// ---- databases -------------------------------------------------------------------------------------------------

static int32_t id_of(std::string_view database) {
    return database == console_database ? console_database_id : console_master_id;
}

static console_value database_id(console_world &w, arguments a) {
    std::string_view spelled;
    bool there = console_find_database(a.empty() ? w.facts.database : first(a), spelled);
    return yes_or_null(there, id_of(spelled));
}

static console_value database_name(console_world &w, arguments a) {
    if (a.empty())
        return console_text_value(w.facts.database);
    int64_t id = a[0].number;
    return id == console_database_id ? console_text_value(console_database)
           : id == console_master_id ? console_text_value("master")
                                     : console_value();
}

static console_value may_enter(console_world &, arguments a) {
    std::string_view spelled;
    return yes_or_null(console_find_database(first(a), spelled));
}

static console_value database_property(console_world &w, arguments a) {
    static constexpr const char *texts[][2] = {
        {"Status", "ONLINE"},         {"Collation", "SQL_Latin1_General_CP1_CI_AS"},
        {"Recovery", "SIMPLE"},       {"Updateability", "READ_ONLY"},
        {"UserAccess", "MULTI_USER"}, {"Edition", ""},
        {"ServiceObjective", ""}};
    if (console_is_null(may_enter(w, a)))
        return {};
    for (const auto &[name, value] : texts)
        if (is(first(a, 1), name))
            return console_text_value(value);
    return is(first(a, 1), "Version")                       ? console_text_value("0")
           : strncasecmp(first(a, 1).c_str(), "Is", 2) == 0 ? console_text_value("0")
                                                            : console_value();
}

// ---- objects ---------------------------------------------------------------------------------------------------

// [a].[b] without its brackets, as parts.
static std::vector<std::string> parts_of(const std::string &name) {
    std::vector<std::string> parts(1);
    bool quoted = false;
    for (char c : name) {
        if (c == '[' || c == ']' || c == '"')
            quoted = c == '[' || (c == '"' && !quoted);
        else if (c == '.' && !quoted)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

static console_value table_id(const console_world &w, const std::string &name) {
    return yes_or_null(w.tables != nullptr && w.tables->contains(console_lower(name)), -1);
}

static console_value object_id(console_world &w, arguments a) {
    std::vector<std::string> parts = parts_of(first(a));
    if (parts.back().starts_with('#'))
        return table_id(w, parts.back());
    size_t n = parts.size();
    std::string schema = n > 1 ? parts[n - 2] : "", database = n > 2 ? parts[n - 3] : "";
    bool here =
        (schema.empty() || is(schema, "dbo")) && is(database.empty() ? w.facts.database : database, console_database);
    for (const console_shown &v : console_shown_views())
        if (here && is(v.name, parts.back()) && (a.size() < 2 || is(first(a, 1), "V")))
            return console_number_value(v.object_id);
    return {};
}

static const console_shown *find_object(const std::vector<console_shown> &all, arguments a) {
    for (const console_shown &v : all)
        if (!a.empty() && v.object_id == a[0].number)
            return &v;
    return nullptr;
}

static console_value object_name(console_world &, arguments a) {
    auto all = console_shown_views();
    const console_shown *found = find_object(all, a);
    return found != nullptr ? console_text_value(found->name) : console_value();
}

static console_value object_schema(console_world &, arguments a) {
    auto all = console_shown_views();
    return find_object(all, a) != nullptr ? console_text_value("dbo") : console_value();
}

static console_value object_property(console_world &, arguments a) {
    auto all = console_shown_views();
    bool view = is(first(a, 1), "IsView") || is(first(a, 1), "IsUserView");
    return find_object(all, a) == nullptr ? console_value() : console_number_value(view);
}

static console_value column_name(console_world &, arguments a) {
    auto all = console_shown_views();
    const console_shown *found = find_object(all, a);
    bool there = found != nullptr && a.size() > 1 && a[1].number >= 1 &&
                 a[1].number <= static_cast<int64_t>(found->command->columns.size());
    return there ? console_text_value(found->command->columns[static_cast<size_t>(a[1].number - 1)].column.name)
                 : console_value();
}

// COLUMNPROPERTY(object, column, property)
static console_value column_property(console_world &, arguments a) {
    auto all = console_shown_views();
    const console_shown *found = find_object(all, a);
    std::string property = first(a, 2);
    int64_t place = 0;
    for (size_t i = 0; found != nullptr && i < found->command->columns.size(); ++i) {
        const tds_result_column &c = found->command->columns[i].column;
        ++place;
        if (!is(first(a, 1), c.name))
            continue;
        bool is_text = c.type == base_t::text;
        if (is(property, "charmaxlen"))
            return yes_or_null(is_text, c.units);
        if (is(property, "Precision"))
            return console_number_value(is_text ? c.units : c.type == base_t::bigint ? 19 : 10);
        return is(property, "ColumnId")          ? console_number_value(place)
               : is(property, "AllowsNull")      ? console_number_value(1)
               : is(property.substr(0, 2), "Is") ? console_number_value(0)
                                                 : console_value();
    }
    return {};
}

// ---- schemas and types -----------------------------------------------------------------------------------------

static constexpr const char *schemas[] = {"dbo", "guest", "INFORMATION_SCHEMA", "sys"};

static console_value schema_name(console_world &, arguments a) {
    if (a.empty())
        return console_text_value("dbo");
    bool there = a[0].number >= 1 && a[0].number <= static_cast<int64_t>(std::size(schemas));
    return there ? console_text_value(schemas[a[0].number - 1]) : console_value();
}

static console_value schema_id(console_world &, arguments a) {
    for (size_t i = 0; i < std::size(schemas); ++i)
        if (a.empty() || is(first(a), schemas[i]))
            return console_number_value(static_cast<int64_t>(i) + 1);
    return {};
}

struct type_id {
    const char *name;
    int id;
};
static constexpr type_id types[] = {{"bit", 104},       {"tinyint", 48},   {"smallint", 52}, {"int", 56},
                                    {"bigint", 127},    {"float", 62},     {"datetime", 61}, {"uniqueidentifier", 36},
                                    {"varbinary", 165}, {"nvarchar", 231}, {"sysname", 256}};

static console_value type_name(console_world &, arguments a) {
    for (const type_id &t : types)
        if (!a.empty() && a[0].number == t.id)
            return console_text_value(t.name);
    return {};
}

static console_value type_number(console_world &, arguments a) {
    for (const type_id &t : types)
        if (is(first(a), t.name))
            return console_number_value(t.id);
    return {};
}

// ---- what the user may do --------------------------------------------------------------------------------------

// To look; nobody is an administrator of a server here.
static console_value has_permission(console_world &, arguments a) {
    std::string permission = first(a, 2);
    bool looks = strncasecmp(permission.c_str(), "VIEW ", 5) == 0 || is(permission, "CONNECT") ||
                 is(permission, "CONNECT SQL") || is(permission, "SELECT");
    return console_number_value(looks);
}

static console_value is_member(console_world &, arguments a) {
    return console_number_value(is(first(a), "public"));
}

static console_value connection_property(console_world &w, arguments a) {
    return is(first(a), "net_transport")        ? console_text_value("TCP")
           : is(first(a), "protocol_type")      ? console_text_value("TSQL")
           : is(first(a), "auth_scheme")        ? console_text_value("SQL")
           : is(first(a), "client_net_address") ? console_text_value(w.facts.address)
                                                : console_value();
}

static console_value session_property(console_world &, arguments a) {
    bool off = is(first(a), "ARITHABORT") || is(first(a), "NUMERIC_ROUNDABORT");
    return console_number_value(!off);
}

static console_value collation_property(console_world &, arguments a) {
    return is(first(a, 1), "CodePage")          ? console_number_value(1252)
           : is(first(a, 1), "LCID")            ? console_number_value(1033)
           : is(first(a, 1), "ComparisonStyle") ? console_number_value(196609)
                                                : console_value();
}

static console_value zero(console_world &, arguments) {
    return console_number_value(0);
}

static console_value one(console_world &, arguments) {
    return console_number_value(1);
}

static console_value nothing(console_world &, arguments) {
    return {};
}

std::span<const console_function> console_catalog_functions() {
    // clang-format off
    static const console_function table[] = {
        {"DB_NAME", text, -1, database_name},
        {"DB_ID", number, -1, database_id},
        {"HAS_DBACCESS", number, -1, may_enter},
        {"DATABASEPROPERTYEX", text, -1, database_property},
        {"DATABASEPROPERTY", number, -1, [](console_world &w, arguments a) { return yes_or_null(!console_is_null(may_enter(w, a)), 0); }},
        {"OBJECT_ID", number, -1, object_id},
        {"OBJECT_NAME", text, -1, object_name},
        {"OBJECT_SCHEMA_NAME", text, -1, object_schema},
        {"OBJECTPROPERTY", number, -1, object_property},
        {"OBJECTPROPERTYEX", number, -1, object_property},
        {"OBJECT_DEFINITION", text, -1, nothing},
        {"COLUMNPROPERTY", number, -1, column_property},
        {"INDEXPROPERTY", number, -1, nothing},
        {"INDEX_COL", text, -1, nothing},
        {"TYPEPROPERTY", number, -1, nothing},
        {"COL_NAME", text, -1, column_name},
        {"COL_LENGTH", number, -1, nothing},
        {"FILEGROUP_NAME", text, -1, nothing},
        {"FILE_NAME", text, -1, nothing},
        {"SCHEMA_NAME", text, -1, schema_name},
        {"SCHEMA_ID", number, -1, schema_id},
        {"TYPE_NAME", text, -1, type_name},
        {"TYPE_ID", number, -1, type_number},
        {"USER_ID", number, -1, one},
        {"DATABASE_PRINCIPAL_ID", number, -1, one},
        {"SUSER_ID", number, -1, [](console_world &, arguments) { return console_number_value(256); }},
        {"SUSER_SID", console_type_of(base_t::binary, 85), -1, nothing},
        {"HAS_PERMS_BY_NAME", number, -1, has_permission},
        {"PERMISSIONS", number, -1, zero},
        {"IS_SRVROLEMEMBER", number, -1, is_member},
        {"IS_MEMBER", number, -1, is_member},
        {"IS_ROLEMEMBER", number, -1, is_member},
        {"CONNECTIONPROPERTY", text, -1, connection_property},
        {"SESSIONPROPERTY", number, -1, session_property},
        {"COLLATIONPROPERTY", number, -1, collation_property},
        {"FULLTEXTSERVICEPROPERTY", number, -1, zero},
        {"FULLTEXTCATALOGPROPERTY", number, -1, zero},
        {"SESSION_CONTEXT", text, -1, nothing},
        {"CONTEXT_INFO", console_type_of(base_t::binary, 128), -1, nothing},
        {"CURSOR_STATUS", number, -1, [](console_world &, arguments) { return console_number_value(-3); }},
        {"IDENT_CURRENT", number, -1, nothing},
        {"STATS_DATE", text, -1, nothing},
    };
    // clang-format on
    return table;
}
