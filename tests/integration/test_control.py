# SPDX-License-Identifier: BSD-2-Clause
"""The administrator sees, explains, flags, forgives and reloads: tarpitctl, the daemon and the real Postfix."""

import contextlib
import json
import re
import struct
import threading
import time

import pytest
from checks import wait_until
from mtas import needs_postfix

from support.control import Control
from support.ctl import ctl, ctl_json
from support.daemon import PATIENCE, Daemon
from support.memcached import Memcached
from support.site import Site, assert_at_once, assert_waited, good, harvest, shared, unknown

pytestmark = needs_postfix

HARVESTER = "127.1.1.1"
KEY = "127.1.1.1/32"
INNOCENT = "127.2.2.2"
STRANGER = "127.6.6.6"
# 20 s are waited for only if something is wrong.
LONG = {"delay_min": "20s", "delay_max": "20s", "mta_timeout": "30s"}
FORGIVEN_SECONDS = 0.2 * PATIENCE


class Waiting:
    """One command that is under way in a thread; reply once it has been answered, and when that was."""

    def __init__(self, command, *args):
        self.reply = self.answered = None
        self._thread = threading.Thread(target=self._run, args=(command, *args))
        self._thread.start()

    def _run(self, command, *args):
        self.reply = command(*args)
        self.answered = time.monotonic()

    def finish(self, timeout=30):
        self._thread.join(timeout)
        assert self.reply, "no answer"
        return self.reply


def wait_for_stalls(daemon, count=1):
    """The rows of that many stalls."""
    wait_until(lambda: ctl_json(daemon, "stalls")["active"] == count)
    return ctl_json(daemon, "stalls")["stalls"]


def assert_is_free(site, source, service="main"):
    with site.client(source, service) as client:
        steps = [client.greeting, client.mail(), client.rcpt(good()), client.data(), client.body()]
    assert [step.code for step in steps] == [220, 250, 250, 354, 250], steps
    assert_at_once(*steps)


def assert_ended_by_forgive(waiting, command_ended, code):
    """Soon after tarpitctl has returned, or even before."""
    reply = waiting.finish()
    assert reply.code == code
    assert waiting.answered - command_ended < FORGIVEN_SECONDS, waiting.answered - command_ended


# forgive

def test_forgive_ends_a_stall_of_20_seconds_at_once():
    with Site("postfix", LONG) as site, site.client(HARVESTER) as client:
        client.mail()
        assert_at_once(*harvest(client, 4))
        waiting = Waiting(client.rcpt, unknown(5))
        row, = wait_for_stalls(site.daemon)
        assert row["client"] == HARVESTER and row["key"] == KEY and row["stage"] == "RCPT"
        assert row["delay_ms"] == 20000 and 0 <= row["waited_ms"] < 10000
        assert row["waited_ms"] + row["remains_ms"] == 20000
        assert re.search(rf"^{HARVESTER} +RCPT +[\d.]+ m?s +[\d.]+ s +5\.00$", ctl(site.daemon, "stalls").out, re.M)

        answer = ctl_json(site.daemon, "forgive", HARVESTER)
        returned = time.monotonic()
        assert_ended_by_forgive(waiting, returned, 550)
        assert answer == {"ok": True, "client": KEY, "known": True, "released": 1, "sessions": 1, "shared": True}
        site.daemon.wait_for(rf"^release: client={HARVESTER} stage=RCPT .*reason=forgiven")

        assert_at_once(*harvest(client, 4, first=10), client.rcpt(good()), client.data(), client.body())
        assert_is_free(site, HARVESTER)


def test_forgive_ends_all_stalls_of_a_client_and_no_other():
    options = {**LONG, "max_flagged_sessions": "0"}
    with Site("postfix", options) as site:
        for source in (HARVESTER, INNOCENT):
            ctl(site.daemon, "flag", source)
        clients = [Waiting(site.client, source) for source in (HARVESTER, HARVESTER, INNOCENT)]
        wait_for_stalls(site.daemon, 3)
        assert ctl_json(site.daemon, "forgive", HARVESTER)["released"] == 2
        returned = time.monotonic()
        for waiting in clients[:2]:
            waiting.finish().close()
            assert waiting.answered - returned < FORGIVEN_SECONDS + 0.3 * PATIENCE
        assert [row["client"] for row in wait_for_stalls(site.daemon)] == [INNOCENT]
        assert ctl_json(site.daemon, "forgive", INNOCENT)["released"] == 1
        clients[2].finish().close()


