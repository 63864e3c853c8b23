// Commands of the console that change something.
#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "proxy/console/commands.h"
#include "proxy/console/session.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"

static constexpr int32_t own_session = 6104, no_such_session = 6106;
static constexpr int32_t not_a_number = 102;

// ---- PAUSE -----------------------------------------------------------------------------------------------------

void console_pause(console_call &call) {
    console_session &c = *call.session->console;
    for (proxy_bucket *pb : console_chosen(call)) {
        if (!pb->core.paused)
            c.paused_by_it.push_back(pb->core.id);
        c.waits_for.push_back(pb->core.id);
        bucket_pause(pb->core);
        pools_retire_idle(pb, "paused");
    }
}

bool console_pause_done(const client_session *s) {
    return std::all_of(s->console->waits_for.begin(), s->console->waits_for.end(), [s](const std::string &id) {
        const proxy_bucket *pb = console_bucket(s->root, id);
        return pb == nullptr || !pb->core.paused || pb->core.used == 0;
    });
}

void console_undo_pause(client_session *s) {
    console_session &c = *s->console;
    if (!c.waits_for.empty())
        for (const std::string &id : c.paused_by_it)
            if (proxy_bucket *pb = console_bucket(s->root, id); pb != nullptr)
                bucket_resume(pb->core);
    c.waits_for.clear();
    c.paused_by_it.clear();
}

// The next tick asks for slots.
void console_resume(console_call &call) {
    for (proxy_bucket *pb : console_chosen(call))
        if (pb->core.paused)
            bucket_resume(pb->core);
}

// ---- the others ------------------------------------------------------------------------------------------------

void console_reload(console_call &call) {
    std::string error;
    if (!proxy_reload(call.root, error))
        console_fail(call, static_cast<int32_t>(proxy_error::internal), "tdsbouncer: reload failed: " + error);
}

static client_session *find_session(proxy *root, uint64_t id) {
    for (size_t i = 0; i < static_cast<size_t>(session_state::closing); ++i)
        for (client_session *s = list_front(root->sessions[i]); s != nullptr; s = list_next(root->sessions[i], *s))
            if (s->id == id)
                return s;
    return nullptr;
}

void console_kill(console_call &call) {
    uint64_t id = 0;
    const char *end = call.argument.data() + call.argument.size();
    auto [last, error] = std::from_chars(call.argument.data(), end, id);
    if (error != std::errc() || last != end)
        return console_fail(call, not_a_number, "Incorrect syntax near '" + std::string(call.argument) + "'.");
    client_session *s = find_session(call.root, id);
    if (s == nullptr)
        return console_fail(call, no_such_session,
                            "Process ID " + std::to_string(id) + " is not an active process ID.");
    if (s == call.session)
        return console_fail(call, own_session, "Cannot use KILL to kill your own process.");
    session_close(s, "killed");
}

void console_drain(console_call &call) {
    if (call.root->ask_drain != nullptr)
        call.root->ask_drain(call.root->publish_user);
}
