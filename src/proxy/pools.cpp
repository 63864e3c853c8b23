#include "proxy/pools.h"

#include <algorithm>

#include "base/log.h"
#include "base/secret.h"
#include "pool/pool_key.h"
#include "proxy/attach.h"
#include "proxy/authenticate.h"
#include "proxy/exchange.h"
#include "proxy/login_record.h"
#include "proxy/proxy.h"
#include "proxy/server_login.h"
#include "proxy/server_task.h"
#include "proxy/sharing.h"
#include "proxy/sharing_values.h"
#include "proxy/slots.h"
#include "tds/login7_build.h"

// What further connections of a pool are opened with: server_pool.user.
struct pool_owner {
    secret_ptr password;
    digest password_digest{};
    std::shared_ptr<const login_identity> who; // of the client that came last
};

static pool_owner *owner_of(const server_pool *pool) {
    return static_cast<pool_owner *>(pool->user);
}

static server_conn *conn_of(pool_member *m) {
    return container_of(m, server_conn, member);
}

static void set_limits(proxy_bucket *pb) {
    pb->pools.limits.min_idle = pb->conf->min_idle;
    pb->pools.limits.max_idle_time = pb->conf->max_idle_time;
    pb->pools.limits.lifetime = pb->conf->server_lifetime;
    pb->pools.limits.oldest_first = sharing_mode(pb);
    pb->pools.free_user = [](void *user) { delete static_cast<pool_owner *>(user); };
}

// ---- pools -----------------------------------------------------------------------------------------------------

static uint8_t feature_value(const login_identity &who, uint8_t id) {
    tds_feature f;
    if (!tds_feature_find(who.features, id, f))
        return 0;
    return f.data.empty() ? uint8_t{1} : f.data[0];
}

static bool shares_databases(const proxy_bucket *pb, const std::string &user) {
    return pb->conf->share_across_databases && !pb->unshared.contains(user);
}

std::string pools_key(const proxy_bucket *pb, const login_identity &who, const digest &password) {
    pool_key_parts k{.user = {}, .password_digest = password};
    k.user = who.user;
    k.tds_version = who.version == tds_8_0 ? tds_7_4 : who.version;
    k.flags1 = who.flags1;
    k.flags2 = who.flags2;
    k.type_flags = who.type_flags;
    k.flags3 = who.flags3;
    k.read_only = who.type_flags & tds_type_flags_read_only;
    k.features = {feature_value(who, tds_feature_column_encryption),
                  feature_value(who, tds_feature_data_classification), feature_value(who, tds_feature_utf8),
                  feature_value(who, tds_feature_json), feature_value(who, tds_feature_vector)};
    k.with_application_name = pb->conf->key_has_application_name;
    k.application_name = who.app_name;
    k.with_database = !shares_databases(pb, who.user);
    k.database = who.database;
    return pool_key_make(k);
}

server_pool *pools_obtain(proxy *root, proxy_bucket *pb, const std::string &key,
                          const std::shared_ptr<const login_identity> &who, std::string_view password,
                          const digest &password_digest) {
    server_pool *pool = pool_obtain(pb->pools, key, proxy_now(root));
    if (pool == nullptr)
        return nullptr;
    if (pool->user == nullptr) {
        auto owner = std::make_unique<pool_owner>();
        owner->password.reset(secret_create(password));
        owner->password_digest = password_digest;
        if (!owner->password) {
            pool_abandon(pool);
            return nullptr;
        }
        pool->user = owner.release();
    }
    owner_of(pool)->who = who;
    return pool;
}

void pools_hold(client_session *s, server_pool *pool) {
    pool_hold(pool);
    s->talk->pool = pool;
}

void pools_release(client_session *s) {
    if (s->talk->pool != nullptr)
        pool_drop(s->talk->pool);
    s->talk->pool = nullptr;
}

std::string pools_label(const server_pool *pool) {
    return pool != nullptr ? pool_key_label(pool->key) : std::string();
}

const login_identity *pools_login(const server_pool *pool) {
    return pool->user != nullptr ? owner_of(pool)->who.get() : nullptr;
}

std::string_view pools_password(const server_pool *pool) {
    return secret_view(owner_of(pool)->password.get());
}

