# SPDX-License-Identifier: BSD-2-Clause
"""A server's network and its clients', in namespaces of our own that a cable joins: nobody else sees them."""

import contextlib
import ctypes
import os
import socket
import subprocess

CLONE_NEWNET = 0x40000000
SERVER = {socket.AF_INET: "192.0.2.254", socket.AF_INET6: "2001:db8:ffff::254"}
libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One network, as long as a process of ours holds it."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._holder.stdout.readline(), "no namespace"
        self.pid = self._holder.pid
        self.run("ip", "link", "set", "lo", "up")

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()

    def run(self, *command, check=True, **arguments):
        """Runs a command in there; what it has printed."""
        done = subprocess.run(["nsenter", "--net", "--target", str(self.pid), *command], capture_output=True, text=True,
                              check=False, **arguments)
        assert not check or done.returncode == 0, (command, done)
        return done.stdout

    def socket(self, family):
        """A socket of this network, for a process that stays in its own."""
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/proc/{self.pid}/ns/net", "rb") as there:
            self._enter(there)
            try:
                return socket.socket(family)
            finally:
                self._enter(own)

    @staticmethod
    def _enter(namespace):
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Network:
    """with Network(["192.0.2.1", "2001:db8::1"]) as network: these are addresses on the clients' side; the server has
    those of SERVER."""

    def __init__(self, addresses):
        self._addresses = addresses
        self._stack = contextlib.ExitStack()
        self.server = self.clients = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.server, self.clients = Namespace(), None
            stack.callback(self.server.close)
            self.clients = Namespace()
            stack.callback(self.clients.close)
            self.server.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable",
                            "netns", str(self.clients.pid))
            for side, addresses in (self.server, SERVER.values()), (self.clients, self._addresses):
                for address in addresses:
                    # All is on the link; nobody looks for another one that has the address.
                    side.run("ip", "address", "add", f"{address}/{32 if ':' in address else 24}", "dev", "cable",
                             *(["nodad"] if ":" in address else []))
                side.run("ip", "link", "set", "cable", "up")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def listen(self, family, port=25):
        listener = self.server.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SERVER[family], port))
        listener.listen(128)
        return listener

    def connect(self, address, port=25, seconds=2.0):
        """A connection of a client to the server, or None if there is none in time."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = self.clients.socket(family)
        connection.settimeout(seconds)
        try:
            connection.bind((address, 0))
            connection.connect((SERVER[family], port))
        except TimeoutError:
            connection.close()
            return None
        return connection


def why_not():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "root"
    tried = subprocess.run(["unshare", "--net", "ip", "link", "add", "cable", "type", "veth"], capture_output=True,
                           text=True, check=False)
    return f"network namespaces: {tried.stderr}" if tried.returncode else None
