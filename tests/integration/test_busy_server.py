"""A server that has too many workers or sessions: fewer server connections for a while, instead of one refused login after another."""

import time

from harness import *
from pooled import *
from test_fairness import Load

ROOM = 4  # sessions that the server bears


@timeout(90)
@cases(mode=["transaction", "session"])
def test_a_full_server_is_not_hammered(t, mode):
    """Its limit is below the bucket's: the clients share what there is, and when there is more they get it."""
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, 12, queue_timeout="60s", health_probe="off")],
                    proxy={"pool_mode": mode, "health_check_interval": "1h"})
    t.client(proxy).query("SELECT 1")  # its login is on record
    server.set("max-connections", ROOM)
    load = Load(t, server, proxy, clients=10, visits=mode == "session")
    wait_until(lambda: server.connections() == ROOM and load.answers.count(0) == 0, 20, "everybody served by what there is")
    refused = server.stats()["login_failures_total"]
    answers = sum(load.answers)
    time.sleep(2)
    assert server.stats()["login_failures_total"] == refused, "logins are tried though the server has said that it is full"
    assert sum(load.answers) > answers and not load.errors
    assert refused <= 12, f"{refused} refused logins until that was understood"
    assert "fewer server connections for a while" in proxy.log_text()
    server.set("max-connections", 100)
    wait_until(lambda: server.connections() > ROOM, 20, "more connections, after a while")
    load.stop()


@timeout(60)
def test_the_only_connection_is_tried_again(t):
    """Nothing else could serve the client: its login is tried again, with pauses, until the server has room."""
    server = t.sqlserver()
    proxy = pooled(t, server, 5)
    client = t.client(proxy)
    client.query("SELECT 1")
    wait_idle(proxy, 1)
    server.kill_all()
    proxy.wait_metric("proxy_connections_idle", 0, bucket_id="b1")
    server.set("login-error", 10928)
    client.send("SELECT 8")
    wait_until(lambda: server.stats()["login_failures_total"] >= 2, 10, "tried again")
    server.set("login-error", 0)
    assert client.receive().rows == [[8]]
