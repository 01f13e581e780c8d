# SPDX-License-Identifier: BSD-2-Clause
"""How many wait at once, and what becomes of the others."""

import contextlib

from checks import assert_at_once, assert_deferred, assert_delivered, assert_waited, daemon_with, flag, wait_until

from support.milter import POSTFIX, SENDMAIL, Session, finish_all

CLIENT = "192.0.2.1"
OTHER = "198.51.100.1"
HONEST = "203.0.113.9"
# A stall that is still there while a test looks at others.
LONG = {"delay_min": "3s", "delay_max": "3s"}


def open_sessions(stack, daemon, clients, **arguments):
    return [stack.enter_context(Session(daemon.address, client, **arguments)) for client in clients]


def assert_honest_is_served(daemon):
    with Session(daemon.address, HONEST) as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt())
        assert_delivered(session)


def test_hundred_flagged_clients_and_a_budget_of_forty():
    clients = [f"198.18.{number}.1" for number in range(100)]
    with daemon_with(LONG, {"stall_at": "{mail}"}) as daemon, contextlib.ExitStack() as stack:
        flag(daemon, *clients)
        sessions = open_sessions(stack, daemon, clients)
        for session in sessions:
            session.begin_mail()
        daemon.wait_for(r"^(stall|defer): ", count=100)
        assert_honest_is_served(daemon)
        replies = finish_all(sessions)
        deferred = [reply for reply in replies if reply.is_deferral]
        stalled = [reply for reply in replies if not reply.is_deferral]
        # An eighth is kept for RCPT.
        assert (len(stalled), len(deferred)) == (35, 65)
        for reply in stalled:
            assert_waited(reply, 3)
        assert max(int(found["active"]) for found in daemon.events("stall")) == 35
        assert len(daemon.events("defer", reason="budget", stage="MAIL")) == 65

        with Session(daemon.address, clients[-1]) as again:
            assert_waited(again.mail(), 3)


def test_an_eighth_of_the_budget_is_kept_for_recipients():
    """There a 421 can take no stall's place at Postfix."""
    clients = [f"198.18.{number}.1" for number in range(10)]
    options = {"max_stalls": "8", "stall_at": "{mail, rcpt}", "siege_threshold": "0"}
    with daemon_with(LONG, options) as daemon, contextlib.ExitStack() as stack:
        at_rcpt = open_sessions(stack, daemon, ["198.18.100.1", "198.18.101.1"])
        for session in at_rcpt:
            session.greet()
            assert_at_once(*session.reject_many(4))
        flag(daemon, *clients, count=4)
        at_mail = open_sessions(stack, daemon, clients)
        for session in at_mail:
            session.greet()
        for session in at_mail:
            session.begin_rcpt("fifth@example.org", rejected="5.1.1")
        daemon.wait_for(r"^(stall|pass): ", count=10)
        assert len([reply for reply in finish_all(at_mail) if reply.seconds >= 2.9]) == 8

        for session in at_mail:
            session.begin_mail()
        daemon.wait_for(r"^(stall|defer): ", count=8 + 10)
        for session in at_rcpt:
            session.begin_rcpt("fifth@example.org", rejected="5.1.1")
        first, second = finish_all(at_rcpt)
        assert len([reply for reply in finish_all(at_mail) if reply.is_deferral]) == 3
        assert sorted([first.seconds >= 2.9, second.seconds >= 2.9]) == [False, True]
        assert len(daemon.events("pass", stage="RCPT", reason="budget")) == 3


def test_a_network_has_a_quarter_of_the_budget_at_most():
    clients = [f"198.51.100.{number}" for number in range(1, 7)]
    with daemon_with(LONG, {"max_stalls": "16", "stall_at": "{mail}"}) as daemon, contextlib.ExitStack() as stack:
        flag(daemon, *clients, CLIENT)
        sessions = open_sessions(stack, daemon, [*clients, CLIENT])
        for session in sessions:
            session.begin_mail()
        daemon.wait_for(r"^(stall|defer): ", count=7)
        *neighbours, other = finish_all(sessions)
        assert_waited(other, 3)
        assert len([reply for reply in neighbours if reply.is_deferral]) == 2
        for reply in neighbours:
            if not reply.is_deferral:
                assert_waited(reply, 3)


def test_full_budget_may_let_pass():
    options = {"max_stalls": "1", "when_full": "pass", "stall_at": "{mail}"}
    with daemon_with(LONG, options) as daemon:
        flag(daemon, CLIENT, OTHER)
        with Session(daemon.address, CLIENT) as first, Session(daemon.address, OTHER) as second:
            first.begin_mail()
            daemon.wait_for("^stall: ")
            assert_at_once(second.mail())
            assert daemon.events("pass", client=OTHER, stage="MAIL", reason="budget")
            assert_waited(first.finish(), 3)


