// Expressions and conditions of the admin console's batches, from tokens.
//
//      or -> and -> not -> predicate -> sum -> product -> sign -> value, name, call, CASE, (query), (or)
#include <charconv>

#include "proxy/console/reader.h"

using kind_t = console_expression::kind_t;
using op_t = console_op;

static constexpr int chain_max = 256; // links of a + b + c ...: each is a level when it is evaluated

static console_expression read_or(console_reader &r);

static console_expression of_value(console_value &&v) {
    console_expression e;
    e.value = std::move(v);
    return e;
}

static console_expression operation(op_t op, console_expression &&first) {
    console_expression e;
    e.kind = kind_t::operation;
    e.op = op;
    e.arguments.push_back(std::move(first));
    return e;
}

static console_expression operation(op_t op, console_expression &&first, console_expression &&second) {
    console_expression e = operation(op, std::move(first));
    e.arguments.push_back(std::move(second));
    return e;
}

// ---- values ----------------------------------------------------------------------------------------------------

static int hex_digit(char c) {
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static console_value binary_of(std::string_view digits) {
    console_value v{console_value::kind_t::binary, 0, 0, {}};
    std::string even(digits.size() % 2, '0');
    even += digits;
    for (size_t i = 0; i < even.size(); i += 2)
        v.text += static_cast<char>(hex_digit(even[i]) << 4 | hex_digit(even[i + 1]));
    return v;
}

// False: no number.
static bool number_of(const std::string &text, console_value &v) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
        v = binary_of(std::string_view(text).substr(2));
        return true;
    }
    const char *begin = text.data(), *end = begin + text.size();
    v.kind = console_value::kind_t::number;
    if (auto [last, error] = std::from_chars(begin, end, v.number); error == std::errc() && last == end)
        return true;
    v.kind = console_value::kind_t::real;
    auto [last, error] = std::from_chars(begin, end, v.real);
    return error == std::errc() && last == end;
}

static console_expression read_number(console_reader &r) {
    console_value v;
    r.good = number_of(console_look(r)->text, v);
    r.at += r.good;
    return of_value(std::move(v));
}

// ---- types -----------------------------------------------------------------------------------------------------

console_type console_read_type(console_reader &r) {
    std::vector<std::string> parts = console_take_parts(r); // sys.sysname
    std::string length;
    if (console_take_symbol(r, '(')) {
        length = console_look(r) != nullptr ? console_upper(console_look(r)->text) : "";
        while (r.good && !console_take_symbol(r, ')')) {
            r.good = console_look(r) != nullptr && !console_is_symbol(console_look(r), '(');
            r.at += r.good;
        }
    }
    return console_type_named(console_upper(parts.back()), length);
}

// ---- calls -----------------------------------------------------------------------------------------------------

static void read_list(console_reader &r, std::vector<console_expression> &list) {
    do
        list.push_back(read_or(r));
    while (console_take_symbol(r, ','));
}

static void read_convert(console_reader &r, console_expression &e) {
    e.kind = kind_t::cast;
    e.type = console_read_type(r);
    console_expect_symbol(r, ',');
    if (r.good)
        read_list(r, e.arguments);
}

static void read_cast(console_reader &r, console_expression &e) {
    e.kind = kind_t::cast;
    e.arguments.push_back(read_or(r));
    console_expect_word(r, "AS");
    e.type = console_read_type(r);
}

// DATEDIFF(second, ...): the first one is a word.
static void read_arguments(console_reader &r, console_expression &e) {
    if (console_take_symbol(r, '*')) {
        e.arguments.emplace_back().kind = kind_t::star;
        return;
    }
    e.distinct = console_take_word(r, "DISTINCT");
    if (!e.distinct)
        console_take_word(r, "ALL");
    if (!console_is_symbol(console_look(r), ')'))
        read_list(r, e.arguments);
}

// Behind its opening bracket.
static void read_call(console_reader &r, console_expression &e) {
    e.kind = kind_t::call;
    for (const std::string &part : e.parts)
        e.text.append(e.text.empty() ? "" : ".").append(console_upper(part));
    if (e.text == "CONVERT" || e.text == "TRY_CONVERT")
        read_convert(r, e);
    else if (e.text == "CAST" || e.text == "TRY_CAST")
        read_cast(r, e);
    else
        read_arguments(r, e);
    console_expect_symbol(r, ')');
    if (console_take_word(r, "OVER")) { // nobody's function: an error for the first row that asks it
        e.text += " OVER";
        console_expect_symbol(r, '(');
        console_skip_brackets(r);
    }
}

