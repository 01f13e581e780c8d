# SPDX-License-Identifier: BSD-2-Clause
"""What accepted recipients earn: for mail that has reached its end, once each, within a bound, on all hosts."""

import time

import pytest
from checks import AT_MAIL, assert_at_once, assert_delivered, assert_waited, daemon_with, wait_until

from support.milter import Session

CLIENT = "192.0.2.1"
NEIGHBOUR = "192.0.2.2"
KEY, NETWORK = f"{CLIENT}/32", "192.0.2.0/24"
WINDOW_SECONDS = 14 * 86400
# Slows nobody; no site's exchange with memcached beside what sessions do.
OBSERVE = {"mode": "observe", "siege_threshold": "0"}
PATIENT = {"memcached_timeout": "800ms", "memcached_retry": "1s"}


def deliver(daemon, *recipients, client=CLIENT):
    """A message to these in a session of its own."""
    with Session(daemon.address, client) as session:
        session.greet()
        assert_at_once(*[session.rcpt(recipient) for recipient in recipients])
        replies = session.deliver()
        session.quit()
    return replies


def offend(daemon, *recipients, client=CLIENT):
    """Unknown recipients in a session of their own; (bad, good) then."""
    with Session(daemon.address, client) as session:
        session.greet()
        for recipient in recipients:
            session.rcpt(recipient, rejected="5.1.1")
        session.quit()
    last = daemon.events("reject", client=client)[-1]
    return float(last["bad"]), float(last["good"])


def counters(memcached, whose):
    """(bad, good) in hundredths, as memcached has it for this window and the one before."""
    now = int(time.time() / WINDOW_SECONDS)
    with memcached.client() as server:
        return tuple(sum(int(server.get(f"tarpit:1:{whose}:{window}:{side}") or 0) for window in (now, now - 1))
                     for side in "bg")


def names(count, domain, first=0):
    return [f"user{number}@{domain}" for number in range(first, first + count)]


# When it is earned

ENDS = {
    "end": assert_delivered,
    "abort": Session.abort,
    "mail": Session.mail,
    "hang-up": lambda session: None,
    "data": Session.data,
    "data and abort": lambda session: (session.data(), session.abort()),
}


@pytest.mark.parametrize("end", ENDS)
def test_credit_is_earned_at_the_end_of_the_message(store, end):
    with daemon_with(store, OBSERVE) as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.greet()
            assert_at_once(*[session.rcpt(recipient) for recipient in names(3, "example.org")])
            ENDS[end](session)
            session.quit()
        assert offend(daemon, "nobody@example.org") == (1, 3 if end == "end" else 0)


def test_credit_that_is_not_earned_yet_counts_within_its_transaction(store):
    """As a list server with many recipients a message needs it, and whoever asks for users and never sends does not."""
    with daemon_with(store, AT_MAIL, {"siege_threshold": "0"}) as daemon, Session(daemon.address, CLIENT) as session:
        session.greet()
        session.reject_many(4)
        session.rcpt("known@example.org")
        session.reject_many(1, first=5)
        last = daemon.events("reject")[-1]
        assert (last["bad"], last["good"], last["score"], last["flagged"]) == ("5.00", "1.00", "3.00", "no")
        session.abort()
        assert_waited(session.mail())
        assert len(daemon.events("flag")) == 1


# How much of it

def test_hundred_names_of_a_catch_all_domain_earn_ten(store):
    with daemon_with(store, OBSERVE) as daemon:
        for message in range(10):
            deliver(daemon, *names(10, "catch-all.example", 10 * message))
        assert offend(daemon, "nobody@example.org") == (1, 10)
        deliver(daemon, *names(20, "catch-all.example", 100))
        assert offend(daemon, "nobody2@example.org") == (2, 10)
        deliver(daemon, *names(3, "other.example"))
        assert offend(daemon, "nobody3@example.org") == (3, 13)


def test_domain_in_which_the_client_has_met_a_rejection_earns_what_is_delivered(store):
    """There it can't have all that it asks for."""
    with daemon_with(store, OBSERVE) as daemon:
        deliver(daemon, *names(30, "example.org"))
        assert offend(daemon, "nobody@example.org") == (1, 10)
        deliver(daemon, *names(30, "example.org", 30))
        assert offend(daemon, "nobody2@example.org") == (2, 40)


def test_extensions_of_an_address_earn_as_one(store):
    with daemon_with(store, OBSERVE, {"recipient_delimiter": "+-"}) as daemon:
        for number in range(5):
            deliver(daemon, f"alice-{number}@example.org", f"alice+{number}@example.org", "ALICE@example.org")
        assert offend(daemon, "nobody@example.org") == (1, 1)


def test_long_list_of_one_message_earns_for_each_recipient(store):
    """More than one errand to memcached can carry."""
    with daemon_with(store, OBSERVE) as daemon:
        offend(daemon, "nobody@example.org")
        deliver(daemon, *names(100, "example.org"))
        assert offend(daemon, "nobody2@example.org") == (2, 100)


# In memcached

