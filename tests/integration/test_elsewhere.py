"""The drivers and the random dialogues against a server that is not the stand-in, by hand: docs/clients.md says what came
of it. Without TDSBOUNCER_ELSEWHERE=<file> there is no test here. The file is JSON:

    {"ports": [<TDS port>, <TDS port>], "user": "sa", "password": "...", "server_is": "as_babelfish",
     "without": ["cancel_at_once"], "scripts": 63}

The ports are of two servers of one make, not of one: scripts run once on each. `user` may make logins and databases;
diff_0 to diff_5 are made anew each time, tenant_db where it is missing. `server_is` is one of test_differential.SWITCHES,
`without` names what scripts do not do there because it does not come out the same twice (test_the_server_alone).
DIFFERENTIAL_SEED=<n> plays the same scripts again.
"""

import json
import os
import random

from harness import *
from harness.seed import CLIENT_SEED, run_script
from differential.shrink import answers
from test_differential import CONNECTIONS, DATABASES, PASSWORD, SETUP, USERS, play, proxy_of

DRIVERS = list(capabilities())
SCENARIO_DATABASE = DATABASE


def settings():
    path = os.environ.get("TDSBOUNCER_ELSEWHERE")
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


ELSEWHERE = settings()


def elsewhere(**values):
    """As `cases`, but none without a server."""
    return cases(**values) if ELSEWHERE else cases(none=[])


class Server:
    """What the harness wants to know of a server that it has not started."""

    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port
        self.user, self.password, self.database = ELSEWHERE["user"], ELSEWHERE["password"], ELSEWHERE.get("database", "master")

    def client(self, database=None):
        return TdsClient(self.port, self.user, self.password, database or self.database, timeout=120)

    def has(self, client, query):
        return client.scalar(f"SELECT COUNT(*) AS c FROM {query}") != 0

    def make_database(self, name, anew):
        with self.client() as client:
            there = self.has(client, f"sys.databases WHERE name = '{name}'")
            if there and anew:
                client.query(f"DROP DATABASE {name}")
            if anew or not there:
                client.query(f"CREATE DATABASE {name}")

    def make_login(self, name):
        with self.client() as client:
            if not self.has(client, f"sys.server_principals WHERE name = '{name}'"):
                quoted = PASSWORD.replace("'", "''")
                client.query(f"CREATE LOGIN {name} WITH PASSWORD = '{quoted}'")
                client.query(f"ALTER SERVER ROLE sysadmin ADD MEMBER {name}")

    def ready_for_scripts(self):
        for name in USERS:
            self.make_login(name)
        for name in DATABASES:
            self.make_database(name, anew=True)
            with self.client(name) as client:
                for text in SETUP:
                    client.ask(text)  # some it may not know: then the scripts get errors, on both
        return self

    def ready_for_drivers(self):
        self.make_database(SCENARIO_DATABASE, anew=False)
        run_script(CLIENT_SEED, self.port, self.user, self.password, SCENARIO_DATABASE)
        self.database = SCENARIO_DATABASE
        return self


def pair():
    return [Server(port).ready_for_scripts() for port in ELSEWHERE["ports"]]


def told(found):
    """The whole script: to find a shorter one takes long, and elsewhere nobody knows what it leaves behind."""
    script = "\n".join(f"  {i}: {line}" for i, line in enumerate(found["script"]))
    return "\n".join([f"script {found['number']} ({found['kind']}), step {found['step']}:", script,
                      *answers(found["expected"], found["got"])])


def compare(t, direct, target):
    seed = int(os.environ.get("DIFFERENTIAL_SEED") or random.randrange(1 << 32))
    server_is, without = ELSEWHERE["server_is"], ELSEWHERE["without"]
    print(f"DIFFERENTIAL_SEED={seed}", flush=True)
    result = play(t, direct, target, seed, ELSEWHERE["scripts"], server_is, without=without)
    print(json.dumps({key: result[key] for key in ("scripts", "requests", "sessions")}), flush=True)
    differences = sorted(result["differences"], key=lambda d: d["step"])
    assert not differences, f"{len(differences)} scripts differ\n" + "\n\n".join(map(told, differences))


@timeout(600)
@elsewhere(mode=["session", "transaction"])
def test_same_answers(t, mode):
    direct, behind = pair()
    proxy = proxy_of(t, behind, mode, CONNECTIONS[mode])
    compare(t, direct, proxy)
    wait_until(lambda: proxy.metrics().sum("proxy_connections_pinned", bucket_id="b1") == 0, 30, "no pin is left")


@timeout(600)
@elsewhere(times=[2])
def test_the_server_alone(t, times):
    """The scripts come out the same on both: what does not is not the proxy's."""
    assert times == len(ELSEWHERE["ports"])
    direct, other = pair()
    compare(t, direct, other)


@timeout(300)
@elsewhere(driver=DRIVERS)
def test_driver(t, driver):
    """Scenario `basic`, in the encryptions that the driver knows: the same output, of one that comes to its end there."""
    server = Server(ELSEWHERE["ports"][0]).ready_for_drivers()
    cert, key = t.certificate()
    proxy = t.proxy([t.bucket("b1", server, max_connections=5)],
                    proxy={"pool_mode": "transaction", "tls_cert_file": cert, "tls_key_file": key})
    login = {"user": server.user, "password": server.password, "database": server.database}
    differ = []
    for encrypt in ("off", "login", "full"):
        if encrypt not in capabilities()[driver]["encrypt"]:
            continue
        runs = [t.driver(driver, target, "basic", encrypt, **login) for target in (server, server, proxy)]
        print(f"{driver} {encrypt}: {[(run.rc, len(run.out)) for run in runs]}", flush=True)
        if runs[1].rc != 0 or (runs[1].rc, runs[1].out) != (runs[2].rc, runs[2].out):
            steady = (runs[0].rc, runs[0].out) == (runs[1].rc, runs[1].out)
            differ.append(f"{encrypt}, direct twice the same: {steady}\ndirect: {runs[1]}\nproxied: {runs[2]}")
    assert not differ, "\n".join(differ)
