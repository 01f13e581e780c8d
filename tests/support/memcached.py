# SPDX-License-Identifier: BSD-2-Clause
"""A private memcached, a client of it, and relays and servers that treat clients badly."""

import contextlib
import os
import shutil
import signal
import socket as sockets
import subprocess
import tempfile
import threading
import time
from urllib.parse import unquote

from .ports import free_port

START_SECONDS = 10
WAIT_SECONDS = 10
POLL_SECONDS = 0.01
BACKLOG = 128


def connect(address, timeout=5.0):
    """address: (host, port) or a path."""
    family = sockets.AF_UNIX if isinstance(address, str) else sockets.AF_INET
    connection = sockets.socket(family)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class Client:
    """Of the text protocol, as much as tests need."""

    def __init__(self, address):
        self._socket = connect(address)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def _ask(self, line, end=None):
        """The lines of the reply, up to and with one that begins with end; or its only line."""
        self._socket.sendall(line.encode() + b"\r\n")
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                raise ConnectionError("memcached hung up")
            lines.append(line.decode("ascii").rstrip("\r\n"))
            if end is None or lines[-1].startswith((end, "ERROR", "CLIENT_ERROR", "SERVER_ERROR", "BUSY")):
                return lines

    def get(self, key):
        """The value, or None."""
        lines = self._ask(f"get {key}", "END")
        return lines[1] if len(lines) > 2 else None

    def set(self, key, value, ttl=0):
        assert self._ask(f"set {key} 0 {ttl} {len(value.encode())}\r\n{value}") == ["STORED"]

    def delete(self, key):
        return self._ask(f"delete {key}") == ["DELETED"]

    def flush(self):
        assert self._ask("flush_all") == ["OK"]

    def stats(self):
        return dict(line.split(" ", 2)[1:] for line in self._ask("stats", "END")[:-1])

    def entries(self):
        """key -> seconds that it has to live, of all keys; None: for ever."""
        found = {}
        end = time.monotonic() + WAIT_SECONDS
        # It may be busy with crawling by itself, and one dump may miss some that others have.
        while True:
            for line in self._ask("lru_crawler metadump all", "END")[:-1]:
                fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
                expires = int(fields["exp"])
                found[unquote(fields["key"])] = None if expires == -1 else expires - time.time()
            if len(found) >= int(self.stats()["curr_items"]):
                return found
            assert time.monotonic() < end, f"memcached shows {len(found)} keys and has more"
            time.sleep(POLL_SECONDS)


