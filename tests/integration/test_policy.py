# SPDX-License-Identifier: BSD-2-Clause
"""The arithmetic as the log shows it, and the bounds of a stall. Both stores give the same numbers."""

import pytest
from checks import AT_MAIL, assert_at_once, assert_waited, daemon_with, flag

from support.daemon import Daemon
from support.milter import POSTFIX, SENDMAIL, Session, all_at_once

CLIENT = "192.0.2.1"
QUICK = {"delay_min": "200ms", "delay_max": "800ms", "jitter": "0", "stall_at": "{mail}"}


def delays(daemon, **values):
    return [int(found["delay_ms"]) for found in daemon.events("stall", **values)]


# The score

def test_fifth_offence_flags_and_waits_itself(store):
    with daemon_with(store) as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.greet()
            assert_at_once(*session.reject_many(4))
            assert not daemon.events("flag")
            assert_waited(session.reject_many(1, first=5)[0])
            assert len(daemon.events("flag")) == 1
            assert_waited(session.rcpt("known@example.org"))
        with Session(daemon.address, "192.0.2.2") as neighbour:
            assert_at_once(neighbour.greeting, neighbour.mail(), neighbour.rcpt(rejected="5.1.1"))


def test_wait_from_the_next_session_on(store):
    with daemon_with(store) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.greeting)
            assert_waited(session.mail())
            assert_waited(session.rcpt("known@example.org"))


def test_delay_doubles_with_each_threshold_up_to_its_maximum(store):
    with Daemon({**QUICK, **store, "network_threshold": "0"}) as daemon, Session(daemon.address, CLIENT) as session:
        for first, seconds in ((1, 0.2), (6, 0.4), (11, 0.8), (16, 0.8)):
            session.mail()
            session.reject_many(5, first=first)
            session.abort()
            assert_waited(session.mail(), seconds)
        # the MAIL that begins the next round waits as well
        assert delays(daemon) == [200, 200, 400, 400, 800, 800, 800]
        assert [found["score"] for found in daemon.events("stall")] == [
            "5.00", "5.00", "10.00", "10.00", "15.00", "15.00", "20.00"]


def test_delay_between_the_thresholds():
    with Daemon({**QUICK, "delay_max": "10s"}) as daemon, Session(daemon.address, CLIENT) as session:
        session.mail()
        session.reject_many(7)
        session.mail()
        assert delays(daemon) == [pytest.approx(200 * 2 ** 0.4, abs=1)]


def test_accepted_recipients_take_two_each_off(store):
    with Daemon({**QUICK, **store}) as daemon, Session(daemon.address, CLIENT) as session:
        session.mail()
        session.reject_many(7)
        session.rcpt("known1@example.org")
        session.deliver()
        assert_waited(session.mail(), 0.2)
        session.rcpt("known2@example.org")
        session.deliver()
        assert_at_once(session.mail())
        session.reject_many(2, first=8)
        assert_waited(session.mail(), 0.2)
        last = daemon.events("reject")[-1]
        assert (last["bad"], last["good"], last["score"], last["flagged"]) == ("9.00", "2.00", "5.00", "yes")


def test_threshold_is_the_score_that_flags():
    with Daemon({**QUICK, "threshold": "2.75", "offences": '{"5.1.1 0.9", "5.*.* 0.95"}'}) as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.mail()
            session.reject_many(3)
            assert_at_once(session.mail())
            session.abort()
        with Session(daemon.address, "198.51.100.1") as session:
            session.mail()
            session.reject_many(2)
            session.rcpt("other@example.org", rejected="5.7.1")
            assert_waited(session.mail(), 0.2)


def test_jitter_stays_within_the_limits():
    clients = [f"198.18.{number}.1" for number in range(1, 31)]
    options = {"delay_min": "200ms", "delay_max": "320ms", "jitter": "50", "stall_at": "{mail}",
               "max_stalls": "100", "network_threshold": "0"}
    with Daemon(options) as daemon:
        flag(daemon, *clients)
        all_at_once([lambda client=client: Session(daemon.address, client).mail() for client in clients])
        found = delays(daemon)
        assert len(found) == 30 and min(found) >= 200 and max(found) <= 320
        assert len(set(found)) > 5


