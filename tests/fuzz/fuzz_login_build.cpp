// Fuzz target: what is built from a parsed LOGIN7 or login response says the same when it is parsed again. Every packet
// of the input is tried as both; the last byte decides the versions.
#include <cstdint>
#include <cstdlib>

#include "tds/featureext.h"
#include "tds/login7_build.h"
#include "tds/login_answer.h"
#include "tds/packet.h"

static constexpr uint32_t versions[] = {tds_7_4, tds_8_0, tds_7_3b, tds_7_2, tds_7_1_sp1, tds_7_1, tds_7_0};

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool same(std::span<const uint8_t> a, std::span<const uint8_t> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

static void check_login7(std::span<const uint8_t> payload) {
    tds_login7 before, after;
    if (tds_login7_parse(payload, before) != tds_login7_error::none)
        return;
    std::vector<uint8_t> built;
    if (!tds_login7_build(tds_login7_request_of(before), built))
        return; // areas that lay over each other need more room apart
    require(tds_login7_parse(built, after) == tds_login7_error::none);
    require(before.host_name == after.host_name && before.user_name == after.user_name);
    require(before.database == after.database && before.attach_file == after.attach_file);
    require(tds_secret_view(before.password) == tds_secret_view(after.password));
    require(tds_secret_view(before.new_password) == tds_secret_view(after.new_password));
    require(same(before.sspi, after.sspi) && same(before.features, after.features));
    tds_feature fedauth;
    bool has = tds_feature_find(after.features, tds_feature_fedauth, fedauth) && !fedauth.data.empty();
    require(tds_login7_set_fedauth_echo(built, true) == has);
}

static std::vector<uint8_t> message_of(const std::vector<uint8_t> &packets) {
    tds_message_reader reader;
    tds_message_start(reader, tds_type_response, tds_initial_packet_size, 16 * tds_login_answer_max);
    size_t used = 0;
    require(tds_message_read(reader, packets, used) == tds_read_result::complete && used == packets.size());
    return {tds_message_payload(reader).begin(), tds_message_payload(reader).end()};
}

static void check_accepted(const tds_login_answer &answer, uint32_t version) {
    static constexpr uint8_t asked[] = {0x04, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0x01, 0, 0, 0, 0};
    tds_login_reply reply;
    reply.client_version = version;
    reply.features = asked;
    std::vector<uint8_t> packets;
    tds_login_answer_build(answer, reply, packets);
    tds_login_answer again;
    auto built = message_of(packets);
    if (built.size() > tds_login_answer_max)
        return;
    require(tds_login_answer_parse(built, version, again) == tds_answer_error::none);
    require(again.outcome == tds_login_outcome::accepted && !again.session_recovery && !again.routing.present);
    require(again.database == answer.database && again.language == answer.language);
    require(again.packet_size == reply.packet_size && again.sspi == answer.sspi);
}

static void check_answer(std::span<const uint8_t> payload, uint32_t asked, uint32_t client) {
    tds_login_answer answer, again;
    if (tds_login_answer_parse(payload, asked, answer) != tds_answer_error::none)
        return;
    if (answer.outcome == tds_login_outcome::accepted)
        return check_accepted(answer, client);
    std::vector<uint8_t> packets;
    tds_login_refusal_build(answer, client, 1, packets);
    auto built = message_of(packets);
    if (built.size() > tds_login_answer_max)
        return;
    require(tds_login_answer_parse(built, client, again) == tds_answer_error::none);
    require(again.outcome == tds_login_outcome::refused && again.notices.size() == answer.notices.size());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned choice = size == 0 ? 0U : data[size - 1];
    std::span<const uint8_t> rest(data, size);
    tds_header h;
    while (tds_header_parse(rest, tds_packet_size_max, h) == tds_header_result::ok && h.length <= rest.size()) {
        auto payload = rest.subspan(tds_header_size, h.length - tds_header_size);
        check_login7(payload);
        check_answer(payload, versions[choice % 7], versions[choice / 7 % 7]);
        rest = rest.subspan(h.length);
    }
    check_answer({data, size}, versions[choice % 7], versions[choice / 7 % 7]);
    return 0;
}
