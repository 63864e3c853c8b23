"""Free TCP ports on 127.0.0.1, below the range from which the kernel takes client ports, never given out twice.

A lock file per port keeps test processes that run side by side from taking the same one.
"""

import fcntl
import os
import random
import socket
import tempfile

_held = {}
_random = random.SystemRandom()


def free_port():
    folder = os.path.join(tempfile.gettempdir(), f"tdsbouncer-ports-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for _ in range(2000):
        port = _random.randrange(12000, 32000)
        if port in _held:
            continue
        lock = open(os.path.join(folder, str(port)), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            _held[port] = lock  # stays locked until this process ends
            return port
        except OSError:
            lock.close()
    raise RuntimeError("no free port")
