# SPDX-License-Identifier: BSD-2-Clause
"""What a test needs of the machine: the one place that skips. tests/run installs it all; with --no-skips, as in .ci/run,
a test that is skipped has failed."""

import os
import shutil

import pytest

from support import journald


def needs(found, what):
    """Marks a test that can't run without what has been looked for."""
    return pytest.mark.skipif(not found, reason=f"needs {what}")


def needs_program(name):
    return needs(shutil.which(name), name)


def require(found, what):
    """The same within a fixture or a test."""
    if not found:
        pytest.skip(f"needs {what}")


def require_journald():
    require(journald.is_available(), "systemd-journald")


as_root = needs(os.geteuid() == 0, "root")
