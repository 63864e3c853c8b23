#include "tds/rpc_name.h"

#include <string>

static constexpr tds_proc_kind kinds[] = {
    // proc, name, text, runs, hidden, writes, handles, scroll, head
    {tds_proc::other, "", -1, false, true, true, false, -1},
    {tds_proc::cursor, "sp_cursor", -1, false, false, true, false, -1},
    {tds_proc::cursor_open, "sp_cursoropen", 1, true, false, false, true, 2},
    {tds_proc::cursor_prepare, "sp_cursorprepare", 2, false, false, false, true, -1},
    {tds_proc::cursor_execute, "sp_cursorexecute", -1, false, true, true, true, 2},
    {tds_proc::cursor_prepexec, "sp_cursorprepexec", 3, true, false, false, true, 4},
    {tds_proc::cursor_unprepare, "sp_cursorunprepare", -1, false, false, false, true, -1},
    {tds_proc::cursor_fetch, "sp_cursorfetch", -1, false, false, false, false, -1},
    {tds_proc::cursor_option, "sp_cursoroption", -1, false, false, false, false, -1},
    {tds_proc::cursor_close, "sp_cursorclose", -1, false, false, false, true, -1},
    {tds_proc::execute_sql, "sp_executesql", 0, true, false, false, false, -1},
    {tds_proc::prepare, "sp_prepare", 2, false, false, false, false, -1, 3},
    {tds_proc::execute, "sp_execute", -1, false, false, false, false, -1, 1},
    {tds_proc::prepexec, "sp_prepexec", 2, true, false, false, false, -1, 3},
    {tds_proc::prepexec_rpc, "sp_prepexecrpc", 1, true, true, true, true, -1},
    {tds_proc::unprepare, "sp_unprepare", -1, false, false, false, false, -1, 1},
    {tds_proc::reset_connection, "sp_reset_connection", -1, false, false, false, true, -1},
    {tds_proc::datatype_info, "sp_datatype_info", -1, false, false, false, false, -1},
    {tds_proc::datatype_info, "sp_datatype_info_90", -1, false, false, false, false, -1},
    {tds_proc::datatype_info, "sp_datatype_info_100", -1, false, false, false, false, -1},
};

const tds_proc_kind *tds_proc_kind_of(tds_proc proc) {
    for (const tds_proc_kind &k : kinds)
        if (k.proc == proc)
            return &k;
    return &kinds[0];
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// A part in brackets or quotes: up to the closing one that is not doubled. False: there is none.
static bool take_quoted(std::string_view &name, char close, std::string &part) {
    for (name.remove_prefix(1); !name.empty(); name.remove_prefix(1)) {
        if (name[0] == close) {
            name.remove_prefix(1);
            if (name.empty() || name[0] != close)
                return true;
        }
        part.push_back(lower(name[0]));
    }
    return false;
}

static void take_blanks(std::string_view &name) {
    while (!name.empty() && name[0] == ' ')
        name.remove_prefix(1);
}

// One part of a name off its front; what follows is empty or begins with its separator.
static bool take_part(std::string_view &name, std::string &part) {
    part.clear();
    take_blanks(name);
    bool good = true;
    if (!name.empty() && (name[0] == '[' || name[0] == '"')) {
        good = take_quoted(name, name[0] == '[' ? ']' : '"', part);
    } else {
        for (; !name.empty() && name[0] != '.' && name[0] != ';' && name[0] != ' '; name.remove_prefix(1))
            part.push_back(lower(name[0]));
    }
    take_blanks(name);
    return good && (name.empty() || name[0] == '.' || name[0] == ';');
}

// ";1", the number of a procedure in a group.
static bool is_number(std::string_view text) {
    return text.empty() || (text.size() > 1 && text.find_first_not_of("0123456789 ", 1) == std::string_view::npos);
}

tds_proc tds_proc_find(std::string_view name) {
    static constexpr int parts_max = 3; // a fourth one in front is another server
    std::string schema, part;
    int parts = 1;
    while (true) {
        if (!take_part(name, part))
            return tds_proc::other;
        if (name.empty() || name[0] == ';')
            break;
        name.remove_prefix(1);
        schema = part;
        ++parts;
    }
    if (parts > parts_max || !is_number(name) || (!schema.empty() && schema != "sys" && schema != "dbo"))
        return tds_proc::other;
    for (const tds_proc_kind &k : kinds)
        if (k.proc != tds_proc::other && part == k.name)
            return k.proc;
    return tds_proc::other;
}
