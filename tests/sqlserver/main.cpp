// sqlserver-standin: a TDS server over SQLite for tests, benchmarks and the demo. Arguments, start, end.
#include "server.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

using namespace sqlserver;

namespace {

const char usage[] =
    "usage: sqlserver-standin --data-dir DIR [options]\n"
    "  --listen ADDR            address of the TDS port (127.0.0.1)\n"
    "  --port N                 TDS port; 0, the default: any free one\n"
    "  --control-port N         control port on 127.0.0.1; 0, the default: any free one\n"
    "  --data-dir DIR           databases, one SQLite file each\n"
    "  --login USER:PASSWORD    repeatable; none: sa with any password\n"
    "  --database NAME          repeatable: created at start\n"
    "  --encrypt off|on|forced|none   off: as the client wants; on, forced: always TLS; none: no TLS (off)\n"
    "  --cert FILE --key FILE   PEM; else a self-signed certificate is made\n"
    "  --tls-max 1.2|1.3        the newest TLS version in strict TDS (1.3)\n"
    "  --packet-size-max N      largest packet size granted (32767)\n"
    "  --version-string V       product version (16.0.4135)\n"
    "  --server-name NAME       @@SERVERNAME and the name in messages (STANDIN)\n"
    "  --verbose                why each connection closed, on stderr\n"
    "switches, also `set NAME VALUE` on the control port (those without a value here: 1 on, 0 off):\n"
    "  --max-connections N      beyond it error 17809 at login\n"
    "  --delay-login MS, --delay-request MS\n"
    "  --drop-after-prelogin, --drop-at-login, --refuse, --garbage\n"
    "  --drop-request N         every Nth request: half of its answer, then the connection closes\n"
    "  --login-error NUMBER     every login fails with this error; 0: none does\n"
    "  --login-error-count N    ... only the next N logins, the ones after them succeed\n"
    "  --mars                   multiple active result sets are granted to who asks for them\n"
    "  --strict-framing N       0: accept short packets in the middle of a message (1)\n"
    "  --strict-descriptors N   0: accept any transaction descriptor in ALL_HEADERS (1: 3989 and 3971)\n"
    "  --deadlocks N            the next N INSERTs, UPDATEs or DELETEs in a transaction are deadlock victims, 1205\n"
    "  --silent-transactions    no ENVCHANGE for transactions in SQL text, as Babelfish\n"
    "  --no-database-reset      a reset leaves the database alone, as Babelfish\n"
    "  --inner-outlives         as Babelfish: SETs of a text run by RPC, USE and #tables of dynamic SQL outlive it\n"
    "  --no-table-variable-identity   INSERT into a table variable leaves @@IDENTITY alone, as Babelfish\n"
    "  --language-alone         as Babelfish: SET LANGUAGE leaves DATEFORMAT and DATEFIRST as they are, a login "
    "without\n"
    "                           a language is told none\n"
    "  --prepexec-wants-names   as Babelfish: sp_prepexec takes no values without names\n"
    "  --prepare-tells-columns  as Babelfish: sp_prepare tells the columns of the result unasked\n"
    "  --no-useroptions         as Babelfish: DBCC USEROPTIONS is an error\n"
    "  --reset-keeps-context    as Babelfish: a reset leaves CONTEXT_INFO and SESSION_CONTEXT\n"
    "  --isolation-first        as Babelfish: the isolation level is not set behind a query of the same batch\n"
    "  --reset-keeps-count      as Babelfish: a reset in a transaction leaves @@TRANCOUNT, and nothing is committed\n"
    "  --fail-reset             a reset is answered with 18056, severity 20, and ends the connection\n"
    "  --reuse-handles          numbers of prepared statements are given out again after sp_unprepare\n"
    "  --route HOST:PORT|off    a login that succeeds is routed there (ENVCHANGE 20 behind LOGINACK)\n"
    "  --route-read-only        ... only one with read-only intent\n"
    "  --feature-acks LIST      features acknowledged when asked for: ids in hex, 04,09,0A,0D,0E,... or none (01,0A);\n"
    "                           01: SESSIONSTATE tokens tell of every change of the session's state\n"
    "  --encrypt-column NAME|off   with 04: result columns of this name are encrypted\n"
    "  --classify-column NAME|off  with 09: result columns of this name are classified\n"
    "  --utf8-columns           with 0A: char data is sent as UTF-8\n"
    "  --honour-no-metadata     as servers up to 2014: an RPC with fNoMetaData is answered without columns\n"
    "  --fedauth-token TEXT|off federated logins are served, with this token\n"
    "  --fedauth-user NAME      ... and are this user's\n"
    "  --sspi-nonce BYTES       size of the server's SSPI blob (32); the mechanism: wire_auth.h\n"
    "control port commands: stats, sessions, state SPID, peak-reset, kill SPID, kill-all, set NAME VALUE,\n"
    "  login add USER:PASSWORD, login password USER NEW, login lock|unlock|disable|enable|expire|must-change|drop "
    "USER\n";

[[noreturn]] void fail(const std::string &text) {
    fprintf(stderr, "sqlserver-standin: %s\n%s", text.c_str(), usage);
    exit(2);
}

int64_t number(const std::string &name, const char *text) {
    char *end = nullptr;
    long long v = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || v < 0)
        fail(name + ": not a number: " + text);
    return v;
}

