"""Many TDS sessions from one process: 300 to 2,000 connections on one asyncio loop in a thread of its own.

Each member logs in, runs `query`, holds its session until it is released (or for `hold` seconds), runs `query` again
and closes. What became of it is in `members[i]`.
"""

import asyncio
import collections
import socket
import threading
import time

from .tds import Session, TdsClosed, TdsError, TdsProtocolError, trusting_context
from .waiting import wait_until

CONNECTING, HELD, DONE, REFUSED, FAILED = "connecting", "held", "done", "refused", "failed"


class Member:
    """One session. Times are time.monotonic(); login_seconds is from the connect to the answered login."""

    def __init__(self, number):
        self.number = number
        self.state = CONNECTING
        self.error_number = None
        self.error = None
        self.rows = None
        self.started = self.logged_in = self.ended = None
        self.release = None  # asyncio.Event
        self.tag = None      # group of open()

    @property
    def login_seconds(self):
        return (self.logged_in or self.ended) - self.started


class Crowd:
    def __init__(self, port, user="sa", password="", database="", host="127.0.0.1", encrypt="off", query="SELECT 1",
                 login_timeout=60.0, **session):
        self.host, self.port = host, port
        self.session_keys = {"user": user, "password": password, "database": database, "encrypt": encrypt, **session}
        if encrypt != "off":
            self.session_keys.setdefault("tls_context", trusting_context(session.get("ca_file"), encrypt == "strict"))
        self.query = query
        self.login_timeout = login_timeout
        self.members = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    # --- called by tests

    def open(self, count, hold=None, tag=None, abrupt=False):
        """Starts `count` more sessions at once and returns them. hold=None: until released. abrupt: end with RST."""
        fresh = []
        with self._lock:
            for _ in range(count):
                member = Member(len(self.members))
                member.tag = tag
                self.members.append(member)
                fresh.append(member)
        self._loop.call_soon_threadsafe(lambda: [self._loop.create_task(self._run(m, hold, abrupt)) for m in fresh])
        return fresh

    def release(self, count=None, members=None):
        """Lets held members go on: the given ones, or the `count` oldest, or all that are held or yet to be."""
        chosen = members or [m for m in self.members if count is None or m.state == HELD][:count]
        self._loop.call_soon_threadsafe(lambda: [m.release.set() for m in chosen if m.release])
        return chosen

    def count(self, state, members=None):
        return sum(m.state == state for m in (members or self.members))

    def errors(self):
        """Counter of error numbers of refused logins and requests; failures without a number count under their text."""
        return collections.Counter(m.error_number or m.error for m in self.members if m.state in (REFUSED, FAILED))

    def wait_state(self, state, count, timeout=30.0, members=None):
        """Until at least `count` members are in `state`."""
        wait_until(lambda: self.count(state, members) >= count, timeout,
                   lambda: f"{count} members {state} (are: {self.summary()})")

    def wait_all(self, timeout=60.0, members=None):
        """Until nobody is connecting or holding."""
        chosen = members or self.members
        wait_until(lambda: all(m.state in (DONE, REFUSED, FAILED) for m in chosen), timeout,
                   lambda: f"the crowd to finish (is: {self.summary()})")

    def summary(self):
        return dict(collections.Counter(m.state for m in self.members)) | {"errors": dict(self.errors())}

    def close(self):
        """Drops what is still open and ends the thread."""

        async def cancel():
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(cancel(), self._loop).result(20)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    # --- on the loop

    async def _drive(self, dialogue, connection):
        try:
            step = next(dialogue)
            while True:
                if step is None:
                    try:
                        data = await self._loop.sock_recv(connection, 65536)
                    except ConnectionResetError:
                        data = b""
                    step = dialogue.send(data)
                else:
                    await self._loop.sock_sendall(connection, step)
                    step = next(dialogue)
        except StopIteration as end:
            return end.value

    async def _life(self, member, connection, hold):
        session = Session(**self.session_keys)
        await self._loop.sock_connect(connection, (self.host, self.port))
        await self._drive(session.login(), connection)
        member.logged_in = time.monotonic()
        member.rows = (await self._drive(session.batch(self.query), connection)).rows
        return session

    async def _run(self, member, hold, abrupt):
        member.release = asyncio.Event()
        member.started = time.monotonic()
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        state = FAILED
        try:
            session = await asyncio.wait_for(self._life(member, connection, hold), self.login_timeout)
            member.state = HELD
            if hold != 0:
                try:
                    await asyncio.wait_for(member.release.wait(), hold)
                except asyncio.TimeoutError:
                    pass
                member.rows = (await self._drive(session.batch(self.query), connection)).rows
            state = DONE
        except TdsError as error:
            member.error_number, member.error, state = error.number, error.text, REFUSED
        except (OSError, TdsClosed, TdsProtocolError, asyncio.TimeoutError) as error:
            member.error = f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            member.error = "dropped by the test"
        finally:
            if abrupt:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            member.ended = time.monotonic()
            member.state = state
