"""A TCP relay in a thread, to put faults between two processes: cut, stall, delay, refuse.

    cutter = t.cutter(redis.port)          # point the proxy at cutter.port (redis="127.0.0.1:%d" % cutter.port)
    cutter.cut()                           # every connection: RST to both sides, now
    cutter.stall() / cutter.flow()         # stop passing bytes on, in both directions / go on
    cutter.refuse() / cutter.accept()      # new connections are closed at once
    cutter.on_reply = lambda data, n: ...  # seen before a reply goes to the client: return "cut" to lose it,
                                           # None to pass it; n counts replies of this cutter
    cutter.on_request = lambda data, n: .. # the same for what the client sends
"""

import asyncio
import socket
import struct
import threading

from .ports import free_port

_RESET = struct.pack("ii", 1, 0)


class Cutter:
    def __init__(self, target_port, target_host="127.0.0.1"):
        self.host, self.port = "127.0.0.1", free_port()
        self.addr = f"127.0.0.1:{self.port}"
        self.target = (target_host, target_port)
        self.on_reply = self.on_request = None
        self.replies = self.requests = self.cuts = self.accepted = 0
        self._refusing = False
        self._pairs = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._listen())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, self.host, self.port)

    async def _serve(self, reader, writer):
        if self._refusing:
            self._reset(writer)
            return
        self.accepted += 1
        try:
            target_reader, target_writer = await asyncio.open_connection(*self.target)
        except OSError:
            self._reset(writer)
            return
        pair = (writer, target_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, target_writer, pair, "request"),
                                 self._pump(target_reader, writer, pair, "reply"))
        except asyncio.CancelledError:
            pass  # close(): asyncio would print a stack for every connection
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _pump(self, reader, writer, pair, direction):
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                if self._judge(direction, data) == "cut":
                    self._cut_pair(pair)
                    return
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except (OSError, RuntimeError):
            self._cut_pair(pair)

    def _judge(self, direction, data):
        if direction == "reply":
            self.replies += 1
            return self.on_reply(data, self.replies) if self.on_reply else None
        self.requests += 1
        return self.on_request(data, self.requests) if self.on_request else None

    @staticmethod
    def _reset(writer):
        connection = writer.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()

    def _cut_pair(self, pair):
        self.cuts += 1
        for end in pair:
            self._reset(end)

    async def _cut_all(self):
        for pair in list(self._pairs):
            self._cut_pair(pair)

    async def _set_flow(self, on):
        (self._flowing.set if on else self._flowing.clear)()

    # --- called by tests

    def cut(self):
        self._call(self._cut_all())

    def stall(self):
        self._call(self._set_flow(False))

    def flow(self):
        self._call(self._set_flow(True))

    def refuse(self):
        self._refusing = True

    def accept(self):
        self._refusing = False

    def connections(self):
        return len(self._pairs)

    def close(self):
        async def stop():
            self._server.close()
            self._flowing.set()
            await self._cut_all()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive():
            self._call(stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