int port_number(const std::string &name, const char *text) {
    int64_t v = number(name, text);
    if (v > 65535)
        fail(name + ": no such port");
    return static_cast<int>(v);
}

encrypt encryption_of(const std::string &text) {
    if (text == "off")
        return encrypt::off;
    if (text == "on")
        return encrypt::on;
    if (text == "forced")
        return encrypt::forced;
    if (text == "none")
        return encrypt::none;
    fail("--encrypt off|on|forced|none");
}

void set_switch(server &s, const std::string &name, const char *value) {
    std::string error;
    if (!server_set(s, name, value, error))
        fail(error);
}

bool is_flag(const std::string &name) {
    static const char *const all[] = {"--silent-transactions",
                                      "--no-database-reset",
                                      "--no-table-variable-identity",
                                      "--fail-reset",
                                      "--utf8-columns",
                                      "--honour-no-metadata",
                                      "--reuse-handles",
                                      "--drop-after-prelogin",
                                      "--drop-at-login",
                                      "--refuse",
                                      "--garbage",
                                      "--route-read-only",
                                      "--mars",
                                      "--inner-outlives",
                                      "--language-alone",
                                      "--prepexec-wants-names",
                                      "--prepare-tells-columns",
                                      "--no-useroptions",
                                      "--reset-keeps-context"};
    return std::find(std::begin(all), std::end(all), name) != std::end(all);
}

// Options without a value. False: not one of them.
bool parse_flag(server &s, const std::string &name) {
    if (name == "--verbose")
        s.opt.verbose = true;
    else if (is_flag(name))
        set_switch(s, name.substr(2), "1");
    else
        return false;
    return true;
}

void parse_option(server &s, const std::string &name, const char *v) {
    server_options &o = s.opt;
    if (name == "--listen")
        o.address = v;
    else if (name == "--port")
        o.port = port_number(name, v);
    else if (name == "--control-port")
        o.control_port = port_number(name, v);
    else if (name == "--data-dir")
        o.engine.data_dir = v;
    else if (name == "--login")
        o.engine.logins.emplace_back(v);
    else if (name == "--database")
        o.engine.databases.emplace_back(v);
    else if (name == "--encrypt")
        o.encryption = encryption_of(v);
    else if (name == "--cert")
        o.cert_file = v;
    else if (name == "--key")
        o.key_file = v;
    else if (name == "--tls-max" && (strcmp(v, "1.2") == 0 || strcmp(v, "1.3") == 0))
        o.tls12_only = strcmp(v, "1.2") == 0;
    else if (name == "--packet-size-max")
        o.packet_size_max = static_cast<uint32_t>(number(name, v));
    else if (name == "--version-string")
        o.engine.version = v;
    else if (name == "--server-name")
        o.engine.server_name = v;
    else if (name.size() < 3)
        fail("unknown option " + name);
    else
        set_switch(s, name.substr(2), v);
}

void parse_arguments(server &s, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        std::string name = argv[i];
        if (name == "--help") {
            fputs(usage, stdout);
            exit(0);
        }
        if (parse_flag(s, name))
            continue;
        if (i + 1 >= argc)
            fail("unknown option or no value: " + name);
        parse_option(s, name, argv[++i]);
    }
    if (s.opt.engine.data_dir.empty())
        fail("--data-dir is missing");
    if (s.opt.cert_file.empty() != s.opt.key_file.empty())
        fail("--cert and --key belong together");
}

void raise_file_limit() {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char **argv) {
    auto s = std::make_unique<server>();
    parse_arguments(*s, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    std::string error;
    if (!server_open(*s, error)) {
        fprintf(stderr, "sqlserver-standin: %s\n", error.c_str());
        _exit(1); // half-open handles: nothing worth to save
    }
    printf("ready port=%d control=%d\n", s->port, s->control_port);
    fflush(stdout);
    server_run(*s);
    return 0;
}
