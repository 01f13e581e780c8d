# SPDX-License-Identifier: BSD-2-Clause
"""A siege: offences of many addresses, none of which would be flagged; seen by one daemon, or by several together."""

import contextlib
import itertools
import time

import checks
from checks import AT_MAIL, assert_at_once, assert_waited, wait_until

from support.ctl import ctl, ctl_json
from support.milter import Session

PATIENT = {"memcached_timeout": "800ms", "memcached_retry": "1s"}
BOTS = 60


def bots(first=0):
    """Addresses of which no two have a network in common."""
    return (f"{100 + number // 250}.{number % 250}.7.9" for number in itertools.count(first))


def probe(daemon, client, count=1):
    with Session(daemon.address, client) as session:
        session.greet()
        replies = session.reject_many(count)
        session.quit()
    return replies


def deliver(daemon, client):
    with Session(daemon.address, client) as session:
        session.greet()
        session.rcpt("user@example.org")
        session.data()
        session.eom()
        session.quit()


def siege(daemon):
    return ctl_json(daemon, "status")["siege"]


def daemon_with(*options, **arguments):
    return checks.daemon_with(*options, control=True, **arguments)


def shared(memcached, *more, **arguments):
    return daemon_with(AT_MAIL, memcached.options, PATIENT, *more, **arguments)


def minutes(memcached):
    """What memcached has of the site."""
    with memcached.client() as server:
        return {key: int(server.get(key)) for key in server.entries() if key.startswith("tarpit:1:siege:")}


def test_botnet_of_one_probe_each_is_flagged_from_the_32nd_probe_on(store):
    with daemon_with(AT_MAIL, store) as daemon:
        for client in itertools.islice(bots(), BOTS):
            assert_at_once(*probe(daemon, client))
        flagged = [event["client"] for event in daemon.events("flag")]
        first = list(itertools.islice(bots(), BOTS)).index(flagged[0])
        assert first in (29, 30, 31)
        assert flagged == list(itertools.islice(bots(), first, BOTS))
        assert all(event["by_siege"] == "yes" for event in daemon.events("flag"))
        [event] = daemon.events("siege")
        assert event["state"] == "on" and float(event["score"]) >= 30 and float(event["mean"]) < 1
        assert siege(daemon)["on"]
        assert "siege     since " in ctl(daemon, "status").out
        # It waits, as at the threshold.
        with Session(daemon.address, flagged[0]) as session:
            assert_waited(session.greet())


def test_botnet_of_four_probes_each_is_flagged_from_the_32nd_probe_on(store):
    with daemon_with(AT_MAIL, store) as daemon:
        for client in itertools.islice(bots(), 15):
            probe(daemon, client, 4)
        flagged = [event["client"] for event in daemon.events("flag")]
        assert flagged == list(itertools.islice(bots(), 7, 15))


def test_who_has_credit_or_never_offended_is_left_alone_in_a_siege(store):
    with daemon_with(AT_MAIL, store) as daemon:
        deliver(daemon, "192.0.2.1")
        for client in itertools.islice(bots(), 40):
            probe(daemon, client)
        assert siege(daemon)["on"]
        score = siege(daemon)["score"]
        probe(daemon, "192.0.2.1", 2)
        # Its offences are none of the site's either.
        assert siege(daemon)["score"] <= score
        for client in ("192.0.2.1", "203.0.113.5"):
            with Session(daemon.address, client) as session:
                assert_at_once(session.greet(), session.rcpt("user@example.org"))
        assert not daemon.events("flag", client="192.0.2.1")
        assert not daemon.events("flag", client="203.0.113.5")


def test_nobody_is_deferred_for_being_new(store):
    with daemon_with(AT_MAIL, store, {"max_stalls": "1", "delay_min": "3s", "delay_max": "3s"}) as daemon, contextlib.ExitStack() as stack:
        for client in itertools.islice(bots(), 40):
            probe(daemon, client)
        waiting = stack.enter_context(Session(daemon.address, next(bots(35))))
        waiting.helo()
        waiting.begin_mail()
        wait_until(lambda: daemon.events("stall"))
        with Session(daemon.address, next(bots(36))) as session:
            assert_at_once(session.greet())
        waiting.finish()
        assert not daemon.events("defer")
        assert daemon.events("pass", client=next(bots(36)), reason="budget")


