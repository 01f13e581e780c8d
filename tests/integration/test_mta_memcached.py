# SPDX-License-Identifier: BSD-2-Clause
"""Two daemons, as on two hosts, that share one memcached: each serves a port of the same MTA."""

import time

from mtas import both_mtas

from support.memcached import Memcached
from support.site import Site, assert_at_once, assert_waited, good, harvest, shared, unknown

HARVESTER = "127.1.1.1"
INNOCENT = "127.2.2.2"


@both_mtas
def test_flagged_at_one_and_stalled_at_the_other(mta):
    """At its next MAIL, at its next rejected RCPT, and at its next connection."""
    with Memcached() as memcached, \
            Site(mta, shared(memcached), more_daemons={"other": shared(memcached)}) as site:
        with site.client(HARVESTER, "other") as at_mail, site.client(HARVESTER, "other") as at_rcpt:
            assert_at_once(at_rcpt.mail())
            site.flag(HARVESTER, "main")
            time.sleep(0.5)  # what a session knows of its client may be a second old
            assert_waited(at_mail.mail())
            rejected = at_rcpt.rcpt(unknown(50))
            assert rejected.code == 550
            assert_waited(rejected)
        site.settle("other")
        with site.client(HARVESTER, "other") as client:
            assert client.greeting.code == 220
            assert_waited(client.greeting)
        with site.client(INNOCENT, "other") as client:
            assert_at_once(client.greeting, client.mail(), client.rcpt(good()), client.data(), client.body())


@both_mtas
def test_what_both_see_adds_up(mta):
    """The same recipient at both counts once."""
    with Memcached() as memcached, \
            Site(mta, shared(memcached), more_daemons={"other": shared(memcached)}) as site:
        with site.client(HARVESTER, "main") as one, site.client(HARVESTER, "other") as other:
            assert_at_once(one.mail(), other.mail())
            assert_at_once(*harvest(one, 3), *harvest(other, 4))
            fifth = one.rcpt(unknown(5))
            assert fifth.code == 550
            assert_waited(fifth)
            assert_waited(other.rcpt(unknown(6)))


@both_mtas
def test_daemons_without_memcached_know_nothing_of_each_other(mta):
    with Site(mta, more_daemons={"other": {}}) as site:
        site.flag(HARVESTER, "main")
        with site.client(HARVESTER, "other") as client:
            assert_at_once(client.greeting, client.mail(), *harvest(client, 4))
