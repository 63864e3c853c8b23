"""Waiting for something to become true, with a deadline. Tests never sleep for a fixed time instead of asking."""

import socket
import time
import urllib.error
import urllib.request


class HarnessError(Exception):
    """Something around the test went wrong: a process did not start, a deadline passed."""


def wait_until(predicate, timeout, what="condition", interval=0.02):
    """Calls predicate() until it returns something true, and returns that; HarnessError after `timeout` seconds.

    A predicate that raises AssertionError counts as not yet true, and its message is shown at the deadline. `what` may be
    a function, called at the deadline.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = predicate()
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            raise HarnessError(f"not within {timeout} s: {what() if callable(what) else what} (last: {last!r})")
        time.sleep(interval)


def holds_for(predicate, duration, what="condition", interval=0.02):
    """Samples predicate() for `duration` seconds and fails at the first sample that is false. Returns the samples taken."""
    deadline = time.monotonic() + duration
    samples = 0
    while time.monotonic() < deadline:
        if not predicate():
            raise AssertionError(f"no longer true: {what} (sample {samples})")
        samples += 1
        time.sleep(interval)
    return samples


def port_open(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def http_get(port, path, host="127.0.0.1", timeout=5.0):
    """(status, body text). Status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, urllib.error.URLError):
        return 0, ""