class Memcached:
    """speaks_text: False with -S, which hangs up on whoever does.

    with Memcached() as memcached: Daemon({"store": "memcached", "memcached_servers": memcached.server})"""

    def __init__(self, socket="inet", memory_mb=32, args=(), env=None, speaks_text=True):
        self._env = {**os.environ, **(env or {})}
        self._speaks_text = speaks_text
        self._directory = tempfile.mkdtemp(prefix="tarpit-memcached-")
        os.chmod(self._directory, 0o755)
        if socket == "unix":
            self.address = self.server = os.path.join(self._directory, "memcached.sock")
            where = ["-s", self.address, "-a", "0777"]
        else:
            self.address = ("127.0.0.1", free_port())
            self.server = f"127.0.0.1:{self.address[1]}"
            where = ["-l", "127.0.0.1", "-p", str(self.address[1]), "-U", "0"]
        user = ["-u", "root"] if os.geteuid() == 0 else []
        self._command = ["memcached", *where, *user, "-m", str(memory_mb), "-t", "2", *args]
        self._process = None

    @property
    def options(self):
        """What makes a daemon use it."""
        return {"store": "memcached", "memcached_servers": f'"{self.server}"'}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, env=self._env)
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), self.client() as client:
                if self._speaks_text:
                    client.stats()
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("memcached does not start")
            time.sleep(POLL_SECONDS)

    def client(self):
        return Client(self.address)

    def hang(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def restart(self):
        """What it knew is lost."""
        self.kill()
        self.start()


class Relay:
    """Between a daemon and memcached; how badly it treats the daemon can change at any time.

    good() passes everything on. slow(seconds) holds back what memcached answers. garbage(bytes) answers that to
    whatever comes; swallow() nothing. lie({b"add ": bytes, ...}) answers that to requests that begin so, and passes
    others on. drip(seconds) passes answers on byte by byte, with such pauses.
    black_hole() takes what comes on old connections, and lets new ones wait for ever.
    """

    def __init__(self, memcached):
        self._target = memcached.address
        self._listener = sockets.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self._listener.settimeout(0.05)
        self.address = self._listener.getsockname()
        self.server = "%s:%d" % self.address
        self._delay = 0.0
        self._garbage = None
        self._lies = {}
        self._pause = 0.0
        self._is_hole = False
        self._accepts_none = threading.Event()
        self._ended = False
        self._fillers = []
        self._connections = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.accepted = 0

    @property
    def options(self):
        return {"store": "memcached", "memcached_servers": f'"{self.server}"'}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = True
        self._thread.join()
        for connection in [self._listener, *self._fillers, *self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(sockets.SHUT_RDWR)
            connection.close()

    def cut(self):
        """Ends the connections there are."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(sockets.SHUT_RDWR)

    def good(self):
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        self._listener.listen(BACKLOG)
        self._delay, self._garbage, self._is_hole, self._pause, self._lies = 0.0, None, False, 0.0, {}

    def slow(self, seconds):
        self.good()
        self._delay = seconds

    def garbage(self, answer):
        self.good()
        self._garbage = answer

    def lie(self, answers):
        self.good()
        self._lies = answers

    def lies(self):
        return bool(self._lies)

    def drip(self, seconds):
        self.good()
        self._pause = seconds

    def swallow(self):
        """Accepts, takes what comes, never answers."""
        self.garbage(b"")

    def black_hole(self):
        self._accepts_none.clear()
        self._is_hole = True
        if not self._accepts_none.wait(WAIT_SECONDS):
            raise RuntimeError("the black hole accepts")
        # A backlog of 0 holds one connection; what comes after that gets no answer to its SYN.
        self._listener.listen(0)
        for _ in range(3):
            filler = sockets.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(self.address)
            self._fillers.append(filler)
        time.sleep(0.05)
        with contextlib.suppress(TimeoutError):
            connect(self.address, 0.2).close()
            raise RuntimeError("the black hole answers")

    def _accept(self):
        while not self._ended:
            if self._is_hole:
                self._accepts_none.set()
                time.sleep(0.02)
                continue
            with contextlib.suppress(TimeoutError):
                near, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        try:
            far = connect(self._target)
        except OSError:
            near.close()
            return
        near.settimeout(None)
        far.settimeout(None)
        for connection in (near, far):
            connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        self._connections |= {near, far}
        forward = threading.Thread(target=self._pump, args=(near, far, self._forward), daemon=True)
        forward.start()
        self._pump(far, near, self._answer)
        forward.join()
        self._connections -= {near, far}
        near.close()
        far.close()

    def _pump(self, source, sink, pass_on):
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                pass_on(received, source, sink)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(sockets.SHUT_RDWR)

    def _forward(self, received, source, sink):
        lie = next((answer for begin, answer in self._lies.items() if received.startswith(begin)), None)
        if self._garbage is not None:
            source.sendall(self._garbage)
        elif lie is not None:
            for piece in [lie] if isinstance(lie, bytes) else lie(self):
                source.sendall(piece)
        elif not self._is_hole:
            sink.sendall(received)

    def _answer(self, received, _source, sink):
        if self._delay:
            time.sleep(self._delay)
        if self._is_hole or self._garbage is not None:
            return
        if not self._pause:
            sink.sendall(received)
        for byte in received if self._pause else b"":
            time.sleep(self._pause)
            sink.sendall(bytes([byte]))
