# SPDX-License-Identifier: BSD-2-Clause
"""What only Postfix does, or lets us do: XCLIENT plays any client, and its refusals say why."""

import re

import pytest
from mtas import needs_postfix

from support.memcached import Memcached
from support.site import Site, assert_at_once, assert_waited, good, harvest, shared, unknown

pytestmark = needs_postfix

HARVESTER = "127.1.1.1"


def rcpt_of(site, address, recipient, sender="someone@client.example"):
    """The slowest of what a client at that address gets for one message with one recipient, and the last reply."""
    with site.client(xclient=address) as client:
        replies = [client.greeting, client.mail(sender), client.rcpt(recipient)]
    return max(replies, key=lambda reply: reply.seconds), replies[-1]


@pytest.mark.parametrize("recipients, code, counts", [
    ("grey{}@example.test", 450, False),
    ("full{}@example.test", 550, False),
    ("refused{}@example.test", 554, True),
    ("someone{}@elsewhere.test", 554, True),
    ("nobody{}@virtual.test", 550, True),
    ("good{}@example.test", 250, False),
])
def test_what_counts(recipients, code, counts):
    """Greylisting and full mailboxes never do."""
    with Site("postfix") as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(recipients.format(number)) for number in range(1, 7)]
        assert {reply.code for reply in replies} == {code}
        assert_at_once(*replies[:4])
        if counts:
            for reply in replies[4:]:
                assert_waited(reply)
        else:
            assert_at_once(*replies[4:])


def test_greylisting_does_not_take_off_the_score_either():
    with Site("postfix") as site, site.client(HARVESTER) as client:
        client.mail()
        assert_at_once(*harvest(client, 4), *[client.rcpt(f"grey{n}@example.test") for n in range(8)])
        assert_waited(client.rcpt(unknown(5)))


def test_own_offences_table():
    with Site("postfix", {"offences": '{"5.7.1 5", "5.*.* 0"}'}) as site, site.client(HARVESTER) as client:
        client.mail()
        assert_at_once(*harvest(client, 8))
        assert_waited(client.rcpt("someone@elsewhere.test"))


@pytest.mark.parametrize("address, same, other", [
    ("198.51.100.7", "198.51.100.7", "198.51.101.7"),
    ("2001:db8:0:1::5", "2001:db8:0:1:ffff::6", "2001:db8:1:1::5"),
])
def test_xclient_is_a_fresh_connect_of_another_client(address, same, other):
    """An IPv6 client is its /64."""
    with Site("postfix") as site:
        with site.client(xclient=address) as client:
            assert_at_once(client.greeting, client.mail())
            assert_waited(harvest(client, 5)[4])
        site.daemon.wait_for(rf"^flag: client={re.escape(address)} ", 2)
        with site.client(xclient=same) as client:
            assert client.greeting.code == 220
            assert_waited(client.greeting)
        with site.client(xclient=other) as client:
            assert_at_once(client.greeting, client.mail(), *harvest(client, 4))
        with site.client() as client:
            assert_at_once(client.greeting, client.mail(), client.rcpt(good()))


def test_xclient_login_exempts():
    with Site("postfix") as site:
        with site.client() as client:
            assert client.xclient("198.51.100.7", login="alice").code == 220
            client.ehlo()
            assert_at_once(client.mail(), *harvest(client, 8))
        assert not [line for line in site.daemon.log_lines() if line.startswith("reject:")]


def probe_from_many_addresses(site, address_of, neighbour):
    slowest = [rcpt_of(site, address_of(n), unknown(n))[0] for n in range(1, 23)]
    # The log says who was delayed: a machine that has better things to do may be as slow.
    slow = [n for n in range(1, 23) if site.daemon.events("stall", client=address_of(n))]
    assert slow and 18 <= slow[0] <= 21, slowest
    assert slow == list(range(slow[0], 23)), slowest
    for n in slow:
        assert_waited(slowest[n - 1])

    for _ in range(3):
        worst, last = rcpt_of(site, neighbour, good())
        assert last.code == 250
        assert_at_once(worst)


many_addresses = pytest.mark.parametrize("address_of, neighbour, elsewhere", [
    (lambda n: f"198.51.100.{n}", "198.51.100.250", "198.51.99.1"),
    (lambda n: f"2001:db8:7:{n:x}::1", "2001:db8:7:fff::1", "2001:db8:8::1"),
], ids=["ipv4/24", "ipv6/48"])


@many_addresses
def test_harvester_that_changes_its_address_for_each_probe(address_of, neighbour, elsewhere):
    """Slowed from about the 20th probe on; a neighbour that never offended is not, and one elsewhere neither."""
    with Site("postfix") as site:
        probe_from_many_addresses(site, address_of, neighbour)
        assert_at_once(rcpt_of(site, elsewhere, unknown(1))[0])


@many_addresses
def test_the_same_with_memcached(address_of, neighbour, elsewhere):
    with Memcached() as memcached, Site("postfix", shared(memcached)) as site:
        probe_from_many_addresses(site, address_of, neighbour)
        assert_at_once(rcpt_of(site, elsewhere, unknown(1))[0])


def test_networks_can_be_left_out():
    with Site("postfix", {"network_threshold": "0"}) as site:
        assert_at_once(*[rcpt_of(site, f"198.51.100.{n}", unknown(n))[0] for n in range(1, 25)])


def test_recipient_of_a_session_too_many_waits_instead_of_a_421():
    """Postfix ignores a 421 for one that it rejects, so that an accepted one gets none either: it would tell them
    apart. Only the first half of the budget is for such."""
    with Site("postfix", {"max_flagged_sessions": "1"}) as site:
        site.flag(HARVESTER)
        with site.client(HARVESTER) as first:
            assert first.greeting.code == 220
            with site.client(HARVESTER) as second:
                assert second.greeting.code == 421

        with site.client("127.2.2.2") as first, site.client("127.2.2.2") as second:
            second.mail()
            replies = harvest(second, 6)
            assert [reply.code for reply in replies] == [550] * 6
            assert_waited(replies[4])
            assert_waited(replies[5])
            accepted = second.rcpt(good())
            assert accepted.code == 250
            assert_waited(accepted)
            assert first.mail().code == 250


def test_delay_is_cut_to_what_postfix_waits():
    """mta_timeout is two seconds more than the longest wait."""
    with Site("postfix", {"delay_min": "20s", "delay_max": "20s", "mta_timeout": "4s"},
              milter_command_timeout="4s") as site:
        with site.client(HARVESTER) as client:
            client.mail()
            reply = harvest(client, 5)[4]
            assert reply.code == 550
            assert_waited(reply, 2)
            accepted = client.rcpt(good())
            assert accepted.code == 250
            assert_waited(accepted, 2)