bool pools_unshare(client_session *s) {
    proxy_bucket *pb = s->bucket;
    dialogue &d = *s->talk;
    pb->unshared.insert(d.who->user);
    std::string key = pools_key(pb, *d.who, d.password_digest);
    if (key == d.pool->key)
        return false;
    server_pool *pool = pools_obtain(s->root, pb, key, d.who, pools_password(d.pool), d.password_digest);
    if (pool == nullptr)
        return false;
    pool_hold(pool);
    pools_release(s);
    d.pool = pool;
    return true;
}

// ---- logins ----------------------------------------------------------------------------------------------------

static login_record_key record_key(const server_conn *c) {
    const server_pool *pool = c->member.pool;
    return {c->bucket->core.index, c->who->user, c->who->database, c->who->language,
            pool != nullptr ? std::string_view(pool->key) : std::string_view()};
}

static bool join_pool(server_conn *c) {
    client_session *s = c->client;
    server_pool *pool =
        pools_obtain(c->root, c->bucket, s->talk->pool_key, c->who, authenticate_password(s), s->talk->password_digest);
    if (pool == nullptr)
        return false;
    pool_add(pool, c->member, pool_member_state::busy, proxy_now(c->root), proxy_random(c->root));
    pools_hold(s, pool);
    return true;
}

void pools_logged_in(server_conn *c, const std::shared_ptr<const tds_login_answer> &answer) {
    if (c->member.pool == nullptr && !join_pool(c)) {
        c->purpose = server_purpose::dedicated; // serves its client all the same
        log_warn("too many pools: a server connection cannot be shared", {{"bucket", c->bucket->core.id}});
        return;
    }
    log_debug("server connection joined its pool",
              {{"bucket", c->bucket->core.id}, {"server", c->id}, {"pool", pools_label(c->member.pool)}});
    login_record_store(c->root->records, record_key(c), owner_of(c->member.pool)->password_digest, c->auth_started,
                       answer);
}

// Rather than to the database, or for a passing reason.
static bool says_no_to_the_password(const tds_login_answer &answer) {
    static constexpr int32_t numbers[] = {18456, 18470, 18486, 18487, 18488};
    const tds_login_notice *error = tds_login_answer_error(answer);
    return error != nullptr && std::find(std::begin(numbers), std::end(numbers), error->number) != std::end(numbers);
}

void pools_login_refused(server_conn *c) {
    login_record_forget(c->root->records, c->bucket->core.index, c->who->user, c->who->database);
    if (c->member.pool != nullptr && says_no_to_the_password(server_login_answer(c->login)))
        pool_abandon(c->member.pool);
}

void pools_reset_failed(server_conn *c) {
    login_record_forget(c->root->records, c->bucket->core.index, c->who->user, c->who->database);
}

// ---- free connections ------------------------------------------------------------------------------------------

static bool worth_keeping(const server_conn *c) {
    return c->purpose == server_purpose::pooled && !c->unpoolable && !c->bucket->removed && !c->root->stopping;
}

// The coordinator wants a slot back, or the server has more connections than it bears.
static bool wanted_back(const proxy_bucket *pb) {
    return pb->closing < pb->core.surplus || bucket_above_ceiling(pb->core, pb->closing);
}

// A client has been refused a slot of its own. Who has only just asked may still get one: nothing is closed for it.
static bool somebody_waits(const proxy_bucket *pb) {
    const waiter *first = slots_first_client(pb);
    return first != nullptr && first->refused;
}

// A connection that is nobody's is to be closed: after what its last client may ask for has been kept.
static void retire(server_conn *c, const char *reason) {
    if (!values_unread(c) || c->root->stopping)
        return server_close(c, reason);
    if (c->member.state == pool_member_state::idle)
        pool_use(c->member);
    c->retire = reason;
    ++c->bucket->closing;
    server_task_start(c, server_task::keep);
}

