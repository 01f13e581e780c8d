# SPDX-License-Identifier: BSD-2-Clause
"""Plays the daemon's side of the control socket: says whatever a test wants tarpitctl to hear."""

import contextlib
import json
import os
import socket
import struct
import threading
import time

from .control import frame

HEADER = struct.Struct(">I")
COUNTERS = ("sessions_opened", "sessions_closed", "sessions_exempt", "rejects", "flags", "sieges", "stalls_begun",
            "stalls_ended", "stalled_ms", "stalls_stayed",
            "stalls_left", "deferred", "passed", "store_calls", "store_failures", "forgiven", "flagged_by_hand",
            "reloads", "reloads_failed")


def entry(client="192.0.2.1/32", **members):
    """A client of the list."""
    return {"client": client, "bad": 8.25, "good": 1.0, "score": 6.25, "effective_score": 6.25,
            "network": "192.0.2.0/24", "network_score": 6.25, "flagged": True, "by_hand": False, "by_hand_until": None,
            "delay_ms": 5900, "sessions": 2, **members}


class Stall:
    """A stall that begins now, and whose answers tell what remains of it."""

    def __init__(self, client="192.0.2.1", delay_ms=20000, stage="RCPT", score=6.25):
        self.client, self.delay_ms, self.stage, self.score = client, delay_ms, stage, score
        self.began = time.monotonic()

    def remains_ms(self):
        return max(0, self.delay_ms - int((time.monotonic() - self.began) * 1000))

    def answer(self):
        remains_ms = self.remains_ms()
        return {"client": self.client, "key": f"{self.client}/32", "stage": self.stage, "delay_ms": self.delay_ms,
                "waited_ms": self.delay_ms - remains_ms, "remains_ms": remains_ms, "score": self.score}


class FakeControl:
    """with FakeControl(path) as fake: ... tarpitctl -S path ...

    status, stalls, clients and counters: what is answered from now on. raw: command -> bytes of a frame's body, or an
    answer, or what makes one of the request, instead. silent: it takes requests and does not answer. asked: how many requests there were of each command;
    connections: on how many connections.
    """

    def __init__(self, path):
        self.path = path
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.status = {
            "ok": True, "version": "0.1.0", "uptime_s": 273912, "mode": "enforce", "store": "memory",
            "store_state": "up", "servers": [], "sessions": 3, "max_sessions": 4032, "max_stalls": 40, "clients": 17,
            "flagged": 2, "mta": {"kind": "postfix", "why": "no reason"}, "siege": {"on": False, "since": None, "score": 3.5, "mean": 1.25}}
        self.stalls = []
        self.clients = []
        self.raw = {}
        self.silent = False
        self.asked = {}
        self.connections = 0
        self._began = time.monotonic()
        self._listener = None
        self._open = set()
        self._lock = threading.Lock()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self):
        """Hangs up on all, and is no longer there."""
        if not self._listener:
            return
        os.unlink(self.path)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        self.hang_up()

    def hang_up(self):
        """On all who are connected; who connects again is welcome."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # it has ended just now
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self._lock:
            self._open.add(connection)
        try:
            with connection, connection.makefile("rb") as requests:
                while header := requests.read(HEADER.size):
                    request = json.loads(requests.read(*HEADER.unpack(header)))
                    answer = self._answer(request)
                    while self.silent:
                        time.sleep(0.02)
                    connection.sendall(frame(answer))
        except (OSError, struct.error):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _answer(self, request):
        command = request["command"]
        self.asked[command] = self.asked.get(command, 0) + 1
        if command in self.raw:
            raw = self.raw[command]
            return raw(request) if callable(raw) else raw
        stalls = [stall.answer() if isinstance(stall, Stall) else stall for stall in self.stalls]
        if command == "status":
            # Uptime goes on, else its rates could not be told.
            uptime_s = self.status["uptime_s"] + int(time.monotonic() - self._began)
            return {"stalls": len(stalls), "counters": self.counters, **self.status, "uptime_s": uptime_s}
        if command == "stalls":
            return {"ok": True, "active": len(stalls), "max_stalls": 40, "stalls": stalls}
        if command == "list":
            return {"ok": True, "clients_total": len(self.clients), "clients": self.clients[:request["count"]]}
        return {"ok": False, "status": 64, "error": f"no such command: {command}"}
