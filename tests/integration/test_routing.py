"""Which bucket a login reaches: by its port, the name in TLS, server name, user@bucket, database, password, default.

The buckets are those of the demo: three servers, one user name, one database name, and a password each.
"""

import os
import subprocess

from harness import *
from harness.clients import CLIENTS
from harness.tds import trusting_context
from test_standin_login import TYPE_READ_ONLY, Login

PASSWORDS = [f"YourStr0ngP@ssword{number}" for number in (1, 2, 3)]
IDS = [f"bucket-00{number}" for number in (1, 2, 3)]


def demo_servers(t, passwords=PASSWORDS, args=()):
    """Each says who it is: @@SERVERNAME is the id of its bucket."""
    return [t.sqlserver(password=password, args=["--server-name", name, *args])
            for name, password in zip(IDS, passwords)]


def demo(t, servers=None, keys=None, **proxy_keys):
    """A proxy in front of three servers. `keys`: more keys of the buckets, one dictionary each."""
    servers = servers or demo_servers(t)
    buckets = [t.bucket(name, server, max_connections=5, **more)
               for name, server, more in zip(IDS, servers, keys or [{}, {}, {}])]
    return t.proxy(buckets, proxy={"pool_mode": "session", **proxy_keys})


def reached(t, target, **keys):
    """The bucket that a login reaches; the error's number if it is refused."""
    try:
        client = t.client(target, **{"database": "tenant_db", **keys})
    except TdsError as error:
        return error.number
    name = client.scalar("SELECT @@SERVERNAME")
    client.close()
    return name


# ---------------------------------------------------------------------------------------------------- by password


def test_the_password_alone_tells_the_bucket(t):
    proxy = demo(t, default_bucket="none")
    assert [reached(t, proxy, password=password) for password in PASSWORDS] == IDS
    assert reached(t, proxy, password="YourStr0ngP@ssword4") == 50002
    assert reached(t, proxy, password="") == 50002
    assert reached(t, proxy, user="SA", password=PASSWORDS[1]) == 50002, "a user name is compared as it is"


def run_sqlcmd(server, password, *more):
    """Microsoft's sqlcmd as a user types it; SQLCMDPASSWORD is its -P that no other user of the machine sees."""
    program = os.path.join(os.environ.get("TDSBOUNCER_CACHE") or os.path.join(CLIENTS, "..", "..", ".cache"),
                           "clients", "sqlcmd", "sqlcmd")
    return subprocess.run([program, "-S", server, "-U", "sa", "-d", "tenant_db", "-C", "-h", "-1", "-W", "-Q",
                           "SET NOCOUNT ON; SELECT @@SERVERNAME", *more], env={**os.environ, "SQLCMDPASSWORD": password},
                          capture_output=True, text=True, timeout=60)


def sqlcmd_reaches(*args):
    done = run_sqlcmd(*args)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.split()[0]


@timeout(120)
def test_sqlcmd_reaches_each_bucket(t):
    """`sqlcmd -S host -U sa -P <the bucket's password> -d tenant_db`, then by name, user@bucket and port."""
    ports = [free_port() for _ in IDS]
    keys = [{"listen_port": port} for port in ports]
    keys[1]["aliases"] = ["localhost"]
    proxy = demo(t, keys=keys, default_bucket="none")
    for password, expected, port in zip(PASSWORDS, IDS, ports):
        assert sqlcmd_reaches(f"127.0.0.1,{proxy.port}", password) == expected
        assert sqlcmd_reaches(f"127.0.0.1,{port}", password, "-N", "disable") == expected
        assert sqlcmd_reaches(f"127.0.0.1,{proxy.port}", password, "-U", f"sa@{expected}", "-N", "mandatory") == expected
    assert sqlcmd_reaches(f"tcp:localhost,{proxy.port}", PASSWORDS[1]) == IDS[1]
    named = run_sqlcmd(f"localhost,{proxy.port}", PASSWORDS[0])
    assert named.returncode != 0 and "Login failed for user 'sa'" in named.stdout + named.stderr, named
    nobody = run_sqlcmd(f"127.0.0.1,{proxy.port}", "none of them")
    assert nobody.returncode != 0 and "no bucket" in nobody.stdout + nobody.stderr, nobody


