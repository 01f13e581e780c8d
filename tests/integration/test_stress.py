# SPDX-License-Identifier: BSD-2-Clause
"""All that threads could race for, at once, for some seconds: see tests/soak/stress.py."""

import os
import subprocess
import sys

from support.daemon import PATIENCE, TOP

SECONDS = 12


def test_everything_at_once_loses_no_answer_and_no_count():
    done = subprocess.run(
        [sys.executable, os.path.join(TOP, "tests", "soak", "stress.py"), f"--seconds={SECONDS}",
         f"--rate={150 // PATIENCE}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SECONDS + 60 * PATIENCE, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "verdict: 0 faults" in done.stdout
