# SPDX-License-Identifier: BSD-2-Clause
"""A client of the control socket: frames of JSON, well-formed or not."""

import json
import socket
import struct

HEADER = struct.Struct(">I")


def frame(body):
    """The bytes of a request: an object, or whatever bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HEADER.pack(len(body)) + body


class Control:
    """with Daemon(control=True) as daemon, Control(daemon.control_path) as control: control.ask("status")

    socket is the connection itself, for those who don't speak as they should.
    """

    def __init__(self, path, timeout=30.0):
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            # Blocking: else a full queue of connections is an error.
            self.socket.connect(path)
            self.socket.settimeout(timeout)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, command, **arguments):
        """The answer to a command."""
        self.send({"command": command, **arguments})
        return self.receive()

    def send(self, body):
        self.socket.sendall(frame(body))

    def receive(self):
        """The next answer; None if the daemon has hung up."""
        header = self._take(HEADER.size)
        return json.loads(self._take(*HEADER.unpack(header))) if header else None

    def is_closed(self):
        """Waits until the daemon hangs up; whatever it still says is an answer too many."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _take(self, length):
        data = b""
        while len(data) < length:
            try:
                more = self.socket.recv(length - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                assert not data, f"cut off after {data!r}"
                return None
            data += more
        return data


def ask(daemon, command, **arguments):
    """The answer to one command on a connection of its own."""
    with Control(daemon.control_path) as control:
        return control.ask(command, **arguments)
