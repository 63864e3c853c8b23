// Texts and severities of login errors, as in sys.messages. See wire_login_error.h.
#include "wire_login_error.h"

namespace sqlserver {

namespace {

struct login_error {
    int32_t number;
    uint8_t severity;
    const char *text; // % is the user, $ the database
};

const login_error login_errors[] = {
    {922, 14, "Database '$' is being recovered. Waiting until recovery is finished."},
    {927, 14, "Database '$' cannot be opened. It is in the middle of a restore."},
    {983, 14,
     "Unable to access availability database '$' because the database replica is not in the PRIMARY or SECONDARY "
     "role."},
    {4060, 11, "Cannot open database \"$\" requested by the login. The login failed."},
    {4064, 11, "Cannot open user default database. Login failed."},
    {10928, 20,
     "Resource ID: 1. The request limit for the database is 60 and has been reached. See "
     "'http://go.microsoft.com/fwlink/?LinkId=267637' for assistance."},
    {10929, 20,
     "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 60 and the current usage for the database "
     "is "
     "60. However, the server is currently too busy to support requests greater than 60 for this database."},
    {17142, 14, "SQL Server service has been paused. No new connections will be allowed."},
    {17809, 20,
     "Could not connect because the maximum number of user connections has already been reached. The system "
     "administrator can use sp_configure to increase the maximum value. The connection has been closed."},
    {18401, 14,
     "Login failed for user '%'. Reason: Server is in script upgrade mode. Only administrator can connect at this "
     "time."},
    {18451, 14, "Login failed for user '%'. Only administrators may connect at this time."},
    {18452, 14,
     "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."},
    {18456, 14, "Login failed for user '%'."},
    {18470, 14, "Login failed for user '%'. Reason: The account is disabled."},
    {18486, 14,
     "Login failed for user '%' because the account is currently locked out. The system administrator can unlock it."},
    {18487, 14, "Login failed for user '%'.  Reason: The password of the account has expired."},
    {18488, 14, "Login failed for user '%'.  Reason: The password of the account must be changed."},
    {40197, 17, "The service has encountered an error processing your request. Please try again. Error code 4815."},
    {40501, 20, "The service is currently busy. Retry the request after 10 seconds. Code: 131075."},
    {40613, 17,
     "Database '$' on server 'standin' is not currently available. Please retry the connection later. If the problem "
     "persists, contact customer support, and provide them the session tracing ID of '{0}'."},
    {49918, 16, "Cannot process request. Not enough resources to process request. Please retry you request later."},
};

std::string fill(const char *text, const login_request &q) {
    std::string out;
    for (; *text != '\0'; text++) {
        if (*text == '%')
            out += q.user;
        else if (*text == '$')
            out += q.database;
        else
            out += *text;
    }
    return out;
}

void send_one(wire_host &h, int64_t number, const login_request &q) {
    login_error e = {static_cast<int32_t>(number), 14, "Login failed."};
    for (const login_error &known : login_errors)
        if (known.number == number)
            e = known;
    h.message(e.number, 1, e.severity, fill(e.text, q), "", 1);
}

} // namespace

void send_login_error(wire_host &h, int64_t number, const login_request &q) {
    send_one(h, number, q);
    if (number == 4060)
        send_one(h, 18456, q);
}

} // namespace sqlserver
