# SPDX-License-Identifier: BSD-2-Clause
"""max_stalls is compared with the process limit of a Postfix whose files name our socket."""

import contextlib
import os

import pytest
from mtas import needs_postfix
from needs import as_root

from support.daemon import Daemon
from support.postfix import Postfix
from support.site import open_directory

pytestmark = needs_postfix


@contextlib.contextmanager
def beside_postfix(options=None, config_text="", milter=None, **postfix_arguments):
    """A daemon that finds this Postfix's files, which name its socket or that milter."""
    with open_directory() as directory:
        # The files name the socket, whose path is known before the daemon starts; so they are written before, too.
        env = {"MAIL_CONFIG": f"{directory}/mta/config"}
        daemon = Daemon(options, config_text, env=env)
        postfix = Postfix(f"{directory}/mta", milter=milter or daemon.socket, **postfix_arguments)
        with postfix, daemon:
            yield daemon


def warnings(daemon):
    return [found["warning"] for found in daemon.events("limits")]


def test_start_warns_of_more_than_half():
    with beside_postfix(default_process_limit="20") as daemon:
        warning, = warnings(daemon)
        assert warning.startswith("max_stalls = 40 is more than half of Postfix's process limit 20 ")
        assert warning.endswith("8 is advised")


def test_the_limit_of_a_service_counts():
    services = {"main": {"maxproc": "10"}}
    with beside_postfix({"max_stalls": "6"}, services=services) as daemon:
        assert ["limit 10" in warning for warning in warnings(daemon)] == [True]


@pytest.mark.parametrize("options, arguments", [
    ({"max_stalls": "10"}, {"default_process_limit": "20"}),
    ({}, {}),
    ({}, {"default_process_limit": "20", "milter": "unix:/nowhere/else.sock"}),
    ({}, {"default_process_limit": "20", "services": {"main": {"maxproc": "0"}}}),
], ids=["half", "defaults", "not ours", "no limit"])
def test_else_it_is_silent(options, arguments):
    with beside_postfix(options, **arguments) as daemon:
        assert warnings(daemon) == []


def test_reload_compares_again():
    with beside_postfix(config_text="max_stalls = 10\n", default_process_limit="20") as daemon:
        assert warnings(daemon) == []
        daemon.write_config("max_stalls = 11\n")
        daemon.reload()
        daemon.wait_for("^limits: warning=\"max_stalls = 11 is more than half of Postfix's process limit 20 ")


@as_root
def test_start_reads_what_only_root_may_read():
    with open_directory() as directory:
        daemon = Daemon({"user": "nobody"}, env={"MAIL_CONFIG": directory})
        for name, text in ("main.cf", f"smtpd_milters={daemon.socket}\n"), ("master.cf", "1 inet n - n - 9 smtpd\n"):
            with open(f"{directory}/{name}", "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(text)
        os.chmod(directory, 0o700)
        os.chmod(daemon.directory, 0o777)
        with daemon:
            assert ["limit 9" in warning for warning in warnings(daemon)] == [True]