def test_history_goes_along_with_the_first_offence_in_the_same_errand(memcached):
    with daemon_with(memcached.options, PATIENT, OBSERVE, {"window": "14d"}) as daemon:
        deliver(daemon, *names(3, "example.org"))
        deliver(daemon, *names(4, "example.net"), client=NEIGHBOUR)
        with memcached.client() as server:
            assert not [key for key in server.entries() if not key.endswith(":probe")]
            calls = int(daemon.status()["store_calls"])
            with Session(daemon.address, CLIENT) as session:
                session.greet()
                assert int(daemon.status()["store_calls"]) == calls + 1
                session.rcpt("nobody@example.org", rejected="5.1.1")
                before = {side: server.stats()[f"incr_{side}"] for side in ("hits", "misses")}
                # The recipient is added, then two counters each of the client and of its network, which are new.
                assert counters(memcached, KEY) == (100, 300)
                # What its neighbours are known for goes along as well.
                assert counters(memcached, NETWORK) == (100, 700)
                time.sleep(1)
                assert before == {side: server.stats()[f"incr_{side}"] for side in ("hits", "misses")}, "told later"
        # It has gone along: it does not do so again, and what comes now is told at once.
        assert offend(daemon, "nobody2@example.org") == (2, 3)
        deliver(daemon, "another@example.org")
        assert counters(memcached, KEY) == (200, 400) and counters(memcached, NETWORK) == (200, 800)
        assert offend(daemon, "nobody@example.org", client=NEIGHBOUR) == (1, 4)
        assert counters(memcached, f"{NEIGHBOUR}/32") == (100, 400) and counters(memcached, NETWORK) == (300, 800)


@pytest.mark.parametrize("outage", ["killed", "hung"])
def test_credit_of_before_an_outage_is_neither_lost_nor_doubled(memcached, outage):
    with daemon_with(memcached.options, PATIENT, OBSERVE, {"window": "14d"}) as daemon:
        deliver(daemon, *names(3, "example.org"))
        offend(daemon, "nobody@example.net", client=NEIGHBOUR)
        deliver(daemon, *names(2, "example.net"), client=NEIGHBOUR)
        assert counters(memcached, f"{NEIGHBOUR}/32") == (100, 200) and counters(memcached, NETWORK) == (100, 500)

        (memcached.kill if outage == "killed" else memcached.hang)()
        # Counted on this host: the history goes along, and what is delivered after that.
        assert offend(daemon, "nobody@example.org", "nobody2@example.org") == (2, 3)
        deliver(daemon, "another@example.org")
        assert offend(daemon, "nobody3@example.org") == (3, 4)
        daemon.wait_for("^store: state=down ")
        (memcached.start if outage == "killed" else memcached.resume)()
        daemon.wait_for("^store: state=up ", 10)
        expected = {KEY: (300, 400), f"{NEIGHBOUR}/32": (100, 200), NETWORK: (400, 600)}
        wait_until(lambda: counters(memcached, KEY) == expected[KEY])
        assert offend(daemon, "nobody@example.org") == (3, 4)
        time.sleep(1.5)  # the keeper has nothing left to tell
        assert {whose: counters(memcached, whose) for whose in expected} == expected
        assert offend(daemon, "nobody4@example.org") == (4, 4)
        assert counters(memcached, KEY) == (400, 400)
        assert counters(memcached, NETWORK) == tuple(map(sum, zip(expected[NETWORK], (100, 0))))


def test_accepted_recipient_that_two_daemons_have_seen_counts_once(memcached):
    options = {**memcached.options, **PATIENT, **OBSERVE, "window": "14d"}
    with daemon_with(options) as one, daemon_with(options) as other:
        offend(one, "nobody@example.org")
        for daemon in (one, other, one, other):
            deliver(daemon, "same@example.org", "Same+extension@Example.ORG")
        deliver(other, "another@example.org")
        assert offend(one, "nobody2@example.org") == (2, 2)
        assert counters(memcached, KEY) == (200, 200) and counters(memcached, NETWORK) == (200, 200)


def test_history_of_two_daemons_counts_for_both(memcached):
    """Each knows what it has delivered, and the first offence that it sees takes that along."""
    options = {**memcached.options, **PATIENT, **OBSERVE, "window": "14d"}
    with daemon_with(options) as one, daemon_with(options) as other:
        deliver(one, *names(3, "example.org"))
        deliver(other, *names(4, "example.net"))
        assert offend(one, "nobody@example.org") == (1, 3)
        assert offend(other, "nobody2@example.org") == (2, 7)
        assert counters(memcached, KEY) == (200, 700) and counters(memcached, NETWORK) == (200, 700)


def test_history_is_a_sum_and_names_no_recipients(memcached):
    """So one that two daemons have seen before the first offence counts for each of them."""
    options = {**memcached.options, **PATIENT, **OBSERVE, "window": "14d"}
    with daemon_with(options) as one, daemon_with(options) as other:
        for daemon in (one, other):
            deliver(daemon, "same@example.org")
        offend(one, "nobody@example.org")
        assert offend(other, "nobody2@example.org") == (2, 2)
        # From then on it does not.
        for daemon in (one, other):
            deliver(daemon, "same@example.org")
        assert counters(memcached, KEY) == (200, 200)
