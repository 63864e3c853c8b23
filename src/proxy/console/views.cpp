// The table of the admin console's system views that have rows, or whose columns matter. Queries in it are run by the
// console itself (query.cpp); #.views and #.columns are what SHOW says (catalog.cpp).
#include "proxy/console/catalog.h"

static constexpr const char databases[] =
    "name, database_id i, owner_sid v, create_date d, source_database_id i=, compatibility_level t=150, "
    "collation_name=SQL_Latin1_General_CP1_CI_AS, user_access t=0, user_access_desc=MULTI_USER, is_read_only b=0, "
    "is_auto_close_on b=0, is_auto_shrink_on b=0, state t=0, state_desc=ONLINE, is_in_standby b=0, "
    "is_cleanly_shutdown b=0, is_supplemental_logging_enabled b=0, snapshot_isolation_state t=0, "
    "snapshot_isolation_state_desc=OFF, is_read_committed_snapshot_on b=0, recovery_model t=3, "
    "recovery_model_desc=SIMPLE, page_verify_option t=0, page_verify_option_desc=NONE, is_auto_create_stats_on b=0, "
    "is_auto_create_stats_incremental_on b=0, is_auto_update_stats_on b=0, is_auto_update_stats_async_on b=0, "
    "is_ansi_null_default_on b=0, is_ansi_nulls_on b=0, is_ansi_padding_on b=0, is_ansi_warnings_on b=0, "
    "is_arithabort_on b=0, is_concat_null_yields_null_on b=0, is_numeric_roundabort_on b=0, "
    "is_quoted_identifier_on b=0, is_recursive_triggers_on b=0, is_cursor_close_on_commit_on b=0, "
    "is_local_cursor_default b=0, is_fulltext_enabled b=0, is_trustworthy_on b=0, is_db_chaining_on b=0, "
    "is_parameterization_forced b=0, is_master_key_encrypted_by_server b=0, is_published b=0, is_subscribed b=0, "
    "is_merge_published b=0, is_distributor b=0, is_sync_with_backup b=0, "
    "service_broker_guid g=00000000-0000-0000-0000-000000000000, is_broker_enabled b=0, log_reuse_wait t=0, "
    "log_reuse_wait_desc=NOTHING, is_date_correlation_on b=0, is_cdc_enabled b=0, is_encrypted b=0, "
    "is_honor_broker_priority_on b=0, replica_id g=, group_database_id g=, default_language_lcid s=, "
    "default_language_name=, default_fulltext_language_lcid i=, default_fulltext_language_name=, "
    "is_nested_triggers_on b=, is_transform_noise_words_on b=, two_digit_year_cutoff s=, containment t=0, "
    "containment_desc=NONE, target_recovery_time_in_seconds i=0, delayed_durability i=0, "
    "delayed_durability_desc=DISABLED, is_memory_optimized_elevate_to_snapshot_on b=0, is_federation_member b=0, "
    "is_remote_data_archive_enabled b=0, is_mixed_page_allocation_on b=0, resource_pool_id i=, catalog_collation_type "
    "i=0, "
    "catalog_collation_type_desc=DATABASE_DEFAULT, physical_database_name=, is_ledger_on b=0";
static constexpr const char databases_rows[] =
    "SELECT name, id, 0x01, @@STARTED FROM (VALUES ('master', 1), ('tdsbouncer', 5)) AS d(name, id)";

static constexpr const char objects[] =
    "name, object_id i, create_date d, modify_date d, principal_id i=, schema_id i=1, parent_object_id i=0, type c=V, "
    "type_desc=VIEW, is_ms_shipped b=0, is_published b=0, is_schema_published b=0, is_replicated b=0, "
    "has_replication_filter b=0, has_opaque_metadata b=0, has_unchecked_assembly_data b=0, with_check_option b=0, "
    "is_date_correlation_view b=0, is_tracked_by_cdc b=0, has_snapshot b=0, ledger_view_type t=0, "
    "is_dropped_ledger_view b=0";
