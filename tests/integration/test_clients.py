"""Every driver in every encryption mode through the proxy in passthrough: the same output as direct, and errors that
each of them shows. Coordinator `local`: slots shared through Redis have tests of their own."""

from harness import *
from test_standin import DRIVERS, Tap, assert_basic

MODES = ("off", "login", "full")


def modes_of(driver):
    return [encrypt for encrypt in MODES if encrypt in capabilities()[driver]["encrypt"]]


def refused_login(t, driver, proxy, encrypt):
    """A login that should fail; short for a driver that goes on trying."""
    options = {"login_timeout": 3} if capabilities()[driver].get("retries_login") else {}
    return t.driver(driver, proxy, "login", encrypt, **options)


def proxy_with_one_slot(t, server, **proxy_keys):
    """A proxy whose only slot is taken, and the crowd of one that holds it."""
    proxy = t.proxy([t.bucket("b1", server, max_connections=1)],
                    proxy={"queue_timeout": "300ms", "health_check_interval": "1h", **proxy_keys})
    holder = t.crowd(proxy)
    holder.open(1)
    holder.wait_state(HELD, 1)
    return proxy, holder


@timeout(120)
@cases(driver=DRIVERS)
def test_driver_through_the_proxy(t, driver):
    server = t.seed(t.sqlserver())
    proxy = t.proxy([t.bucket("b1", server, max_connections=5)])
    for encrypt in modes_of(driver):
        to_proxy = Tap(t, proxy)
        assert_basic(t.driver(driver, to_proxy, "basic", encrypt), f"{driver} {encrypt}")
        to_proxy.check(encrypt, server.password)
    server.wait_connections(0)
    wait_until(lambda: proxy.metric("proxy_connections_active", bucket_id="b1") == 0, 5, "no active connection")


@timeout(120)
@cases(driver=drivers("strict"))
def test_strict_driver(t, driver):
    """TDS 8.0: relayed, and refused by the proxy itself with a certificate that the driver checks."""
    cert, key = t.certificate()
    server = t.seed(t.sqlserver(args=["--cert", cert, "--key", key]))
    proxy, holder = proxy_with_one_slot(t, server, tls_cert_file=cert, tls_key_file=key)
    run = t.driver(driver, proxy, "login", "strict", ca_file=cert)
    assert run.error and run.error[0] == 50004, run
    holder.release()
    holder.wait_all()
    assert_basic(t.driver(driver, proxy, "basic", "strict", ca_file=cert), f"{driver} strict")
    server.wait_connections(0)


@timeout(120)
@cases(driver=DRIVERS)
def test_driver_shows_the_queue_timeout(t, driver):
    server = t.sqlserver()
    proxy, holder = proxy_with_one_slot(t, server)
    for encrypt in modes_of(driver):
        run = refused_login(t, driver, proxy, encrypt)
        assert run.error and run.error[0] == 50004 and run.error[1], f"{driver} {encrypt}: {run}"
    assert server.peak() == 1
    holder.release()
    holder.wait_all()
    run = t.driver(driver, proxy, "login", modes_of(driver)[0])
    assert run.rc == 0, run


@timeout(120)
@cases(driver=DRIVERS)
def test_driver_shows_the_full_queue(t, driver):
    server = t.sqlserver()
    proxy, holder = proxy_with_one_slot(t, server, queue_timeout="60s", max_queue_size=1)
    waiting = t.crowd(proxy)
    waiting.open(1)
    proxy.wait_metric("proxy_queue_length", 1, bucket_id="b1")
    for encrypt in modes_of(driver):
        run = refused_login(t, driver, proxy, encrypt)
        assert run.error and run.error[0] == 50005 and run.error[1], f"{driver} {encrypt}: {run}"
    holder.release()
    waiting.wait_state(HELD, 1)
    waiting.release()
    waiting.wait_all()
    assert waiting.count(DONE) == 1, waiting.summary()


@timeout(120)
@cases(driver=[name for name in DRIVERS if capabilities()[name]["count"]])
def test_driver_waits_its_turn(t, driver):
    server = t.sqlserver()
    proxy = t.proxy([t.bucket("b1", server, max_connections=2)], proxy={"health_check_interval": "1h"})
    run = t.driver(driver, proxy, "hold", modes_of(driver)[-1], count=6, hold=200)
    assert run.rc == 0 and run.out.count("closed") == 6, run
    assert server.peak() <= 2, server.stats()
