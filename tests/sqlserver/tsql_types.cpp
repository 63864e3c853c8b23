// Type names, properties, common types, literals, comparison; see the header.
#include "tsql_types.h"

#include "tsql_lexer.h"
#include "tsql_text.h"

#include <algorithm>
#include <cstring>

namespace sqlserver {

namespace {

struct type_row {
    type_id id;
    const char *name;
    int system_id, precedence, bytes, precision, scale;
    uint32_t default_length;
};

// precedence: higher wins
const type_row rows[] = {
    {type_id::bit_, "bit", 104, 13, 1, 1, 0, 0},
    {type_id::tinyint_, "tinyint", 48, 14, 1, 3, 0, 0},
    {type_id::smallint_, "smallint", 52, 15, 2, 5, 0, 0},
    {type_id::int_, "int", 56, 16, 4, 10, 0, 0},
    {type_id::bigint_, "bigint", 127, 17, 8, 19, 0, 0},
    {type_id::real_, "real", 59, 21, 4, 24, 0, 0},
    {type_id::float_, "float", 62, 22, 8, 53, 0, 0},
    {type_id::decimal_, "decimal", 106, 20, 0, 18, 0, 0},
    {type_id::numeric_, "numeric", 108, 20, 0, 18, 0, 0},
    {type_id::money_, "money", 60, 19, 8, 19, 4, 0},
    {type_id::smallmoney_, "smallmoney", 122, 18, 4, 10, 4, 0},
    {type_id::char_, "char", 175, 4, 0, 0, 0, 1},
    {type_id::varchar_, "varchar", 167, 5, 0, 0, 0, 1},
    {type_id::text_, "text", 35, 11, 16, 0, 0, length_max},
    {type_id::nchar_, "nchar", 239, 6, 0, 0, 0, 1},
    {type_id::nvarchar_, "nvarchar", 231, 7, 0, 0, 0, 1},
    {type_id::ntext_, "ntext", 99, 12, 16, 0, 0, length_max},
    {type_id::binary_, "binary", 173, 2, 0, 0, 0, 1},
    {type_id::varbinary_, "varbinary", 165, 3, 0, 0, 0, 1},
    {type_id::image_, "image", 34, 10, 16, 0, 0, length_max},
    {type_id::date_, "date", 40, 24, 3, 10, 0, 0},
    {type_id::time_, "time", 41, 23, 5, 16, 7, 0},
    {type_id::datetime_, "datetime", 61, 26, 8, 23, 3, 0},
    {type_id::smalldatetime_, "smalldatetime", 58, 25, 4, 16, 0, 0},
    {type_id::datetime2_, "datetime2", 42, 27, 8, 27, 7, 0},
    {type_id::datetimeoffset_, "datetimeoffset", 43, 28, 10, 34, 7, 0},
    {type_id::uniqueidentifier_, "uniqueidentifier", 36, 8, 16, 0, 0, 0},
    {type_id::xml_, "xml", 241, 29, -1, 0, 0, length_max},
    {type_id::sql_variant_, "sql_variant", 98, 30, 8016, 0, 0, 0},
};

const type_row &row(type_id id) {
    return rows[static_cast<size_t>(id)];
}

} // namespace

bool type_by_name(std::string_view name, type_info &out) {
    if (name == "integer")
        name = "int";
    if (name == "dec")
        name = "decimal";
    if (name == "sysname") {
        out = {type_id::nvarchar_, 128, 0, 0};
        return true;
    }
    if (name == "timestamp" || name == "rowversion") {
        out = {type_id::binary_, 8, 0, 0};
        return true;
    }
    for (const type_row &r : rows)
        if (name == r.name) {
            out = {r.id, r.default_length, 0, 0};
            if (is_exact(r.id))
                out.precision = 18;
            if (r.id == type_id::time_ || r.id == type_id::datetime2_ || r.id == type_id::datetimeoffset_)
                out.scale = 7;
            return true;
        }
    return false;
}

bool type_apply_length(type_info &t, int64_t first, int64_t second) {
    if (first < 0)
        return true;
    if (is_exact(t.id)) {
        if (first < 1 || first > 38 || second > first)
            return false;
        t.precision = static_cast<uint8_t>(first);
        t.scale = static_cast<uint8_t>(second < 0 ? 0 : second);
    } else if (t.id == type_id::float_) {
        if (first < 1 || first > 53)
            return false;
        if (first <= 24)
            t.id = type_id::real_;
    } else if (t.id == type_id::time_ || t.id == type_id::datetime2_ || t.id == type_id::datetimeoffset_) {
        if (first > 7)
            return false;
        t.scale = static_cast<uint8_t>(first);
    } else if (is_char(t.id) || is_binary(t.id)) {
        int64_t limit = is_nchar(t.id) ? 4000 : 8000;
        if (first != length_max && (first < 1 || first > limit))
            return false;
        t.length = static_cast<uint32_t>(first);
    }
    return true;
}

const char *type_name(const type_info &t) {
    return row(t.id).name;
}

std::string type_text(const type_info &t) {
    std::string text = type_name(t);
    if (is_exact(t.id))
        return text + text_printf("(%d,%d)", t.precision, t.scale);
    if (t.id == type_id::time_ || t.id == type_id::datetime2_ || t.id == type_id::datetimeoffset_)
        return text + text_printf("(%d)", t.scale);
    if (t.id == type_id::text_ || t.id == type_id::ntext_ || t.id == type_id::image_ || t.id == type_id::xml_)
        return text;
    if (is_char(t.id) || is_binary(t.id))
        return text + (t.length == length_max ? "(max)" : text_printf("(%u)", t.length));
    return text;
}

int type_precedence(type_id id) {
    return row(id).precedence;
}
int type_system_id(type_id id) {
    return row(id).system_id;
}

int type_max_length(const type_info &t) {
    if (is_exact(t.id))
        return t.precision <= 9 ? 5 : t.precision <= 19 ? 9 : t.precision <= 28 ? 13 : 17;
    int bytes = row(t.id).bytes;
    if (t.id == type_id::time_ || t.id == type_id::datetime2_ || t.id == type_id::datetimeoffset_)
        return bytes - (t.scale <= 2 ? 2 : t.scale <= 4 ? 1 : 0);
    if (bytes != 0)
        return bytes;
    return t.length == length_max ? -1 : static_cast<int>(is_nchar(t.id) ? t.length * 2 : t.length);
}

int type_precision(const type_info &t) {
    if (is_exact(t.id))
        return t.precision;
    if (t.id == type_id::time_)
        return t.scale > 0 ? 9 + t.scale : 8;
    if (t.id == type_id::datetime2_)
        return t.scale > 0 ? 20 + t.scale : 19;
    if (t.id == type_id::datetimeoffset_)
        return t.scale > 0 ? 27 + t.scale : 26;
    return row(t.id).precision;
}

int type_scale(const type_info &t) {
    bool own =
        is_exact(t.id) || t.id == type_id::time_ || t.id == type_id::datetime2_ || t.id == type_id::datetimeoffset_;
    return own ? t.scale : row(t.id).scale;
}

bool is_integer(type_id id) {
    return id <= type_id::bigint_;
}
bool is_exact(type_id id) {
    return id == type_id::decimal_ || id == type_id::numeric_;
}
bool is_money(type_id id) {
    return id == type_id::money_ || id == type_id::smallmoney_;
}
bool is_float(type_id id) {
    return id == type_id::real_ || id == type_id::float_;
}
bool is_number(type_id id) {
    return id <= type_id::smallmoney_;
}
bool is_char(type_id id) {
    return (id >= type_id::char_ && id <= type_id::ntext_) || id == type_id::xml_;
}
bool is_nchar(type_id id) {
    return id == type_id::nchar_ || id == type_id::nvarchar_ || id == type_id::ntext_ || id == type_id::xml_;
}
bool is_binary(type_id id) {
    return id >= type_id::binary_ && id <= type_id::image_;
}
bool is_date(type_id id) {
    return id >= type_id::date_ && id <= type_id::datetimeoffset_;
}

static type_info common_decimal(const type_info &x, const type_info &y) {
    type_info a = decimal_type_of(x), b = decimal_type_of(y);
    int scale = std::max(a.scale, b.scale);
    int whole = std::max(a.precision - a.scale, b.precision - b.scale);
    if (whole + scale > 38)
        scale = std::max(38 - whole, 0);
    type_info out{is_exact(x.id) ? x.id : y.id, 0, 0, 0};
    out.precision = static_cast<uint8_t>(std::min(whole + scale, 38));
    out.scale = static_cast<uint8_t>(scale);
    return out;
}

type_info type_common(const type_info &a, const type_info &b) {
    const type_info &high = type_precedence(a.id) >= type_precedence(b.id) ? a : b;
    const type_info &low = &high == &a ? b : a;
    if (is_exact(high.id) && is_number(low.id))
        return common_decimal(a, b);
    type_info out = high;
    bool lengths = (is_char(a.id) && is_char(b.id)) || (is_binary(a.id) && is_binary(b.id));
    if (lengths && high.length != length_max) {
        out.length = std::max(a.length, b.length);
        if (high.id == type_id::char_ && low.length != high.length)
            out.id = type_id::char_;
        if (out.length != length_max && is_nchar(out.id))
            out.length = std::min(out.length, 4000u);
    }
    if (is_date(a.id) && is_date(b.id))
        out.scale = std::max(a.scale, b.scale);
    return out;
}

value value_int(int64_t n) {
    value v;
    v.null = false;
    v.i64 = n;
    return v;
}

value value_float(double d) {
    value v;
    v.null = false;
    v.f64 = d;
    return v;
}

value value_text(std::string text) {
    value v;
    v.null = false;
    v.text = std::move(text);
    return v;
}

static void literal_decimal(const std::string &text, type_info &t, value &v) {
    decimal d;
    if (!decimal_parse(text, d) || !decimal_fits(d, 38))
        fail(1007, 15, 1, "The number '%s' is out of the range for numeric representation (maximum precision 38).",
             text.c_str());
    v.text = decimal_text(d);
    size_t digits = 0;
    for (char c : v.text)
        digits += c >= '0' && c <= '9';
    if (v.text[0] == '0' && d.scale > 0)
        digits--; // 0.5 is numeric(1,1)
    t.id = type_id::numeric_;
    t.precision = static_cast<uint8_t>(std::max({digits, static_cast<size_t>(d.scale), size_t{1}}));
    t.scale = static_cast<uint8_t>(d.scale);
}

void literal_value(int kind, const std::string &text, type_info &t, value &v) {
    v.null = false;
    t = {};
    switch (static_cast<token_kind>(kind)) {
    case token_kind::string_:
    case token_kind::nstring: {
        bool wide = static_cast<token_kind>(kind) == token_kind::nstring;
        size_t n = utf16_length(text);
        t.id = wide ? type_id::nvarchar_ : type_id::varchar_;
        t.length = n > (wide ? 4000u : 8000u) ? length_max : static_cast<uint32_t>(std::max<size_t>(n, 1));
        v.text = text;
        break;
    }
    case token_kind::integer:
        if (text.size() <= 10 && std::stoll(text) <= INT32_MAX)
            v.i64 = std::stoll(text);
        else
            literal_decimal(text, t, v);
        break;
    case token_kind::float_:
        t.id = type_id::float_;
        v.f64 = strtod(text.c_str(), nullptr);
        break;
    case token_kind::money: {
        decimal d;
        t.id = type_id::money_;
        if (!decimal_parse(text, d) || !decimal_rescale(d, 4))
            fail(235, 16, 0, "Cannot convert a char value to money. The value has incorrect syntax.");
        v.i64 = static_cast<int64_t>(d.magnitude);
        break;
    }
    case token_kind::binary:
        t.id = type_id::varbinary_;
        t.length = text.size() > 8000 ? length_max : static_cast<uint32_t>(std::max<size_t>(text.size(), 1));
        v.text = text;
        break;
    default: literal_decimal(text, t, v); break;
    }
}

// SQL Server orders uniqueidentifiers by groups of bytes, the last group first.
static int guid_compare(const std::string &a, const std::string &b) {
    static const int order[] = {10, 11, 12, 13, 14, 15, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0};
    for (int i : order) {
        auto x = static_cast<uint8_t>(a[static_cast<size_t>(i)]), y = static_cast<uint8_t>(b[static_cast<size_t>(i)]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

template <class T> static int three_way(const T &a, const T &b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

int value_compare(const value &a, const value &b, const type_info &t) {
    if (is_integer(t.id) || is_money(t.id))
        return three_way(a.i64, b.i64);
    if (is_float(t.id))
        return three_way(a.f64, b.f64);
    if (is_exact(t.id)) {
        decimal x, y;
        decimal_parse(a.text, x);
        decimal_parse(b.text, y);
        return decimal_compare(x, y);
    }
    if (is_char(t.id))
        return text_compare(a.text, b.text);
    if (t.id == type_id::datetimeoffset_ || is_date(t.id))
        return three_way(datetime_number(a), datetime_number(b));
    if (t.id == type_id::uniqueidentifier_ && a.text.size() == 16 && b.text.size() == 16)
        return guid_compare(a.text, b.text);
    if (t.id == type_id::sql_variant_) {
        if (type_precedence(a.variant_type.id) == type_precedence(b.variant_type.id))
            return value_compare(a, b, a.variant_type);
        type_info common = type_common(a.variant_type, b.variant_type);
        return value_compare(convert(a, a.variant_type, common), convert(b, b.variant_type, common), common);
    }
    return three_way(a.text, b.text);
}

} // namespace sqlserver
