#include "proxy/console/functions.h"

#include <algorithm>

#include <strings.h>

#include "proxy/console/console.h"

using arguments = std::span<const console_value>;
using base_t = tds_result_type;

static constexpr console_type text = console_type_of(base_t::text, 128);
static constexpr console_type long_text = console_type_of(base_t::text, 300);
static constexpr console_type number = console_type_of(base_t::integer);
static constexpr console_type big = console_type_of(base_t::bigint);
static constexpr console_type time_type = console_type_of(base_t::datetime);

template <int64_t N> static console_value constant(console_world &, arguments) {
    return console_number_value(N);
}

static console_value nothing(console_world &, arguments) {
    return {};
}

// ---- @@ --------------------------------------------------------------------------------------------------------

// clang-format off
static const console_function globals[] = {
    {"@@VERSION", long_text, -1, [](console_world &w, arguments) { return console_text_value(w.facts.version); }},
    {"@@SERVERNAME", text, -1, [](console_world &w, arguments) { return console_text_value(w.facts.server_name); }},
    {"@@SPID", number, -1, [](console_world &w, arguments) { return console_number_value(w.facts.spid); }},
    {"@@TRANCOUNT", number, -1, [](console_world &w, arguments) { return console_number_value(w.facts.transactions); }},
    {"@@ERROR", number, -1, [](console_world &w, arguments) { return console_number_value(w.facts.last_error); }},
    {"@@ROWCOUNT", number, -1, [](console_world &w, arguments) { return console_number_value(w.facts.last_rows); }},
    {"@@MICROSOFTVERSION", number, -1, [](console_world &w, arguments) { return console_number_value(int64_t{w.facts.product_major} << 24); }},
    {"@@LANGUAGE", text, -1, [](console_world &, arguments) { return console_text_value("us_english"); }},
    {"@@SERVICENAME", text, -1, [](console_world &, arguments) { return console_text_value("MSSQLSERVER"); }},
    {"@@MAX_PRECISION", number, -1, constant<38>},
    {"@@DATEFIRST", number, -1, constant<7>},
    {"@@LOCK_TIMEOUT", number, -1, constant<-1>},
    {"@@TEXTSIZE", number, -1, constant<INT32_MAX>},
    {"@@OPTIONS", number, -1, constant<5496>},
    {"@@NESTLEVEL", number, -1, constant<0>},
    {"@@LANGID", number, -1, constant<0>},
    {"@@FETCH_STATUS", number, -1, constant<-1>},
    {"@@CURSOR_ROWS", number, -1, constant<0>},
    {"@@PROCID", number, -1, constant<0>},
    {"@@MAX_CONNECTIONS", number, -1, constant<32767>},
    {"@@IDENTITY", big, -1, nothing},
    {"@@STARTED", time_type, -1, [](console_world &w, arguments) { return console_text_value(console_time(w.facts.started)); }}, // the table of views asks it
};

// ---- the session -----------------------------------------------------------------------------------------------

static console_value user_name(console_world &w, arguments) {
    return console_text_value(w.facts.user);
}
static console_value now(console_world &w, arguments) {
    return console_text_value(console_time(w.facts.unix_time));
}
static console_value caught(const console_world &w, const console_value &v) {
    return w.caught.number != 0 ? v : console_value();
}

static const console_function niladic[] = {
    {"CURRENT_TIMESTAMP", time_type, -1, now},
    {"CURRENT_USER", text, -1, user_name},
    {"SESSION_USER", text, -1, user_name},
    {"SYSTEM_USER", text, -1, user_name},
    {"USER", text, -1, user_name},
};

static const console_function functions[] = {
    {"ORIGINAL_DB_NAME", text, -1, [](console_world &, arguments) { return console_text_value(console_database); }},
    {"SUSER_SNAME", text, -1, user_name},
    {"SUSER_NAME", text, -1, user_name},
    {"ORIGINAL_LOGIN", text, -1, user_name},
    {"USER_NAME", text, -1, user_name},
    {"HOST_NAME", text, -1, [](console_world &w, arguments) { return console_text_value(w.facts.host); }},
    {"APP_NAME", text, -1, [](console_world &w, arguments) { return console_text_value(w.facts.application); }},
    {"PROGRAM_NAME", text, -1, [](console_world &w, arguments) { return console_text_value(w.facts.application); }},
    {"GETDATE", time_type, -1, now},
    {"GETUTCDATE", time_type, -1, now},
    {"SYSDATETIME", time_type, -1, now},
    {"SYSUTCDATETIME", time_type, -1, now},
    {"XACT_STATE", number, -1, [](console_world &w, arguments) { return console_number_value(w.facts.transactions > 0); }},
    {"SCOPE_IDENTITY", big, -1, nothing},
    {"ROWCOUNT_BIG", big, -1, [](console_world &w, arguments) { return console_number_value(w.facts.last_rows); }},
    {"ERROR_NUMBER", number, -1, [](console_world &w, arguments) { return caught(w, console_number_value(w.caught.number)); }},
    {"ERROR_MESSAGE", long_text, -1, [](console_world &w, arguments) { return caught(w, console_text_value(w.caught.text)); }},
    {"ERROR_SEVERITY", number, -1, [](console_world &w, arguments) { return caught(w, console_number_value(16)); }},
    {"ERROR_STATE", number, -1, [](console_world &w, arguments) { return caught(w, console_number_value(1)); }},
    {"ERROR_LINE", number, -1, [](console_world &w, arguments) { return caught(w, console_number_value(1)); }},
    {"ERROR_PROCEDURE", text, -1, nothing},
};

