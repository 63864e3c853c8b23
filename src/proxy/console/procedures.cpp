#include "proxy/console/procedures.h"

#include <cstring>

#include <strings.h>

// @TABLE_TYPE is a list of names in quotes.
static constexpr char tables[] =
    "IF @TABLE_QUALIFIER = '%' AND @TABLE_OWNER = '' AND @TABLE_NAME = '' "
    "SELECT name AS TABLE_QUALIFIER, CAST(NULL AS sysname) AS TABLE_OWNER, CAST(NULL AS sysname) AS TABLE_NAME, "
    "CAST(NULL AS varchar(32)) AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS FROM sys.databases ORDER BY name "
    "ELSE IF @TABLE_OWNER = '%' AND @TABLE_QUALIFIER = '' AND @TABLE_NAME = '' "
    "SELECT CAST(NULL AS sysname) AS TABLE_QUALIFIER, name AS TABLE_OWNER, CAST(NULL AS sysname) AS TABLE_NAME, "
    "CAST(NULL AS varchar(32)) AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS FROM sys.schemas ORDER BY name "
    "ELSE IF @TABLE_TYPE = '%' AND @TABLE_QUALIFIER = '' AND @TABLE_OWNER = '' AND @TABLE_NAME = '' "
    "SELECT CAST(NULL AS sysname) AS TABLE_QUALIFIER, CAST(NULL AS sysname) AS TABLE_OWNER, "
    "CAST(NULL AS sysname) AS TABLE_NAME, CAST(t AS varchar(32)) AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS "
    "FROM (VALUES ('SYSTEM TABLE'), ('TABLE'), ('VIEW')) AS v(t) "
    "ELSE "
    "SELECT DB_NAME() AS TABLE_QUALIFIER, CAST('dbo' AS sysname) AS TABLE_OWNER, name AS TABLE_NAME, "
    "CAST('VIEW' AS varchar(32)) AS TABLE_TYPE, CAST(help AS varchar(254)) AS REMARKS FROM #.views "
    "WHERE (@TABLE_NAME IS NULL OR name LIKE @TABLE_NAME) AND (@TABLE_OWNER IS NULL OR 'dbo' LIKE @TABLE_OWNER) "
    "AND (@TABLE_QUALIFIER IS NULL OR DB_NAME() LIKE @TABLE_QUALIFIER) "
    "AND (@TABLE_TYPE IS NULL OR @TABLE_TYPE = '%' OR CHARINDEX('''VIEW''', @TABLE_TYPE) > 0 OR @TABLE_TYPE = 'VIEW') "
    "ORDER BY TABLE_NAME";

// The columns that all forms of it begin with, and those that follow.
#define COLUMNS_FRONT                                                                                                  \
    "SELECT DB_NAME() AS TABLE_QUALIFIER, CAST('dbo' AS sysname) AS TABLE_OWNER, v.name AS TABLE_NAME, "               \
    "c.name AS COLUMN_NAME, CAST(CASE c.type_id WHEN 231 THEN -9 WHEN 127 THEN -5 ELSE 4 END AS smallint) AS "         \
    "DATA_TYPE, "                                                                                                      \
    "CAST(c.type_name AS sysname) AS TYPE_NAME, CASE c.type_id WHEN 231 THEN c.max_length / 2 ELSE c.precision END "   \
    "AS "                                                                                                              \
    "[PRECISION], c.max_length AS LENGTH, CAST(CASE WHEN c.type_id <> 231 THEN 0 END AS smallint) AS SCALE, "          \
    "CAST(CASE WHEN c.type_id <> 231 THEN 10 END AS smallint) AS RADIX, CAST(1 AS smallint) AS NULLABLE, "             \
    "CAST(c.help AS varchar(254)) AS REMARKS, CAST(NULL AS nvarchar(4000)) AS COLUMN_DEF, "                            \
    "CAST(CASE c.type_id WHEN 231 THEN -9 WHEN 127 THEN -5 ELSE 4 END AS smallint) AS SQL_DATA_TYPE, "                 \
    "CAST(NULL AS smallint) AS SQL_DATETIME_SUB, CASE c.type_id WHEN 231 THEN c.max_length END AS CHAR_OCTET_LENGTH, " \
    "c.column_id AS ORDINAL_POSITION, CAST('YES' AS varchar(254)) AS IS_NULLABLE, "
