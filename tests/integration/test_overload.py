# SPDX-License-Identifier: BSD-2-Clause
"""200 connections of harvesters want the 20 processes of an MTA: honest mail goes on. soak/overload.py is longer."""

import time
from concurrent.futures import ThreadPoolExecutor

from mtas import both_mtas, needs_postfix, needs_sendmail

from support.ctl import ctl
from support.daemon import PATIENCE
from support.overload import (
    ARGUMENTS, MAX_STALLS, OPTIONS, POSTFIX_LIMITS, harvesters, press, probes_a_minute, rank, send_alone)
from support.site import Site, good, unknown

QUIET_SECONDS = 4
PRESSED_SECONDS = 14
# They all call within two seconds, and Postfix has yet to start most of its processes. If they called at once, more
# than Postfix's listen queue has room for (100), the kernel would lose a call now and then: with SYN cookies the caller
# takes itself for connected, and is not.
RAMP_SECONDS = 2 * min(PATIENCE, 2)
ONSET_SECONDS = RAMP_SECONDS + 2
# Within 3 times of the quiet machine, where that can be told from what else this machine does.
FLOOR_SECONDS = 0.5 * PATIENCE


def assert_honest_mail(mail, quiet, since=0.0):
    assert not mail.lost
    longest = max(3 * rank(quiet.seconds(), 0.99), FLOOR_SECONDS)
    assert rank(mail.seconds(since), 0.99) < longest, (mail.mails, quiet.mails)


def assert_bounded(site, got, most=MAX_STALLS):
    """As many stalls as may be, and who is beyond them is out at once."""
    assert max(int(event["active"]) for event in site.daemon.events("stall")) == most
    assert site.daemon.events("defer", reason="budget")
    assert got["deferred"] > 20
    assert rank(got["deferred_seconds"], 0.5) < FLOOR_SECONDS, got


@needs_postfix
def test_postfix_serves_honest_mail_beside_harvesters():
    with Site("postfix", OPTIONS, **ARGUMENTS["postfix"]) as site:
        quiet = send_alone(site.mta, QUIET_SECONDS)
        mail, got = press(site.mta, PRESSED_SECONDS, ramp=RAMP_SECONDS)
        assert not mail.failures
        assert max(mail.seconds()) < ONSET_SECONDS * PATIENCE, mail.mails
        assert_honest_mail(mail, quiet, since=ONSET_SECONDS)
        assert_bounded(site, got)
        # Without the milter they are some 40,000.
        assert probes_a_minute(got, PRESSED_SECONDS // 2, PRESSED_SECONDS) < 600, got


@needs_sendmail
def test_sendmail_serves_honest_mail_beside_harvesters_that_are_known():
    """With all children busy it refuses everybody for 15 s: so these may not come all in one moment."""
    with Site("sendmail", OPTIONS, **ARGUMENTS["sendmail"]) as site:
        quiet = send_alone(site.mta, QUIET_SECONDS)
        for harvester in harvesters():
            ctl(site.daemon, "flag", harvester)
        mail, got = press(site.mta, PRESSED_SECONDS, pause=8 * PATIENCE, ramp=8 * PATIENCE)
        assert not mail.lost
        if PATIENCE == 1:
            assert got["refused"] == 0
            assert_honest_mail(mail, quiet)
        # They wait before any RCPT, for which an eighth is kept.
        assert_bounded(site, got, MAX_STALLS - MAX_STALLS // 8)
        assert probes_a_minute(got, 0, PRESSED_SECONDS) < 120, got


@both_mtas
def test_fifty_connections_in_the_midst_of_recipients_end_soon(mta):
    """Postfix can't be told to hang up at a recipient that it rejects, but does so by itself."""
    limits = POSTFIX_LIMITS if mta == "postfix" else {}
    with Site(mta, {"max_stalls": "8", "delay_min": "2s", "delay_max": "2s"}, **limits) as site, \
            ThreadPoolExecutor(50) as pool:
        clients = list(pool.map(lambda _: site.client("127.1.1.1"), range(50)))
        for reply in pool.map(lambda client: client.mail(), clients):
            assert reply.code == 250
        seconds = 6 * min(PATIENCE, 3)
        end = time.monotonic() + seconds

        def ask(client):
            answers = 0
            while time.monotonic() < end and client.rcpt(unknown(id(client) + answers)).code == 550:
                answers += 1
            return answers

        answers = sorted(pool.map(ask, clients))
        # The two that it may keep always wait, and others only while less than half of the budget is in use: these may
        # have come while those two were between two recipients.
        assert sum(client.is_open for client in clients) <= 4 + 2
        assert answers[-1] <= (10 if mta == "postfix" else seconds / 2 + 4), answers
        with site.client("127.2.2.2") as other:
            assert other.send_message("a@honest.example", [good()]).code == 250
        for client in clients:
            client.close()
