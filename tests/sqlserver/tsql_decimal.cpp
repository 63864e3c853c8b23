// Decimal arithmetic on 128-bit magnitudes: 38 digits, as decimal(38) has.
#include "tsql_text.h"
#include "tsql_types.h"

#include <algorithm>

namespace sqlserver {

using u128 = unsigned __int128;

static u128 power10(int n) {
    u128 p = 1;
    for (int i = 0; i < n; i++)
        p *= 10;
    return p;
}

[[noreturn]] static void overflow() {
    fail(8115, 16, 2, "Arithmetic overflow error converting expression to data type numeric.");
}

bool decimal_parse(std::string_view text, decimal &out) {
    out = {};
    size_t i = 0;
    bool point = false, any = false;
    if (i < text.size() && (text[i] == '-' || text[i] == '+'))
        out.negative = text[i++] == '-';
    for (; i < text.size(); i++) {
        char c = text[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        any = true;
        if (out.magnitude > (~u128{0} - 9) / 10) {
            if (point)
                continue; // more decimals than fit
            return false;
        }
        out.magnitude = out.magnitude * 10 + static_cast<u128>(c - '0');
        out.scale += point;
    }
    if (out.magnitude == 0)
        out.negative = false;
    return any;
}

std::string decimal_text(const decimal &d) {
    std::string digits;
    for (u128 m = d.magnitude; m != 0; m /= 10)
        digits.push_back(static_cast<char>('0' + static_cast<int>(m % 10)));
    while (static_cast<int>(digits.size()) <= d.scale)
        digits.push_back('0');
    std::reverse(digits.begin(), digits.end());
    if (d.scale > 0)
        digits.insert(digits.size() - static_cast<size_t>(d.scale), 1, '.');
    return d.negative && d.magnitude != 0 ? "-" + digits : digits;
}

bool decimal_rescale(decimal &d, int scale, bool round) {
    for (; d.scale < scale; d.scale++)
        if (__builtin_mul_overflow(d.magnitude, u128{10}, &d.magnitude))
            return false;
    if (d.scale > scale) {
        int drop = d.scale - scale;
        u128 p = drop > 38 ? 0 : power10(drop);
        u128 rest = p == 0 ? 0 : d.magnitude % p;
        d.magnitude = p == 0 ? 0 : d.magnitude / p;
        if (round && p != 0 && rest >= p - rest)
            d.magnitude++;
        d.scale = scale;
    }
    return true;
}

bool decimal_fits(const decimal &d, int precision) {
    return precision > 38 || d.magnitude < power10(precision);
}

// Brings both to one scale; drops decimals only when 128 bits are not enough.
static void align(decimal &a, decimal &b) {
    int scale = std::max(a.scale, b.scale);
    for (; scale >= 0; scale--) {
        decimal x = a, y = b;
        if (decimal_rescale(x, scale) && decimal_rescale(y, scale)) {
            a = x;
            b = y;
            return;
        }
    }
    overflow();
}

decimal decimal_add(const decimal &left, const decimal &right) {
    decimal a = left, b = right;
    align(a, b);
    decimal out;
    out.scale = a.scale;
    if (a.negative == b.negative) {
        if (__builtin_add_overflow(a.magnitude, b.magnitude, &out.magnitude))
            overflow();
        out.negative = a.negative;
    } else if (a.magnitude >= b.magnitude) {
        out.magnitude = a.magnitude - b.magnitude;
        out.negative = a.negative;
    } else {
        out.magnitude = b.magnitude - a.magnitude;
        out.negative = b.negative;
    }
    return out;
}

decimal decimal_multiply(const decimal &left, const decimal &right) {
    decimal a = left, b = right, out;
    while (__builtin_mul_overflow(a.magnitude, b.magnitude, &out.magnitude)) {
        decimal &longer = a.scale >= b.scale ? a : b;
        if (longer.scale == 0)
            overflow();
        decimal_rescale(longer, longer.scale - 1);
    }
    out.scale = a.scale + b.scale;
    out.negative = a.negative != b.negative;
    return out;
}

decimal decimal_divide(const decimal &a, const decimal &b, int scale) {
    if (b.magnitude == 0)
        fail(8134, 16, 1, "Divide by zero error encountered.");
    decimal out;
    out.negative = a.negative != b.negative;
    out.scale = a.scale - b.scale;
    out.magnitude = a.magnitude / b.magnitude;
    u128 rest = a.magnitude % b.magnitude;
    for (; out.scale < scale; out.scale++) { // long division, one digit a turn
        u128 ten_rest;
        if (__builtin_mul_overflow(rest, u128{10}, &ten_rest) ||
            __builtin_mul_overflow(out.magnitude, u128{10}, &out.magnitude))
            overflow();
        out.magnitude += ten_rest / b.magnitude;
        rest = ten_rest % b.magnitude;
    }
    decimal_rescale(out, scale, false);
    return out;
}

decimal decimal_modulo(const decimal &left, const decimal &right) {
    if (right.magnitude == 0)
        fail(8134, 16, 1, "Divide by zero error encountered.");
    decimal a = left, b = right;
    align(a, b);
    a.magnitude %= b.magnitude;
    return a;
}

int decimal_compare(const decimal &left, const decimal &right) {
    if (left.magnitude == 0 && right.magnitude == 0)
        return 0;
    if (left.magnitude == 0 || right.magnitude == 0 || left.negative != right.negative) {
        bool less = left.magnitude == 0 ? !right.negative : left.negative;
        return less ? -1 : 1;
    }
    decimal a = left, b = right;
    int sign = a.negative ? -1 : 1;
    if (!decimal_rescale(a, std::max(a.scale, b.scale)))
        return sign; // too big for the other's scale
    if (!decimal_rescale(b, a.scale))
        return -sign;
    return a.magnitude < b.magnitude ? -sign : a.magnitude > b.magnitude ? sign : 0;
}

double decimal_double(const decimal &d) {
    return strtod(decimal_text(d).c_str(), nullptr);
}

type_info decimal_type_of(const type_info &t) {
    static const uint8_t digits[] = {1, 3, 5, 10, 19};
    if (is_exact(t.id))
        return t;
    type_info out{type_id::numeric_, 0, 18, 0};
    if (is_integer(t.id))
        out.precision = digits[static_cast<size_t>(t.id)];
    if (is_money(t.id)) {
        out.precision = t.id == type_id::money_ ? 19 : 10;
        out.scale = 4;
    }
    return out;
}

type_info decimal_result(char op, const type_info &x, const type_info &y) {
    type_info a = decimal_type_of(x), b = decimal_type_of(y);
    int p1 = a.precision, s1 = a.scale, p2 = b.precision, s2 = b.scale, p, s;
    if (op == '*') {
        p = p1 + p2 + 1;
        s = s1 + s2;
    } else if (op == '/') {
        s = std::max(6, s1 + p2 + 1);
        p = p1 - s1 + s2 + s;
    } else if (op == '%') {
        s = std::max(s1, s2);
        p = std::min(p1 - s1, p2 - s2) + s;
    } else {
        s = std::max(s1, s2);
        p = std::max(p1 - s1, p2 - s2) + s + 1;
    }
    if (p > 38) {
        int whole = p - s;
        if (op == '*' || op == '/')
            s = whole > 32 ? std::min(s, 6) : std::min(s, 38 - whole);
        else
            s = std::max(38 - whole, 0);
        p = 38;
    }
    type_info out{is_exact(x.id) ? x.id : is_exact(y.id) ? y.id : type_id::numeric_, 0, 0, 0};
    out.precision = static_cast<uint8_t>(std::max(p, 1));
    out.scale = static_cast<uint8_t>(s);
    return out;
}

} // namespace sqlserver
