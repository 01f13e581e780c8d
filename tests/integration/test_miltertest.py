# SPDX-License-Identifier: BSD-2-Clause
"""The filter under OpenDKIM's miltertest, a client of the protocol that nobody here wrote."""

import os
import subprocess

import pytest
from needs import needs_program

from support.daemon import Daemon

HERE = os.path.dirname(os.path.abspath(__file__))

pytestmark = needs_program("miltertest")


@pytest.mark.parametrize("socket", ["unix", "inet"])
def test_sessions(socket):
    # miltertest's clock counts seconds.
    options = {"delay_min": "3s", "delay_max": "3s", "jitter": "0", "stall_at": "{rcpt}"}
    with Daemon(options, socket=socket) as daemon:
        result = subprocess.run(
            ["miltertest", "-s", os.path.join(HERE, "session.lua"), "-D", f"socket={daemon.socket}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "all is well" in result.stdout
        assert len(daemon.events("reject", client="192.0.2.1")) == 5
        assert len(daemon.events("stall", client="192.0.2.1", stage="RCPT")) == 2