static console_expression read_case(console_reader &r) {
    console_expression e;
    e.kind = kind_t::operation;
    bool searched = console_is_word(console_look(r), "WHEN");
    e.op = searched ? op_t::case_when : op_t::case_simple;
    if (!searched)
        e.arguments.push_back(read_or(r));
    r.good = r.good && console_is_word(console_look(r), "WHEN");
    while (console_take_word(r, "WHEN")) {
        e.arguments.push_back(read_or(r));
        console_expect_word(r, "THEN");
        e.arguments.push_back(read_or(r));
    }
    if (console_take_word(r, "ELSE"))
        e.arguments.push_back(read_or(r));
    console_expect_word(r, "END");
    return e;
}

static console_expression read_named(console_reader &r) {
    console_expression e;
    if (console_take_word(r, "NULL"))
        return e;
    if (console_take_word(r, "CASE"))
        return read_case(r);
    e.kind = kind_t::name;
    r.good = r.good && console_begins_name(r);
    e.parts = console_take_parts(r);
    if (console_take_symbol(r, '('))
        read_call(r, e);
    return e;
}

static console_expression of_query(console_reader &r) {
    console_expression e;
    e.kind = kind_t::query;
    e.query = std::make_shared<console_query>(console_read_query(r));
    return e;
}

static console_expression read_in_brackets(console_reader &r) {
    console_expression e = console_begins_query(r) ? of_query(r) : read_or(r);
    console_expect_symbol(r, ')');
    return e;
}

static console_expression read_primary(console_reader &r) {
    const console_token *t = console_look(r);
    r.good = r.good && t != nullptr;
    if (!r.good)
        return {};
    switch (t->kind) {
    case tsql_token_kind::text: ++r.at; return of_value(console_text_value(t->text));
    case tsql_token_kind::number: return read_number(r);
    case tsql_token_kind::variable: {
        console_expression e;
        e.kind = kind_t::variable;
        e.text = console_upper(t->text);
        ++r.at;
        return e;
    }
    case tsql_token_kind::word:
    case tsql_token_kind::name:
    case tsql_token_kind::either: return read_named(r);
    default: break;
    }
    console_expect_symbol(r, '(');
    return r.good ? read_in_brackets(r) : console_expression();
}

// ---- operators -------------------------------------------------------------------------------------------------

static console_expression read_sign(console_reader &r) {
    console_deeper level(r);
    if (console_take_symbol(r, '-')) {
        console_expression e = read_sign(r);
        if (e.kind == kind_t::value && e.value.kind == console_value::kind_t::number) {
            e.value.number = -e.value.number;
            return e;
        }
        return operation(op_t::negate, std::move(e));
    }
    if (console_take_symbol(r, '+'))
        return read_sign(r);
    if (console_take_symbol(r, '~'))
        return operation(op_t::complement, read_sign(r));
    console_expression e = read_primary(r);
    if (console_take_word(r, "COLLATE"))
        console_take_name(r);
    return e;
}

struct operator_symbol {
    char16_t symbol;
    op_t op;
};

template <size_t N>
static console_expression read_chain(console_reader &r, const operator_symbol (&symbols)[N],
                                     console_expression (*read)(console_reader &)) {
    console_expression e = read(r);
    for (int links = 0; r.good; ++links) {
        const operator_symbol *found = nullptr;
        for (const operator_symbol &s : symbols)
            if (found == nullptr && console_take_symbol(r, s.symbol))
                found = &s;
        if (found == nullptr)
            break;
        r.good = links < chain_max;
        if (r.good)
            e = operation(found->op, std::move(e), read(r));
    }
    return e;
}

static console_expression read_product(console_reader &r) {
    static constexpr operator_symbol symbols[] = {{'*', op_t::multiply}, {'/', op_t::divide}, {'%', op_t::modulo}};
    return read_chain(r, symbols, read_sign);
}

static console_expression read_sum(console_reader &r) {
    static constexpr operator_symbol symbols[] = {
        {'+', op_t::add}, {'-', op_t::subtract}, {'&', op_t::bit_and}, {'|', op_t::bit_or}, {'^', op_t::bit_xor}};
    return read_chain(r, symbols, read_product);
}