def test_forgive_of_a_client_that_nobody_knows():
    with Site("postfix") as site:
        answer = ctl_json(site.daemon, "forgive", "192.0.2.77", status=1)
        assert answer == {"ok": False, "status": 1, "error": "no such client: 192.0.2.77/32"}
        result = ctl(site.daemon, "forgive", "192.0.2.77", status=1)
        assert result.out == "" and result.err == "tarpitctl: no such client: 192.0.2.77/32\n"


def test_forgive_clears_memcached_and_frees_the_client_on_other_hosts():
    with Memcached() as memcached, \
            Site("postfix", shared(memcached), more_daemons={"other": shared(memcached)}) as site:
        with site.client(HARVESTER, "other") as at_other:
            assert_at_once(at_other.mail())
            site.flag(HARVESTER)
            with memcached.client() as keys:
                assert any(f":{KEY}:" in key for key in keys.entries())
            time.sleep(1.1)  # what a session knows of its client may be a second old
            assert_waited(at_other.rcpt(unknown(50)))
            answer = ctl_json(site.daemon, "forgive", HARVESTER)
            assert answer["known"] is True and answer["shared"] is True
            with memcached.client() as keys:
                left = {key: keys.get(key) for key in keys.entries() if f":{KEY}:" in key and ":r:" not in key}
            assert not any(int(value or 0) for value in left.values()), left
            time.sleep(1.1)
            at_other.rset()
            assert_at_once(at_other.mail(), at_other.rcpt(unknown(51)))
        assert_is_free(site, HARVESTER, "other")
        assert_is_free(site, HARVESTER)


def test_forgive_where_memcached_can_not_be_told():
    with Memcached() as memcached, Site("postfix", {**memcached.options, "memcached_timeout": "200ms"}) as site:
        site.flag(HARVESTER)
        memcached.kill()
        answer = ctl_json(site.daemon, "forgive", HARVESTER, status=1)
        assert answer["ok"] is True and answer["shared"] is False and answer["warning"]
        result = ctl(site.daemon, "flag", HARVESTER, status=1)
        assert result.out.startswith(f"{KEY} is slowed until ") and result.err.startswith("tarpitctl: ")


# flag

def test_flag_makes_an_open_session_wait_at_its_next_command():
    with Site("postfix", {"delay_max": "2s"}) as site, site.client(INNOCENT) as client:
        assert_at_once(client.greeting, client.mail(), client.rcpt(good()))
        began = int(time.time())
        answer = ctl_json(site.daemon, "flag", INNOCENT, "1h")
        assert answer["client"] == f"{INNOCENT}/32" and answer["sessions"] == 1 and answer["shared"] is True
        assert began + 3600 <= answer["until"] <= int(time.time()) + 3600
        accepted = client.rcpt(good(2))
        assert accepted.code == 250
        assert_waited(accepted, 2.0)
        shown = ctl_json(site.daemon, "show", INNOCENT)
        assert shown["flagged"] and shown["by_hand"] and shown["by_hand_until"] == answer["until"]
        assert shown["delay_ms"] == 2000 and shown["sessions"] == 1
        with site.client(INNOCENT) as another:
            assert_waited(another.greeting, 2.0)
        ctl(site.daemon, "forgive", INNOCENT)
        assert_at_once(client.rcpt(good(1)))


def test_flag_ends_by_itself():
    with Site("postfix") as site:
        ctl(site.daemon, "flag", INNOCENT, "2s")
        with site.client(INNOCENT) as client:
            assert_waited(client.greeting)
            time.sleep(2.2)
            assert_at_once(client.mail())


def test_flag_survives_a_restart_and_is_seen_by_other_hosts():
    with Memcached() as memcached, \
            Site("postfix", shared(memcached), more_daemons={"other": shared(memcached)}) as site:
        until = ctl_json(site.daemon, "flag", INNOCENT, "1h")["until"]
        for daemon in site.daemons.values():
            shown = ctl_json(daemon, "show", INNOCENT)
            assert shown["by_hand"] and shown["by_hand_until"] == until, shown
        with site.client(INNOCENT, "other") as client:
            assert_waited(client.greeting)
        site.daemon.stop()
        site.daemon.start()
        shown = ctl_json(site.daemon, "show", INNOCENT)
        assert shown["flagged"] and shown["by_hand"] and shown["by_hand_until"] == until, shown
        with site.client(INNOCENT) as client:
            assert_waited(client.greeting)


def test_flag_of_an_exempt_client_is_refused():
    with Site("postfix", {"exempt_clients": '{"127.2.2.0/24"}'}) as site:
        answer = ctl_json(site.daemon, "flag", INNOCENT, status=1)
        assert answer["ok"] is False and "exempt" in answer["error"]
        assert_is_free(site, INNOCENT)


# show and list

