# SPDX-License-Identifier: BSD-2-Clause
"""Makes tests/support importable, gives this process descriptors enough, and offers both stores."""

import os
import pwd
import resource
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from checks import wait_until  # noqa: E402

from support.daemon import binary, is_sanitized  # noqa: E402
from support.memcached import Memcached  # noqa: E402

MANY_DESCRIPTORS = 8192


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: of the program without sanitizers, which need more than it is allowed, or minutes")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = MANY_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MANY_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, hard))


def pytest_collection_modifyitems(config, items):
    """Not skipped, for nothing is missing."""
    if os.path.exists(binary()) and is_sanitized():
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("plain")])
        items[:] = [item for item in items if not item.get_closest_marker("plain")]


@pytest.fixture
def memcached():
    with Memcached() as server:
        yield server


@pytest.fixture(params=["memory", "memcached"])
def store(request):
    """The options of a daemon, once with each store: both give the same answers."""
    if request.param == "memory":
        yield {"store": "memory"}
    else:
        with Memcached() as server:
            # Long enough for a busy machine: what a slow memcached does is test_memcached.py's.
            yield {**server.options, "memcached_timeout": "1s"}


@pytest.fixture
def account():
    """A system user with a group beside its own, whose name is the user's and "-more"."""
    name = f"tarpit-{os.getpid()}"
    administer("groupadd", "--system", f"{name}-more")
    try:
        administer("useradd", "--system", "--user-group", "--no-create-home", "--groups", f"{name}-more", name)
        yield pwd.getpwnam(name)
    finally:
        administer("userdel", name)
        administer("groupdel", f"{name}-more")


def administer(*command):
    """Another test may have the files of users locked: then again."""
    wait_until(lambda: subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0, 20)
