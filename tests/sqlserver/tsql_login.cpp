// SQL logins: who may log in with which password, and what is said to those who may not.
#include "tsql_session.h"

namespace sqlserver {

namespace {

struct refusal {
    int32_t number;
    const char *before, *after; // around the user's name
};

constexpr refusal failed{18456, "Login failed for user '", "'."},
    disabled{18470, "Login failed for user '", "'. Reason: The account is disabled."},
    locked{18486, "Login failed for user '",
           "' because the account is currently locked out. The system administrator can unlock it."},
    expired{18487, "Login failed for user '", "'.  Reason: The password of the account has expired."},
    must_change{18488, "Login failed for user '", "'.  Reason: The password of the account must be changed."};

// Null: welcome. A wrong password hides that the login is disabled; a locked one is not even compared.
const refusal *judge(const sql_login *l, const login_request &r) {
    if (l == nullptr)
        return r.proven ? nullptr : &failed;
    if (l->locked)
        return &locked;
    if (!r.proven && !l->any_password && l->password != r.password)
        return &failed;
    if (l->disabled)
        return &disabled;
    if (r.proven || r.change_password)
        return nullptr;
    return l->expired ? &expired : l->must_change ? &must_change : nullptr;
}

} // namespace

void logins_create(engine *e) {
    for (const std::string &text : e->options.logins) {
        size_t colon = text.find(':');
        if (colon != std::string::npos)
            login_add(e, text.substr(0, colon), text.substr(colon + 1));
    }
    if (!e->options.logins.empty())
        return;
    login_add(e, "sa", "");
    login_find(e, "sa")->any_password = true;
}

sql_login *login_find(engine *e, std::string_view name) {
    auto found = e->logins.find(lower(name));
    return found == e->logins.end() ? nullptr : &found->second;
}

void login_add(engine *e, std::string_view name, std::string_view password) {
    sql_login l;
    l.name = name;
    l.password = password;
    e->logins[lower(name)] = l;
}

bool login_drop(engine *e, std::string_view name) {
    return e->logins.erase(lower(name)) != 0;
}

bool login_admit(engine *e, const login_request &r, host &h) {
    sql_login *l = login_find(e, r.user);
    if (const refusal *no = judge(l, r); no != nullptr) {
        h.message(no->number, 1, 14, no->before + r.user + no->after, "", 1);
        return false;
    }
    if (l == nullptr || !r.change_password)
        return true;
    l->password = r.new_password;
    l->any_password = l->expired = l->must_change = false;
    e->counters.password_changes++;
    return true;
}

} // namespace sqlserver