#define COLUMNS_BACK                                                                                                   \
    "CAST(CASE c.type_id WHEN 231 THEN 39 WHEN 127 THEN 108 ELSE 38 END AS tinyint) AS SS_DATA_TYPE "                  \
    "FROM #.views v JOIN #.columns c ON c.object_id = v.object_id "                                                    \
    "WHERE (@TABLE_NAME IS NULL OR v.name LIKE @TABLE_NAME) AND (@TABLE_OWNER IS NULL OR 'dbo' LIKE @TABLE_OWNER) "    \
    "AND (@TABLE_QUALIFIER IS NULL OR DB_NAME() LIKE @TABLE_QUALIFIER) "                                               \
    "AND (@COLUMN_NAME IS NULL OR c.name LIKE @COLUMN_NAME) ORDER BY v.name, c.column_id"
#define COLUMNS_100                                                                                                    \
    "CAST(0 AS smallint) AS SS_IS_SPARSE, CAST(0 AS smallint) AS SS_IS_COLUMN_SET, CAST(0 AS smallint) AS "            \
    "SS_IS_COMPUTED, CAST(0 AS smallint) AS SS_IS_IDENTITY, CAST(NULL AS sysname) AS SS_UDT_CATALOG_NAME, "            \
    "CAST(NULL AS sysname) AS SS_UDT_SCHEMA_NAME, CAST(NULL AS sysname) AS SS_UDT_ASSEMBLY_TYPE_NAME, "                \
    "CAST(NULL AS sysname) AS SS_XML_SCHEMACOLLECTION_CATALOG_NAME, "                                                  \
    "CAST(NULL AS sysname) AS SS_XML_SCHEMACOLLECTION_SCHEMA_NAME, CAST(NULL AS sysname) AS "                          \
    "SS_XML_SCHEMACOLLECTION_NAME, "
static constexpr char column_parameters[] =
    "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @COLUMN_NAME @NAMESCOPE @ODBCVER "
    "@FUSEPATTERN";
static constexpr char columns[] = COLUMNS_FRONT COLUMNS_BACK;
static constexpr char columns_100[] = COLUMNS_FRONT COLUMNS_100 COLUMNS_BACK;

// What has no rows: the names of its columns, and their types where they are no names.
static constexpr char keys[] =
    "SELECT CAST('' AS sysname) AS TABLE_QUALIFIER, CAST('' AS sysname) AS TABLE_OWNER, CAST('' AS sysname) AS "
    "TABLE_NAME, "
    "CAST('' AS sysname) AS COLUMN_NAME, CAST(0 AS smallint) AS KEY_SEQ, CAST('' AS sysname) AS PK_NAME WHERE 1 = 0";
static constexpr char foreign_keys[] =
    "SELECT CAST('' AS sysname) AS PKTABLE_QUALIFIER, CAST('' AS sysname) AS PKTABLE_OWNER, CAST('' AS sysname) AS "
    "PKTABLE_NAME, CAST('' AS sysname) AS PKCOLUMN_NAME, CAST('' AS sysname) AS FKTABLE_QUALIFIER, CAST('' AS sysname) "
    "AS "
    "FKTABLE_OWNER, CAST('' AS sysname) AS FKTABLE_NAME, CAST('' AS sysname) AS FKCOLUMN_NAME, CAST(0 AS smallint) AS "
    "KEY_SEQ, CAST(0 AS smallint) AS UPDATE_RULE, CAST(0 AS smallint) AS DELETE_RULE, CAST('' AS sysname) AS FK_NAME, "
    "CAST('' AS sysname) AS PK_NAME, CAST(0 AS smallint) AS DEFERRABILITY WHERE 1 = 0";
static constexpr char statistics[] =
    "SELECT CAST('' AS sysname) AS TABLE_QUALIFIER, CAST('' AS sysname) AS TABLE_OWNER, CAST('' AS sysname) AS "
    "TABLE_NAME, "
    "CAST(0 AS smallint) AS NON_UNIQUE, CAST('' AS sysname) AS INDEX_QUALIFIER, CAST('' AS sysname) AS INDEX_NAME, "
    "CAST(0 AS smallint) AS TYPE, CAST(0 AS smallint) AS SEQ_IN_INDEX, CAST('' AS sysname) AS COLUMN_NAME, CAST('' AS "
    "varchar(1)) AS COLLATION, 0 AS CARDINALITY, 0 AS PAGES, CAST('' AS varchar(128)) AS FILTER_CONDITION WHERE 1 = 0";
static constexpr char stored_procedures[] =
    "SELECT CAST('' AS sysname) AS PROCEDURE_QUALIFIER, CAST('' AS sysname) AS PROCEDURE_OWNER, CAST('' AS "
    "nvarchar(134)) AS "
    "PROCEDURE_NAME, 0 AS NUM_INPUT_PARAMS, 0 AS NUM_OUTPUT_PARAMS, 0 AS NUM_RESULT_SETS, CAST('' AS varchar(254)) AS "
    "REMARKS, CAST(0 AS smallint) AS PROCEDURE_TYPE WHERE 1 = 0";
