// EXECUTE AS and REVERT: whose name the session goes by; symmetric keys that it has opened. Neither permissions nor
// encryption are modelled.
#include "tsql_bind.h"
#include "tsql_functions.h"
#include "tsql_types.h"

#include <random>

namespace sqlserver {

namespace {

constexpr type_info t_cookie{type_id::varbinary_, 100, 0, 0};

void check_principal(frame &f, const std::string &name, bool login) {
    bool known = login_find(f.s->eng, name) != nullptr || same_name(name, f.s->login.user);
    if (login && !known)
        fail(15406, 16, 1,
             "Cannot execute as the server principal because the principal \"%s\" does not exist, this type of "
             "principal cannot be impersonated, or you do not have permission.",
             name.c_str());
    if (!login && !known && !same_name(name, "dbo") && !same_name(name, "guest"))
        fail(15517, 16, 1,
             "Cannot execute as the database principal because the principal \"%s\" does not exist, this type of "
             "principal cannot be impersonated, or you do not have permission.",
             name.c_str());
}

} // namespace

std::string new_cookie() {
    std::random_device random;
    std::string cookie(16, '\0');
    for (char &c : cookie)
        c = static_cast<char>(random());
    return cookie;
}

// A role changes what the session is in the database, not who has logged in.
std::string current_login(const session *s) {
    for (auto i = s->impersonation.rbegin(); i != s->impersonation.rend(); ++i)
        if (i->kind != principal::role)
            return i->kind == principal::user && same_name(i->name, "dbo") ? "sa" : i->name;
    return s->login.user;
}

std::string current_user(const session *s) {
    bool in_database = !s->impersonation.empty() && s->impersonation.back().kind != principal::login;
    std::string name = in_database ? s->impersonation.back().name : current_login(s);
    return same_name(name, "sa") ? "dbo" : name;
}

void exec_execute_as(frame &f, const stmt &s) {
    if (s.text == "caller") {
        send_done(f, 0, 0xFD, 0);
        return;
    }
    impersonated i;
    i.name = eval_as(f, *s.e, t_sysname).text;
    i.kind = s.text == "login" ? principal::login : principal::user;
    i.no_revert = s.flag;
    i.nest = f.s->nest;
    check_principal(f, i.name, i.kind == principal::login);
    if (!s.words.empty()) {
        variable &v = f.variables.at(s.words[0]);
        i.cookie = new_cookie();
        value cookie = value_text(i.cookie);
        v.val = convert_implicit(cookie, t_cookie, v.type);
    }
    f.s->impersonation.push_back(i);
    send_done(f, 0, 0xFD, 0);
}

// Only what the same module has begun; without anything to take back it does nothing.
void exec_revert(frame &f, const stmt &s) {
    auto &all = f.s->impersonation;
    std::string cookie = s.e != nullptr ? eval_as(f, *s.e, t_cookie).text : "";
    if (!all.empty() && all.back().nest == f.s->nest) {
        if (all.back().no_revert || all.back().cookie != cookie)
            fail(15591, 16, 1,
                 "The current security context cannot be reverted using this statement. A cookie may or may not be "
                 "needed with 'Revert' statement depending on how the context was set with 'Execute As' statement.");
        all.pop_back();
    }
    send_done(f, 0, 0xFD, 0);
}

void exec_symmetric_key(frame &f, const stmt &s) {
    session *x = f.s;
    std::string key = lower(x->db + "\n" + s.text);
    bool known = x->eng->symmetric_keys.count(key) != 0;
    if (s.kind == stmt_kind::create_key && known)
        fail(15282, 16, 1,
             "A key with name '%s' or user defined unique identifier already exists or you do not have "
             "permissions to create it.",
             s.text.c_str());
    if (s.kind != stmt_kind::create_key && !s.flag && !known)
        fail(15151, 16, 1,
             "Cannot find the symmetric key '%s', because it does not exist or you do not have permission.",
             s.text.c_str());
    if (s.kind == stmt_kind::close_key && !s.flag && x->open_keys.count(key) == 0)
        fail(15315, 16, 1, "The key '%s' is not open. Please open the key before using it.", s.text.c_str());
    if (s.kind == stmt_kind::create_key)
        x->eng->symmetric_keys.insert(key);
    else if (s.kind == stmt_kind::open_key)
        x->open_keys.insert(key);
    else if (s.flag) // ALL
        x->open_keys.clear();
    else
        x->open_keys.erase(key);
    send_done(f, 0, 0xFD, 0);
}

} // namespace sqlserver
