#!/bin/sh
# Waits until a SQL Server answers SELECT 1.
#
#   wait-for-sql.sh HOST PORT USER PASSWORD [TIMEOUT_SECONDS]
#
# HOST, PORT, USER, PASSWORD and TIMEOUT may also come from SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD, SQL_TIMEOUT.
# Uses sqlcmd or FreeTDS's tsql, whichever is there. Exit status: 0 ready, 1 not in time, 2 wrong usage or no client.
set -u

host=${1:-${SQL_HOST:-localhost}}
port=${2:-${SQL_PORT:-1433}}
user=${3:-${SQL_USER:-sa}}
password=${4:-${SQL_PASSWORD:-}}
timeout=${5:-${SQL_TIMEOUT:-120}}

usage() {
    echo "usage: $0 HOST PORT USER PASSWORD [TIMEOUT_SECONDS]" >&2
    exit 2
}

case "$port$timeout" in
    *[!0-9]*) usage ;;
esac
[ -n "$password" ] || { echo "$0: no password given (fourth argument or SQL_PASSWORD)" >&2; usage; }

find_client() {
    for name in sqlcmd /opt/mssql-tools18/bin/sqlcmd /opt/mssql-tools/bin/sqlcmd tsql; do
        command -v "$name" && return 0
    done
    return 1
}

client=$(find_client) || { echo "$0: neither sqlcmd nor tsql is installed" >&2; exit 2; }

# The answer must hold a line with 1 alone: an error message or an echo of the query is no answer.
ask() {
    case "$client" in
        *sqlcmd)
            SQLCMDPASSWORD=$password "$client" -S "$host,$port" -U "$user" -C -l 5 -h -1 -W -Q "SET NOCOUNT ON; SELECT 1" </dev/null 2>&1 ;;
        *)
            printf 'SELECT 1\ngo\nexit\n' | "$client" -H "$host" -p "$port" -U "$user" -P "$password" -o q 2>&1 ;;
    esac
}

started=$(date +%s)
while :; do
    answer=$(ask)
    if printf '%s\n' "$answer" | tr -d ' \t\r' | grep -qx 1; then
        echo "SQL Server at $host:$port is ready after $(($(date +%s) - started)) s"
        exit 0
    fi
    if [ $(($(date +%s) - started)) -ge "$timeout" ]; then
        echo "SQL Server at $host:$port did not answer SELECT 1 within $timeout s. Last answer:" >&2
        printf '%s\n' "$answer" | tail -n 5 >&2
        exit 1
    fi
    echo "waiting for SQL Server at $host:$port ..."
    sleep 1
done
