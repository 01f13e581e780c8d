# SPDX-License-Identifier: BSD-2-Clause
"""TCP ports that nobody else takes between our look and the bind of whoever is to listen there."""

import random
import socket

# Outside the range that the kernel takes for outgoing connections: those would be in the way of a server that starts
# late or again, and who calls a dead server there time and again may in the end have called itself.
PORTS = range(12000, 32000)

_held = []


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port(family=None):
    """A port that is free on 127.0.0.1 and ::1, or on that one of them, and given to no other test while this process
    lives."""
    families = [family] if family else [socket.AF_INET] + ([socket.AF_INET6] if has_ipv6() else [])
    for _ in range(1000):
        port = random.choice(PORTS)
        if _hold(port):
            try:
                for each in families:
                    with socket.socket(each) as probe:
                        probe.bind(("127.0.0.1" if each == socket.AF_INET else "::1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def _hold(port):
    """Whether no other test has it. An abstract socket can be bound once, and is gone with its process."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0tarpit-milter-tests-port-{port}")
    except OSError:
        lock.close()
        return False
    _held.append(lock)
    return True