def freetds_conf(t, **sections):
    path = os.path.join(t.folder, "freetds.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[global]\n\ttds version = 7.4\n\tclient charset = UTF-8\n")
        for name, port in sections.items():
            file.write(f"[{name}]\n\thost = 127.0.0.1\n\tport = {port}\n\tencryption = require\n")
    return path


def run_tsql(conf, section, password, user="sa"):
    return subprocess.run(["tsql", "-S", section, "-U", user, "-P", password, "-D", "tenant_db", "-o", "q"], text=True,
                          input="SELECT @@SERVERNAME\ngo\nexit\n", capture_output=True, timeout=60,
                          env={**os.environ, "FREETDSCONF": conf, "LC_ALL": "C.UTF-8"})


def test_freetds_reaches_each_bucket(t):
    """FreeTDS sends the name of its configuration's section as server name: an alias by which a bucket is known."""
    proxy = demo(t, keys=[{}, {}, {"aliases": ["PAYROLL"]}], default_bucket="none")
    conf = freetds_conf(t, anything=proxy.port, payroll=proxy.port)
    for password, expected in zip(PASSWORDS, IDS):
        for section, user in (("anything", "sa"), ("anything", f"sa@{expected}")):
            done = run_tsql(conf, section, password, user)
            assert expected in done.stdout.split(), (section, user, done.stdout, done.stderr)
    assert IDS[2] in run_tsql(conf, "payroll", PASSWORDS[2]).stdout.split()
    refused = run_tsql(conf, "payroll", PASSWORDS[0])
    assert "Msg 18456" in refused.stdout + refused.stderr, "the name comes before the password"


# ---------------------------------------------------------------------------------------------------- by name


def test_server_name(t):
    """As drivers write it: host, host\\instance, host,port, tcp:host; the id or an alias of a bucket, in any case."""
    proxy = demo(t, keys=[{}, {"aliases": ["db2.example.net", "DB2"]}, {}], default_bucket="none")
    for name in ("bucket-002", "BUCKET-002", "db2", "DB2.Example.Net", "tcp:db2,1433", "db2\\SQLEXPRESS", "db2:5000"):
        assert reached(t, proxy, server_name=name, password=PASSWORDS[1]) == IDS[1], name
        assert reached(t, proxy, server_name=name, password=PASSWORDS[2]) == 18456, f"{name} comes before the password"
    assert reached(t, proxy, server_name="db22", password=PASSWORDS[2]) == IDS[2], "a name of nobody decides nothing"


def test_server_name_is_the_servers_own_address(t):
    """Where the proxy took over a server's host name: host and port together are the bucket's."""
    servers = demo_servers(t)
    proxy = demo(t, servers, default_bucket="none")
    for server, password, expected in zip(servers, PASSWORDS, IDS):
        assert reached(t, proxy, server_name=f"127.0.0.1,{server.port}", password=password) == expected
    assert reached(t, proxy, server_name=f"127.0.0.1,{servers[0].port}", password=PASSWORDS[1]) == 18456


def test_user_at_bucket(t):
    """The suffix is taken off: the server knows the user alone. Any other @ belongs to the user's name."""
    servers = demo_servers(t)
    servers[1].login("add", "app@corp.example", "one")
    proxy = demo(t, servers, default_bucket=IDS[1])
    assert reached(t, proxy, user="sa@bucket-003", password=PASSWORDS[2]) == IDS[2]
    assert reached(t, proxy, user="sa@BUCKET-001", password=PASSWORDS[0]) == IDS[0]
    assert reached(t, proxy, user="sa@bucket-003", password=PASSWORDS[0]) == 18456
    assert reached(t, proxy, user="app@corp.example", password="one") == IDS[1]
    assert reached(t, proxy, user="app@corp.example@bucket-002", password="one") == IDS[1]
    client = t.client(proxy, user="sa@bucket-003", password=PASSWORDS[2])
    assert client.scalar("SELECT SUSER_SNAME()") == "sa"


