// How fast the scanner goes over T-SQL: bytes of UTF-16 per second on one core, for literals, comments and the
// statements of ordinary clients.
//
//      tsql-bench [--rounds N] [--check]      --check: exit 1 when a goal is missed
//
// Goals: 500 MB/s in literals and comments, 100 MB/s on statements.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tds/tsql_scan.h"
#include "tds/utf16.h"

using bytes = std::vector<uint8_t>;

static constexpr size_t text_size = 1 << 20;

static bytes utf16(const std::string &text) {
    bytes wire;
    tds_utf16_append(text, SIZE_MAX, wire);
    return wire;
}

static std::string repeated(const std::string &text, size_t size) {
    std::string all;
    while (all.size() < size)
        all += text;
    return all;
}

struct shape {
    const char *name;
    std::string text;
    double goal; // MB/s
};

static double measure(tsql_scanner *scanner, const bytes &wire, size_t piece, int rounds) {
    double best = 1e9;
    for (int i = 0; i < rounds; ++i) {
        tsql_effect effect;
        auto begin = std::chrono::steady_clock::now();
        tsql_scan_begin(scanner, tsql_scope::batch, effect);
        for (size_t at = 0; at < wire.size(); at += piece)
            tsql_scan_feed(scanner, std::span(wire).subspan(at, std::min(piece, wire.size() - at)));
        tsql_scan_end(scanner);
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        if (effect.empty)
            abort();
    }
    return static_cast<double>(wire.size()) / 1e6 / best;
}

int main(int argc, char **argv) {
    int rounds = 50;
    bool check = false, missed = false;
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
    }
    const std::string query =
        "SELECT o.id, o.customer_id, c.name, SUM(l.quantity * l.price) AS total FROM dbo.orders o INNER JOIN "
        "dbo.customers c ON c.id = o.customer_id LEFT JOIN dbo.lines l ON l.order_id = o.id WHERE o.created >= "
        "'2024-01-01' AND c.country IN (N'PL', N'DE') GROUP BY o.id, o.customer_id, c.name;\r\n";
    const std::string inserts = "INSERT INTO dbo.t (a, b, c) VALUES (1, N'some text', 3.5), (2, N'some more', 4.5)\r\n";
    const shape shapes[] = {
        {"one literal", "SELECT N'" + repeated("some text without a quote ", text_size) + "'", 500},
        {"literal with quotes", "SELECT N'" + repeated("it''s a text of some length, as they are ", text_size) + "'",
         500},
        {"comment", "SELECT 1 /* " + repeated("some comment ", text_size) + " */", 500},
        {"EXEC of a literal", "EXEC (N'SELECT ''" + repeated("some text without a quote ", text_size) + "''')", 300},
        {"queries", repeated(query, text_size), 100},
        {"inserts", repeated(inserts, text_size), 100},
    };
    tsql_scanner *scanner = tsql_scanner_create();
    if (scanner == nullptr)
        abort();
    printf("| text | piece | MB/s | goal |\n| --- | --- | --- | --- |\n");
    for (const shape &s : shapes) {
        bytes wire = utf16(s.text);
        for (size_t piece : {size_t{4088}, size_t{65536}}) {
            double speed = measure(scanner, wire, piece, rounds);
            printf("| %s | %zu | %.0f | %.0f |\n", s.name, piece, speed, s.goal);
            missed = missed || speed < s.goal;
        }
    }
    tsql_scanner_destroy(scanner);
    return check && missed ? 1 : 0;
}
