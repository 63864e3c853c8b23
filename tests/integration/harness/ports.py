"""Free TCP ports on 127.0.0.1, below the range from which the kernel takes client ports, never given out twice.

A socket with an abstract name per port keeps test processes that run side by side from taking the same one: the kernel
lets only one have the name, and forgets it with the process, so nothing is left in the file system.
"""

import random
import socket

_held = {}
_random = random.SystemRandom()


def free_port():
    for _ in range(2000):
        port = _random.randrange(12000, 32000)
        if port in _held:
            continue
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0tdsbouncer-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            _held[port] = claim  # ours until this process ends
            return port
        except OSError:
            claim.close()
    raise RuntimeError("no free port")