def test_show_says_what_the_log_says():
    with Site("postfix", {"good_credit": "0.5", "window": "14d"}) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            harvest(client, 4)
            client.rcpt(good())
            assert client.data().code == 354 and client.body().code == 250
            client.mail()
            harvest(client, 2, first=5)
            shown = ctl_json(site.daemon, "show", HARVESTER)
            assert shown["client"] == KEY and shown["address"] == HARVESTER and shown["known"] is True
            assert shown["bad"] == 6 and shown["good"] == 1 and shown["score"] == shown["effective_score"] == 5.5
            assert shown["flagged"] is True and shown["by_hand"] is False and shown["by_hand_until"] is None
            assert shown["sessions"] == 1 and shown["delay_ms"] == 1000 and shown["exempt"] is None
            assert shown["network"] == "127.1.1.0/24" and shown["network_score"] == 5.5
            text = ctl(site.daemon, "show", HARVESTER).out
        assert text.startswith("6.00 bad - 0.5 x 1.00 good = 5.50 in 14 d, threshold 5: flagged, next delay 1 s\n"), text
        last = site.daemon.events("reject", client=HARVESTER)[-1]
        assert float(last["score"]) == shown["score"] and last["flagged"] == "yes"


def test_show_of_an_exempt_client():
    with Site("postfix", {"exempt_clients": '{"127.2.0.0/16"}'}) as site:
        shown = ctl_json(site.daemon, "show", INNOCENT)
        assert shown["exempt"] == {"key": "exempt_clients", "rule": "127.2.0.0/16"} and shown["flagged"] is False
        text = ctl(site.daemon, "show", INNOCENT).out
        assert "  exempt    yes: 127.2.0.0/16 in exempt_clients\n" in text


def test_show_where_memcached_does_not_answer():
    """Another host has flagged the client: here nobody knows."""
    client = "192.0.2.1"
    with Memcached() as memcached, Daemon(memcached.options, control=True) as other, \
            Daemon(memcached.options, control=True) as daemon:
        ctl(other, "flag", client)
        assert ctl_json(daemon, "show", "192.0.2.2", status=1)["shared"] is True
        memcached.kill()
        for known in False, True:
            shown = ctl_json(daemon, "show", client, status=1)
            assert shown["ok"] is True and shown["known"] is known and shown["shared"] is False
            result = ctl(daemon, "show", client, status=1)
            assert result.err == "tarpitctl: memcached did not answer: this is what this host knows\n"
            assert "of which nothing is known" not in result.out
            assert (", of which this host knows nothing\n" in result.out) is not known
            ctl(daemon, "flag", client, status=1)


def test_list_is_worst_first():
    """By hand first; clients with good counts only, or none, are not there."""
    with Site("postfix", {"threshold": "100", "network_threshold": "0"}) as site:
        for number, source in enumerate(["127.3.0.1", "127.3.0.2", "127.3.0.3"], 1):
            with site.client(source) as client:
                client.mail()
                harvest(client, number)
        assert_is_free(site, INNOCENT)
        ctl(site.daemon, "flag", "2001:db8:1:2:3::4")
        answer = ctl_json(site.daemon, "list")
        assert [entry["client"] for entry in answer["clients"]] == [
            "2001:db8:1:2::/64", "127.3.0.3/32", "127.3.0.2/32", "127.3.0.1/32"]
        assert [entry["bad"] for entry in answer["clients"]] == [0, 3, 2, 1] and answer["clients_total"] == 4
        answer = ctl_json(site.daemon, "list", "-n", "2")
        assert [entry["client"] for entry in answer["clients"]] == ["2001:db8:1:2::/64", "127.3.0.3/32"]
        assert answer["clients_total"] == 4
        lines = ctl(site.daemon, "list", "-n", "3").out.splitlines()
        assert [line.split()[0] for line in lines] == ["CLIENT", "2001:db8:1:2::/64", "127.3.0.3/32", "127.3.0.2/32",
                                                      "3"]


def test_status_counts_what_was_done():
    with Site("postfix", {"delay_min": "200ms", "delay_max": "200ms"}) as site:
        begin = ctl_json(site.daemon, "status")
        assert not any(begin["counters"].values()), begin
        site.flag(HARVESTER)
        ctl(site.daemon, "flag", INNOCENT)
        ctl(site.daemon, "forgive", INNOCENT)
        ctl(site.daemon, "reload")
        with site.client("127.4.4.4") as client:
            client.mail()
            wait_until(lambda: ctl_json(site.daemon, "status")["sessions"] == 1)
            status = ctl_json(site.daemon, "status")
        counters = status["counters"]
        expected = {"sessions_opened": 2, "sessions_closed": 1, "sessions_exempt": 0, "rejects": 5, "flags": 1,
                    "stalls_begun": 1, "stalls_ended": 1, "deferred": 0, "passed": 0, "forgiven": 1,
                    "flagged_by_hand": 1, "reloads": 1, "reloads_failed": 0, "store_failures": 0}
        assert {key: counters[key] for key in expected} == expected, counters
        assert 200 <= counters["stalled_ms"] < 200 + 2000 * PATIENCE
        expected = {"mode": "enforce", "store": "memory", "stalls": 0, "max_stalls": 40, "clients": 1, "flagged": 1,
                    "servers": []}
        assert {key: status[key] for key in expected} == expected, status
        assert re.search(r"^ +rejected recipients +5$", ctl(site.daemon, "status").out.replace("offences", ""), re.M)


