// The recorded beginnings of real clients' connections in tests/unit/tds/data: PRELOGIN and LOGIN7 packets in clear.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

using bytes = std::vector<uint8_t>;

inline bytes file_read(const std::string &path) {
    bytes content;
    FILE *f = fopen(path.c_str(), "rb");
    if (f == nullptr)
        return content;
    uint8_t chunk[4096];
    while (size_t n = fread(chunk, 1, sizeof chunk, f))
        content.insert(content.end(), chunk, chunk + n);
    fclose(f);
    return content;
}

inline bytes capture_read(const std::string &name) {
    return file_read(REPO_DIR "/tests/unit/tds/data/" + name + ".bin");
}

struct captured_client {
    const char *name;
    bool prelogin;
    uint8_t encryption;
    int mars; // -1: not sent
    const char *instance;
    uint32_t tds_version;
    uint32_t packet_size;
    const char *host, *app, *library, *language;
    uint8_t flags[4];
    bool utf8_feature;
};

// Decoded by hand (not by the code under test). User sa, password Lab_12345678, server 127.0.0.1, database labdb in
// all.
// clang-format off
inline constexpr captured_client captured_clients[] = {
    {"freetds-bsqldb-login", true, 0, 0, "MSSQLServer", 0x74000004, 4096, "client1", "bsqldb", "DB-Library", "us_english", {0xe0, 0x01, 0x00, 0x18}, true},
    {"freetds-odbc-login", true, 0, 0, "MSSQLServer", 0x74000004, 4096, "client1", "", "", "us_english", {0xe0, 0x03, 0x00, 0x18}, true},
    {"freetds-tsql-login", true, 0, 0, "MSSQLServer", 0x74000004, 4096, "client1", "TSQL", "TDS-Library", "us_english", {0xe0, 0x03, 0x00, 0x18}, true},
    {"freetds-tsql-login-tds7.0", false, 0, -1, "", 0x70000000, 4096, "client1", "TSQL", "TDS-Library", "us_english", {0xe0, 0x03, 0x00, 0x00}, false},
    {"freetds-tsql-login-tds7.1", true, 0, -1, "MSSQLServer", 0x71000001, 4096, "client1", "TSQL", "TDS-Library", "us_english", {0xe0, 0x03, 0x00, 0x00}, false},
    {"freetds-tsql-login-tds7.2", true, 0, 0, "MSSQLServer", 0x72090002, 4096, "client1", "TSQL", "TDS-Library", "us_english", {0xe0, 0x03, 0x00, 0x00}, false},
    {"go-mssqldb-login", true, 2, 0, "", 0x74000004, 4096, "client1", "app", "", "", {0x00, 0x02, 0x00, 0x00}, false},
    {"go-mssqldb-login-packet_size", true, 2, 0, "", 0x74000004, 32767, "client1", "app", "", "", {0x00, 0x02, 0x00, 0x00}, false},
    {"jtds-login", true, 0, -1, "", 0x71000001, 0, "UNKNOWN", "jTDS", "jTDS", "", {0xe0, 0x03, 0x00, 0x00}, false},
    {"jtds-login-no_prelogin", false, 0, -1, "", 0x71000001, 0, "UNKNOWN", "jTDS", "jTDS", "", {0xe0, 0x03, 0x00, 0x00}, false},
    {"pymssql-login", true, 0, 0, "MSSQLServer", 0x74000004, 4096, "client1", "app", "DB-Library", "us_english", {0xe0, 0x01, 0x00, 0x18}, true},
    {"pymssql-login-tds71", true, 0, -1, "MSSQLServer", 0x71000001, 4096, "client1", "app", "DB-Library", "us_english", {0xe0, 0x01, 0x00, 0x00}, false},
    {"pytds-login", true, 2, 0, "MSSQLServer", 0x74000004, 4096, "client1", "app", "Python TDS Library", "", {0xf0, 0x02, 0x00, 0x08}, false},
    {"pytds-login-mars", true, 2, 1, "MSSQLServer", 0x74000004, 4096, "client1", "app", "Python TDS Library", "", {0xf0, 0x02, 0x00, 0x08}, false},
    {"pytds-login-tds73", true, 2, 0, "MSSQLServer", 0x730a0003, 4096, "client1", "app", "Python TDS Library", "", {0xf0, 0x02, 0x00, 0x08}, false},
    {"raw-login-multipacket", true, 2, 0, "", 0x74000004, 4096, "client1", "app", "rawlib", "", {0xe0, 0x03, 0x00, 0x00}, false},
    {"raw-login-tds8_version", true, 2, 0, "", 0x08000000, 4096, "client1", "app", "rawlib", "", {0xe0, 0x03, 0x00, 0x00}, false},
    {"tedious-login", true, 2, 0, "", 0x74000004, 4096, "client1", "Tedious", "Tedious", "us_english", {0xf0, 0x00, 0x00, 0x18}, true},
    {"tedious-login-readonly_intent", true, 2, 0, "", 0x74000004, 4096, "client1", "Tedious", "Tedious", "us_english", {0xf0, 0x00, 0x20, 0x18}, true},
    {"tedious-login-tds71", true, 2, 0, "", 0x71000001, 4096, "client1", "Tedious", "Tedious", "us_english", {0xf0, 0x00, 0x00, 0x18}, false},
    {"tedious-login-tds73a", true, 2, 0, "", 0x730a0003, 4096, "client1", "Tedious", "Tedious", "us_english", {0xf0, 0x00, 0x00, 0x18}, false},
};
// clang-format on