def test_database(t):
    """Names and patterns, when only one bucket has them; a name of several leaves it to the password."""
    servers = demo_servers(t, ["same", "same", "same"], args=["--database", "sales_7", "--database", "hr"])
    keys = [{"databases": ["sales_*"]}, {"databases": ["hr", "tenant_?"]}, {"databases": ["sales_old*", "hr?"]}]
    proxy = demo(t, servers, keys, default_bucket="none")
    assert reached(t, proxy, password="same", database="sales_7") == IDS[0]
    assert reached(t, proxy, password="same", database="HR") == IDS[1]
    assert reached(t, proxy, password="same", database="tenant_9") == 4060, "bucket-002's server has no such database"
    assert [server.stats()["login_failures_total"] for server in servers] == [0, 1, 0]
    assert reached(t, proxy, password="same", database="sales_old") == 50002, "two buckets list it"
    assert reached(t, proxy, password="same", database="tenant_db") == 50002, "all three have it"
    assert reached(t, proxy, password="same", database="") == 50002


# ---------------------------------------------------------------------------------------------------- by port


def test_a_buckets_own_port(t):
    """Comes first: whatever name, suffix or password says otherwise."""
    ports = [free_port() for _ in IDS]
    proxy = demo(t, keys=[{"listen_port": port} for port in ports], default_bucket="none")
    for port, password, expected in zip(ports, PASSWORDS, IDS):
        for encrypt in ("off", "full", "strict"):
            assert reached(t, port, password=password, server_name="bucket-002", encrypt=encrypt) == expected
    assert reached(t, ports[0], password=PASSWORDS[1]) == 18456
    assert reached(t, ports[0], user="sa@bucket-002", password=PASSWORDS[0]) == IDS[0]


# ---------------------------------------------------------------------------------------------------- by TLS


class NamedContext:
    """A TLS context whose handshakes ask for `name`, and go on with an earlier session."""

    def __init__(self, name, context, session=None):
        self.name, self.context, self.session = name, context, session

    def wrap_bio(self, incoming, outgoing, server_hostname):
        return self.context.wrap_bio(incoming, outgoing, server_hostname=self.name, session=self.session)


def tls_login(t, proxy, encrypt, name, context, password, session=None):
    """(bucket reached, whether the TLS session was resumed, the session that can be)."""
    client = t.client(proxy, password=password, encrypt=encrypt, tls_context=NamedContext(name, context, session))
    bucket, engine = client.scalar("SELECT @@SERVERNAME"), client.session.tls
    client.close()
    return bucket, engine.session_reused, engine.session


@cases(encrypt=["full", "strict"])
def test_server_name_of_tls(t, encrypt):
    """SNI: the bucket's id, an alias, or a host name that begins with one; also when the TLS session is resumed."""
    servers = demo_servers(t, ["same", "same", "same"])
    proxy = demo(t, servers, [{}, {"aliases": ["payroll.example.net"]}, {}], default_bucket="none")
    context = trusting_context(strict=encrypt == "strict")
    for name, expected in (("bucket-003", IDS[2]), ("payroll.example.net", IDS[1]), ("bucket-001.sql.example.net", IDS[0])):
        bucket, resumed, session = tls_login(t, proxy, encrypt, name, context, "same")
        assert (bucket, resumed) == (expected, False)
        bucket, resumed, session = tls_login(t, proxy, encrypt, name, context, "same", session)
        assert (bucket, resumed) == (expected, True), f"{name}, resumed"
    other, _, _ = tls_login(t, proxy, encrypt, "bucket-002", context, "same", session)
    assert other == IDS[1], "a session of another name's does not bring its bucket along"


@cases(encrypt=["full", "strict"])
def test_server_name_of_tls_comes_before_the_rest(t, encrypt):
    proxy = demo(t, default_bucket="none")
    context = trusting_context(strict=encrypt == "strict")
    keys = {"encrypt": encrypt, "tls_context": NamedContext("bucket-003", context)}
    assert reached(t, proxy, password=PASSWORDS[2], server_name="bucket-001", **keys) == IDS[2]
    assert reached(t, proxy, password=PASSWORDS[0], server_name="bucket-001", **keys) == 18456
    nobody = {"encrypt": encrypt, "tls_context": NamedContext("nobody.example.net", context)}
    assert reached(t, proxy, password=PASSWORDS[0], **nobody) == IDS[0]


# ---------------------------------------------------------------------------------------------------- default, none


@cases(default=[None, "bucket-003", "none"])
def test_default_bucket(t, default):
    """The first in the file, the one named, or none: 50002. Its own server says what it thinks of the password."""
    servers = demo_servers(t)
    for server in servers:
        server.login("add", "app", "of " + server.password)
    proxy = demo(t, servers, default_bucket=default)
    expected = {None: IDS[0], "bucket-003": IDS[2]}.get(default, 50002)
    password = PASSWORDS[2] if default else PASSWORDS[0]
    assert reached(t, proxy, user="app", password="of " + password) == expected
    assert reached(t, proxy, user="app", password="wrong") == (50002 if default == "none" else 18456)
    assert reached(t, proxy, password=PASSWORDS[1]) == IDS[1], "the other rules come first"