static constexpr char procedure_columns[] =
    "SELECT CAST('' AS sysname) AS PROCEDURE_QUALIFIER, CAST('' AS sysname) AS PROCEDURE_OWNER, CAST('' AS "
    "nvarchar(134)) AS "
    "PROCEDURE_NAME, CAST('' AS sysname) AS COLUMN_NAME, CAST(0 AS smallint) AS COLUMN_TYPE, CAST(0 AS smallint) AS "
    "DATA_TYPE, CAST('' AS sysname) AS TYPE_NAME, 0 AS [PRECISION], 0 AS LENGTH, CAST(0 AS smallint) AS SCALE, CAST(0 "
    "AS "
    "smallint) AS RADIX, CAST(0 AS smallint) AS NULLABLE, CAST('' AS varchar(254)) AS REMARKS, CAST('' AS "
    "nvarchar(4000)) AS "
    "COLUMN_DEF, CAST(0 AS smallint) AS SQL_DATA_TYPE, CAST(0 AS smallint) AS SQL_DATETIME_SUB, 0 AS "
    "CHAR_OCTET_LENGTH, 0 AS "
    "ORDINAL_POSITION, CAST('' AS varchar(254)) AS IS_NULLABLE, CAST(0 AS tinyint) AS SS_DATA_TYPE WHERE 1 = 0";
static constexpr char special_columns[] =
    "SELECT CAST(0 AS smallint) AS SCOPE, CAST('' AS sysname) AS COLUMN_NAME, CAST(0 AS smallint) AS DATA_TYPE, "
    "CAST('' AS "
    "sysname) AS TYPE_NAME, 0 AS [PRECISION], 0 AS LENGTH, CAST(0 AS smallint) AS SCALE, CAST(0 AS smallint) AS "
    "PSEUDO_COLUMN WHERE 1 = 0";
static constexpr char table_privileges[] =
    "SELECT DB_NAME() AS TABLE_QUALIFIER, CAST('dbo' AS sysname) AS TABLE_OWNER, name AS TABLE_NAME, CAST('dbo' AS "
    "sysname) "
    "AS GRANTOR, CAST(USER_NAME() AS sysname) AS GRANTEE, CAST('SELECT' AS varchar(32)) AS PRIVILEGE, CAST('NO' AS "
    "varchar(3)) AS IS_GRANTABLE FROM #.views WHERE @TABLE_NAME IS NULL OR name LIKE @TABLE_NAME";
static constexpr char column_privileges[] =
    "SELECT DB_NAME() AS TABLE_QUALIFIER, CAST('dbo' AS sysname) AS TABLE_OWNER, v.name AS TABLE_NAME, c.name AS "
    "COLUMN_NAME, "
    "CAST('dbo' AS sysname) AS GRANTOR, CAST(USER_NAME() AS sysname) AS GRANTEE, CAST('SELECT' AS varchar(32)) AS "
    "PRIVILEGE, "
    "CAST('NO' AS varchar(3)) AS IS_GRANTABLE FROM #.views v JOIN #.columns c ON c.object_id = v.object_id "
    "WHERE (@TABLE_NAME IS NULL OR v.name LIKE @TABLE_NAME) AND (@COLUMN_NAME IS NULL OR c.name LIKE @COLUMN_NAME)";