static constexpr const char objects_rows[] = "SELECT name, object_id, @@STARTED, @@STARTED FROM #.views";

static constexpr const char columns[] =
    "object_id i, name, column_id i, system_type_id t, user_type_id i, max_length s, precision t, collation_name, "
    "scale t=0, is_nullable b=1, is_ansi_padded b=1, is_rowguidcol b=0, is_identity b=0, is_computed b=0, "
    "is_filestream b=0, is_replicated b=0, is_non_sql_subscribed b=0, is_merge_published b=0, is_dts_replicated b=0, "
    "is_xml_document b=0, xml_collection_id i=0, default_object_id i=0, rule_object_id i=0, is_sparse b=0, "
    "is_column_set b=0, generated_always_type t=0, generated_always_type_desc=NOT_APPLICABLE, encryption_type i=, "
    "encryption_type_desc=, encryption_algorithm_name=, column_encryption_key_id i=, "
    "column_encryption_key_database_name=, is_hidden b=0, is_masked b=0, graph_type i=, graph_type_desc=, "
    "is_data_deletion_filter_column b=0, ledger_view_column_type i=, is_dropped_ledger_column b=0";
static constexpr const char columns_rows[] =
    "SELECT object_id, name, column_id, type_id, type_id, max_length, precision, collation_name FROM #.columns";

static constexpr const char types[] =
    "name, system_type_id t, max_length s, precision t, scale t, user_type_id i, schema_id i=4, principal_id i=, "
    "collation_name=, is_nullable b=1, is_user_defined b=0, is_assembly_type b=0, default_object_id i=0, "
    "rule_object_id i=0, is_table_type b=0";
// Those of SQL Server that the console has values of.
static constexpr const char types_rows[] =
    "SELECT name, id, size, digits, scale, user_id FROM (VALUES ('bit', 104, 1, 1, 0, 104), ('tinyint', 48, 1, 3, 0, "
    "48), "
    "('smallint', 52, 2, 5, 0, 52), ('int', 56, 4, 10, 0, 56), ('bigint', 127, 8, 19, 0, 127), "
    "('float', 62, 8, 53, 0, 62), ('datetime', 61, 8, 23, 3, 61), ('uniqueidentifier', 36, 16, 0, 0, 36), "
    "('varbinary', 165, 8000, 0, 0, 165), ('nvarchar', 231, 8000, 0, 0, 231), ('sysname', 231, 256, 0, 0, 256)) "
    "AS t(name, id, size, digits, scale, user_id)";

static constexpr const char schemas_rows[] =
    "SELECT name, id, id FROM (VALUES ('dbo', 1), ('guest', 2), ('INFORMATION_SCHEMA', 3), ('sys', 4)) AS s(name, id)";

static constexpr const char principals[] =
    "name, principal_id i, type c, type_desc, default_schema_name, sid v, create_date d, modify_date d, "
    "owning_principal_id i=, is_fixed_role b=0, authentication_type i=0, authentication_type_desc=NONE, "
    "default_language_name=, default_language_lcid i=, allow_encrypted_value_modifications b=0";
static constexpr const char principals_rows[] =
    "SELECT name, id, type, CASE type WHEN 'R' THEN 'DATABASE_ROLE' ELSE 'SQL_USER' END, "
    "CASE type WHEN 'S' THEN 'dbo' END, NULL, @@STARTED, @@STARTED FROM (VALUES ('public', 0, 'R'), ('dbo', 1, 'S'), "
    "('guest', 2, 'S'), ('INFORMATION_SCHEMA', 3, 'S'), ('sys', 4, 'S')) AS p(name, id, type)";

static constexpr const char logins[] =
    "name, principal_id i, sid v, create_date d, modify_date d, type c=S, type_desc=SQL_LOGIN, is_disabled b=0, "
    "default_database_name=tdsbouncer, default_language_name=us_english, credential_id i=, owning_principal_id i=, "
    "is_fixed_role b=0, is_policy_checked b=0, is_expiration_checked b=0";