def test_full_budget_at_a_recipient_that_postfix_rejects():
    """It would ignore a 421: so the client passes. Sendmail heeds it."""
    options = {"max_stalls": "1", "stall_at": "{rcpt}", "good_credit": "0"}
    with daemon_with(LONG, options) as daemon, contextlib.ExitStack() as stack:
        for client in (CLIENT, OTHER):
            with Session(daemon.address, client) as session:
                session.greet()
                assert_at_once(*session.reject_many(4))
        first, second = open_sessions(stack, daemon, [CLIENT, OTHER])
        third = stack.enter_context(Session(daemon.address, OTHER, mta=SENDMAIL))
        for session in (first, second, third):
            session.greet()
        first.begin_rcpt("fifth@example.org", rejected="5.1.1")
        daemon.wait_for("^stall: ")
        assert_at_once(second.rcpt("fifth@example.org", rejected="5.1.1"))
        assert daemon.events("pass", client=OTHER, stage="RCPT", reason="budget")
        # Nor does a known recipient get what an unknown one would not.
        assert_at_once(second.rcpt("known@example.org"))
        assert_deferred(third.rcpt("sixth@example.org", rejected="5.1.1"))
        assert_waited(first.finish(), 3)


def test_third_session_of_a_flagged_client_is_deferred():
    with daemon_with({"stall_at": "{mail}"}) as daemon, contextlib.ExitStack() as stack:
        flag(daemon, CLIENT)
        first, second = open_sessions(stack, daemon, [CLIENT] * 2)
        assert_at_once(first.greeting, second.greeting)
        for _ in range(3):
            with Session(daemon.address, CLIENT) as third:
                assert_deferred(third.greeting)
        assert len(daemon.events("defer", client=CLIENT, stage="CONNECT", reason="sessions", count="1")) == 1
        assert daemon.status()["deferred"] == "3"
        assert_honest_is_served(daemon)
        assert_waited(second.mail())
        first.quit()
        wait_until(lambda: _connects(daemon))
        daemon.stop()
        # One line a minute, and what no line has told of is not lost.
        assert sum(int(found["count"]) for found in daemon.events("defer", client=CLIENT)) >= 3
        assert len(daemon.events("defer", client=CLIENT)) == 2


def _connects(daemon):
    with Session(daemon.address, CLIENT) as session:
        return session.greeting.action == "continue"


def test_fifty_connections_opened_before_keep_two_that_crawl():
    with daemon_with({"stall_at": "{mail, rcpt}"}) as daemon, contextlib.ExitStack() as stack:
        sessions = open_sessions(stack, daemon, [CLIENT] * 50)
        sessions[0].greet()
        assert_waited(sessions[0].reject_many(5)[4])
        sessions[0].abort()
        for session in sessions:
            session.begin_mail()
        replies = finish_all(sessions)
        for reply in replies[:2]:
            assert_waited(reply)
        assert all(reply.is_deferral for reply in replies[2:])
        with Session(daemon.address, CLIENT) as new:
            assert_deferred(new.greeting)
        assert_honest_is_served(daemon)


def test_sessions_of_a_flagged_client_without_limit():
    with daemon_with({"max_flagged_sessions": "0", "stall_at": "{mail}"}) as daemon:
        flag(daemon, CLIENT)
        with contextlib.ExitStack() as stack:
            sessions = open_sessions(stack, daemon, [CLIENT] * 10)
            for session in sessions:
                session.begin_mail()
            for reply in finish_all(sessions):
                assert_waited(reply)


def crowd(stack, daemon, mta):
    """Six sessions of one client, all beyond MAIL, of which the last is the one that gets it flagged."""
    sessions = [stack.enter_context(Session(daemon.address, CLIENT, mta=mta)) for _ in range(6)]
    for session in sessions:
        session.greet()
    sessions[-1].reject_many(4)
    return sessions


def test_one_client_never_takes_the_second_half_of_the_budget():
    """Its sessions beyond max_flagged_sessions, at a rejected recipient of Postfix, where no 421 helps."""
    options = {"stall_at": "{rcpt}", "max_stalls": "2", "max_flagged_sessions": "1", "count_distinct": "no"}
    with daemon_with(LONG, options) as daemon, contextlib.ExitStack() as stack:
        sessions = crowd(stack, daemon, POSTFIX)
        for number, session in enumerate(sessions):
            session.begin_rcpt(f"next{number}@example.org", rejected="5.1.1")
            daemon.wait_for(r"^(stall|pass): ", count=number + 1)
        replies = finish_all(sessions)
        assert_waited(replies[0], 3)
        assert_at_once(*replies[1:])
        assert len(daemon.events("pass", client=CLIENT, stage="RCPT", reason="sessions")) == 5
        assert max(int(found["active"]) for found in daemon.events("stall", client=CLIENT)) == 1


def test_sendmail_is_told_to_defer_at_a_rejected_recipient_too():
    options = {"stall_at": "{rcpt}", "max_flagged_sessions": "1", "count_distinct": "no"}
    with daemon_with(options) as daemon, contextlib.ExitStack() as stack:
        sessions = crowd(stack, daemon, SENDMAIL)
        for number, session in enumerate(sessions):
            session.begin_rcpt(f"next{number}@example.org", rejected="5.1.1")
        first, *others = finish_all(sessions)
        assert_waited(first)
        assert_deferred(*others, waited=0.6)


def test_slot_returns_when_the_stall_ends_though_the_mta_has_gone():
    with daemon_with({"max_stalls": "1", "stall_at": "{mail}"}) as daemon:
        flag(daemon, CLIENT, OTHER)
        with Session(daemon.address, CLIENT) as leaver:
            leaver.begin_mail()
            daemon.wait_for("^stall: ")
        daemon.wait_for("^release: ")
        with Session(daemon.address, OTHER) as session:
            assert_waited(session.mail())