// By ODBC's numbers, in their order; @DATA_TYPE 0 is all of them.
static constexpr char types[] =
    "SELECT CAST(name AS sysname) AS TYPE_NAME, CAST(id AS smallint) AS DATA_TYPE, size AS [PRECISION], "
    "CAST(prefix AS varchar(32)) AS LITERAL_PREFIX, CAST(suffix AS varchar(32)) AS LITERAL_SUFFIX, "
    "CAST(params AS varchar(32)) AS CREATE_PARAMS, CAST(1 AS smallint) AS NULLABLE, CAST(0 AS smallint) AS "
    "CASE_SENSITIVE, "
    "CAST(CASE id WHEN -9 THEN 3 WHEN 93 THEN 3 ELSE 2 END AS smallint) AS SEARCHABLE, CAST(unsigned AS smallint) AS "
    "UNSIGNED_ATTRIBUTE, CAST(0 AS smallint) AS MONEY, CAST(CASE WHEN unsigned IS NOT NULL THEN 0 END AS smallint) AS "
    "AUTO_INCREMENT, CAST(name AS sysname) AS LOCAL_TYPE_NAME, CAST(scale AS smallint) AS MINIMUM_SCALE, CAST(scale AS "
    "smallint) AS MAXIMUM_SCALE, CAST(CASE id WHEN 93 THEN 9 ELSE id END AS smallint) AS SQL_DATA_TYPE, "
    "CAST(CASE id WHEN 93 THEN 3 END AS smallint) AS SQL_DATETIME_SUB, CAST(CASE WHEN unsigned IS NOT NULL THEN 10 END "
    "AS int) "
    "AS NUM_PREC_RADIX, CAST(NULL AS smallint) AS INTERVAL_PRECISION, CAST(0 AS smallint) AS USERTYPE FROM (VALUES "
    "('uniqueidentifier', -11, 36, '''', '''', NULL, NULL, NULL), ('nvarchar', -9, 4000, 'N''', '''', 'max length', "
    "NULL, "
    "NULL), ('sysname', -9, 128, 'N''', '''', NULL, NULL, NULL), ('bit', -7, 1, NULL, NULL, NULL, NULL, 0), "
    "('tinyint', -6, 3, "
    "NULL, NULL, NULL, 1, 0), ('bigint', -5, 19, NULL, NULL, NULL, 0, 0), ('varbinary', -3, 8000, '0x', NULL, 'max "
    "length', "
    "NULL, NULL), ('int', 4, 10, NULL, NULL, NULL, 0, 0), ('smallint', 5, 5, NULL, NULL, NULL, 0, 0), ('float', 6, 53, "
    "NULL, "
    "NULL, NULL, 0, NULL), ('datetime', 93, 23, '''', '''', NULL, NULL, 3)) "
    "AS t(name, id, size, prefix, suffix, params, unsigned, scale) "
    "WHERE ISNULL(@DATA_TYPE, 0) = 0 OR id = @DATA_TYPE ORDER BY DATA_TYPE";

static constexpr char server_info[] =
    "SELECT id AS ATTRIBUTE_ID, CAST(name AS varchar(60)) AS ATTRIBUTE_NAME, CAST(value AS varchar(255)) AS "
    "ATTRIBUTE_VALUE "
    "FROM (VALUES (1, 'DBMS_NAME', 'Microsoft SQL Server'), (2, 'DBMS_VER', @@VERSION), (10, 'OWNER_TERM', 'owner'), "
    "(11, 'TABLE_TERM', 'table'), (12, 'MAX_OWNER_NAME_LENGTH', '128'), (13, 'TABLE_LENGTH', '128'), "
    "(14, 'MAX_QUAL_LENGTH', '128'), (15, 'COLUMN_LENGTH', '128'), (16, 'IDENTIFIER_CASE', 'MIXED'), (17, "
    "'TX_ISOLATION', "
    "'2'), (18, 'COLLATION_SEQ', 'charset=iso_1 sort_order=nocase_iso charset_num=1 sort_order_num=52'), (19, "
    "'SAVEPOINT_SUPPORT', 'Y'), (20, 'MULTI_RESULT_SETS', 'Y'), (22, 'ACCESSIBLE_TABLES', 'Y'), (100, 'USERID_LENGTH', "
    "'128'), "
    "(101, 'QUALIFIER_TERM', 'database'), (102, 'NAMED_TRANSACTIONS', 'Y'), (103, 'SPROC_AS_LANGUAGE', 'Y'), (104, "
    "'ACCESSIBLE_SPROC', 'Y'), (105, 'MAX_INDEX_COLS', '16'), (106, 'RENAME_TABLE', 'N'), (107, 'RENAME_COLUMN', 'N'), "
    "(108, "
    "'DROP_COLUMN', 'N'), (109, 'INCREASE_COLUMN_LENGTH', 'N'), (110, 'DDL_IN_TRANSACTION', 'N'), (111, "
    "'DESCENDING_INDEXES', 'N'), (112, 'SP_RENAME', 'N'), (113, 'REMOTE_SPROC', 'N'), (500, 'SYS_SPROC_VERSION', "
    "CAST(SERVERPROPERTY('ProductVersion') AS varchar(20)))) AS i(id, name, value) "
    "WHERE @ATTRIBUTE_ID IS NULL OR id = @ATTRIBUTE_ID ORDER BY 1";

static constexpr char help_databases[] =
    "SELECT name, CAST(NULL AS nvarchar(13)) AS db_size, CAST(USER_NAME() AS sysname) AS owner, CAST(database_id AS "
    "smallint) "
    "AS dbid, CAST(create_date AS nvarchar(11)) AS created, CAST('Status=ONLINE' AS nvarchar(600)) AS status, "
    "compatibility_level FROM sys.databases WHERE @DBNAME IS NULL OR name = @DBNAME ORDER BY name";