def test_wait_does_not_tell_whether_the_recipient_exists(store):
    """The score from before a RCPT decides, whatever becomes of it."""
    options = {"delay_min": "300ms", "delay_max": "2s", "jitter": "0", "good_credit": "0", "stall_at": "{rcpt}"}
    with Daemon({**options, **store}) as daemon, Session(daemon.address, CLIENT) as session:
        session.mail()
        session.reject_many(5)
        before = 0.3
        assert_waited(session.rcpt("known@example.org"), before)
        assert_waited(session.rcpt("greylisted@example.org", rejected="4.2.0"), before)
        assert_waited(session.rcpt("virtual@example.org", rcpt_mailer="error",
                                   rcpt_host="5.1.1 User unknown in virtual alias table"), before)
        assert_waited(session.rcpt("unknown@example.org", rejected="5.1.1"), before)
        assert delays(daemon) == [300] * 5
        session.rcpt("known2@example.org")
        assert delays(daemon)[5:] == [pytest.approx(300 * 2 ** 0.2, abs=1)]


def test_oracle_is_shut_for_a_client_that_a_known_recipient_redeems():
    """Its score falls below the threshold by this very recipient: it waits all the same."""
    with daemon_with({"stall_at": "{rcpt}"}) as daemon, Session(daemon.address, CLIENT) as session:
        session.mail()
        session.reject_many(5)
        assert_waited(session.rcpt("known@example.org"))
        assert_at_once(session.rcpt("known2@example.org"))


def test_exchange_example():
    """threshold = 1, good_credit = 0, one delay, at RCPT only: each session's every rejected recipient."""
    options = {"threshold": "1", "good_credit": "0", "stall_at": "{rcpt}"}
    with daemon_with(options) as daemon, Session(daemon.address, CLIENT) as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt("known@example.org"))
        assert_waited(session.rcpt("unknown@example.org", rejected="5.1.1"))
        assert_waited(session.rcpt("unknown2@example.org", rejected="5.1.1"))


def test_forgotten_clients_are_the_least_recent(store):
    """memory_clients is reached: mail flows, and who offended last is still known."""
    with Daemon({**QUICK, **store, "memory_clients": "100"}) as daemon:
        flag(daemon, *[f"198.18.{number // 200}.{number % 200}" for number in range(300)])
        with Session(daemon.address, "198.18.1.99") as session:
            assert_waited(session.mail(), 0.2)
        if store["store"] == "memory":
            with Session(daemon.address, "198.18.0.1") as session:
                assert_at_once(session.mail())


# Networks

@pytest.mark.parametrize(("addresses", "neighbour", "outsider", "network"), [
    ([f"203.0.113.{number}" for number in range(1, 26)], "203.0.113.200", "203.0.112.1", "203.0.113.0/24"),
    ([f"2001:db8:7:{number:x}::1" for number in range(1, 26)], "2001:db8:7:ff::1", "2001:db8:8::1",
     "2001:db8:7::/48"),
], ids=["ipv4", "ipv6"])
def test_harvester_with_a_network_of_addresses_is_slowed_from_the_twentieth_probe_on(
        store, addresses, neighbour, outsider, network):
    with Daemon({**QUICK, **store, "stall_at": "{rcpt}"}) as daemon:
        for number, address in enumerate(addresses, 1):
            with Session(daemon.address, address) as session:
                session.mail()
                reply = session.rcpt(f"probe{number}@example.org", rejected="5.1.1")
                assert_at_once(reply) if number < 20 else assert_waited(reply, 0.2)
        flags = daemon.events("flag")
        assert len(flags) == 6
        assert flags[0]["network"] == network and flags[0]["network_score"] == "20.00"
        assert flags[0]["score"] == "1.00"
        # 25 of them: as if the score were 5 * 25 / 20
        assert delays(daemon)[-1] == pytest.approx(200 * 2 ** 0.25, abs=1)
        for innocent in (neighbour, outsider):
            with Session(daemon.address, innocent) as session:
                session.mail()
                assert_at_once(session.rcpt("known@example.org"), session.rcpt("known2@example.org"))
        with Session(daemon.address, outsider) as session:
            session.mail()
            assert_at_once(session.rcpt("typo@example.org", rejected="5.1.1"))


