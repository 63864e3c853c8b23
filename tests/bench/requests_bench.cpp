// Load generator for requests on sessions that stay: a closed loop, each client asks its next request when the last one
// is answered.
//
//      requests-bench PORT USER PASSWORD DATABASE none|full|strict CA_FILE MIX CLIENTS REQUESTS
//
// Logs in CLIENTS times, asks everything once, says "ready" and waits for a line on stdin, so that whoever measures can
// look at the processes before and after the requests alone. Then REQUESTS in all, or a few more where the last ones
// belong together; prints one JSON object, keeps the sessions until stdin ends. Each answer is compared with the first
// one to the same request: same length, no error.
//
// MIX, of these requests (tests/bench/requests makes the tables):
//      batch         point SELECTs as SQL batches
//      rpc           the same as calls of sp_executesql
//      inserts       of ten batches nine SELECT, one INSERTs
//      settings      point SELECTs of clients of which each has other SETs in force
//      transactions  BEGIN TRANSACTION, point SELECT, COMMIT TRANSACTION
//      prepared      sp_execute of a statement that each client has prepared, all the same
//      moved         the same, of so many different ones that a server connection rarely has the next one
//      databases     point SELECTs as SQL batches, the clients in the databases tenant_0 ... tenant_7 in turns

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "bench_client.h"
#include "tds/bytes.h"
#include "tds/login7.h"
#include "tds/request_build.h"
#include "tds/response.h"
#include "tds/token_walk.h"
#include "tds/utf16.h"

static constexpr size_t databases = 8;
static constexpr char point_select[] = "SELECT v FROM t WHERE id = 7";
static constexpr size_t descriptor_at = tds_header_size + 10; // of ALL_HEADERS' transaction descriptor
static constexpr size_t all_headers_size = 22;

// ---- requests --------------------------------------------------------------------------------------------------

using message = std::vector<uint8_t>;

static message batch(const std::string &sql) {
    message out;
    tds_put_batch(out, tds_7_4, sql, 0, tds_initial_packet_size);
    return out;
}

static void put_nvarchar(message &out, const std::string &text) {
    static constexpr uint8_t type[] = {0x00, 0x00, 0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34}; // no name, nvarchar(4000)
    out.insert(out.end(), std::begin(type), std::end(type));
    put_u16le(out, static_cast<uint32_t>(2 * text.size()));
    tds_utf16_append(text.data(), text.size(), out);
}

static void put_int(message &out, uint32_t value) {
    for (uint32_t byte : {0x00, 0x26, 4, 4}) // intn
        put_u8(out, byte);
    put_u32le(out, value);
}

// A call of a procedure by its number, its parameters to be appended.
static message call(uint32_t procedure) {
    static constexpr uint32_t by_number = 0xffff;
    message headers = batch("-"), payload(headers.begin() + tds_header_size, headers.end());
    payload.resize(all_headers_size);
    put_u16le(payload, by_number);
    put_u16le(payload, procedure);
    put_u16le(payload, 0);
    return payload;
}

static message sent(const message &payload) {
    message out;
    tds_put_message(out, tds_type_rpc, payload, tds_initial_packet_size, 0);
    return out;
}

// EXEC sp_executesql N'SELECT v FROM t WHERE id = @id', N'@id int', @id = 7
static message executesql() {
    message payload = call(10);
    put_nvarchar(payload, "SELECT v FROM t WHERE id = @id");
    put_nvarchar(payload, "@id int");
    put_u8(payload, 3);
    tds_utf16_append("@id", 3, payload);
    put_int(payload, 7);
    return sent(payload);
}

static message prepare(const std::string &text) {
    message payload = call(11);
    for (uint32_t byte : {0x00, 0x01, 0x26, 4, 0}) // OUTPUT, intn, NULL
        put_u8(payload, byte);
    put_nvarchar(payload, "@id int");
    put_nvarchar(payload, text);
    return sent(payload);
}

// With a place for the handle.
static constexpr size_t handle_at = tds_header_size + all_headers_size + 6 + 5;

static message execute() {
    message payload = call(12);
    for (uint32_t value : {0, 7}) {
        put_u8(payload, 0); // no name
        put_int(payload, value);
    }
    return sent(payload);
}

