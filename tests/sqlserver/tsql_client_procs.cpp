// System procedures that SqlClient calls by itself: for a bulk copy, and for SqlCommandBuilder.DeriveParameters. With
// the columns that it reads.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_parser.h"
#include "tsql_system_procs.h"
#include "tsql_types.h"

namespace sqlserver {

using arguments_t = std::vector<call_argument>;

static constexpr type_info t_name{type_id::nvarchar_, 128, 0, 0};

// The object of a name like ".[t]" or "[dbo].[t]".
static bool named(frame &f, const std::string &name, resolved &r) {
    parser p;
    p.sql = name.substr(name.starts_with('.') ? 1 : 0);
    p.tokens = lex(p.sql, true);
    return resolve(f, path(p), r);
}

static void send(frame &f, const row_set &set) {
    frame inner = f;
    inner.in_proc = true;
    send_rows(inner, set, 0xC1, true);
}

// sp_tablecollations_100 @object: a row for each column, with the name of its collation where it has one.
flow sp_tablecollations(frame &f, arguments_t &all, int32_t &) {
    resolved r;
    std::string name = text_argument(all, 0, "@object");
    if (!named(f, name, r))
        fail(15009, 16, 1, "The object '%s' does not exist in database '%s' or is invalid for this operation.",
             name.c_str(), f.s->db.c_str());
    row_set set;
    set.columns = {{"colid", {type_id::int_, 4, 0, 0}, false},
                   {"name", t_name, false},
                   {"tds_collation", {type_id::varbinary_, 5, 0, 0}},
                   {"collation", t_name}};
    for (const cat_column &c : r.object->columns) {
        bool has = is_char(c.def.type.id);
        set.rows.push_back({value_int(c.id), value_text(c.def.name),
                            has ? value_text(std::string("\x09\x04\xD0\x00\x34", 5)) : value(),
                            has ? value_text("SQL_Latin1_General_CP1_CI_AS") : value()});
    }
    send(f, set);
    return flow::next;
}

// Their numbers in .NET's SqlDbType.
static int managed_type(type_id id) {
    switch (id) {
    case type_id::bigint_: return 0;
    case type_id::binary_: return 1;
    case type_id::bit_: return 2;
    case type_id::char_: return 3;
    case type_id::datetime_: return 4;
    case type_id::decimal_:
    case type_id::numeric_: return 5;
    case type_id::float_: return 6;
    case type_id::image_: return 7;
    case type_id::int_: return 8;
    case type_id::money_: return 9;
    case type_id::nchar_: return 10;
    case type_id::ntext_: return 11;
    case type_id::nvarchar_: return 12;
    case type_id::real_: return 13;
    case type_id::uniqueidentifier_: return 14;
    case type_id::smalldatetime_: return 15;
    case type_id::smallint_: return 16;
    case type_id::smallmoney_: return 17;
    case type_id::text_: return 18;
    case type_id::tinyint_: return 20;
    case type_id::varbinary_: return 21;
    case type_id::varchar_: return 22;
    case type_id::sql_variant_: return 23;
    case type_id::xml_: return 25;
    case type_id::date_: return 31;
    case type_id::time_: return 32;
    case type_id::datetime2_: return 33;
    case type_id::datetimeoffset_: return 34;
    }
    return 23;
}

enum : int64_t { param_in = 1, param_in_out = 2, param_status = 4 };

static std::vector<value> parameter_row(const std::string &name, int64_t direction, const type_info &t) {
    bool sized = is_char(t.id) || is_binary(t.id);
    bool exact = t.id == type_id::decimal_ || t.id == type_id::numeric_;
    bool timed = t.id == type_id::time_ || t.id == type_id::datetime2_ || t.id == type_id::datetimeoffset_;
    int64_t length = t.length == length_max ? 0 : t.length;
    return {value_text(name),
            value_int(direction),
            value_int(managed_type(t.id)),
            sized ? value_int(length) : value(),
            exact ? value_int(t.precision) : value(),
            exact ? value_int(t.scale) : value(),
            value(),
            value(),
            value_text(type_name(t)),
            value(),
            value(),
            value(),
            timed ? value_int(t.scale) : value()};
}

// sp_procedure_params_100_managed @procedure_name, @group_number, @procedure_schema, @parameter_name
flow sp_procedure_params(frame &f, arguments_t &all, int32_t &) {
    std::string schema = text_argument(all, 2, "@procedure_schema"), name = text_argument(all, 0, "@procedure_name");
    resolved r;
    row_set set;
    constexpr type_info t_small{type_id::smallint_, 2, 0, 0};
    set.columns = {
        {"PARAMETER_NAME", t_name},          {"PARAMETER_TYPE", t_small},    {"MANAGED_DATA_TYPE", t_small},
        {"CHARACTER_MAXIMUM_LENGTH", t_int}, {"NUMERIC_PRECISION", t_small}, {"NUMERIC_SCALE", t_small},
        {"TYPE_CATALOG_NAME", t_name},       {"TYPE_SCHEMA_NAME", t_name},   {"TYPE_NAME", t_name},
        {"XML_CATALOGNAME", t_name},         {"XML_SCHEMANAME", t_name},     {"XML_SCHEMACOLLECTIONNAME", t_name},
        {"SS_DATETIME_PRECISION", t_int}};
    object_path full = schema.empty() ? object_path{name} : object_path{schema, name};
    if (resolve(f, full, r) && r.object->type == "P") { // of another one: no rows
        set.rows.push_back(parameter_row("@RETURN_VALUE", param_status, t_int));
        auto tree = cached_parse(f.s, r.object->source, {}, "");
        for (const declaration &d : tree->body.at(0)->declarations)
            set.rows.push_back(parameter_row(d.name, d.output ? param_in_out : param_in, d.type));
    }
    send(f, set);
    return flow::next;
}

} // namespace sqlserver