def test_fresh_addresses_of_one_prefix_are_one_client():
    with Daemon(QUICK) as daemon:
        for number in range(5):
            with Session(daemon.address, f"2001:db8:1:2:{number}::1") as session:
                session.mail()
                session.rcpt(f"probe{number}@example.org", rejected="5.1.1")
                session.quit()
        with Session(daemon.address, "2001:db8:1:2:ffff::1") as session:
            assert_waited(session.mail(), 0.2)
        with Session(daemon.address, "2001:db8:1:3::1") as session:
            assert_at_once(session.mail())


def test_networks_can_be_left_out():
    with Daemon({**QUICK, "network_threshold": "0"}) as daemon:
        for number in range(1, 31):
            with Session(daemon.address, f"203.0.113.{number}") as session:
                session.mail()
                session.rcpt(f"probe{number}@example.org", rejected="5.1.1")
        assert not daemon.events("flag")


# What bounds a stall

def rest_of_a_second(daemon):
    """What the last stall had to be, in seconds, for it and the one before it to take one together."""
    before_ms = int(daemon.events("release")[-2]["waited_ms"])
    assert 600 <= before_ms < 1000 and delays(daemon)[-1] == 1000 - before_ms
    return 1 - before_ms / 1000


def test_bound_of_a_transaction():
    with daemon_with({"max_stall_per_transaction": "1s", "stall_at": "{mail, rcpt}"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
            reply = session.rcpt("a@example.org", rejected="5.1.1")
            assert_waited(reply, rest_of_a_second(daemon))
            assert_at_once(session.rcpt("b@example.org", rejected="5.1.1"))
            assert daemon.events("pass", client=CLIENT, stage="RCPT", reason="transaction-limit")
            session.abort()
            assert_waited(session.mail())


def test_bound_of_a_session():
    with daemon_with({"max_stall_per_session": "1s", "stall_at": "{mail}"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
            reply = session.mail()
            assert_waited(reply, rest_of_a_second(daemon))
            assert_at_once(session.mail(), session.mail())
            assert daemon.events("pass", client=CLIENT, stage="MAIL", reason="session-limit")
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


@pytest.mark.parametrize(("mta", "mta_timeout", "delay_ms"), [
    (POSTFIX, "auto", 28000), (SENDMAIL, "auto", 8000), (POSTFIX, "15s", 13000), (SENDMAIL, "2m", 60000)])
def test_no_delay_reaches_the_mtas_timeout(mta, mta_timeout, delay_ms):
    options = {"delay_min": "1m", "delay_max": "1m", "mta_timeout": mta_timeout, "jitter": "0", "stall_at": "{mail}"}
    with Daemon(options) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT, mta=mta) as session:
            session.begin_mail()
            daemon.wait_for(r"^stall: ")
            assert delays(daemon) == [delay_ms]
            daemon.stop()
            assert session.finish().action == "continue"


def test_observe_slows_and_refuses_nobody_and_says_what_would_have_been(store):
    with daemon_with(store, {"mode": "observe", "max_flagged_sessions": "1"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as first, Session(daemon.address, CLIENT) as second:
            assert_at_once(first.greeting, first.mail(), first.rcpt(), second.greeting, second.mail())
        assert daemon.events("start")[-1]["mode"] == "observe"
        assert len(daemon.events("flag")) == 1
        assert not daemon.events("stall") + daemon.events("defer")
        assert len(daemon.events("pass", client=CLIENT, reason="observe")) >= 5


def test_mta_that_gives_up_in_stalls_is_named_in_the_log():
    """After five of them; a busy daemon may notice so late that one is gone that it can't tell why, and not count it."""
    with daemon_with(AT_MAIL, {"max_flagged_sessions": "0"}) as daemon:
        flag(daemon, CLIENT)
        for number in range(1, 31):
            with Session(daemon.address, CLIENT) as session:
                session.begin_mail()
                daemon.wait_for(r"^stall: ", count=number)
            daemon.wait_for(r"^release: ", count=number)
            daemon.wait_for_sessions(lambda: 0)
            if daemon.log_lines("mta"):
                break
        assert number >= 5
        assert "timeout" in daemon.events("mta")[0]["warning"]
