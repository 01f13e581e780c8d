# SPDX-License-Identifier: BSD-2-Clause
"""A daemon whose allocations fail, some of them, while a test wants it."""

import mmap
import os
import shutil
import struct
import tempfile

from .daemon import is_sanitized
from .preload import preload


class FailMalloc:
    """with FailMalloc() as memory, Daemon(env=memory.env): memory.fail(0.01, libmilter=0) ... memory.fail(0)

    failed: how many allocations have failed. live: how many blocks are allocated.
    A sanitizer can't bear that its own fail: with one, only the program's and libmilter's do."""

    def __enter__(self):
        self._directory = tempfile.mkdtemp(prefix="tarpit-malloc-")
        os.chmod(self._directory, 0o755)
        path = os.path.join(self._directory, "panel")
        with open(path, "wb") as file:
            file.write(struct.pack("IIIIq", 0, 0, 0, is_sanitized(), 0))
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self._panel = mmap.mmap(file.fileno(), 24)
        self.env = preload("fail_malloc", TARPIT_FAIL_MALLOC=path)
        return self

    def __exit__(self, *_):
        self._panel.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def fail(self, share, libmilter=None):
        """libmilter: the share of its own allocations; without it, the same."""
        self._panel[0:8] = struct.pack("II", int(share * 65536),
                                       int((share if libmilter is None else libmilter) * 65536))

    @property
    def failed(self):
        return struct.unpack("I", self._panel[8:12])[0]

    @property
    def live(self):
        return struct.unpack("q", self._panel[16:24])[0]