def test_a_reload_ends_a_siege():
    with daemon_with(AT_MAIL, config_text="siege_threshold = 3\n") as daemon:
        for client in itertools.islice(bots(), 4):
            probe(daemon, client)
        daemon.wait_for("siege: state=on")
        daemon.write_config("siege_threshold = 0\n")
        daemon.reload()
        daemon.wait_for("siege: state=off")
        probe(daemon, next(bots(20)))
        assert not daemon.events("flag", client=next(bots(20)))


def test_two_daemons_that_each_see_half_of_a_siege(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        began = time.monotonic()
        for number, client in enumerate(itertools.islice(bots(), 16)):
            probe(one if number % 2 else other, client)
        for daemon in (one, other):
            wait_until(lambda daemon=daemon: siege(daemon)["score"] > 15)
            assert not siege(daemon)["on"]
        for number, client in enumerate(itertools.islice(bots(16), 20)):
            probe(one if number % 2 else other, client)
        one.wait_for("siege: state=on")
        other.wait_for("siege: state=on")
        for daemon in (one, other):
            wait_until(lambda daemon=daemon: siege(daemon)["score"] > 34)
        time.sleep(1.1)
        scores = [siege(daemon)["score"] for daemon in (one, other)]
        # 36, less what has halved meanwhile, and nothing twice.
        left = 0.5 ** ((time.monotonic() - began + 1) / 600)
        assert all(36 * left * 0.95 <= score <= 36 for score in scores), scores
        assert 3500 <= sum(minutes(memcached).values()) <= 3600
        # A stranger who offends at either is flagged.
        for daemon, client in ((one, "192.0.2.1"), (other, "198.51.100.1")):
            probe(daemon, client)
            assert daemon.events("flag", client=client)


def test_a_daemon_that_starts_in_a_siege_knows_of_it(memcached):
    with shared(memcached) as one:
        for client in itertools.islice(bots(), 40):
            probe(one, client)
        wait_until(lambda: sum(minutes(memcached).values()) >= 3900)
        with shared(memcached) as late:
            late.wait_for("siege: state=on")
            assert 37 <= siege(late)["score"] <= 40
    # Itself after a restart, too.
    with shared(memcached) as again:
        again.wait_for("siege: state=on")


def test_an_outage_loses_and_doubles_nothing(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        for client in itertools.islice(bots(), 10):
            probe(one, client)
        wait_until(lambda: siege(other)["score"] > 9)
        memcached.hang()
        one.wait_for("store: state=down")
        for client in itertools.islice(bots(10), 10):
            probe(one, client)
        assert siege(one)["score"] > 19
        memcached.resume()
        one.wait_for("store: state=up")
        wait_until(lambda: siege(other)["score"] > 18.5)
        time.sleep(2.5)
        for daemon in (one, other):
            assert 18.5 < siege(daemon)["score"] <= 20
        assert sum(minutes(memcached).values()) <= 2000


def test_without_memcached_each_host_has_a_siege_of_its_own(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        memcached.hang()
        for client in itertools.islice(bots(), 40):
            probe(one, client)
        assert siege(one)["on"]
        assert siege(other)["score"] == 0
        memcached.resume()
        other.wait_for("siege: state=on")


def test_values_that_are_no_numbers_do_no_harm(memcached):
    minute = int(time.time() // 60)
    with memcached.client() as server:
        for number in range(-9, 4):
            server.set(f"tarpit:1:siege:{minute + number}", "x" * 20 if number % 2 else "1000000000000", 600)
    with shared(memcached) as daemon:
        daemon.wait_for("siege: state=on")
        for client in itertools.islice(bots(), 3):
            probe(daemon, client)
        status = siege(daemon)
        assert 1e9 <= status["score"] * 1.1 and status["score"] <= 1e9
        ctl(daemon, "status")


def test_a_threshold_of_0_asks_nobody(memcached):
    with shared(memcached, {"siege_threshold": "0"}) as daemon:
        for client in itertools.islice(bots(), 40):
            probe(daemon, client)
        time.sleep(2.5)
        assert not minutes(memcached)
        assert not daemon.events("siege")
        assert not daemon.events("flag")