void pools_put(server_conn *c) {
    proxy_bucket *pb = c->bucket;
    if (!worth_keeping(c)) {
        server_close(c, "not kept");
        return;
    }
    if (wanted_back(pb) || pool_expired(c->member, proxy_now(c->root))) {
        retire(c, wanted_back(pb) ? "slot wanted back" : "lifetime");
        return;
    }
    // Not to be used by anybody now: after a pause, the coordinator may have given the slot to others.
    bool paused = pb->core.paused;
    bool allowed = !paused && coord_allowed(c->root->coordinator);
    if (client_session *s = allowed ? slots_match(c->root, pb, c->member.pool) : nullptr; s != nullptr) {
        if (attach_with(s, c))
            exchange_attached(s);
        return;
    }
    c->member.settings = c->settings.get();
    if (paused || somebody_waits(pb) || !pool_put_idle(c->member, proxy_now(c->root))) {
        retire(c, paused ? "paused" : somebody_waits(pb) ? "slot wanted by another pool" : "lifetime");
        return;
    }
    c->deadline = 0;
    server_move(c, server_state::idle);
    net_conn_watch(&c->conn.conn, net_readable);
}

static void log_retired(const server_conn *c, const char *reason) {
    log_info(
        "idle server connection retired",
        {{"bucket", c->bucket->core.id}, {"server", c->id}, {"pool", pools_label(c->member.pool)}, {"reason", reason}});
}

void pools_idle_event(server_conn *c) {
    ssize_t n = stream_recv(&c->conn, c->root->scratch.in, c->root->scratch.cipher);
    if (n == net_again)
        return; // a TLS ticket
    log_retired(c, n > 0 ? "it spoke" : "closed by the server");
    if (n > 0 || n == -EPROTO)
        server_close(c, "idle connection spoke");
    else
        server_gone(c, "closed by the server while idle");
}

// What the server has closed in this very loop turn, or before a pause of ours, may not have been told yet. Nothing is
// read here: the loop's read buffer may hold the request that the connection is wanted for.
static bool still_there(server_conn *c) {
    if (net_quiet(&c->conn.conn))
        return true;
    log_retired(c, "closed by the server, or it spoke");
    server_close(c, "idle connection spoke");
    return false;
}

// The connection that its last request ran on, if nobody else has used it since.
static server_conn *idle_home(const client_session *s) {
    server_conn *home = sharing(s) ? s->talk->shared->home : nullptr;
    bool fits = home != nullptr && home->state == server_state::idle && home->member.pool == s->talk->pool &&
                !s->talk->pool->abandoned;
    return fits ? home : nullptr;
}

server_conn *pools_take_idle(client_session *s, pool_match match) {
    const dialogue &d = *s->talk;
    if (server_conn *home = idle_home(s); home != nullptr && still_there(home)) {
        pool_use(home->member);
        return home;
    }
    while (pool_member *m = pool_take_idle(d.pool, d.settings.get(), match, proxy_now(s->root)))
        if (still_there(conn_of(m)))
            return conn_of(m);
    return nullptr;
}

// Waiters whose own pool has something idle in another state are served by it.
static void serve_from_other_states(proxy *root, proxy_bucket *pb) {
    for (waiter *w = waitq_head(pb->core.queue), *next = nullptr; w != nullptr; w = next) {
        next = list_next(pb->core.queue.waiters, *w);
        client_session *s = slots_waiting_for_pool(w);
        if (s == nullptr)
            continue;
        server_conn *c = pools_take_idle(s, pool_match::any);
        if (c == nullptr)
            continue;
        slots_take_out(root, pb, w);
        if (attach_with(s, c))
            exchange_attached(s);
        next = waitq_head(pb->core.queue); // the queue may have changed
    }
}

void pools_make_room(proxy *root, proxy_bucket *pb) {
    if (pool_set_idle_count(pb->pools) == 0)
        return;
    if (coord_allowed(root->coordinator))
        serve_from_other_states(root, pb);
    while (pb->closing < waitq_length(pb->core.queue)) {
        pool_member *m = pool_set_lru_idle(pb->pools, nullptr);
        if (m == nullptr || !somebody_waits(pb))
            return;
        retire(conn_of(m), "slot taken over");
    }
}

static void retire_expired(proxy *root, proxy_bucket *pb) {
    while (pool_member *m = pool_set_expired(pb->pools, proxy_now(root)))
        retire(conn_of(m), "idle too long, past its lifetime, or of another server");
}

static bool has_moved(const server_conn *c) {
    sockaddr_storage peer{};
    return c->member.pool != nullptr && c->connected && !c->route && net_conn_peer(&c->conn.conn, peer) &&
           !net_target_has(&c->bucket->target, peer);
}

