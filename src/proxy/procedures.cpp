#include "proxy/procedures.h"

#include <algorithm>

#include "tds/request_build.h"
#include "tds/tsql_scan.h"
#include "tds/utf16.h"

// ---- names -----------------------------------------------------------------------------------------------------

// One part off the front of `text`; what follows it stays.
static bool take_part(std::string_view &text, std::string &part) {
    char close = text.starts_with('[') ? ']' : text.starts_with('"') ? '"' : '\0';
    if (close == '\0') {
        size_t n = std::min(text.find('.'), text.size());
        part.assign(text.substr(0, n));
        text.remove_prefix(n);
        return part.find_first_of("[]\"'") == std::string::npos;
    }
    for (size_t i = 1; i < text.size(); ++i) {
        if (text[i] != close) {
            part.push_back(text[i]);
        } else if (i + 1 < text.size() && text[i + 1] == close) {
            part.push_back(close);
            ++i;
        } else {
            text.remove_prefix(i + 1);
            return true;
        }
    }
    return false;
}

bool procedure_name_parse(std::string_view text, procedure_name &out) {
    std::string parts[4];
    size_t count = 0;
    for (;;) {
        if (count == std::size(parts) || !take_part(text, parts[count++]))
            return false;
        if (text.empty())
            break;
        if (text.front() != '.')
            return false;
        text.remove_prefix(1);
    }
    std::string *const places[] = {&out.name, &out.schema, &out.database, &out.server};
    for (size_t i = 0; i < count; ++i)
        *places[i] = std::move(parts[count - 1 - i]);
    size_t number = out.name.find(';'); // p;1
    if (number != std::string::npos)
        out.name.resize(number);
    return !out.name.empty();
}

std::string procedure_key(std::string_view user, std::string_view database, const procedure_name &name) {
    std::string key;
    for (std::string_view part : {user, database, std::string_view(name.schema), std::string_view(name.name)})
        key.append(part).push_back('\0');
    return key;
}

// ---- what is known ---------------------------------------------------------------------------------------------

const procedure_known *procedure_find(const procedure_table &table, const std::string &key, uint64_t now) {
    auto found = table.known.find(key);
    return found != table.known.end() && now - found->second.read_at < procedures_ttl ? &found->second : nullptr;
}

void procedure_store(procedure_table &table, const std::string &key, tsql_effect &&body, uint64_t now) {
    if (table.known.size() >= procedures_max)
        std::erase_if(table.known, [now](const auto &e) { return now - e.second.read_at >= procedures_ttl; });
    if (table.known.size() >= procedures_max)
        table.known.clear();
    table.known[key] = {std::move(body), now};
}

// ---- reading ---------------------------------------------------------------------------------------------------

// Below TDS 7.2 there is no nvarchar(max), and TEXTSIZE cuts it: a definition comes in pieces.
static constexpr size_t piece = 4000;
static constexpr size_t definition_pieces = 12;

static std::string id_of(std::string_view schema, std::string_view name) {
    std::string whole;
    if (!schema.empty())
        whole.append(tds_quote_name(schema)).push_back('.');
    whole.append(tds_quote_name(name));
    return std::string("OBJECT_ID(").append(tds_quote_text(whole)).append(")");
}

std::string procedure_question(const procedure_name &name) {
    std::string id = "COALESCE(";
    id.append(id_of(name.schema, name.name));
    for (const char *elsewhere : {"dbo", "sys"})
        if (name.schema != elsewhere)
            id.append(",").append(id_of(elsewhere, name.name));
    id.append(")");
    std::string sql = "DECLARE @i int,@d nvarchar(max);SET @i=";
    sql.append(id).append(";SET @d=OBJECT_DEFINITION(@i);"); // once: Babelfish takes a second for it
    sql.append("SELECT CAST(OBJECT_SCHEMA_NAME(@i) AS nvarchar(128)),CAST(LEN(@d) AS nvarchar(12))");
    for (size_t i = 0; i < definition_pieces; ++i) {
        std::string size = std::to_string(piece);
        sql.append(",CAST(SUBSTRING(@d,").append(std::to_string(1 + i * piece)).append(",").append(size);
        sql.append(") AS nvarchar(").append(size).append("))");
    }
    return sql;
}

bool procedure_read(const std::vector<std::optional<std::string>> &row, std::string &schema, std::string &definition) {
    if (row.size() != 2 + definition_pieces || !row[0] || !row[1] || row[1]->size() > 9)
        return false;
    if (std::stoul("0" + *row[1]) > piece * definition_pieces)
        return false;
    schema = *row[0];
    for (size_t i = 0; i < definition_pieces; ++i)
        definition += row[2 + i].value_or("");
    return true;
}

tsql_effect procedure_effect(tsql_scanner *scanner, std::string_view schema, std::string_view definition) {
    tsql_effect body;
    std::vector<uint8_t> text;
    tds_utf16_append(definition, definition.size(), text);
    tsql_scan(scanner, tsql_scope::body, text, body);
    for (std::string &called : body.procedures) {
        procedure_name name;
        if (procedure_name_parse(called, name) && name.schema.empty() && name.database.empty())
            called = tds_quote_name(schema).append(".").append(tds_quote_name(name.name));
    }
    return body;
}