static constexpr const char logins_rows[] = "SELECT ORIGINAL_LOGIN(), 256, NULL, @@STARTED, @@STARTED";

static constexpr const char sessions[] =
    "session_id s, login_name, original_login_name, host_name, program_name, database_id s, login_time d, "
    "is_user_process b=1, status=running, authenticating_database_id i=1, open_transaction_count i=0, "
    "text_size i=2147483647, language=us_english, date_format=mdy, date_first s=7, quoted_identifier b=1, arithabort "
    "b=0, "
    "ansi_null_dflt_on b=1, ansi_defaults b=0, ansi_warnings b=1, ansi_padding b=1, ansi_nulls b=1, "
    "concat_null_yields_null b=1, transaction_isolation_level s=2, lock_timeout i=-1, deadlock_priority i=0, "
    "row_count l=0, prev_error i=0, cpu_time i=0, memory_usage i=0, reads l=0, writes l=0, logical_reads l=0";
static constexpr const char sessions_rows[] =
    "SELECT @@SPID, ORIGINAL_LOGIN(), ORIGINAL_LOGIN(), HOST_NAME(), APP_NAME(), DB_ID(), GETDATE()";

// SMO reads these five, by their places.
static constexpr const char configurations_rows[] =
    "SELECT id, name, value, value FROM (VALUES (115, 'nested triggers', 1), (124, 'default language', 0), "
    "(1126, 'default full-text language', 1033), (1127, 'two digit year cutoff', 2049), (1555, 'transform noise "
    "words', 0)) "
    "AS c(id, name, value)";

static constexpr const char properties_rows[] =
    "SELECT object_id, 0, help FROM #.views UNION ALL SELECT object_id, column_id, help FROM #.columns";

static constexpr const char information_columns[] =
    "TABLE_CATALOG, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION i, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH i, "
    "CHARACTER_OCTET_LENGTH i, NUMERIC_PRECISION t, NUMERIC_PRECISION_RADIX s, NUMERIC_SCALE i, CHARACTER_SET_NAME, "
    "COLLATION_NAME, TABLE_SCHEMA=dbo, COLUMN_DEFAULT=, IS_NULLABLE=YES, DATETIME_PRECISION s=, "
    "CHARACTER_SET_CATALOG=, "
    "CHARACTER_SET_SCHEMA=, COLLATION_CATALOG=, COLLATION_SCHEMA=, DOMAIN_CATALOG=, DOMAIN_SCHEMA=, DOMAIN_NAME=";
static constexpr const char information_columns_rows[] =
    "SELECT DB_NAME(), v.name, c.name, c.column_id, c.type_name, "
    "CASE c.type_id WHEN 231 THEN c.max_length / 2 END, CASE c.type_id WHEN 231 THEN c.max_length END, "
    "CASE WHEN c.type_id <> 231 THEN c.precision END, CASE WHEN c.type_id <> 231 THEN 10 END, "
    "CASE WHEN c.type_id <> 231 THEN 0 END, CASE c.type_id WHEN 231 THEN 'UNICODE' END, c.collation_name "
    "FROM #.columns c JOIN #.views v ON v.object_id = c.object_id";

// Those of SQL Server 2000, which some tools still ask.
static constexpr const char old_objects[] =
    "name, id i, crdate d, refdate d, xtype c=V, uid s=1, info s=0, status i=0, base_schema_ver i=0, replinfo i=0, "
    "parent_obj i=0, ftcatid s=0, schema_ver i=0, stats_schema_ver i=0, type c=V, userstat s=0, sysstat s=0, indexdel "
    "s=0, "
    "version i=0, deltrig i=0, instrig i=0, updtrig i=0, seltrig i=0, category i=0, cache s=0";
