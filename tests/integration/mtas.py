# SPDX-License-Identifier: BSD-2-Clause
"""Marks for tests that need a real MTA."""

import os
import shutil

import pytest
from needs import needs

from support import postfix

IS_ROOT = os.geteuid() == 0
needs_postfix = needs(IS_ROOT and os.path.exists(f"{postfix.DAEMONS}/master"), "root and postfix")
needs_sendmail = needs(IS_ROOT and shutil.which("apt-get"), "root, and apt-get to fetch Sendmail by")

both_mtas = pytest.mark.parametrize(
    "mta", [pytest.param("postfix", marks=needs_postfix), pytest.param("sendmail", marks=needs_sendmail)])
