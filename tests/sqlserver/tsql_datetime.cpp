// Dates and times: civil calendar, parsing, formatting, DATEADD, DATEDIFF, DATEPART.
#include "tsql_text.h"
#include "tsql_types.h"

#include <ctime>
#include <vector>

namespace sqlserver {

const char *const month_names[12] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
const char *const day_names[7] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

constexpr int32_t days_1970 = 719162; // 1970-01-01 counted from 0001-01-01

int32_t days_from_civil(int y, int m, int d) {
    y -= m <= 2;
    int era = (y >= 0 ? y : y - 399) / 400;
    int yoe = y - era * 400;
    int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468 + days_1970;
}

civil civil_from_days(int32_t days) {
    int z = days - days_1970 + 719468;
    int era = (z >= 0 ? z : z - 146096) / 146097;
    int doe = z - era * 146097;
    int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int mp = (5 * doy + 2) / 153;
    civil c;
    c.day = doy - (153 * mp + 2) / 5 + 1;
    c.month = mp + (mp < 10 ? 3 : -9);
    c.year = yoe + era * 400 + (c.month <= 2);
    return c;
}

int month_days(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

int64_t datetime_number(const value &v) {
    return v.days * ticks_per_day + v.ticks;
}

value datetime_from_number(int64_t n) {
    value v;
    v.null = false;
    v.days = static_cast<int32_t>(n / ticks_per_day - (n % ticks_per_day < 0));
    v.ticks = n - v.days * ticks_per_day;
    return v;
}

value datetime_now(bool utc) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts;
    if (utc)
        gmtime_r(&now.tv_sec, &parts);
    else
        localtime_r(&now.tv_sec, &parts);
    value v;
    v.null = false;
    v.days = days_from_civil(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    v.ticks = (parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec) * ticks_per_second + now.tv_nsec / 100;
    v.offset_minutes = static_cast<int16_t>(utc ? 0 : parts.tm_gmtoff / 60);
    return v;
}

// --- parsing: numbers, words and separators one after the other

namespace {

struct scanner {
    std::string_view text;
    size_t at = 0;
    char peek() const { return at < text.size() ? text[at] : '\0'; }
    bool digit() const { return peek() >= '0' && peek() <= '9'; }
    void blanks() {
        while (peek() == ' ' || peek() == '\t')
            at++;
    }
};

int number(scanner &s, int &digits) {
    int n = 0;
    for (digits = 0; s.digit() && digits < 9; digits++)
        n = n * 10 + (s.text[s.at++] - '0');
    return n;
}

int month_word(scanner &s) {
    std::string word;
    while (isalpha(static_cast<unsigned char>(s.peek())))
        word.push_back(s.text[s.at++]);
    word = lower(word);
    for (int m = 0; m < 12 && word.size() >= 3; m++) {
        std::string full = lower(month_names[m]);
        if (word == full || word == full.substr(0, 3))
            return m + 1;
    }
    return 0;
}

bool fraction(scanner &s, int64_t &ticks) {
    int64_t unit = ticks_per_second / 10;
    bool any = false;
    for (; s.digit(); s.at++, unit /= 10) {
        ticks += (s.peek() - '0') * unit;
        any = true;
    }
    return any;
}

bool zone(scanner &s, value &v) {
    s.blanks();
    if (s.peek() == 'Z' || s.peek() == 'z')
        return s.at++, true;
    if (s.peek() != '+' && s.peek() != '-')
        return true;
    int sign = s.text[s.at++] == '-' ? -1 : 1, digits, h = number(s, digits), m = 0;
    if (s.peek() == ':')
        s.at++, m = number(s, digits);
    v.offset_minutes = static_cast<int16_t>(sign * (h * 60 + m));
    return h <= 14 && m < 60;
}

// hh:mm[:ss[.fffffff]] [AM|PM]; the hour is read already
bool clock_time(scanner &s, int hour, value &v) {
    int digits, minute = 0, second = 0;
    int64_t ticks = 0;
    if (s.peek() == ':') {
        s.at++;
        minute = number(s, digits);
        if (digits == 0)
            return false;
        if (s.peek() == ':') {
            s.at++;
            second = number(s, digits);
            if (digits == 0)
                return false;
            if (s.peek() == '.' || s.peek() == ':')
                if (s.at++, !fraction(s, ticks))
                    return false;
        }
    }
    s.blanks();
    char half = static_cast<char>(s.peek() | 32),
         m = s.at + 1 < s.text.size() ? static_cast<char>(s.text[s.at + 1] | 32) : '\0';
    if ((half == 'a' || half == 'p') && m == 'm') {
        s.at += 2;
        if (hour < 1 || hour > 12)
            return false;
        hour = hour % 12 + (half == 'p' ? 12 : 0);
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    v.ticks = ((hour * 60 + minute) * 60 + second) * ticks_per_second + ticks;
    return zone(s, v);
}

bool set_date(value &v, int y, int m, int d, int year_digits) {
    if (year_digits <= 2)
        y += y < 50 ? 2000 : 1900;
    if (y < 1 || y > 9999 || m < 1 || m > 12 || d < 1 || d > month_days(y, m))
        return false;
    v.days = days_from_civil(y, m, d);
    return true;
}

struct date_reading {
    date_order order;
    bool year_first_too; // see datetime_parse
};

// Three numbers with separators between them; `digits` of each. A year is where it has more than two digits, else where
// the order has it.
bool date_of_numbers(const int (&n)[3], const int (&digits)[3], date_reading how, value &v) {
    date_order o = how.order;
    bool day_before_month = o == date_order::dmy || o == date_order::ydm || o == date_order::dym;
    int year = digits[0] > 2 ? 0 : digits[2] > 2 ? 2 : digits[1] > 2 ? 1 : -1;
    if (year < 0)
        year = o == date_order::mdy || o == date_order::dmy ? 2 : o == date_order::ymd || o == date_order::ydm ? 0 : 1;
    else if (year == 0 && !how.year_first_too)
        day_before_month = false;
    int first = year == 0 ? 1 : 0, second = year == 2 ? 1 : 2;
    int month = day_before_month ? second : first, day = day_before_month ? first : second;
    return set_date(v, n[year], n[month], n[day], digits[year]);
}

// The date part after its first number: y-m-d, m/d/y, d.m.y, "21 Nov 2026", yyyymmdd.
bool date_after_number(scanner &s, int n, int digits, date_reading how, value &v) {
    if (digits == 8 && s.peek() != '-' && s.peek() != '/')
        return set_date(v, n / 10000, n / 100 % 100, n % 100, 4);
    if (digits == 6)
        return set_date(v, n / 10000, n / 100 % 100, n % 100, 2);
    char separator = s.peek();
    if (separator == '-' || separator == '/' || separator == '.') {
        s.at++;
        int all[3] = {n, 0, 0}, lengths[3] = {digits, 0, 0};
        bool word = isalpha(static_cast<unsigned char>(s.peek())) != 0;
        if (word)
            all[1] = month_word(s), lengths[1] = 2;
        else
            all[1] = number(s, lengths[1]);
        if (lengths[1] == 0 || s.peek() != separator)
            return false;
        s.at++;
        all[2] = number(s, lengths[2]);
        if (lengths[2] == 0)
            return false;
        if (word && digits < 3)
            return set_date(v, all[2], all[1], all[0], lengths[2]);
        bool iso = digits == 4 && (s.peek() == 'T' || word); // yyyy-mm-ddThh:mm:ss means the same everywhere
        return date_of_numbers(all, lengths, iso ? date_reading{date_order::ymd, true} : how, v);
    }
    s.blanks();
    int month = month_word(s), d3;
    s.blanks();
    if (s.peek() == ',')
        s.at++, s.blanks();
    int year = number(s, d3);
    return month > 0 && d3 > 0 && set_date(v, year, month, n, d3);
}

bool date_after_word(scanner &s, value &v) {
    int month = month_word(s), digits, year_digits;
    s.blanks();
    int day = number(s, digits);
    if (s.peek() == ',')
        s.at++;
    s.blanks();
    int year = number(s, year_digits);
    return month > 0 && digits > 0 && year_digits > 0 && set_date(v, year, month, day, year_digits);
}

} // namespace

bool date_order_named(std::string_view name, date_order &out) {
    static const char *const names[] = {"mdy", "dmy", "ymd", "ydm", "myd", "dym"};
    for (size_t i = 0; i < 6; i++) {
        if (!same_name(name, names[i]))
            continue;
        out = static_cast<date_order>(i);
        return true;
    }
    return false;
}

bool datetime_parse(std::string_view text, value &out, date_order order, bool year_first_too) {
    scanner s{text};
    value v;
    v.null = false;
    v.days = days_1900;
    s.blanks();
    if (s.at == text.size()) {
        out = v;
        return true;
    }
    int digits, n = number(s, digits);
    if (digits == 0) {
        if (!date_after_word(s, v))
            return false;
    } else if (s.peek() == ':' || (digits <= 2 && (s.peek() | 32) != 0 && text.size() - s.at <= 3 &&
                                   (text.find_first_of("aApP") != std::string_view::npos))) {
        if (!clock_time(s, n, v))
            return false;
        s.blanks();
        out = v;
        return s.at == text.size();
    } else if (!date_after_number(s, n, digits, {order, year_first_too}, v)) {
        return false;
    }
    if (s.peek() == 'T')
        s.at++;
    s.blanks();
    if (s.digit()) {
        n = number(s, digits);
        if (!clock_time(s, n, v))
            return false;
    } else if (!zone(s, v)) {
        return false;
    }
    s.blanks();
    out = v;
    return s.at == text.size();
}

// --- formatting

static std::string time_text(int64_t ticks, int scale) {
    int64_t seconds = ticks / ticks_per_second;
    std::string text = text_printf("%02d:%02d:%02d", static_cast<int>(seconds / 3600),
                                   static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
    if (scale > 0)
        text += "." + text_printf("%07lld", static_cast<long long>(ticks % ticks_per_second))
                          .substr(0, static_cast<size_t>(scale));
    return text;
}

static std::string time_ampm(int64_t ticks, bool seconds) {
    int minutes = static_cast<int>(ticks / ticks_per_second / 60), hour = minutes / 60;
    std::string middle = text_printf(":%02d", minutes % 60);
    if (seconds)
        middle += text_printf(":%02d:%03d", static_cast<int>(ticks / ticks_per_second % 60),
                              static_cast<int>(ticks % ticks_per_second / 10000));
    return text_printf("%2d", hour % 12 == 0 ? 12 : hour % 12) + middle + (hour < 12 ? "AM" : "PM");
}

static std::string date_style(const civil &c, int style) {
    bool century = style >= 100 || style == 20 || style == 21;
    std::string y = century ? text_printf("%04d", c.year) : text_printf("%02d", c.year % 100);
    std::string m = text_printf("%02d", c.month), d = text_printf("%02d", c.day);
    std::string name = std::string(month_names[c.month - 1]).substr(0, 3);
    switch (style % 100) {
    case 1:
    case 10: return m + (style % 100 == 1 ? "/" : "-") + d + (style % 100 == 1 ? "/" : "-") + y;
    case 2: return y + "." + m + "." + d;
    case 3: return d + "/" + m + "/" + y;
    case 4: return d + "." + m + "." + y;
    case 5: return d + "-" + m + "-" + y;
    case 6:
    case 13: return d + " " + name + " " + y;
    case 7: return name + " " + d + ", " + y;
    case 11: return y + "/" + m + "/" + d;
    case 12: return y + m + d;
    case 20:
    case 21:
    case 23:
    case 25:
    case 26:
    case 27: return text_printf("%04d-", c.year) + m + "-" + d;
    default: return name + text_printf(" %2d ", c.day) + text_printf("%04d", c.year);
    }
}

std::string datetime_text(const value &v, const type_info &t, int style) {
    value local = datetime_from_number(datetime_number(v) + v.offset_minutes * 60LL * ticks_per_second);
    if (t.id != type_id::datetimeoffset_)
        local = v;
    bool has_date = t.id != type_id::time_, has_time = t.id != type_id::date_;
    bool old = t.id == type_id::datetime_ || t.id == type_id::smalldatetime_;
    int scale = t.id == type_id::datetime_ ? 3 : old ? 0 : t.scale;
    if (style == 0 && !old)
        style = 121;
    int base = style % 100;
    bool iso = base == 20 || base == 21 || base == 23 || base == 25 || base == 26 || base == 27;
    std::string time, date = has_date ? date_style(civil_from_days(local.days), style) : "";
    if (has_time && base == 20)
        time = time_text(local.ticks, 0);
    else if (has_time && iso)
        time = time_text(local.ticks, t.id == type_id::smalldatetime_ ? (base == 21 || base == 25 ? 3 : 0) : scale);
    else if (has_time && (base == 8 || base == 24))
        time = time_text(local.ticks, 0), date.clear();
    else if (has_time && (base == 13 || base == 14))
        time =
            time_text(local.ticks, 0) + text_printf(":%03d", static_cast<int>(local.ticks % ticks_per_second / 10000)),
        date = base == 14 ? "" : date;
    else if (has_time && (base == 0 || base == 9))
        time = time_ampm(local.ticks, base == 9);
    if (base == 23)
        time.clear();
    const char *between = base == 26 || base == 27 ? "T" : " ";
    std::string text = date.empty() ? time : time.empty() ? date : date + between + time;
    if (!has_time || date.empty() || time.empty())
        while (!text.empty() && text.back() == ' ')
            text.pop_back();
    if (t.id == type_id::datetimeoffset_) {
        int offset = v.offset_minutes < 0 ? -v.offset_minutes : v.offset_minutes;
        text += text_printf(base == 26 ? "%c%02d:%02d" : " %c%02d:%02d", v.offset_minutes < 0 ? '-' : '+', offset / 60,
                            offset % 60);
    }
    return text;
}

value datetime_round(const value &v, const type_info &t) {
    static const int64_t units[] = {10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    value out = v;
    bool old = t.id == type_id::datetime_ || t.id == type_id::smalldatetime_;
    if (t.id == type_id::date_) {
        out.ticks = 0;
    } else if (t.id == type_id::datetime_) { // 1/300 s
        int64_t n = (v.ticks * 3 + 50000) / 100000;
        out.ticks = (n * 100000 + 1) / 3;
        if (n >= 300 * 86400)
            out.ticks = 0, out.days++;
    } else if (t.id == type_id::smalldatetime_) {
        int64_t minute = 60 * ticks_per_second, n = (v.ticks + minute / 2) / minute;
        out.ticks = n * minute;
    } else {
        int64_t unit = units[t.scale > 7 ? 7 : t.scale];
        out.ticks = (v.ticks + unit / 2) / unit * unit;
    }
    if (out.ticks >= ticks_per_day) {
        out.ticks -= ticks_per_day;
        out.days++;
    }
    if (t.id == type_id::time_)
        out.days = 0;
    if ((t.id == type_id::datetime_ && out.days < 639905) || // 1753
        (t.id == type_id::smalldatetime_ && (out.days < days_1900 || out.days > days_1900 + 65535)))
        fail(242, 16, 3, "The conversion of a datetime2 data type to a %s data type resulted in an out-of-range value.",
             type_name(t));
    if (out.days < 0 || out.days > 3652058)
        fail(517, 16, 1, "Adding a value to a '%s' column caused an overflow.", type_name(t));
    if (old || t.id == type_id::date_)
        out.offset_minutes = 0;
    return out;
}

// --- parts

std::string date_part_name(std::string_view name) {
    static const std::vector<std::vector<const char *>> parts = {
        {"year", "yy", "yyyy"}, {"quarter", "qq", "q"}, {"month", "mm", "m"},          {"dayofyear", "dy", "y"},
        {"day", "dd", "d"},     {"week", "wk", "ww"},   {"weekday", "dw", "w"},        {"hour", "hh"},
        {"minute", "mi", "n"},  {"second", "ss", "s"},  {"millisecond", "ms"},         {"microsecond", "mcs"},
        {"nanosecond", "ns"},   {"tzoffset", "tz"},     {"iso_week", "isowk", "isoww"}};
    for (const auto &p : parts)
        for (const char *n : p)
            if (name == n)
                return p[0];
    return {};
}

static int weekday(int32_t days) {
    return days % 7;
} // 0001-01-01 was a Monday: 0

int64_t date_part(const std::string &part, const value &v, int date_first) {
    civil c = civil_from_days(v.days);
    int32_t january = days_from_civil(c.year, 1, 1);
    int64_t second = v.ticks / ticks_per_second, rest = v.ticks % ticks_per_second;
    if (part == "year")
        return c.year;
    if (part == "quarter")
        return (c.month + 2) / 3;
    if (part == "month")
        return c.month;
    if (part == "day")
        return c.day;
    if (part == "dayofyear")
        return v.days - january + 1;
    if (part == "weekday")
        return (weekday(v.days) + 8 - date_first) % 7 + 1;
    if (part == "week")
        return (v.days - january + (weekday(january) + 8 - date_first) % 7) / 7 + 1;
    if (part == "iso_week") {
        int32_t thursday = v.days - weekday(v.days) + 3;
        return (thursday - days_from_civil(civil_from_days(thursday).year, 1, 1)) / 7 + 1;
    }
    if (part == "hour")
        return second / 3600;
    if (part == "minute")
        return second / 60 % 60;
    if (part == "second")
        return second % 60;
    if (part == "millisecond")
        return rest / 10000;
    if (part == "microsecond")
        return rest / 10;
    if (part == "nanosecond")
        return rest * 100;
    return v.offset_minutes;
}

value date_add(const std::string &part, int64_t n, const value &v, type_id id) {
    value out = v;
    civil c = civil_from_days(v.days);
    int64_t months = part == "year" ? n * 12 : part == "quarter" ? n * 3 : part == "month" ? n : 0;
    if (n > 4000000000LL * 1000 || n < -4000000000LL * 1000)
        fail(517, 16, 1, "Adding a value to a '%s' column caused an overflow.", type_name({id, 0, 0, 0}));
    if (part == "year" || part == "quarter" || part == "month") {
        int64_t total = c.year * 12LL + c.month - 1 + months;
        if (total < 12 || total > 9999 * 12 + 11)
            fail(517, 16, 1, "Adding a value to a '%s' column caused an overflow.", type_name({id, 0, 0, 0}));
        int y = static_cast<int>(total / 12), m = static_cast<int>(total % 12) + 1;
        out.days = days_from_civil(y, m, std::min(c.day, month_days(y, m)));
    } else {
        int64_t unit = part == "week"                                              ? 7 * ticks_per_day
                       : part == "day" || part == "dayofyear" || part == "weekday" ? ticks_per_day
                       : part == "hour"                                            ? 3600 * ticks_per_second
                       : part == "minute"                                          ? 60 * ticks_per_second
                       : part == "second"                                          ? ticks_per_second
                       : part == "millisecond"                                     ? 10000
                       : part == "microsecond"                                     ? 10
                                                                                   : 1;
        int64_t by, sum;
        if (part == "nanosecond")
            n /= 100;
        if (__builtin_mul_overflow(n, unit, &by) || __builtin_add_overflow(by, datetime_number(v), &sum))
            fail(517, 16, 1, "Adding a value to a '%s' column caused an overflow.", type_name({id, 0, 0, 0}));
        value moved = datetime_from_number(sum);
        out.days = id == type_id::time_ ? v.days : moved.days;
        out.ticks = moved.ticks;
    }
    if (out.days < 0 || out.days > 3652058)
        fail(517, 16, 1, "Adding a value to a '%s' column caused an overflow.", type_name({id, 0, 0, 0}));
    return out;
}

// DATEDIFF counts the borders crossed between the two.
int64_t date_diff(const std::string &part, const value &from, const value &to) {
    civil a = civil_from_days(from.days), b = civil_from_days(to.days);
    if (part == "year")
        return b.year - a.year;
    if (part == "quarter")
        return (b.year * 4 + (b.month - 1) / 3) - (a.year * 4 + (a.month - 1) / 3);
    if (part == "month")
        return (b.year * 12 + b.month) - (a.year * 12 + a.month);
    if (part == "week")
        return (to.days + 1) / 7 - (from.days + 1) / 7; // weeks begin on Sunday here, whatever DATEFIRST
    if (part == "day" || part == "dayofyear" || part == "weekday")
        return to.days - from.days;
    int64_t unit = part == "hour"          ? 3600 * ticks_per_second
                   : part == "minute"      ? 60 * ticks_per_second
                   : part == "second"      ? ticks_per_second
                   : part == "millisecond" ? 10000
                   : part == "microsecond" ? 10
                                           : 1;
    int64_t difference = datetime_number(to) / unit - datetime_number(from) / unit;
    return part == "nanosecond" ? difference * 100 : difference;
}

} // namespace sqlserver
