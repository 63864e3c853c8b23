// Transaction mode: a request is read, whole or as it passes, and changed where it must be.
#include "proxy/sharing.h"

#include "proxy/prepared_calls.h"
#include "proxy/proxy.h"
#include "proxy/sharing_values.h"
#include "tds/packet.h"
#include "tds/tsql_scan.h"

static void begin_reading(client_session *s, tds_request_reader *reader, uint8_t type) {
    shared_session &sh = *s->talk->shared;
    auto &spare = s->root->scratch.request;
    if (spare)
        sh.request = std::move(spare);
    else
        sh.request = std::make_unique<tds_request_info>();
    tds_request_begin(reader, type, s->talk->who->version, s->talk->enclave, *sh.request);
}

// Reads all of the request at the head of `in`. False: it is not all there.
static bool read_whole(client_session *s, std::span<const uint8_t> in) {
    tds_request_reader *reader = s->root->request_reader;
    tds_packet_cursor c;
    tds_piece piece;
    const char *why = "";
    begin_reading(s, reader, in.front());
    while (tds_next_piece(c, in, s->talk->packet_size, piece, why) == tds_piece_result::piece) {
        if (piece.begins && piece.ends) {
            tds_request_read(reader, piece.payload);
            return true;
        }
        tds_request_feed(reader, piece.payload);
        if (!piece.ends)
            continue;
        tds_request_end(reader);
        return true;
    }
    return false;
}

void sharing_begin(client_session *s, std::span<const uint8_t> in) {
    if (!sharing(s))
        return;
    shared_session &sh = *s->talk->shared;
    if (sh.request || read_whole(s, in))
        return;
    sh.foreseen = sh.request->effect.turned_on;
    sh.descriptor = sh.request->descriptor;
    sh.descriptor_at = sh.request->descriptor_at;
    prepared_foresee(s);
    sh.scanner.reset(tsql_scanner_create());
    sh.reader.reset(tds_request_reader_create(sh.scanner.get()));
    begin_reading(s, sh.reader.get(), in.front());
}

std::vector<uint8_t> sharing_payload(const client_session *s, std::span<const uint8_t> in) {
    std::vector<uint8_t> payload;
    tds_packet_cursor c;
    tds_piece piece;
    const char *why = "";
    while (tds_next_piece(c, in, s->talk->packet_size, piece, why) == tds_piece_result::piece) {
        payload.insert(payload.end(), piece.payload.begin(), piece.payload.end());
        if (piece.ends)
            break;
    }
    return payload;
}

void sharing_place(client_session *s, std::span<const uint8_t> in, bool resets) {
    if (!sharing(s))
        return;
    shared_session &sh = *s->talk->shared;
    bool calls = !sh.request->heads.empty(), values = !sh.request->effect.last_uses.empty();
    bool handles = prepared_by_text(s), translates = begin_translates(s), next = sh.request->tm_begins;
    if (sh.reader || (!calls && !values && !handles && !translates && !next))
        return;
    std::vector<uint8_t> payload = sharing_payload(s, in), placed;
    translates = begin_place(s, payload, sh.request->descriptor, sh.request->descriptor_at);
    if (begin_split(s, payload))
        translates = true;
    else
        begin_renews(s, payload);
    begin_note(s, payload);
    bool other = calls && prepared_place(s, payload, resets || s->server->reset_rides, sh.rewritten);
    // The text, if there is a place for something in it, comes before all those calls: it is still where it was.
    const std::vector<uint8_t> &now = other ? sh.rewritten : payload;
    if ((handles && prepared_place_text(s, now, placed)) || (values && values_place(s, now, placed)))
        sh.rewritten = std::move(placed);
    else if (translates && !other)
        sh.rewritten = std::move(payload);
}

// The first piece of a request that is read as it passes: with the server's descriptor of the transaction.
static tds_piece translated(client_session *s, tds_piece piece) {
    shared_session &sh = *s->talk->shared;
    if (!begin_translates(s))
        return piece;
    begin_note(s, {});
    sh.rewritten.assign(piece.payload.begin(), piece.payload.end());
    if (begin_place(s, sh.rewritten, sh.descriptor, sh.descriptor_at))
        piece.payload = sh.rewritten;
    return piece;
}

std::span<const uint8_t> sharing_pass(client_session *s, const tds_piece &piece) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr)
        return piece.payload;
    if (sh->reader) {
        tds_request_feed(sh->reader.get(), piece.payload);
        if (piece.ends)
            tds_request_end(sh->reader.get());
        return prepared_pass(s, sh->passed == 0 ? translated(s, piece) : piece);
    }
    if (sh->rewritten.empty())
        return piece.payload;
    return piece.ends ? std::span<const uint8_t>(sh->rewritten) : std::span<const uint8_t>();
}

void sharing_keep_spare(client_session *s, std::unique_ptr<tds_request_info> info) {
    if (!info || s->root->scratch.request)
        return;
    tds_request_renew(*info);
    s->root->scratch.request = std::move(info);
}

void sharing_drop_request(client_session *s) {
    shared_session *sh = s->talk->shared;
    if (sh == nullptr)
        return;
    sh->reader.reset();
    sh->scanner.reset();
    sharing_keep_spare(s, std::move(sh->request));
    sh->rewritten = {};
    sh->awaits_home = false;
    sh->replays_failed = 0;
    sh->foreseen = 0;
    prepared_over(s);
}
