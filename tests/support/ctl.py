# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tarpitctl that stands beside the daemon's program."""

import json
import os
import subprocess
import time
from typing import NamedTuple

from .daemon import PATIENCE, binary


def program():
    return os.path.join(os.path.dirname(binary()), "tarpitctl")


class Result(NamedTuple):
    """What a run has come to; out and err are text in which a byte that is not UTF-8 is a surrogate."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def json(self):
        """The one document that is on standard output."""
        assert self.out.count("\n") == 1 and self.out.endswith("\n"), self
        return json.loads(self.out)


def tarpitctl(*args, socket=None, env=None, stdout=subprocess.PIPE, timeout=30 * PATIENCE, **kwargs):
    """socket: the path to ask at."""
    where = ["-S", socket] if socket else []
    began = time.monotonic()
    done = subprocess.run([program(), *where, *args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                          timeout=timeout, env={**os.environ, **(env or {})}, check=False, encoding="utf-8",
                          errors="surrogateescape", **kwargs)
    return Result(done.returncode, done.stdout or "", done.stderr, time.monotonic() - began)


def ctl(daemon, *args, status=0, **kwargs):
    """Asks that daemon; what tarpitctl prints, which must end with that status."""
    result = tarpitctl(*args, socket=daemon.control_path, **kwargs)
    assert result.status == status, result
    return result


def ctl_json(daemon, *args, status=0, **kwargs):
    """The answer as an object."""
    return ctl(daemon, "--json", *args, status=status, **kwargs).json
