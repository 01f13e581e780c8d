# SPDX-License-Identifier: BSD-2-Clause
"""Libraries of the tests' own in front of a program's others, compiled here: nobody needs a namespace for them."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile

DIRECTORY = os.path.dirname(os.path.abspath(__file__))
COMPILER = shutil.which("gcc") or shutil.which("cc")


@functools.lru_cache(maxsize=None)
def _directory():
    made = tempfile.mkdtemp(prefix="tarpit-preload-")
    os.chmod(made, 0o755)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.lru_cache(maxsize=None)
def _compile(name):
    library = os.path.join(_directory(), f"{name}.so")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, os.path.join(DIRECTORY, f"{name}.c"), "-ldl"],
                   check=True)
    return library


def preload(*names, **values):
    """The environment of a program that is to have tests/support/NAME.c; values: more variables, for these."""
    sanitizer = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": ":".join(map(_compile, names)), **values,
            "ASAN_OPTIONS": f"{sanitizer}:verify_asan_link_order=0".lstrip(":")}