void pools_server_moved(proxy *root, proxy_bucket *pb) {
    uint32_t moved = 0;
    for (server_state state : {server_state::idle, server_state::serving, server_state::working}) {
        server_list &all = root->servers[static_cast<size_t>(state)];
        for (server_conn *c = list_front(all); c != nullptr; c = list_next(all, *c)) {
            if (c->bucket != pb || pool_expired(c->member, 1) || !has_moved(c))
                continue;
            pool_expire(c->member);
            ++moved;
        }
    }
    if (moved > 0)
        log_info("the server's name has another address: connections to the old one are closed as they come free",
                 {{"bucket", pb->core.id}, {"host", pb->target.host}, {"connections", moved}});
    retire_expired(root, pb);
}

void pools_retire_idle(proxy_bucket *pb, const char *reason) {
    while (pool_member *m = pool_set_lru_idle(pb->pools, nullptr))
        retire(conn_of(m), reason);
}

void pools_close_idle(proxy *, proxy_bucket *pb, const char *reason) {
    while (pool_member *m = pool_set_lru_idle(pb->pools, nullptr))
        server_close(conn_of(m), reason);
}

// ---- ahead of time ---------------------------------------------------------------------------------------------

// The login of min_idle at start and of the health probe, as an ODBC client would send it.
static std::shared_ptr<const login_identity> own_identity(const proxy_bucket *pb) {
    auto who = std::make_shared<login_identity>();
    who->version = tds_7_4;
    who->flags1 = 0xe0; // tell of USE and of languages, the database must exist
    who->flags2 = 0x03; // ODBC defaults, the language must exist
    who->app_name = who->library_name = "tdsbouncer";
    who->user = pb->conf->username;
    who->database = pb->conf->database;
    return who;
}

static void first_pool(proxy *root, proxy_bucket *pb) {
    pb->own_login = own_identity(pb);
    if (pb->conf->min_idle == 0)
        return;
    digest d;
    if (digest_make(root->secret_key, pb->conf->password, d))
        (void)pools_obtain(root, pb, pools_key(pb, *pb->own_login, d), pb->own_login, pb->conf->password, d);
}

void pools_start(proxy *root, proxy_bucket *pb) {
    set_limits(pb);
    if (!pb->conf->username.empty())
        first_pool(root, pb);
}

static void warm_tick(proxy *root, proxy_bucket *pb, uint64_t now) {
    bool idle_bucket = waitq_length(pb->core.queue) == 0 && pb->core.surplus == 0 && !pb->core.full && !pb->core.paused;
    if (!idle_bucket || root->draining || pb->core.health == server_health::down || pb->warm_wait.node.owner != nullptr)
        return;
    if (pool_set_warm_wanted(pb->pools, now) == nullptr)
        return;
    pb->warm_wait.kind = waiter_kind::warm;
    (void)slots_request(root, pb, pb->warm_wait);
}

void pools_warm_granted(proxy *root, proxy_bucket *pb) {
    server_pool *pool = pool_set_warm_wanted(pb->pools, proxy_now(root));
    server_conn *c = pool != nullptr ? server_open(root, pb, server_purpose::pooled, nullptr) : nullptr;
    if (c == nullptr) {
        slots_release(root, pb);
        return;
    }
    c->who = owner_of(pool)->who;
    pool_add(pool, c->member, pool_member_state::warming, proxy_now(root), proxy_random(root));
}

void pools_warm_failed(server_conn *c, const char *why) {
    if (c->member.pool != nullptr && c->member.state == pool_member_state::warming)
        pool_warm_failed(c->member.pool, proxy_now(c->root) + c->bucket->conf->retry_backoff_max);
    server_close(c, why);
}

void pools_give_back(proxy_bucket *pb) {
    while (wanted_back(pb)) {
        pool_member *m = pool_set_lru_idle(pb->pools, nullptr);
        if (m == nullptr)
            break;
        retire(conn_of(m), "slot wanted back");
    }
}

void pools_tick(proxy *root, proxy_bucket *pb, uint64_t now) {
    retire_expired(root, pb);
    pools_give_back(pb);
    warm_tick(root, pb, now);
}