// ---- SERVERPROPERTY --------------------------------------------------------------------------------------------

static console_value server_name(console_world &w, arguments) {
    return console_text_value(w.facts.server_name);
}
static console_value version(console_world &w, arguments) {
    return console_text_value(w.facts.product_version);
}
static console_value empty(console_world &, arguments) {
    return console_text_value("");
}

static const console_function properties[] = {
    {"PRODUCTVERSION", text, -1, version},
    {"RESOURCEVERSION", text, -1, version},
    {"PRODUCTMAJORVERSION", text, -1, [](console_world &w, arguments) { return console_text_value(std::to_string(w.facts.product_major)); }},
    {"PRODUCTMINORVERSION", text, -1, [](console_world &, arguments) { return console_text_value("0"); }},
    {"SERVERNAME", text, -1, server_name},
    {"MACHINENAME", text, -1, server_name},
    {"COMPUTERNAMEPHYSICALNETBIOS", text, -1, server_name},
    {"PRODUCTLEVEL", text, -1, [](console_world &, arguments) { return console_text_value("RTM"); }},
    {"EDITION", text, -1, [](console_world &, arguments) { return console_text_value("tdsbouncer admin console"); }},
    {"ENGINEEDITION", number, -1, constant<3>},
    {"EDITIONID", big, -1, constant<0>},
    {"COLLATION", text, -1, [](console_world &, arguments) { return console_text_value("SQL_Latin1_General_CP1_CI_AS"); }},
    {"COLLATIONID", number, -1, constant<872468488>},
    {"SQLCHARSET", number, -1, constant<1>},
    {"SQLCHARSETNAME", text, -1, [](console_world &, arguments) { return console_text_value("iso_1"); }},
    {"SQLSORTORDER", number, -1, constant<52>},
    {"SQLSORTORDERNAME", text, -1, [](console_world &, arguments) { return console_text_value("nocase_iso"); }},
    {"LCID", number, -1, constant<1033>},
    {"COMPARISONSTYLE", number, -1, constant<196609>},
    {"BUILDCLRVERSION", text, -1, [](console_world &, arguments) { return console_text_value("v4.0.30319"); }},
    {"PATHSEPARATOR", text, -1, [](console_world &, arguments) { return console_text_value("/"); }},
    {"LICENSETYPE", text, -1, [](console_world &, arguments) { return console_text_value("DISABLED"); }},
    {"INSTANCEDEFAULTDATAPATH", text, -1, empty},
    {"INSTANCEDEFAULTLOGPATH", text, -1, empty},
    {"INSTANCEDEFAULTBACKUPPATH", text, -1, empty},
    {"ERRORLOGFILENAME", text, -1, empty},
    {"FILESTREAMSHARENAME", text, -1, empty},
    {"FILESTREAMCONFIGUREDLEVEL", number, -1, constant<0>},
    {"FILESTREAMEFFECTIVELEVEL", number, -1, constant<0>},
    {"HADRMANAGERSTATUS", number, -1, constant<2>},
    {"ISCLUSTERED", number, -1, constant<0>},
    {"ISHADRENABLED", number, -1, constant<0>},
    {"ISFULLTEXTINSTALLED", number, -1, constant<0>},
    {"ISXTPSUPPORTED", number, -1, constant<0>},
    {"ISPOLYBASEINSTALLED", number, -1, constant<0>},
    {"ISSINGLEUSER", number, -1, constant<0>},
    {"ISLOCALDB", number, -1, constant<0>},
    {"ISADVANCEDANALYTICSINSTALLED", number, -1, constant<0>},
    {"ISINTEGRATEDSECURITYONLY", number, -1, constant<0>},
};
// clang-format on

// ---- looking them up -------------------------------------------------------------------------------------------

static const console_function *find(std::span<const console_function> table, const std::string &name) {
    for (const console_function &f : table)
        if (strcasecmp(f.name, name.c_str()) == 0)
            return &f;
    return nullptr;
}

const console_function *console_find_global(const std::string &upper) {
    return find(globals, upper);
}

const console_function *console_find_niladic(const std::string &name) {
    return find(niladic, name);
}

const console_function *console_find_property(const std::string &name) {
    return find(properties, name);
}

const console_function *console_find_function(const std::string &upper) {
    for (std::span<const console_function> table :
         {std::span<const console_function>(functions), console_catalog_functions(), console_text_functions()})
        if (const console_function *found = find(table, upper); found != nullptr)
            return found;
    return console_find_niladic(upper);
}
