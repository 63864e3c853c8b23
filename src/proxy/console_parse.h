// The text of a batch for the admin console, as statements. Pure.
//
//      text -> tokens (tds/tsql_token) -> statements: commands of the console, and what drivers and tools send by
//                                         themselves: SET, USE, SELECT without FROM, IF, BEGIN, COMMIT, EXEC
//
// All of a batch is read before any of it runs, as on SQL Server: a syntax error runs nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct console_command;

struct console_expression {
    enum class kind_t : uint8_t {
        null,
        number,
        text,
        variable, // @@name
        call, // name(arguments), or a name that takes none (SYSTEM_USER); CAST and CONVERT have their type in `text`
    } kind = kind_t::null;
    int64_t number = 0;
    std::string text; // UTF-8; of a variable or a call its name, in upper case
    std::string type; // of CAST and CONVERT, in upper case
    std::vector<console_expression> arguments;
};

enum class console_compare : uint8_t { equal, differs, less, greater, at_most, at_least };

enum class console_verb : uint8_t {
    command,        // `command`, with `argument`
    nothing,        // SET, EXEC sp_reset_connection, SAVE TRAN, an empty statement
    use,            // `name`
    select,         // `items`
    from,           // SELECT ... FROM `name`: there is no table
    begin,          // a transaction
    commit,         //
    rollback,       //
    rollback_named, // to a savepoint, or of everything: `name`
    call,           // EXEC `name`: there is no procedure
    if_,            // `left` `compare` `right`: `body`, else `otherwise`
    block,          // BEGIN ... END: `body`
};

struct console_item {
    console_expression value;
    std::string name; // of its column
};

struct console_statement {
    console_verb verb = console_verb::nothing;
    const console_command *command = nullptr;
    std::string argument; // "": none was given
    std::string name;
    std::vector<console_item> items;
    console_expression left, right;
    console_compare compare = console_compare::equal;
    std::vector<console_statement> body, otherwise;
};

struct console_batch {
    std::vector<console_statement> statements;
    bool good = true;
    std::string near; // not good: the word that does not belong there; "" at the end of the text
    uint32_t line = 1;
};

// `text`: UTF-16LE.
console_batch console_parse(std::span<const uint8_t> text);