# reload

def test_reload_takes_what_can_be_taken():
    with Site("postfix", {"delay_min": None, "delay_max": None}) as site:
        site.daemon.write_config("delay_min = 3s\ndelay_max = 3s\nkey_prefix = other\n")
        assert ctl_json(site.daemon, "reload") == {"ok": True, "needs_restart": []}
        site.daemon.write_config("delay_min = 3s\ndelay_max = 3s\npid_file = /tmp/x\nmetrics_listen = 127.0.0.1:1\n")
        assert sorted(ctl_json(site.daemon, "reload")["needs_restart"]) == ["metrics_listen", "pid_file"]
        result = ctl(site.daemon, "reload")
        assert result.out.startswith("the configuration has been read again\nnote: ")
        assert ctl_json(site.daemon, "show", HARVESTER, status=1)["delay_max_ms"] == 3000


def test_reload_of_faults_changes_nothing():
    with Site("postfix") as site:
        site.daemon.write_config("delay_mix = 3s\nthreshold = 99999\n")
        answer = ctl_json(site.daemon, "reload", status=78)
        assert answer["ok"] is False and len(answer["faults"]) == 2
        assert all(re.match(r".*tarpit-milter\.conf:\d+: ", fault) for fault in answer["faults"]), answer
        result = ctl(site.daemon, "reload", status=78)
        lines = result.err.splitlines()
        assert result.out == "" and lines[1:] == answer["faults"] and "2 faults" in lines[0]
        assert ctl_json(site.daemon, "show", HARVESTER, status=1)["threshold"] == 5
        assert ctl_json(site.daemon, "status")["counters"]["reloads_failed"] == 2
        site.daemon.write_config("good_credit = 1\n")
        assert ctl(site.daemon, "reload").out == "the configuration has been read again\n"
        assert ctl_json(site.daemon, "show", HARVESTER, status=1)["good_credit"] == 1


# Those who hold up the daemon, or try to

@pytest.fixture(name="hung")
def those_who_hang():
    """Opens connections of all kinds that get nowhere."""
    with contextlib.ExitStack() as stack:
        def hang(daemon):
            for sent in (b"", b"\0", struct.pack(">I", 100), struct.pack(">I", 100) + b'{"command"'):
                stack.enter_context(Control(daemon.control_path)).socket.sendall(sent)
            # One that asks and asks, and never listens.
            deaf = stack.enter_context(Control(daemon.control_path, timeout=0.5))
            request = json.dumps({"command": "status"}).encode()
            with contextlib.suppress(OSError):
                for _ in range(10000):
                    deaf.send(request)
        yield hang


def test_hung_control_clients_delay_neither_mail_nor_each_other(hung):
    with Site("postfix") as site:
        hung(site.daemon)
        for _ in range(2):
            assert_is_free(site, INNOCENT)
        for command in ["status"], ["list"], ["stalls"], ["show", STRANGER]:
            result = ctl(site.daemon, *command, status=1 if command[0] == "show" else 0)
            assert result.seconds < 1.0 * PATIENCE, result
        site.flag(HARVESTER)
        with site.client(HARVESTER) as client:
            assert_waited(client.greeting)
            assert ctl_json(site.daemon, "forgive", HARVESTER)["known"] is True
            assert_at_once(client.mail())


def test_a_memcached_that_hangs_holds_up_no_command_for_long():
    with Memcached() as memcached, Site("postfix", {**memcached.options, "memcached_timeout": "100ms"}) as site:
        ctl(site.daemon, "status")
        memcached.hang()
        try:
            for command in ["show", STRANGER], ["status"], ["list"]:
                result = ctl(site.daemon, *command, status=1 if command[0] == "show" else 0)
                assert result.seconds < 1.0 * PATIENCE, result
            assert ctl_json(site.daemon, "status")["store_state"] == "down"
            assert ctl_json(site.daemon, "status")["servers"] == [{"server": memcached.server, "state": "down"}]
            assert "down" in ctl(site.daemon, "status").out
        finally:
            memcached.resume()