// False: no comparison stands here.
static bool take_compare(console_reader &r, op_t &op) {
    if (console_take_symbol(r, '='))
        return op = op_t::equal, true;
    if (console_take_symbol(r, '<')) {
        op = console_take_symbol(r, '>') ? op_t::differs : console_take_symbol(r, '=') ? op_t::at_most : op_t::less;
        return true;
    }
    if (console_take_symbol(r, '>'))
        return op = console_take_symbol(r, '=') ? op_t::at_least : op_t::greater, true;
    if (!console_take_symbol(r, '!'))
        return false;
    op = console_take_symbol(r, '<') ? op_t::at_least : console_take_symbol(r, '>') ? op_t::at_most : op_t::differs;
    if (op == op_t::differs)
        console_expect_symbol(r, '=');
    return true;
}

static void read_in(console_reader &r, console_expression &e) {
    console_expect_symbol(r, '(');
    if (r.good && console_begins_query(r))
        e.query = std::make_shared<console_query>(console_read_query(r));
    else
        read_list(r, e.arguments);
    console_expect_symbol(r, ')');
}

static void read_like(console_reader &r, console_expression &e) {
    e.arguments.push_back(read_sum(r));
    if (console_take_word(r, "ESCAPE"))
        e.arguments.push_back(read_sum(r));
}

static void read_between(console_reader &r, console_expression &e) {
    e.arguments.push_back(read_sum(r));
    console_expect_word(r, "AND");
    e.arguments.push_back(read_sum(r));
}

static console_expression read_is_null(console_reader &r, console_expression &&left) {
    console_expression e = operation(op_t::is_null, std::move(left));
    e.negated = console_take_word(r, "NOT");
    console_expect_word(r, "NULL");
    return e;
}

static console_expression read_exists(console_reader &r) {
    r.at += 2;
    console_expression e;
    e.kind = kind_t::operation;
    e.op = op_t::exists;
    e.query = std::make_shared<console_query>(console_read_query(r));
    console_expect_symbol(r, ')');
    return e;
}

// LIKE, IN or BETWEEN, maybe behind NOT.
static console_expression read_word_operator(console_reader &r, console_expression &&left) {
    static constexpr struct {
        const char *word;
        op_t op;
        void (*read)(console_reader &, console_expression &);
    } operators[] = {
        {"LIKE", op_t::like, read_like}, {"IN", op_t::in, read_in}, {"BETWEEN", op_t::between, read_between}};
    bool negated = console_take_word(r, "NOT");
    for (const auto &o : operators) {
        if (!console_take_word(r, o.word))
            continue;
        console_expression e = operation(o.op, std::move(left));
        e.negated = negated;
        o.read(r, e);
        return e;
    }
    r.good = r.good && !negated;
    return std::move(left);
}

static console_expression read_predicate(console_reader &r) {
    if (console_is_word(console_look(r), "EXISTS") && console_is_symbol(console_look(r, 1), '('))
        return read_exists(r);
    console_expression left = read_sum(r);
    op_t op = op_t::equal;
    if (r.good && take_compare(r, op))
        return operation(op, std::move(left), read_sum(r));
    if (console_take_word(r, "IS"))
        return read_is_null(r, std::move(left));
    return read_word_operator(r, std::move(left));
}

static console_expression read_not(console_reader &r) {
    console_deeper level(r);
    if (!r.good)
        return {};
    return console_take_word(r, "NOT") ? operation(op_t::not_, read_not(r)) : read_predicate(r);
}

static console_expression read_flat(console_reader &r, const char *word, op_t op,
                                    console_expression (*read)(console_reader &)) {
    console_expression e = read(r);
    if (!console_is_word(console_look(r), word))
        return e;
    e = operation(op, std::move(e));
    while (console_take_word(r, word))
        e.arguments.push_back(read(r));
    return e;
}

static console_expression read_and(console_reader &r) {
    return read_flat(r, "AND", op_t::and_, read_not);
}

static console_expression read_or(console_reader &r) {
    console_deeper level(r);
    return r.good ? read_flat(r, "OR", op_t::or_, read_and) : console_expression();
}

console_expression console_read_expression(console_reader &r) {
    return read_or(r);
}
