# SPDX-License-Identifier: BSD-2-Clause
"""Which MTA it is, by what it does: the real ones, under their own names and under others."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from mtas import both_mtas, needs_postfix, needs_sendmail

from support.ctl import ctl_json
from support.site import Site, assert_waited, harvest

HARVESTER = "127.1.1.1"
# As README has Postfix's limits.
LIMITS = {"smtpd_hard_error_limit": "20", "smtpd_error_sleep_time": "0"}
THREE_SECONDS = {"delay_min": "3s", "delay_max": "3s", "max_stalls": "40"}


def found(site):
    return ctl_json(site.daemon, "status")["mta"]


def probe_six_sessions_at_once(site):
    """One client has six sessions in a transaction, and is flagged in one of them; then it asks in all of them for
    9 s. How many recipients were answered in each."""
    def probe(number, client):
        answered = 0
        while sum(reply.seconds for reply in replies[number]) < 8.5:
            reply = client.rcpt(f"nobody{number}x{answered}@example.test")
            replies[number].append(reply)
            if reply.code != 550:
                break
            answered += 1
        return answered

    replies = [[] for _ in range(6)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(6) as pool:
        clients = [stack.enter_context(site.client(HARVESTER)) for _ in range(6)]
        for client in clients:
            assert client.mail().code == 250
        assert_waited(harvest(clients[0], 5)[4], 3)
        return list(pool.map(probe, range(6), clients))


@needs_postfix
@pytest.mark.parametrize("name", ["Postfix", "Postcow", "server", "8.17.1.9"])
def test_postfix_under_another_name_is_not_sent_421s_that_it_ignores(name):
    with Site("postfix", THREE_SECONDS, mail_name=name, **LIMITS) as site:
        answered = probe_six_sessions_at_once(site)
        assert max(answered) <= 4, answered
        assert not site.daemon.events("defer")
        assert len(site.daemon.events("stall")) >= 12
        assert found(site)["kind"] == "postfix"


@needs_postfix
@pytest.mark.parametrize("name", ["Postfix", "Postcow"])
def test_timeout_of_postfix_under_another_name(name):
    with Site("postfix", {"delay_min": "12s", "delay_max": "12s", "stall_at": "{mail}"}, mail_name=name) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            harvest(client, 5)
            client.rset()
            assert_waited(client.mail(), 12)


@needs_postfix
def test_postfix_that_imitates_sendmail_is_taken_for_neither():
    with Site("postfix", THREE_SECONDS, milter_macro_v="8.17.1.9", **LIMITS) as site:
        answered = probe_six_sessions_at_once(site)
        assert max(answered) <= 4, answered
        assert not site.daemon.events("defer")
        assert found(site)["kind"] == "unknown"
        assert "partly" in found(site)["why"]


@needs_postfix
def test_configuration_says_which_mta_it_is():
    with Site("postfix", {"mta": "sendmail", "delay_min": "12s", "delay_max": "12s", "stall_at": "{mail}"}) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            harvest(client, 5)
            client.rset()
            assert_waited(client.mail(), 8)
        assert found(site) == {"kind": "sendmail", "why": "the configuration says so"}


@both_mtas
def test_status_says_what_was_found(mta):
    with Site(mta) as site:
        assert found(site) == {"kind": "unknown", "why": "no session yet"}
        with site.client(HARVESTER) as client:
            client.mail()
        assert found(site)["kind"] == mta


@needs_sendmail
def test_sendmail_under_another_name():
    """A name in {v} and what only Sendmail does: it is taken for neither, and for Sendmail if the key says so."""
    for key, kind in ("auto", "unknown"), ("sendmail", "sendmail"):
        with Site("sendmail", {"mta": key}, sendmail_options=["LOCAL_CONFIG", "DvServer 1"]) as site:
            with site.client(HARVESTER) as client:
                client.mail()
            assert found(site)["kind"] == kind
