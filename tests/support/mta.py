# SPDX-License-Identifier: BSD-2-Clause
"""What a private Postfix and a private Sendmail have in common: ports, a log, a beginning and an end."""

import pathlib
import re
import time


class PrivateMta:
    """A context manager; its subclass starts and stops it, and fills in the ports of its services."""

    def __init__(self, directory, services):
        self.directory = pathlib.Path(directory)
        self.log_file = self.directory / "maillog"
        self._services = {"main": {}, **(services or {})}
        self._ports = {}
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def port(self, service="main"):
        return self._ports[service]

    def address(self, service="main", host="127.0.0.1"):
        """Where to connect: 127.0.0.1 or ::1. From 127.0.0.2 or so: Sendmail lets 127.0.0.1 relay."""
        return (host, self._ports[service])

    def log_lines(self):
        try:
            return self.log_file.read_text(errors="backslashreplace").splitlines()
        except FileNotFoundError:
            return []

    def wait_for_log(self, regex, timeout=10.0):
        """The first line of the log that matches; fails with the log's end if none comes."""
        deadline = time.monotonic() + timeout
        while True:
            lines = self.log_lines()
            for line in lines:
                if re.search(regex, line):
                    return line
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {regex!r} in {self.log_file}:\n" + "\n".join(lines[-20:]))
            time.sleep(0.02)
