// Stands in for tds/tsql_scan.cpp where only it matters what the scanner is given: it keeps the texts and the names of
// called procedures. Include it in one source of a program, which is then linked without the real one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tds/tsql_scan.h"
#include "tds/utf16.h"

struct fake_text {
    tsql_scope scope;
    std::vector<uint8_t> utf16;
    bool ended = false;

    bool operator==(const fake_text &) const = default;
};

struct tsql_scanner {
    std::vector<fake_text> texts;
    std::vector<std::string> calls;
    tsql_effect *effect = nullptr;
};

tsql_scanner *tsql_scanner_create() {
    return new tsql_scanner;
}

void tsql_scanner_destroy(tsql_scanner *s) {
    delete s;
}

void tsql_scan_begin(tsql_scanner *s, tsql_scope scope, tsql_effect &effect) {
    s->texts.push_back({scope, {}, false});
    s->effect = &effect;
}

void tsql_scan_feed(tsql_scanner *s, std::span<const uint8_t> utf16) {
    auto &text = s->texts.back().utf16;
    text.insert(text.end(), utf16.begin(), utf16.end());
}

// Just enough of an effect: a text that begins with SELECT is a lone one, and every ROWCOUNT in it is @@ROWCOUNT.
void tsql_scan_end(tsql_scanner *s) {
    fake_text &text = s->texts.back();
    std::string content = tds_utf8(text.utf16);
    text.ended = true;
    s->effect->lone_select = content.starts_with("SELECT") && s->effect->empty;
    s->effect->empty = s->effect->empty && content.empty();
    for (size_t at = 0; (at = content.find("@@ROWCOUNT", at)) != std::string::npos; at += 10)
        s->effect->last_uses.push_back({tsql_last_rowcount, false, at, 10});
    s->effect = nullptr;
}

void tsql_scan(tsql_scanner *s, tsql_scope scope, std::span<const uint8_t> utf16, tsql_effect &effect) {
    tsql_scan_begin(s, scope, effect);
    tsql_scan_feed(s, utf16);
    tsql_scan_end(s);
}

void tsql_call(tsql_scanner *s, tsql_scope, std::string_view name, tsql_effect &effect) {
    s->calls.emplace_back(name);
    effect.procedures.emplace_back(name);
    effect.calls = true;
}
