// The words of T-SQL that tell where a statement begins and what it may do.
#pragma once

#include <cstdint>
#include <string_view>

enum class tsql_begins : uint8_t {
    never,
    always,   // reserved: where it does not belong to the statement before, it begins another
    at_start, // only where a statement is due: behind `;`, BEGIN, ELSE, a condition, or at the beginning
};

// Name, spelling, what it begins.
// clang-format off
#define TSQL_WORDS(X) \
    X(alter, "ALTER", always) X(backup, "BACKUP", always) X(begin, "BEGIN", always) X(break_, "BREAK", always) \
    X(bulk, "BULK", always) X(checkpoint, "CHECKPOINT", always) X(close, "CLOSE", always) \
    X(commit, "COMMIT", always) X(continue_, "CONTINUE", always) X(create, "CREATE", always) X(dbcc, "DBCC", always) \
    X(deallocate, "DEALLOCATE", always) X(declare, "DECLARE", always) X(delete_, "DELETE", always) \
    X(deny, "DENY", always) X(drop, "DROP", always) X(dump, "DUMP", always) X(else_, "ELSE", always) \
    X(end, "END", always) X(exec, "EXEC", always) X(execute, "EXECUTE", always) X(fetch, "FETCH", always) \
    X(goto_, "GOTO", always) X(grant, "GRANT", always) X(if_, "IF", always) X(insert, "INSERT", always) \
    X(kill, "KILL", always) X(lineno, "LINENO", always) X(load, "LOAD", always) X(merge, "MERGE", always) \
    X(open, "OPEN", always) X(print, "PRINT", always) X(raiserror, "RAISERROR", always) \
    X(readtext, "READTEXT", always) X(reconfigure, "RECONFIGURE", always) X(restore, "RESTORE", always) \
    X(return_, "RETURN", always) X(revert, "REVERT", always) X(revoke, "REVOKE", always) \
    X(rollback, "ROLLBACK", always) X(save, "SAVE", always) X(select, "SELECT", always) X(set, "SET", always) \
    X(setuser, "SETUSER", always) X(shutdown, "SHUTDOWN", always) X(truncate, "TRUNCATE", always) \
    X(update, "UPDATE", always) X(updatetext, "UPDATETEXT", always) X(use, "USE", always) \
    X(waitfor, "WAITFOR", always) X(while_, "WHILE", always) X(writetext, "WRITETEXT", always) \
    X(add, "ADD", at_start) X(disable, "DISABLE", at_start) X(enable, "ENABLE", at_start) X(get, "GET", at_start) \
    X(move, "MOVE", at_start) X(receive, "RECEIVE", at_start) X(send, "SEND", at_start) X(throw_, "THROW", at_start) \
    X(with, "WITH", at_start) X(after, "AFTER", never) X(all, "ALL", never) X(and_, "AND", never) X(as, "AS", never) \
    X(at, "AT", never) X(atomic, "ATOMIC", never) X(before, "BEFORE", never) X(case_, "CASE", never) \
    X(catch_, "CATCH", never) X(column, "COLUMN", never) X(compute, "COMPUTE", never) \
    X(constraint, "CONSTRAINT", never) X(conversation, "CONVERSATION", never) X(cookie, "COOKIE", never) \
    X(cursor, "CURSOR", never) X(database, "DATABASE", never) X(dialog, "DIALOG", never) \
    X(distributed, "DISTRIBUTED", never) X(except, "EXCEPT", never) X(for_, "FOR", never) X(from, "FROM", never) \
    X(full, "FULL", never) X(function, "FUNCTION", never) X(group, "GROUP", never) X(index, "INDEX", never) \
    X(inner, "INNER", never) X(intersect, "INTERSECT", never) X(into, "INTO", never) \
    X(isolation, "ISOLATION", never) X(key, "KEY", never) X(keys, "KEYS", never) X(language, "LANGUAGE", never) \
    X(left, "LEFT", never) X(level, "LEVEL", never) X(local, "LOCAL", never) X(mark, "MARK", never) \
    X(master, "MASTER", never) X(no, "NO", never) X(not_, "NOT", never) X(off, "OFF", never) X(on, "ON", never) \
    X(opendatasource, "OPENDATASOURCE", never) X(openquery, "OPENQUERY", never) X(openrowset, "OPENROWSET", never) \
    X(option, "OPTION", never) X(or_, "OR", never) X(order, "ORDER", never) X(outer, "OUTER", never) \
    X(proc, "PROC", never) X(procedure, "PROCEDURE", never) X(read, "READ", never) X(right, "RIGHT", never) \
    X(row, "ROW", never) X(rowcount_big, "ROWCOUNT_BIG", never) X(rows, "ROWS", never) X(schema, "SCHEMA", never) \
    X(scope_identity, "SCOPE_IDENTITY", never) X(statistics, "STATISTICS", never) X(symmetric, "SYMMETRIC", never) \
    X(table, "TABLE", never) X(then, "THEN", never) X(to, "TO", never) X(tran, "TRAN", never) \
    X(transaction, "TRANSACTION", never) X(trigger, "TRIGGER", never) X(try_, "TRY", never) \
    X(union_, "UNION", never) X(values, "VALUES", never) X(view, "VIEW", never) X(sys_error, "@@ERROR", never) \
    X(sys_identity, "@@IDENTITY", never) X(sys_rowcount, "@@ROWCOUNT", never) X(sys_spid, "@@SPID", never)
// clang-format on

enum class tsql_word : uint8_t {
    none,
#define TSQL_WORD_NAME(name, spelling, begins) name,
    TSQL_WORDS(TSQL_WORD_NAME)
#undef TSQL_WORD_NAME
};

// Which word this is, in letters of any case.
tsql_word tsql_word_find(std::u16string_view text);
tsql_begins tsql_word_begins(tsql_word);
