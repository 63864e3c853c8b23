"""A server's name gets another address, or has several of which one is silent. Names are those of a hosts file of the test
(libnss_wrapper in front of the real getaddrinfo)."""

import glob
import os
import socket
import time

from harness import *
from harness.ports import free_port
from pooled import *

NAME = "sql.test"


class Names:
    """The hosts file, and what a proxy needs in its environment to go by it."""

    def __init__(self, t):
        self.path = os.path.join(t.folder, "hosts")
        library = glob.glob("/usr/lib/*/libnss_wrapper.so") + glob.glob("/usr/lib/libnss_wrapper.so")
        self.env = {"LD_PRELOAD": library[0], "NSS_WRAPPER_HOSTS": self.path, "NSS_WRAPPER_DISABLE_DEEPBIND": "1",
                    "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"}
        self.stamp = time.time() - 1000

    def point(self, *addresses):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.writelines(f"{address} {NAME}\n" for address in addresses)
        self.stamp += 10  # it is read again when its time has changed
        os.utime(self.path + ".new", (self.stamp, self.stamp))
        os.replace(self.path + ".new", self.path)


def scene(t, *addresses, **keys):
    """Two servers on one port of two addresses, and a proxy that knows them by one name."""
    names, port = Names(t), free_port()
    names.point(*addresses)
    one, two = t.sqlserver(port=port), t.sqlserver(port=port, args=["--listen", "127.0.0.2"])
    bucket = t.bucket("b1", one, 8, host=NAME, health_probe="off", **keys)
    proxy = t.proxy([bucket], env=names.env, proxy={"pool_mode": "transaction", "dns_ttl": "300ms", "health_check_interval": "1h"})
    return names, one, two, proxy


@timeout(60)
def test_sessions_follow_the_name(t):
    names, one, two, proxy = scene(t, "127.0.0.1")
    with t.client(one) as direct:
        direct.query("CREATE TABLE dbo.kept (n int)")
    free, busy = t.client(proxy), t.client(proxy)
    free.query("SELECT 1")
    busy.query("BEGIN TRAN; INSERT INTO dbo.kept VALUES (7)")
    free.query("SELECT 1")
    wait_until(lambda: (one.connections(), two.connections()) == (2, 0), 10, "two connections to the first address")
    names.point("127.0.0.2")
    wait_until(lambda: one.connections() == 1, 10, "the idle one is closed")
    assert "the server's name has another address" in proxy.log_text()
    free.query("SELECT 1")
    assert two.stats()["requests_total"] >= 1
    assert busy.query("SELECT n FROM dbo.kept").rows == [[7]]  # a transaction stays where it is
    busy.query("COMMIT")
    one.wait_connections(0)
    busy.query("SELECT 1")
    with t.client(one) as direct:
        assert direct.query("SELECT n FROM dbo.kept").rows == [[7]]


@timeout(60)
def test_silent_address_is_passed_over(t):
    """The standby's address of an availability group in two subnets: it answers nothing at all."""
    silent = socket.socket()
    names, one, two, proxy = scene(t, "127.0.0.3", "127.0.0.1", connection_timeout="20s")
    silent.bind(("127.0.0.3", one.port))
    silent.listen(0)
    fillers = []
    for _ in range(4):  # then the kernel drops what comes
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.3", one.port))
        fillers.append(filler)
    try:
        start = time.monotonic()
        client = t.client(proxy)
        assert client.scalar("SELECT 5") == 5
        assert time.monotonic() - start < 10, "the silent address was waited for"
        one.kill_all()
        wait_until(lambda: proxy.metric("proxy_connections_idle", bucket_id="b1") == 0, 10, "the connection is gone")
        assert client.scalar("SELECT 6") == 6
        assert "circuit open" not in proxy.log_text()
    finally:
        for filler in (*fillers, silent):
            filler.close()
