# SPDX-License-Identifier: BSD-2-Clause
"""The soak in short: see tests/soak/soak.py. Of memory only the long one can tell."""

import os
import subprocess
import sys

from support.daemon import PATIENCE, TOP

SECONDS = 20
ROUND_SECONDS = 2.5


def test_mixed_traffic_and_trouble_leave_nothing_behind():
    done = subprocess.run(
        [sys.executable, os.path.join(TOP, "tests", "soak", "soak.py"), f"--seconds={SECONDS}",
         f"--round={ROUND_SECONDS}", f"--rate={200 // PATIENCE}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SECONDS + 100 * PATIENCE, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "verdict: 0 faults" in done.stdout
