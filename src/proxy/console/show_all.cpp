// What the console shows of buckets, instances, figures and the configuration.
#include <ctime>

#include "config/option_show.h"
#include "proxy/console/commands.h"
#include "proxy/console/console.h"
#include "proxy/console/value.h"
#include "proxy/proxy.h"

// ---- buckets ---------------------------------------------------------------------------------------------------

static const char *health_name(server_health health) {
    switch (health) {
    case server_health::unknown: return "unknown";
    case server_health::up: return "up";
    case server_health::down: return "down";
    }
    return "";
}

static std::string version_text(const tds_product_version &v) {
    return v.major == 0 ? "" : std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.build);
}

static void show_bucket(console_call &call, const proxy_bucket *pb) {
    const bucket &b = pb->core;
    coord_bucket_status all = coord_get_bucket_status(call.root->coordinator, b.index);
    console_row(call);
    console_text(call, b.id);
    console_text(call, pb->target.host);
    console_number(call, pb->target.port);
    console_text(call, option_mode_name(pb->conf->mode));
    console_number(call, b.paused);
    console_text(call, pb->removed ? "removed" : health_name(b.health));
    console_number(call, pb->clients);
    console_number(call, waitq_length(b.queue));
    console_number(call, b.used);
    console_number(call, pool_set_idle_count(pb->pools));
    console_number(call, all.count);
    console_number(call, b.max);
    console_text_or_null(call, version_text(pb->server_version));
    console_text_or_null(call, b.last_error);
}

void console_show_buckets(console_call &call) {
    for (const proxy_bucket *pb : console_chosen(call))
        show_bucket(call, pb);
}

// ---- instances -------------------------------------------------------------------------------------------------

static void show_instance(console_call &call, const std::string &id, const coord_status &status, bool self) {
    console_row(call);
    console_text(call, id);
    console_number(call, self);
    console_text_or_null(call, self ? coord_mode_name(status.mode) : "");
    console_text_or_null(call, self ? std::string_view(status.message) : std::string_view());
    console_number_or_null(call, self, status.latency_us);
    console_text_or_null(call, self && status.last_beat_unix != 0 ? console_time(status.last_beat_unix * 1000) : "");
}

void console_show_instances(console_call &call) {
    coord_status status = coord_get_status(call.root->coordinator);
    bool seen = false;
    for (const std::string &id : status.instances) {
        bool self = id == call.root->instance_id;
        seen = seen || self;
        show_instance(call, id, status, self);
    }
    if (!seen)
        show_instance(call, call.root->instance_id, status, true);
}

// ---- figures ---------------------------------------------------------------------------------------------------

static uint64_t packets(const proxy_bucket *pb, packet_direction direction) {
    uint64_t sum = 0;
    for (const metric_tally &packets : pb->tallies.packets[static_cast<size_t>(direction)])
        sum += packets.value;
    return sum;
}

static uint64_t outcome(const proxy_bucket *pb, slot_outcome which) {
    return pb->tallies.outcome[static_cast<size_t>(which)].value;
}

static uint64_t microseconds(double seconds) {
    return static_cast<uint64_t>(seconds * 1e6);
}

static void show_stats(console_call &call, const proxy_bucket *pb) {
    const metric_histogram_tally &requests = pb->tallies.query_duration;
    uint64_t after_wait = outcome(pb, slot_outcome::acquired_after_wait);
    console_row(call);
    console_text(call, pb->core.id);
    console_number(call, requests.count);
    console_number(call, microseconds(requests.sum));
    console_number(call, outcome(pb, slot_outcome::acquired) + after_wait);
    console_number(call, after_wait);
    console_number(call, microseconds(pb->tallies.queue_wait.sum));
    console_number(call, outcome(pb, slot_outcome::timeout));
    console_number(call, outcome(pb, slot_outcome::rejected_queue_full));
    console_number(call, outcome(pb, slot_outcome::cancelled));
    console_number(call, outcome(pb, slot_outcome::error));
    console_number(call, packets(pb, packet_direction::client_to_proxy));
    console_number(call, packets(pb, packet_direction::proxy_to_client));
    console_number(call, packets(pb, packet_direction::server_to_proxy));
    console_number(call, packets(pb, packet_direction::proxy_to_server));
}

void console_show_stats(console_call &call) {
    for (const proxy_bucket *pb : console_chosen(call))
        show_stats(call, pb);
}

// ---- configuration ---------------------------------------------------------------------------------------------

static void show_option(console_call &call, const option_row &row, const void *section, std::string_view bucket) {
    bool no_default = (row.flags & (option_required | option_inherits)) != 0;
    console_row(call);
    console_text(call, option_section_name(row.section));
    console_text_or_null(call, bucket);
    console_text(call, row.name);
    console_text(call, option_show(row, section));
    no_default ? console_null(call) : console_text(call, row.default_text);
    console_number(call, (row.flags & option_restart) == 0);
}

static void show_section(console_call &call, option_section which, const void *section, std::string_view bucket) {
    for (const option_row &row : option_table())
        // A secret and the file that it may be in are one value.
        if (row.section == which && row.target != nullptr && row.type != option_type::secret_file)
            show_option(call, row, section, bucket);
}

void console_show_config(console_call &call) {
    const config &conf = *call.root->conf;
    show_section(call, option_section::proxy, &conf.proxy, "");
    if (conf.redis.enabled) {
        show_section(call, option_section::redis, &conf.redis, "");
        show_section(call, option_section::fallback, &conf.fallback, "");
    }
    for (const proxy_bucket *pb : console_chosen(call))
        show_section(call, option_section::bucket, pb->conf, pb->core.id);
}

// ---- the console itself ----------------------------------------------------------------------------------------

void console_show_version(console_call &call) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t unix_ms = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    int64_t up = static_cast<int64_t>(proxy_now(call.root) - call.root->started);
    console_row(call);
    console_text(call, TDSBOUNCER_VERSION);
    console_text(call, call.root->instance_id);
    console_text(call, console_time(unix_ms - up));
    console_number(call, call.root->draining);
}

void console_show_help(console_call &call) {
    for (const console_command &c : console_commands()) {
        std::string words = c.words;
        if (c.argument_name[0] != '\0')
            words.append(" ").append(c.argument_name);
        console_row(call);
        console_text(call, words);
        console_text(call, c.admin_only ? "admin" : "all");
        console_text(call, c.help);
    }
}
