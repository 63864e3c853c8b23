// The whole state of a session as text, for tests that compare sessions: what a reset or a replay must get right.
#include "tsql_cursor.h"
#include "tsql_types.h"

namespace sqlserver {

namespace {

using entries = std::vector<std::pair<std::string, std::string>>;

void add_item(std::string &list, const std::string &item) {
    list += (list.empty() ? "" : ",") + item;
}

std::string optional_text(const std::optional<int64_t> &n) {
    return n ? std::to_string(*n) : "NULL";
}

std::string temps_of(const session *s) {
    std::string list;
    for (const auto &[name, o] : s->temps)
        if (o != nullptr && name.compare(0, 1, "#") == 0)
            add_item(list, name);
    for (const auto &[name, owner] : s->eng->global_owners)
        if (owner == s->spid)
            add_item(list, name);
    return list;
}

std::string locks_of(const session *s) {
    std::string list;
    for (const auto &[resource, lock] : s->eng->app_locks)
        if (lock.owner == s->spid)
            add_item(list, resource.substr(resource.find('\n') + 1) + (lock.exclusive ? " X" : " S") +
                               (lock.transaction ? " transaction" : " session"));
    return list;
}

std::string context_of(const session *s) {
    std::string list;
    for (const auto &[key, v] : s->context)
        add_item(list, key + "=" + (v.null ? "NULL" : to_text(v, v.variant_type)));
    return list;
}

void add_lists(entries &out, const session *s) {
    std::string savepoints, handles, impersonation, flags, cursors, keys, documents;
    for (const auto &[name, c] : s->cursors)
        add_item(cursors, name + (c->is_open ? " open" : ""));
    for (const auto &[id, c] : s->api_cursors)
        add_item(cursors, std::to_string(id));
    for (const auto &[handle, p] : s->cursor_handles)
        add_item(handles, std::to_string(handle));
    for (const savepoint &p : s->savepoints)
        add_item(savepoints, p.name);
    for (const auto &[handle, p] : s->handles)
        add_item(handles, std::to_string(handle));
    for (const impersonated &i : s->impersonation)
        add_item(impersonation, i.name);
    for (int32_t flag : s->trace_flags)
        add_item(flags, std::to_string(flag));
    for (const std::string &key : s->open_keys)
        add_item(keys, key.substr(key.find('\n') + 1));
    for (const auto &[handle, text] : s->documents)
        add_item(documents, std::to_string(handle));
    out.emplace_back("symmetric keys", keys);
    out.emplace_back("xml documents", documents);
    out.emplace_back("savepoints", savepoints);
    out.emplace_back("temp objects", temps_of(s));
    out.emplace_back("prepared handles", handles);
    out.emplace_back("cursors", cursors);
    out.emplace_back("application locks", locks_of(s));
    out.emplace_back("session context", context_of(s));
    out.emplace_back("impersonation", impersonation);
    out.emplace_back("trace flags", flags);
}

} // namespace

entries session_state(const session *s) {
    entries out = options_listed(s->options);
    out.emplace_back("TRANSACTION ISOLATION LEVEL", upper(isolation_name(s->isolation)));
    out.emplace_back("IDENTITY_INSERT", s->identity_insert);
    out.emplace_back("database", s->db);
    out.emplace_back("@@TRANCOUNT", std::to_string(s->trancount));
    out.emplace_back("XACT_STATE()", s->trancount == 0 ? "0" : s->doomed ? "-1" : "1");
    out.emplace_back("transaction", s->tran_name);
    out.emplace_back("@@IDENTITY", optional_text(s->last_identity));
    out.emplace_back("SCOPE_IDENTITY()", optional_text(s->batch_identity));
    out.emplace_back("@@ROWCOUNT", std::to_string(s->rowcount));
    out.emplace_back("@@ERROR", std::to_string(s->last_error));
    out.emplace_back("bulk load", s->bulk ? s->bulk->table.substr(s->bulk->table.rfind('\n') + 1) : "");
    out.emplace_back("@@FETCH_STATUS", std::to_string(s->fetch_status));
    add_lists(out, s);
    return out;
}

} // namespace sqlserver
