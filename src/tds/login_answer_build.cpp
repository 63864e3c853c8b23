// The way back of tds/login_answer.h: responses for clients. The order of tokens is SQL Server's.
#include <algorithm>
#include <cassert>
#include <iterator>

#include "tds/featureext.h"
#include "tds/login7.h"
#include "tds/login_answer.h"
#include "tds/packet.h"
#include "tds/response.h"
#include "tds/token_walk.h"

static constexpr uint8_t lowest_error = 11; // severity

struct answer_builder {
    const tds_login_answer &answer;
    const tds_login_reply &reply;
    uint32_t version;
    std::vector<uint8_t> tokens = {};
};

static tds_notice notice_view(const tds_login_notice &n) {
    tds_notice view;
    view.number = n.number;
    view.state = n.state;
    view.severity = n.severity;
    view.text = n.text;
    view.server_name = n.server_name;
    view.procedure = n.procedure;
    view.line = n.line;
    return view;
}

// The server's own words about a change, in its language; others only when another value is announced than it told.
static void put_info(answer_builder &b, uint8_t about, bool same, const std::string &words) {
    auto is_it = [about](const tds_login_notice &n) { return n.about == about; };
    const auto &all = b.answer.notices;
    auto found = std::find_if(all.begin(), all.end(), is_it);
    if (found == all.end())
        return;
    tds_notice notice = notice_view(*found);
    if (!same)
        notice.text = words;
    tds_put_notice(b.tokens, b.version, notice);
}

static void put_database(answer_builder &b) {
    std::string_view told = b.answer.database, name = b.reply.database.empty() ? told : b.reply.database;
    if (name.empty())
        return;
    tds_put_envchange(b.tokens, tds_env_database, name, b.answer.old_database);
    put_info(b, tds_env_database, name == told, "Changed database context to '" + std::string(name) + "'.");
}

static void put_language(answer_builder &b) {
    std::string_view told = b.answer.language, name = b.reply.language.empty() ? told : b.reply.language;
    if (name.empty())
        return;
    tds_put_envchange(b.tokens, tds_env_language, name, b.answer.old_language);
    put_info(b, tds_env_language, name == told, "Changed language setting to " + std::string(name) + ".");
}

static void put_collation(answer_builder &b) {
    if (b.version == tds_7_0) // which has character set and locale instead
        return;
    if (b.reply.collation != nullptr)
        tds_put_collation(b.tokens, b.reply.collation);
    else if (b.answer.has_collation)
        tds_put_collation(b.tokens, b.answer.collation);
}

static void put_if_told(answer_builder &b, uint8_t type, const std::string &value) {
    if (!value.empty())
        tds_put_envchange(b.tokens, type, value, {});
}

static void put_old_environment(answer_builder &b) {
    if (b.version != tds_7_0)
        return;
    put_if_told(b, tds_env_charset, b.answer.charset);
    put_if_told(b, tds_env_locale, b.answer.locale);
    put_if_told(b, tds_env_compare_flags, b.answer.compare_flags);
}

// ERROR in an accepted login (4063: the database is not the one asked for) comes before all else, INFO where SQL
// Server's other messages are.
static void put_other_notices(answer_builder &b, bool errors) {
    for (const tds_login_notice &n : b.answer.notices)
        if (n.about == 0 && (n.severity >= lowest_error) == errors)
            tds_put_notice(b.tokens, b.version, notice_view(n));
}

static void put_sspi(answer_builder &b) {
    const auto &blob = b.answer.sspi;
    if (blob.empty())
        return;
    b.tokens.push_back(tds_token_sspi);
    b.tokens.push_back(static_cast<uint8_t>(blob.size()));
    b.tokens.push_back(static_cast<uint8_t>(blob.size() >> 8));
    b.tokens.insert(b.tokens.end(), blob.begin(), blob.end());
}

static void put_packet_size(answer_builder &b) {
    uint32_t asked = b.reply.packet_size_asked;
    tds_put_envchange(b.tokens, tds_env_packet_size, std::to_string(b.reply.packet_size),
                      std::to_string(asked == 0 ? tds_initial_packet_size : asked));
}

static bool may_acknowledge(uint8_t id) {
    return id == tds_feature_fedauth || std::find(std::begin(tds_stream_features), std::end(tds_stream_features), id) !=
                                            std::end(tds_stream_features);
}

// An acknowledgement of what was not asked for is an error to every driver, a panic to tiberius.
static void put_features(answer_builder &b) {
    if (b.version != tds_7_4 && b.version != tds_8_0)
        return;
    std::vector<uint8_t> asked;
    tds_feature feature;
    for (auto rest = b.reply.features; tds_feature_next(rest, feature);)
        if (may_acknowledge(feature.id))
            asked.push_back(feature.id);
    auto acks = tds_features_keep(b.answer.feature_acks, asked);
    if (acks.empty())
        return;
    b.tokens.push_back(tds_token_featureextack);
    b.tokens.insert(b.tokens.end(), acks.begin(), acks.end());
    b.tokens.push_back(tds_feature_terminator);
}

void tds_login_answer_build(const tds_login_answer &answer, const tds_login_reply &reply,
                            std::vector<uint8_t> &packets) {
    assert(answer.outcome == tds_login_outcome::accepted);
    answer_builder b{answer, reply, tds_login_answer_version(answer, reply.client_version)};
    put_other_notices(b, true);
    put_database(b);
    if (!answer.collation_last)
        put_collation(b);
    put_language(b);
    if (answer.collation_last)
        put_collation(b);
    put_old_environment(b);
    put_other_notices(b, false);
    put_if_told(b, tds_env_user_instance, answer.user_instance);
    put_sspi(b);
    tds_put_loginack(b.tokens, b.version, answer.program, answer.program_version);
    put_packet_size(b);
    put_features(b);
    tds_put_done(b.tokens, b.version, tds_token_done, 0, 0, 0);
    tds_put_message(packets, tds_type_response, b.tokens, tds_initial_packet_size, reply.spid);
}

void tds_login_refusal_build(const tds_login_answer &answer, uint32_t client_version, uint16_t spid,
                             std::vector<uint8_t> &packets) {
    std::vector<uint8_t> tokens;
    for (const tds_login_notice &n : answer.notices)
        tds_put_notice(tokens, client_version, notice_view(n));
    tds_put_done(tokens, client_version, tds_token_done, tds_done_error, 0, 0);
    tds_put_message(packets, tds_type_response, tokens, tds_initial_packet_size, spid);
}
