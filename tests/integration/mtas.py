# SPDX-License-Identifier: BSD-2-Clause
"""Marks for tests that need a real MTA."""

import os
import shutil

import pytest

from support import postfix


def _skip_unless(found, what):
    return pytest.mark.skipif(os.geteuid() != 0 or not found, reason=f"needs root and {what}")


needs_postfix = _skip_unless(os.path.exists(f"{postfix.DAEMONS}/master"), "postfix")
needs_sendmail = _skip_unless(shutil.which("apt-get"), "apt-get to fetch Sendmail by")
needs_memcached = pytest.mark.skipif(not shutil.which("memcached"), reason="needs memcached")

both_mtas = pytest.mark.parametrize(
    "mta", [pytest.param("postfix", marks=needs_postfix), pytest.param("sendmail", marks=needs_sendmail)])