static constexpr const char old_databases[] = "name, dbid s, sid v, crdate d, mode s=0, status i=0, status2 i=0, "
                                              "category i=0, cmptlevel t=150, filename=, version s=0";
static constexpr const char old_columns[] =
    "id i, name, colid s, xtype t, xusertype s, length s, prec s, collation, scale i=0, colorder s=0, cdefault i=0, "
    "isnullable i=1, iscomputed i=0, isoutparam i=0, status t=0, type t=0, usertype s=0";

static constexpr console_view table[] = {
    {"sys", "databases", databases, databases_rows},
    {"sys", "objects", objects, objects_rows},
    {"sys", "all_objects", objects, objects_rows},
    {"sys", "views", objects, objects_rows},
    {"sys", "all_views", objects, objects_rows},
    {"sys", "columns", columns, columns_rows},
    {"sys", "all_columns", columns, columns_rows},
    {"sys", "types", types, types_rows},
    {"sys", "schemas", "name, schema_id i, principal_id i", schemas_rows},
    {"sys", "database_principals", principals, principals_rows},
    {"sys", "server_principals", logins, logins_rows},
    {"sys", "sql_logins", logins, logins_rows},
    {"sys", "dm_exec_sessions", sessions, sessions_rows},
    {"sys", "dm_os_host_info",
     "host_platform, host_distribution=, host_release=, host_service_pack_level=, host_sku i=, os_language_version "
     "i=1033",
     "SELECT 'Linux'"},
    {"sys", "extended_properties",
     "major_id i, minor_id i, value m, class t=1, class_desc=OBJECT_OR_COLUMN, name=MS_Description", properties_rows},
    {"INFORMATION_SCHEMA", "SCHEMATA",
     "CATALOG_NAME, SCHEMA_NAME, SCHEMA_OWNER, DEFAULT_CHARACTER_SET_CATALOG=, DEFAULT_CHARACTER_SET_SCHEMA=, "
     "DEFAULT_CHARACTER_SET_NAME=iso_1",
     "SELECT DB_NAME(), name, name FROM sys.schemas"},
    {"INFORMATION_SCHEMA", "TABLES", "TABLE_CATALOG, TABLE_NAME, TABLE_SCHEMA=dbo, TABLE_TYPE=VIEW",
     "SELECT DB_NAME(), name FROM #.views"},
    {"INFORMATION_SCHEMA", "VIEWS",
     "TABLE_CATALOG, TABLE_NAME, TABLE_SCHEMA=dbo, VIEW_DEFINITION m=, CHECK_OPTION=NONE, IS_UPDATABLE=NO",
     "SELECT DB_NAME(), name FROM #.views"},
    {"INFORMATION_SCHEMA", "COLUMNS", information_columns, information_columns_rows},
    {"sys", "sysobjects", old_objects, objects_rows},
    {"sys", "sysdatabases", old_databases, databases_rows},
    {"sys", "syscolumns", old_columns, columns_rows},
    {"sys", "sysusers", "name, uid s, issqluser i, islogin i, isntuser i=0, issqlrole i=0, hasdbaccess i=1, gid s=0",
     "SELECT name, schema_id, 1, 1 FROM sys.schemas"},
    {"sys", "systypes",
     "name, xtype t, length s, prec s, scale t, xusertype s, status t=0, allownulls b=1, variable b=0", types_rows},
    {"sys", "tables", objects, nullptr},
    {"sys", "configurations",
     "configuration_id i, name, value i, value_in_use i, minimum i=0, maximum i=2147483647, description=, is_dynamic "
     "b=1, "
     "is_advanced b=1",
     configurations_rows},
    {"sys", "syslanguages", "langid s, name, alias, lcid i, dateformat=mdy, datefirst t=7",
     "SELECT 0, 'us_english', 'English', 1033"},
    {"sys", "fulltext_languages", "lcid i, name", "SELECT 1033, 'English'"},
};

std::span<const console_view> console_views() {
    return table;
}
