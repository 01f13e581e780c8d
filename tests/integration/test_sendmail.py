# SPDX-License-Identifier: BSD-2-Clause
"""What only Sendmail does: it hides most rejections, and its own timeout is short."""

import re

from mtas import needs_sendmail

from support.site import Site, assert_at_once, assert_waited, good, harvest, unknown

pytestmark = needs_sendmail

HARVESTER = "127.1.1.1"


def hidden(client, count, first=1):
    """Recipients that Sendmail's access map refuses: it tells the milter only how many."""
    replies = [client.rcpt(f"hidden{number}@example.test") for number in range(first, first + count)]
    assert [reply.code for reply in replies] == [550] * count, replies
    assert_at_once(*replies)


def hidden_counts(site):
    lines = [line for line in site.daemon.log_lines() if line.startswith("reject:") and " code=hidden" in line]
    return [int(re.search(r" count=(\d+)", line)[1]) for line in lines]


def test_hidden_rejections_count_half_at_the_next_recipient():
    with Site("sendmail") as site, site.client(HARVESTER) as client:
        client.mail()
        hidden(client, 8)
        reply = client.rcpt(unknown(1))
        assert reply.code == 550
        assert_waited(reply)
        assert hidden_counts(site) == [8]


def test_hidden_rejections_are_counted_once():
    """4 shown and hidden ones between them: 3 + 2 / 2 is not yet 5, 4 + 2 / 2 is."""
    with Site("sendmail") as site, site.client(HARVESTER) as client:
        client.mail()
        assert_at_once(*harvest(client, 2))
        hidden(client, 2)
        assert_at_once(client.rcpt(unknown(3)))
        assert_waited(client.rcpt(unknown(4)))
        assert hidden_counts(site) == [2]


def test_relaying_denied_is_hidden_too():
    with Site("sendmail", {"hidden_weight": "1"}) as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(f"someone@elsewhere{n}.test") for n in range(4)]
        assert [reply.code for reply in replies] == [550] * 4
        assert_waited(client.rcpt(unknown(1)))
        assert hidden_counts(site) == [4]


def test_hidden_rejections_count_at_an_accepted_recipient_and_at_data():
    with Site("sendmail", {"good_credit": "0"}) as site, site.client(HARVESTER) as client:
        client.mail()
        hidden(client, 6)
        accepted = client.rcpt(good())
        assert accepted.code == 250
        assert_at_once(accepted)
        hidden(client, 4, first=7)
        data = client.data()
        assert data.code == 354
        assert_waited(data)
        assert hidden_counts(site) == [6, 4]
        assert client.body().code == 250


def test_each_message_begins_a_new_count():
    with Site("sendmail", {"good_credit": "0"}) as site, site.client(HARVESTER) as client:
        for _ in range(2):
            client.mail()
            hidden(client, 3)
            assert_at_once(client.rcpt(good()))
            client.rset()
        assert hidden_counts(site) == [3, 3]
        client.mail()
        hidden(client, 4)
        assert_waited(client.rcpt(good()))


def test_hidden_rejections_of_an_innocent_are_outweighed_by_its_good_recipients():
    with Site("sendmail") as site, site.client(HARVESTER) as client:
        client.mail()
        for number in range(1, 9):
            hidden(client, 2, first=2 * number)
            assert_at_once(client.rcpt(good(number)))
        assert_at_once(client.data())


def test_hidden_weight_zero_where_sendmail_greylists():
    """A 450 of its own access map is hidden too, and only counted: there is no code to tell it by."""
    with Site("sendmail", {"hidden_weight": "0"}) as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(f"grey{number}@example.test") for number in range(1, 21)]
        assert [reply.code for reply in replies] == [450] * 20
        assert_at_once(client.rcpt(unknown(1)), client.rcpt(good()), client.data())


def test_exempt_recipient_still_tells_of_hidden_ones():
    """They are not its own: only the RCPT for postmaster itself is left alone."""
    with Site("sendmail") as site, site.client(HARVESTER) as client:
        client.mail()
        hidden(client, 10)
        assert_at_once(client.rcpt("postmaster@example.test"))
        assert_waited(client.data())


def test_flagged_session_too_many_is_closed_at_a_rejected_recipient():
    """Sendmail heeds a 421 there, after its own 550."""
    with Site("sendmail", {"max_flagged_sessions": "1"}) as site:
        with site.client(HARVESTER) as first, site.client(HARVESTER) as second:
            second.mail()
            replies = harvest(second, 5)
            assert [reply.code for reply in replies] == [550] * 5
            assert second.rcpt(unknown(6)).code in (0, 421)
            assert first.mail().code == 250
        site.daemon.wait_for(rf"^defer: client={HARVESTER} .*stage=RCPT.*reason=sessions", 2)


def test_delay_is_cut_to_what_sendmail_waits():
    """mta_timeout = auto knows it for a Sendmail, whose filters have 10 seconds for a command unless told otherwise."""
    with Site("sendmail", {"delay_min": "20s", "delay_max": "20s"}, timeouts="S:10s;R:10s") as site:
        with site.client(HARVESTER) as client:
            client.mail()
            reply = harvest(client, 5)[4]
            assert reply.code == 550
            assert 7.7 <= reply.seconds < 10, reply
            accepted = client.rcpt("postmaster@example.test")
            assert accepted.code == 250, "Sendmail has given up on the milter"
            assert_at_once(accepted)
