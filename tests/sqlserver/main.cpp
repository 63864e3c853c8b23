// sqlserver-standin: a TDS server over SQLite for tests, benchmarks and the demo. Arguments, start, end.
#include "server.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
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
    "  --packet-size-max N      largest packet size granted (32767)\n"
    "  --version-string V       product version (16.0.4135)\n"
    "  --server-name NAME       @@SERVERNAME and the name in messages (STANDIN)\n"
    "  --silent-transactions    no ENVCHANGE for transactions in SQL text, as Babelfish\n"
    "  --verbose                why each connection closed, on stderr\n"
    "switches, also `set NAME VALUE` on the control port:\n"
    "  --max-connections N      beyond it error 17809 at login\n"
    "  --delay-login MS, --delay-request MS\n"
    "  --drop-after-prelogin, --drop-at-login, --refuse, --garbage\n"
    "  --drop-request N         every Nth request: half of its answer, then the connection closes\n"
    "  --login-error NUMBER     every login fails with this error\n"
    "  --strict-framing N       0: accept short packets in the middle of a message (1)\n"
    "control port commands: stats, sessions, peak-reset, kill-all, set NAME VALUE\n";

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

// Options without a value. False: not one of them.
bool parse_flag(server &s, const std::string &name) {
    if (name == "--verbose")
        s.opt.verbose = true;
    else if (name == "--silent-transactions")
        s.opt.engine.announce_text_transactions = false;
    else if (name == "--drop-after-prelogin" || name == "--drop-at-login" || name == "--refuse" || name == "--garbage")
        server_set(s, name.substr(2), 1);
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
    else if (name == "--packet-size-max")
        o.packet_size_max = static_cast<uint32_t>(number(name, v));
    else if (name == "--version-string")
        o.engine.version = v;
    else if (name == "--server-name")
        o.engine.server_name = v;
    else if (name.size() < 3 || !server_set(s, name.substr(2), number(name, v)))
        fail("unknown option " + name);
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