// What a driver or an application sets once, another value for each of the clients.
static message settings_of(size_t client) {
    return batch("SET LOCK_TIMEOUT " + std::to_string(1000 + client) + "; SET DATEFIRST " +
                 std::to_string(1 + client % 7) + "; SET TEXTSIZE " + std::to_string(100'000 + client));
}

struct request_mix {
    const char *name;
    std::vector<message> requests; // asked in turns
    bool in_order = false;         // each client begins with the first
    bool settings = false;         // settings_of before all
    size_t statements = 0;         // prepared before all; of one: the same for all clients
    bool databases = false;        // the clients are in different ones
};

static std::vector<request_mix> make_mixes() {
    message select = batch(point_select);
    std::vector<message> inserts(10, select);
    inserts.back() = batch("INSERT INTO written (v) VALUES (N'a row')");
    return {{"batch", {select}},
            {"rpc", {executesql()}},
            {"inserts", inserts},
            {"settings", {select}, false, true},
            {"transactions", {batch("BEGIN TRANSACTION"), select, batch("COMMIT TRANSACTION")}, true},
            {"prepared", {execute()}, false, false, 1},
            {"moved", {execute()}, false, false, 64},
            {"databases", {select}, false, false, 0, true}};
}

static const request_mix &find_mix(const char *name) {
    static const std::vector<request_mix> mixes = make_mixes();
    for (const request_mix &m : mixes)
        if (strcmp(m.name, name) == 0)
            return m;
    bench_die("no such mix", name);
}

// ---- answers ---------------------------------------------------------------------------------------------------

// Token, length, number, state, class, length of the text in units, text.
static std::string error_text(std::span<const uint8_t> error) {
    static constexpr size_t number_at = 3, units_at = 9, text_at = 11;
    if (error.size() < text_at || error.size() < text_at + 2 * size_t{get_u16le(&error[units_at])})
        return "an ERROR that is cut off";
    return std::to_string(get_u32le(&error[number_at])) + ": " +
           tds_utf8(error.subspan(text_at, 2 * size_t{get_u16le(&error[units_at])}));
}

// The final DONE or DONEPROC, in the form of TDS 7.2 and later.
static void check_done(std::span<const uint8_t> answer) {
    static constexpr size_t done_size = 13;
    if (answer.size() < done_size)
        bench_die("answer", "too short");
    auto done = answer.last(done_size);
    if (answer[0] == tds_token_error)
        bench_die("answer", error_text(answer));
    if ((done[0] != tds_token_done && done[0] != tds_token_doneproc) || (get_u16le(&done[1]) & tds_done_error))
        bench_die("answer", "ends in an error");
}

// An ENVCHANGE of a transaction comes first where there is one: the descriptor for the client's next requests.
static void follow_transaction(std::span<const uint8_t> answer, uint64_t &descriptor) {
    static constexpr size_t type_at = 3, length_at = 4, value_at = 5;
    if (answer[0] != tds_token_envchange)
        return;
    descriptor = 0;
    if (answer[type_at] == 8 && answer[length_at] == sizeof descriptor)
        memcpy(&descriptor, &answer[value_at], sizeof descriptor);
}

// ---- load ------------------------------------------------------------------------------------------------------

struct asker_state {
    size_t next = 0; // request of the mix
    uint64_t descriptor = 0;
    std::vector<uint32_t> handles;   // of what it has prepared
    size_t statement = 0;            // executed next
    std::vector<size_t> answer_size; // by request; 0: not seen yet
};

struct load : bench_loop {
    const request_mix *mix = nullptr;
    size_t requests = 0, asked = 0;
    size_t settled = 0;              // clients that have asked everything once
    std::vector<asker_state> states; // by bench_client.number
    std::vector<bench_client *> clients;
    std::vector<double> took_us;
};

static load *load_of(bench_client *c) {
    return static_cast<load *>(c->b);
}

static void ask_next(bench_client *c) {
    load *l = load_of(c);
    asker_state &state = l->states[c->number];
    message request = l->mix->requests[state.next];
    memcpy(request.data() + descriptor_at, &state.descriptor, sizeof state.descriptor);
    if (!state.handles.empty()) {
        memcpy(request.data() + handle_at, &state.handles[state.statement], sizeof state.handles[0]);
        state.statement = (state.statement + 1) % state.handles.size();
    }
    bench_client_ask(c, request);
}

static void check_answer(bench_client *c, asker_state &state) {
    check_done(c->answer);
    follow_transaction(c->answer, state.descriptor);
    size_t &expected = state.answer_size[state.next];
    if (expected != 0 && expected != c->answer.size())
        bench_die("answer", "not as long as the first one to this request");
    expected = c->answer.size();
}

// A round of the mix before what is measured.
static void answered_unmeasured(bench_client *c) {
    load *l = load_of(c);
    asker_state &state = l->states[c->number];
    check_answer(c, state);
    state.next = (state.next + 1) % l->mix->requests.size();
    if (state.next != 0)
        return ask_next(c);
    if (!l->mix->in_order)
        state.next = c->number % l->mix->requests.size();
    if (++l->settled == l->clients.size())
        uv_stop(&l->loop);
}

static void answered(bench_client *c) {
    load *l = load_of(c);
    asker_state &state = l->states[c->number];
    l->took_us.push_back(static_cast<double>(uv_hrtime() - c->asked) / 1000);
    check_answer(c, state);
    state.next = (state.next + 1) % l->mix->requests.size();
    bool within = l->mix->in_order && state.next != 0; // what others wait for is not left half done
    if (l->asked < l->requests || within) {
        ++l->asked;
        ask_next(c);
    } else if (l->took_us.size() == l->asked) {
        uv_stop(&l->loop);
    }
}

static void settings_made(bench_client *c) {
    check_done(c->answer);
    c->answered = answered_unmeasured;
    ask_next(c);
}

static void prepare_next(bench_client *c) {
    const asker_state &state = load_of(c)->states[c->number];
    std::string text = "SELECT v FROM t WHERE id = @id";
    if (load_of(c)->mix->statements > 1)
        text.append(" -- ").append(std::to_string(c->number)).append(".").append(std::to_string(state.handles.size()));
    bench_client_ask(c, prepare(text));
}

// The RETURNVALUE, an int, ends the answer but for DONEPROC.
static void prepared(bench_client *c) {
    static constexpr size_t value = 4, doneproc = 13, least = 8 + value + doneproc;
    static constexpr uint8_t type[] = {0x26, 4, 4};
    load *l = load_of(c);
    check_done(c->answer);
    const uint8_t *at = c->answer.size() < least ? nullptr : &c->answer[c->answer.size() - doneproc - value];
    if (at == nullptr || memcmp(at - sizeof type, type, sizeof type) != 0)
        bench_die("answer", "holds no handle");
    std::vector<uint32_t> &handles = l->states[c->number].handles;
    handles.push_back(get_u32le(at));
    if (handles.size() < l->mix->statements)
        return prepare_next(c);
    c->answered = answered_unmeasured;
    ask_next(c);
}

static void logged_in(bench_client *c) {
    const request_mix &mix = *load_of(c)->mix;
    c->answered = mix.settings ? settings_made : mix.statements > 0 ? prepared : answered_unmeasured;
    if (mix.settings)
        bench_client_ask(c, settings_of(c->number));
    else if (mix.statements > 0)
        prepare_next(c);
    else
        ask_next(c);
}

static void open_clients(load &l, size_t count) {
    l.states.resize(count);
    for (size_t i = 0; i < count; ++i) {
        l.states[i].answer_size.resize(l.mix->requests.size());
        l.clients.push_back(bench_client_open(&l, logged_in, nullptr));
        l.clients[i]->number = i;
        if (l.mix->databases)
            l.clients[i]->database = "tenant_" + std::to_string(i % databases);
    }
    uv_run(&l.loop, UV_RUN_DEFAULT);
}

static void wait_for_line() {
    for (char byte = 0; byte != '\n';)
        if (read(STDIN_FILENO, &byte, 1) <= 0)
            _exit(0);
}

static void run(load &l) {
    l.took_us.reserve(l.requests);
    puts("ready");
    fflush(stdout);
    wait_for_line();
    uint64_t begun = uv_hrtime();
    for (bench_client *c : l.clients) {
        if (l.asked == l.requests)
            break;
        ++l.asked;
        c->answered = answered;
        ask_next(c);
    }
    uv_run(&l.loop, UV_RUN_DEFAULT);
    double seconds = static_cast<double>(uv_hrtime() - begun) / 1e9;
    printf("{\"requests\": %zu, \"seconds\": %.4f, \"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           l.asked, seconds, static_cast<double>(l.asked) / seconds, bench_percentile(l.took_us, 0.5),
           bench_percentile(l.took_us, 0.99));
    fflush(stdout);
    wait_for_line();
}

int main(int argc, char **argv) {
    if (argc != 10) {
        fputs("usage: requests-bench PORT USER PASSWORD DATABASE none|full|strict CA_FILE MIX CLIENTS REQUESTS\n",
              stderr);
        return 2;
    }
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    load l;
    l.plan = {static_cast<uint16_t>(atoi(argv[1])), argv[2], argv[3], argv[4], bench_tls(argv[5]), argv[6]};
    l.mix = &find_mix(argv[7]);
    l.requests = strtoul(argv[9], nullptr, 10);
    uv_loop_init(&l.loop);
    open_clients(l, strtoul(argv[8], nullptr, 10));
    run(l);
    _exit(0); // the sessions need no farewell
}