static constexpr console_procedure table[] = {
    {"sp_databases", "",
     "SELECT name AS DATABASE_NAME, CAST(NULL AS int) AS DATABASE_SIZE, CAST(NULL AS varchar(254)) AS REMARKS "
     "FROM sys.databases ORDER BY 1"},
    {"sp_tables", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @TABLE_TYPE @FUSEPATTERN", tables},
    {"sp_columns", column_parameters, columns},
    {"sp_columns_90", column_parameters, columns_100},
    {"sp_columns_100", column_parameters, columns_100},
    {"sp_columns_170", column_parameters, columns_100},
    {"sp_pkeys", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER", keys},
    {"sp_fkeys", "@PKTABLE_NAME @PKTABLE_OWNER @PKTABLE_QUALIFIER @FKTABLE_NAME @FKTABLE_OWNER @FKTABLE_QUALIFIER",
     foreign_keys},
    {"sp_statistics", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @INDEX_NAME @IS_UNIQUE @ACCURACY", statistics},
    {"sp_statistics_100", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @INDEX_NAME @IS_UNIQUE @ACCURACY", statistics},
    {"sp_special_columns", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @COL_TYPE @SCOPE @NULLABLE @ODBCVER",
     special_columns},
    {"sp_special_columns_90", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @COL_TYPE @SCOPE @NULLABLE @ODBCVER",
     special_columns},
    {"sp_special_columns_100", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @COL_TYPE @SCOPE @NULLABLE @ODBCVER",
     special_columns},
    {"sp_stored_procedures", "@SP_NAME @SP_OWNER @SP_QUALIFIER @FUSEPATTERN", stored_procedures},
    {"sp_sproc_columns", "@PROCEDURE_NAME @PROCEDURE_OWNER @PROCEDURE_QUALIFIER @COLUMN_NAME @ODBCVER @FUSEPATTERN",
     procedure_columns},
    {"sp_sproc_columns_90", "@PROCEDURE_NAME @PROCEDURE_OWNER @PROCEDURE_QUALIFIER @COLUMN_NAME @ODBCVER @FUSEPATTERN",
     procedure_columns},
    {"sp_sproc_columns_100", "@PROCEDURE_NAME @PROCEDURE_OWNER @PROCEDURE_QUALIFIER @COLUMN_NAME @ODBCVER @FUSEPATTERN",
     procedure_columns},
    {"sp_table_privileges", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @FUSEPATTERN", table_privileges},
    {"sp_column_privileges", "@TABLE_NAME @TABLE_OWNER @TABLE_QUALIFIER @COLUMN_NAME", column_privileges},
    {"sp_datatype_info", "@DATA_TYPE @ODBCVER", types},
    {"sp_datatype_info_90", "@DATA_TYPE @ODBCVER", types},
    {"sp_datatype_info_100", "@DATA_TYPE @ODBCVER", types},
    {"sp_server_info", "@ATTRIBUTE_ID", server_info},
    {"sp_helpdb", "@DBNAME", help_databases},
    {"xp_instance_regread", "", ""}, // there is no registry: what should be read stays NULL
    {"xp_regread", "", ""},
    {"xp_msver", "@OPTNAME",
     "SELECT CAST(0 AS smallint) AS [Index], CAST('' AS sysname) AS Name, 0 AS Internal_Value, CAST('' AS "
     "nvarchar(128)) AS "
     "Character_Value WHERE 1 = 0"},
    {"sp_oledb_ro_usrname", "", "SELECT CAST('N' AS varchar(1)) AS usrname"},
    {"sp_oledb_defdb", "", "SELECT DB_NAME()"},
    {"sp_oledb_deflang", "", "SELECT @@LANGUAGE"},
    {"sp_oledb_database", "", "SELECT DB_NAME()"},
};

std::span<const console_procedure> console_procedures() {
    return table;
}

const console_procedure *console_find_procedure(std::string_view last_part) {
    for (const console_procedure &p : table)
        if (strlen(p.name) == last_part.size() && strncasecmp(p.name, last_part.data(), last_part.size()) == 0)
            return &p;
    return nullptr;
}

std::string console_parameter(const console_procedure &p, size_t n) {
    std::string_view rest = p.parameters;
    for (; n > 0 && !rest.empty(); --n) {
        size_t blank = rest.find(' ');
        rest = blank == std::string_view::npos ? std::string_view() : rest.substr(blank + 1);
    }
    return std::string(rest.substr(0, rest.find(' ')));
}