def test_credentials_of_two_buckets(t):
    """50002 whatever the default bucket: another tenant's data must not be a matter of the file's order."""
    servers = demo_servers(t, [PASSWORDS[0], PASSWORDS[0], PASSWORDS[2]])
    proxy = demo(t, servers)
    assert reached(t, proxy, password=PASSWORDS[0]) == 50002
    assert reached(t, proxy, password=PASSWORDS[0], server_name=IDS[1]) == IDS[1]
    assert reached(t, proxy, password=PASSWORDS[2]) == IDS[2]
    refused = try_login(proxy.port, password=PASSWORDS[0], database="tenant_db")
    assert "several buckets" in refused.text and refused.severity == 16, refused
    proxy.wait_metric("proxy_connection_errors_total", 2, bucket_id="none", error_type="no_bucket")
    assert [server.stats()["login_failures_total"] for server in servers] == [0, 0, 0]


def test_a_passthrough_bucket_has_a_port_of_its_own(t):
    """50007 at the shared port, by whatever rule: its TLS would have to end at the server."""
    port = free_port()
    keys = [{}, {"pool_mode": "passthrough", "listen_port": port}, {}]
    proxy = demo(t, keys=keys, default_bucket="bucket-002")
    assert reached(t, proxy, password=PASSWORDS[1]) == 50007
    assert reached(t, proxy, password=PASSWORDS[1], server_name="bucket-002") == 50007
    assert reached(t, proxy, user="sa@bucket-002", password=PASSWORDS[1]) == 50007
    assert reached(t, proxy, user="nobody", password="x") == 50007
    assert reached(t, port, password=PASSWORDS[1]) == IDS[1]
    assert reached(t, proxy, password=PASSWORDS[0]) == IDS[0]


# ---------------------------------------------------------------------------------------------------- read-only


def read_only_login(proxy, server, **keys):
    """A login with ApplicationIntent=ReadOnly: its connection, or the number of its error."""
    one = Login(proxy, user=server.user, password=server.password, database=server.database,
                flags=(0xE0, 0x03, TYPE_READ_ONLY, 0), **keys)
    answer = one.receive()
    return answer.errors[0].number if answer.errors else one


def test_read_only_intent(t):
    """Goes to the replica, which counts its slots as a bucket of its own; the primary's are not touched."""
    redis = t.redis()
    primary = t.sqlserver(args=["--server-name", "primary"])
    replica = t.sqlserver(args=["--server-name", "replica"])
    bucket = t.bucket("b1", primary, max_connections=3, queue_timeout="300ms",
                      read_only={"host": "127.0.0.1", "port": replica.port, "max_connections": 1})
    proxy = t.proxy([bucket], redis=redis, proxy={"pool_mode": "session"})
    proxy.wait_ready_to_serve()
    reader = read_only_login(proxy, primary)
    assert reader.client.scalar("SELECT @@SERVERNAME") == "replica"
    assert (redis.slots("b1.ro"), redis.slots("b1")) == (1, 0)
    assert read_only_login(proxy, primary, features=[(0x0A, b"\1")]) == 50004, "its one slot is taken"
    assert reached(t, proxy) == "primary"
    assert replica.sessions()[0]["read_only_intent"] and not primary.sessions()[0]["read_only_intent"]
    reader.close()
    other = wait_until(lambda: read_only_login(proxy, primary), 10, "the replica's connection again")
    assert other.client.scalar("SELECT @@SERVERNAME") == "replica" and replica.peak() == 1
    assert redis.get_int("proxy:bucket:b1.ro:max") == 1 and redis.get_int("proxy:bucket:b1:max") == 3


def test_read_only_intent_without_a_replica(t):
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, max_connections=3)], proxy={"pool_mode": "session"})
    one = read_only_login(proxy, server)
    assert one.client.scalar("SELECT 1") == 1 and server.sessions()[0]["read_only_intent"]
    plain = t.client(proxy)
    assert plain.scalar("SELECT 1") == 1 and server.connections() == 2, "and is not shared with other intents"
