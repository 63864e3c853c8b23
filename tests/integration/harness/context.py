"""What a test is given: makers of processes in a folder of its own, and the checks when it is over."""

import os
import subprocess

from . import leftovers
from . import proxy as proxy_module
from .crowd import Crowd
from .cutter import Cutter
from .haproxy import HAProxy
from .process import Process
from .proxy import Proxy
from .redis import Redis
from .seed import CLIENT_SEED, run_script
from .sqlserver import SqlServer
from .tds import TdsClient
from .waiting import HarnessError


class Test:
    """See the package's docstring. Everything made here is stopped in reverse order when the test ends."""

    def __init__(self, name, folder, build, proxy_build=None):
        self.name, self.folder, self.build, self.proxy_build = name, folder, build, proxy_build or build
        self.processes = []
        self.closers = []
        self._counts = {}

    def _name(self, kind, name):
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return name or f"{kind}-{self._counts[kind]}"

    def binary(self, name):
        path = os.path.join(self.proxy_build if name == "tdsbouncer" else self.build, name)
        if not os.access(path, os.X_OK):
            raise HarnessError(f"{path} is not built")
        return path

    def add(self, process):
        self.processes.append(process)
        return process

    def redis(self, name=None, start=True, **keys):
        redis = self.add(Redis(self._name("redis", name), self.folder, **keys))
        return redis.start() if start else redis

    def sqlserver(self, name=None, start=True, **keys):
        name = self._name("sqlserver", name)
        folder = os.path.join(self.folder, name)  # its databases live here
        os.makedirs(folder, exist_ok=True)
        server = self.add(SqlServer(name, folder, self.binary("sqlserver-standin"), **keys))
        server.log_path = os.path.join(self.folder, f"{name}.log")
        return server.start() if start else server

    def seed(self, server, path=CLIENT_SEED):
        """Runs a script (default: what scenario `basic` of the drivers needs) on a server and returns the server."""
        run_script(path, server.port, server.user, server.password, server.database)
        return server

    def bucket(self, bucket_id, server, max_connections, **keys):
        return proxy_module.bucket(bucket_id, server, max_connections, **keys)

    def proxy(self, buckets, name=None, start=True, **keys):
        proxy = self.add(Proxy(self._name("proxy", name), self.folder, self.binary("tdsbouncer"), buckets, **keys))
        return proxy.start() if start else proxy

    def haproxy(self, proxies, name=None, start=True, **keys):
        haproxy = self.add(HAProxy(self._name("haproxy", name), self.folder, proxies, **keys))
        return haproxy.start() if start else haproxy

    def process(self, argv, name=None, start=True, **keys):
        """Any other program; it must end with 0 on SIGTERM unless exit_ok says otherwise."""
        name = self._name("process", name)
        process = self.add(Process(name, argv, os.path.join(self.folder, f"{name}.log"), **keys))
        if start:
            process.spawn()
        return process

    def crowd(self, target, **keys):
        """A Crowd against a SqlServer, Proxy or HAProxy (or a port). Credentials: user=, password=, database=."""
        crowd = Crowd(getattr(target, "port", target), **{**self.credentials(), **keys})
        self.closers.append(crowd.close)
        return crowd

    def client(self, target, **keys):
        """A raw TdsClient, logged in; closed at the end."""
        client = TdsClient(getattr(target, "port", target), **{**self.credentials(), **keys})
        self.closers.append(client.close)
        return client

    def certificate(self, name="server"):
        """(certificate file, key file), self-signed for localhost and 127.0.0.1; the certificate is its own CA."""
        cert, key = (os.path.join(self.folder, f"{name}-{part}.pem") for part in ("cert", "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out",
                        cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=60)
        return cert, key

    def cutter(self, target):
        """A relay in front of `target` (an object with .port, or a port) that can lose what passes."""
        cutter = Cutter(getattr(target, "port", target))
        self.closers.append(cutter.close)
        return cutter

    def credentials(self):
        server = next((p for p in self.processes if isinstance(p, SqlServer)), None)
        return {"user": server.user, "password": server.password, "database": server.database} if server else {}

    def driver(self, driver, target, scenario, encrypt="off", timeout=120, check=False, **options):
        """Runs tests/clients/run-client; see clients.run. Returns .rc, .out, .err, .error (number, text) or None."""
        from .clients import run
        keys = {**self.credentials(), **options}
        return run(driver, "127.0.0.1", getattr(target, "port", target), scenario, encrypt, timeout=timeout,
                   check=check, build=self.build, **keys)

    def run(self, argv, timeout=60, **keys):
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, **keys)

    # --- the end

    def finish(self):
        """Stops everything, last started first. Returns the complaints."""
        complaints = []
        for close in reversed(self.closers):
            try:
                close()
            except Exception as error:  # a client that cannot be closed must not keep the processes running
                complaints.append(f"closing: {error!r}")
        complaints += leftovers.in_proxies(self.processes)
        looked_behind = False
        for process in reversed(sorted(self.processes, key=lambda p: isinstance(p, Proxy))):  # the proxies first
            if not looked_behind and not isinstance(process, Proxy):
                complaints += leftovers.behind_proxies(self.processes)
                looked_behind = True
            complaint = process.terminate()
            if complaint:
                complaints.append(complaint)
            report = process.sanitizer_report()
            if report:
                complaints.append(f"{process.name}: {report}")
        return complaints

    def tails(self, lines=30):
        return "\n".join(p.log_tail(lines) for p in self.processes)
