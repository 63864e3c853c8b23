#include "tds/tsql_known.h"

#include <algorithm>
#include <iterator>

struct known_row {
    std::string_view name; // a `*` at its end: all that begin so
    tsql_known effect;
};

static constexpr tsql_known quiet = tsql_known::quiet;
static constexpr tsql_known handle = tsql_known::handle;

static constexpr known_row rows[] = {
    // What says something of its own, before the patterns that would cover it.
    {"sp_executesql", tsql_known::execute_sql},
    {"sp_sqlexec", tsql_known::runs_text},
    {"sp_msforeachdb", tsql_known::runs_text},
    {"sp_msforeachtable", tsql_known::runs_text},
    {"sp_msforeach_worker", tsql_known::runs_text},
    {"sp_execute_external_script", quiet},
    {"sp_set_session_context", tsql_known::session_context},
    {"sp_getapplock", tsql_known::get_app_lock},
    {"sp_releaseapplock", tsql_known::release_app_lock},
    {"sp_setapprole", tsql_known::set_app_role},
    {"sp_unsetapprole", tsql_known::unset_app_role},
    {"sp_bindsession", tsql_known::bind_session},
    {"sp_getbindtoken", tsql_known::bind_session},
    {"sp_reset_connection", tsql_known::unknown},
    {"sp_babelfish_configure", tsql_known::unknown},
    // Handles.
    {"sp_xml_preparedocument", handle},
    {"sp_xml_removedocument", quiet},
    {"sp_oacreate", handle},
    {"sp_oamethod", handle},
    {"sp_oagetproperty", handle},
    {"sp_oasetproperty", quiet},
    {"sp_oageterrorinfo", quiet},
    {"sp_oadestroy", quiet},
    {"sp_oastop", quiet},
    {"sp_prepare", handle},
    {"sp_prepexec", handle},
    {"sp_prepexecrpc", handle},
    {"sp_execute", handle},
    {"sp_unprepare", handle},
    {"sp_cursor_list", quiet},
    {"sp_cursor", handle},
    {"sp_cursorclose", handle},
    {"sp_cursorexecute", handle},
    {"sp_cursorfetch", handle},
    {"sp_cursoropen", handle},
    {"sp_cursoroption", handle},
    {"sp_cursorprepare", handle},
    {"sp_cursorprepexec", handle},
    {"sp_cursorunprepare", handle},
    // Catalogs: those of ODBC, OLE DB (_rowset) and of other servers (_ex) among them.
    {"sp_help*", quiet},
    {"sp_columns*", quiet},
    {"sp_tables*", quiet},
    {"sp_table_*", quiet},
    {"sp_tablecollations*", quiet}, // SqlClient's bulk copy
    {"sp_pkeys", quiet},
    {"sp_fkeys", quiet},
    {"sp_primary_keys*", quiet},
    {"sp_primarykeys", quiet},
    {"sp_foreign_keys*", quiet},
    {"sp_foreignkeys", quiet},
    {"sp_statistics*", quiet},
    {"sp_sproc_columns*", quiet},
    {"sp_stored_procedures*", quiet},
    {"sp_procedures_rowset*", quiet},
    {"sp_procedure_params*", quiet},
    {"sp_databases", quiet},
    {"sp_datatype_info*", quiet},
    {"sp_server_info", quiet},
    {"sp_special_columns*", quiet},
    {"sp_column_privileges*", quiet},
    {"sp_catalogs*", quiet},
    {"sp_schemata_rowset*", quiet},
    {"sp_views_rowset*", quiet},
    {"sp_indexes*", quiet},
    {"sp_provider_types*", quiet},
    {"sp_linkedservers*", quiet},
    {"sp_testlinkedserver", quiet},
    {"sp_describe_*", quiet},
    {"sp_depends", quiet},
    {"sp_msdependencies", quiet},
    {"sp_mshelp*", quiet},
    {"sp_who*", quiet},
    {"sp_lock", quiet},
    {"sp_spaceused", quiet},
    {"sp_monitor", quiet},
    {"sp_validname", quiet},
    {"sp_validlogins", quiet},
    {"sp_srvrolepermission", quiet},
    {"sp_dbfixedrolepermission", quiet},
    {"sp_estimate_data_compression_savings", quiet},
    {"sp_sequence_get_range", quiet},
    // What changes the server or a database, and nothing in the session.
    {"sp_add*", quiet},
    {"sp_drop*", quiet},
    {"sp_grant*", quiet},
    {"sp_revoke*", quiet},
    {"sp_deny*", quiet},
    {"sp_rename*", quiet},
    {"sp_configure", quiet},
    {"sp_serveroption", quiet},
    {"sp_dboption", quiet},
    {"sp_dbcmptlevel", quiet},
    {"sp_tableoption", quiet},
    {"sp_indexoption", quiet},
    {"sp_procoption", quiet},
    {"sp_autostats", quiet},
    {"sp_createstats", quiet},
    {"sp_updatestats", quiet},
    {"sp_updateextendedproperty", quiet},
    {"sp_recompile", quiet},
    {"sp_refreshview", quiet},
    {"sp_refreshsqlmodule", quiet},
    {"sp_bindrule", quiet},
    {"sp_unbindrule", quiet},
    {"sp_bindefault", quiet},
    {"sp_unbindefault", quiet},
    {"sp_settriggerorder", quiet},
    {"sp_changedbowner", quiet},
    {"sp_changeobjectowner", quiet},
    {"sp_change_users_login", quiet},
    {"sp_altermessage", quiet},
    {"sp_approlepassword", quiet},
    {"sp_password", quiet},
    {"sp_defaultdb", quiet},
    {"sp_defaultlanguage", quiet},
    {"sp_attach_*", quiet},
    {"sp_detach_*", quiet},
    {"sp_certify_removable", quiet},
    {"sp_create_plan_guide*", quiet},
    {"sp_control_plan_guide", quiet},
    {"sp_query_store_*", quiet},
    {"sp_invalidate_textptr", quiet},
    {"sp_cycle_errorlog", quiet},
    {"sp_trace_*", quiet}, // traces are the server's
    {"sp_fulltext_*", quiet},
    {"sp_send_dbmail", quiet},
    {"sp_start_job", quiet},
    {"sp_stop_job", quiet},
    {"sp_update_job*", quiet},
    {"sp_delete_*", quiet},
    {"sp_purge_*", quiet},
    // Extended ones run outside.
    {"xp_msver", quiet},
    {"xp_cmdshell", quiet},
    {"xp_fixeddrives", quiet},
    {"xp_dirtree", quiet},
    {"xp_subdirs", quiet},
    {"xp_fileexist", quiet},
    {"xp_create_subdir", quiet},
    {"xp_delete_file", quiet},
    {"xp_logininfo", quiet},
    {"xp_loginconfig", quiet},
    {"xp_logevent", quiet},
    {"xp_readerrorlog", quiet},
    {"xp_enumerrorlogs", quiet},
    {"xp_enumgroups", quiet},
    {"xp_instance_reg*", quiet},
    {"xp_reg*", quiet},
    {"xp_servicecontrol", quiet},
    {"xp_sprintf", quiet},
    {"xp_sscanf", quiet},
    {"xp_qv", quiet},
};

static bool matches(std::string_view row, std::string_view name) {
    if (row.back() != '*')
        return row == name;
    row.remove_suffix(1);
    return name.starts_with(row);
}

tsql_known tsql_known_find(std::string_view lower) {
    if (!lower.starts_with("sp_") && !lower.starts_with("xp_"))
        return tsql_known::no;
    const auto *row =
        std::find_if(std::begin(rows), std::end(rows), [lower](const known_row &r) { return matches(r.name, lower); });
    return row == std::end(rows) ? tsql_known::no : row->effect;
}
