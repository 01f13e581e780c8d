# SPDX-License-Identifier: BSD-2-Clause
"""memcached is started anew, and empty: what hosts still know of open windows, and flags by hand, are said again."""

import checks
from checks import AT_MAIL, assert_at_once, assert_waited, wait_until

from support.ctl import ctl, ctl_json
from support.milter import Session, offend

PATIENT = {"memcached_timeout": "800ms", "memcached_retry": "1s", "siege_threshold": "0"}
BY_HAND, BY_COUNTS, INNOCENT = "192.0.2.50", "198.51.100.7", "203.0.113.1"


def shared(memcached):
    return checks.daemon_with(AT_MAIL, memcached.options, PATIENT, control=True)


def counts(memcached):
    """client or network -> its offences, whatever the window."""
    found = {}
    with memcached.client() as server:
        for key in server.entries():
            if key.endswith(":b"):
                client = key.split(":", 2)[2].rsplit(":", 2)[0]
                found[client] = found.get(client, 0) + int(server.get(key))
    return found


def mail_of(daemon, client):
    with Session(daemon.address, client) as session:
        return session.mail()


def restarted(daemon):
    return daemon.events("store", state="up", restarted="yes")


def test_what_an_administrator_has_set_stays(memcached):
    with shared(memcached) as daemon:
        assert ctl(daemon, "flag", BY_HAND, "30d").status == 0
        memcached.restart()
        assert_at_once(mail_of(daemon, INNOCENT))
        wait_until(lambda: restarted(daemon), 20)
        assert ctl_json(daemon, "show", BY_HAND)["by_hand"] is True
        assert_waited(mail_of(daemon, BY_HAND))
        # Another host, which has only memcached to ask.
        with shared(memcached) as other:
            assert_waited(mail_of(other, BY_HAND))
        assert len(restarted(daemon)) == 1


def test_counts_of_open_windows_are_said_again_once(memcached):
    with shared(memcached) as one, shared(memcached) as other:
        offend(one.address, BY_COUNTS, count=4)
        with Session(other.address, BY_COUNTS) as session:
            session.greet()
            session.reject_many(3, domain="example.com")
        with Session(one.address, BY_COUNTS) as session:
            session.greet()
        before = counts(memcached)
        assert before == {f"{BY_COUNTS}/32": 700, "198.51.100.0/24": 700}
        memcached.restart()
        assert counts(memcached) == {}
        for daemon in (one, other):
            mail_of(daemon, INNOCENT)
        for daemon in (one, other):
            # Each finds it at its next question.
            wait_until(lambda daemon=daemon: (mail_of(daemon, BY_COUNTS), restarted(daemon))[1], 20)
        assert counts(memcached) == before
        # And they go on from there.
        with Session(other.address, BY_COUNTS) as session:
            session.greet()
            session.reject_many(1, domain="example.net")
        assert counts(memcached)[f"{BY_COUNTS}/32"] == 800
        assert_waited(mail_of(one, BY_COUNTS))


def test_an_offence_after_the_restart_counts_beside_those_before(memcached):
    with shared(memcached) as daemon:
        offend(daemon.address, BY_COUNTS, count=3)
        memcached.restart()
        # The first question after the restart is this offence itself.
        with Session(daemon.address, BY_COUNTS) as session:
            session.greet()
            session.reject_many(1, domain="example.com")
        wait_until(lambda: restarted(daemon), 20)
        wait_until(lambda: counts(memcached).get(f"{BY_COUNTS}/32") == 400, 20)
        with Session(daemon.address, BY_COUNTS) as session:
            session.greet()
            session.reject_many(1, domain="example.net")
        assert counts(memcached)[f"{BY_COUNTS}/32"] == 500


def test_a_server_that_was_only_out_of_reach_is_told_nothing_again(memcached):
    with shared(memcached) as daemon:
        offend(daemon.address, BY_COUNTS, count=3)
        before = counts(memcached)
        memcached.hang()
        mail_of(daemon, BY_COUNTS)
        wait_until(lambda: daemon.events("store", state="down"), 20)
        memcached.resume()
        wait_until(lambda: daemon.events("store", state="up"), 20)
        assert not restarted(daemon)
        assert counts(memcached) == before
