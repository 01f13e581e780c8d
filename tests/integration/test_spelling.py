# SPDX-License-Identifier: BSD-2-Clause
"""A recipient in many spellings: each MTA takes them for one user, and who spells so must gain nothing by it."""

import os
import time

from mtas import both_mtas, needs_postfix, needs_sendmail

from support.ctl import tarpitctl
from support.site import Site, assert_at_once, assert_waited, good, harvest, unknown

HARVESTER = "127.1.1.1"
# Longer than any address that is kept. Sendmail wants addresses of fewer than 256 characters.
PADDING = "x" * 520


def codes(replies):
    return [reply.code for reply in replies]


@needs_postfix
def test_padding_does_not_make_one_recipient_of_many():
    with Site("postfix") as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(f"({PADDING}){unknown(number)}") for number in range(1, 6)]
        assert codes(replies) == [550] * 5
        assert_at_once(*replies[:4])
        assert_waited(replies[4])
        assert [event["rcpt"] for event in site.daemon.events("reject")] == [unknown(n) for n in range(1, 6)]


@needs_postfix
def test_a_long_route_does_not_either():
    with Site("postfix") as site, site.client(HARVESTER) as client:
        client.mail()
        route = ",".join(f"@host{number}.example.test" for number in range(30))
        replies = [client.rcpt(f"{route}:{unknown(number)}") for number in range(1, 6)]
        assert codes(replies) == [550] * 5
        assert_waited(replies[4])


@both_mtas
def test_an_unknown_recipient_counts_once_in_any_plain_spelling(mta):
    with Site(mta) as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(spelling) for number in range(4) for spelling in (
            f"({number})nobody1@example.test", f"@x{number}.test:nobody1@example.test",
            '"nobody1"@example.test', "NoBody1 @ example.test.")]
        assert codes(replies) == [550] * 16
        assert_at_once(*replies)
        assert {event["rcpt"] for event in site.daemon.events("reject")} == {"nobody1@example.test"}


def credit_of(site, spellings):
    """Accepted recipients between unknown ones: what the last one of these counts as good."""
    with site.client(HARVESTER) as client:
        client.mail()
        harvest(client, 1)
        replies = [client.rcpt(spelling) for spelling in spellings]
        assert codes(replies) == [250] * len(spellings), replies
        harvest(client, 1, first=2)
    return float(site.daemon.events("reject")[-1]["good"])


@both_mtas
def test_a_mailbox_gives_credit_once(mta):
    spellings = [good(), *(f"({number}){good()}" for number in range(5)), '"good1"@example.test',
                 "good1 @ example . test.", "GOOD1@Example.Test", "@x.test:good1@example.test",
                 "@[192.0.2.1],@y.test:good1@example.test"]
    with Site(mta) as site:
        assert credit_of(site, spellings) == 1


@both_mtas
def test_what_an_mta_interprets_gives_no_credit(mta):
    spellings = ["good1%example.test", "good1%example.test@example.test", "example.test!good1@example.test",
                 "<good1@example.test>", "good1@example.test;", '"good1@example.test"', "good1@[127.0.0.1]"]
    with Site(mta) as site:
        assert credit_of(site, spellings) == 0


@needs_postfix
def test_nor_does_what_only_postfix_interprets():
    spellings = ["go\\od1@example.test", ",good1@example.test", "x:good1@example.test;", '"good1"@"example".test',
                 '""@example.test', "good1@[IPv6:0::1]"]
    with Site("postfix") as site:
        assert credit_of(site, spellings) == 0


@needs_postfix
def test_quoted_pairs_are_no_new_recipients():
    with Site("postfix") as site:
        assert credit_of(site, [good(), '"go\\od1"@example.test', '"\\g\\ood1"@example.test']) == 1


@both_mtas
def test_extensions_give_credit_once(mta):
    arguments = {"recipient_delimiter": "+"} if mta == "postfix" else {}
    with Site(mta, **arguments) as site:
        assert credit_of(site, [f"good1+{number}@example.test" for number in range(4)] + [good()]) == 1


@both_mtas
def test_an_exempt_mailbox_gives_no_credit_in_any_spelling(mta):
    arguments = {"recipient_delimiter": "+"} if mta == "postfix" else {}
    spellings = ["postmaster@example.test", "(1)postmaster@example.test", "postmaster+1@example.test",
                 '"postmaster"@example.test', "postmaster%example.test@example.test"]
    with Site(mta, **arguments) as site:
        assert credit_of(site, spellings) == 0


@both_mtas
def test_credit_for_one_mailbox_hides_no_harvest(mta):
    with Site(mta) as site, site.client(HARVESTER) as client:
        client.mail()
        replies = []
        for number in range(1, 8):
            client.rcpt(f"({number})postmaster@example.test")
            client.rcpt(f"({number}){good()}")
            replies.append(client.rcpt(unknown(number)))
        assert codes(replies) == [550] * 7
        assert_at_once(*replies[:6])
        assert_waited(replies[6])


@needs_sendmail
def test_a_route_that_names_postmaster_is_not_postmaster():
    with Site("sendmail", {"good_credit": "0"}) as site, site.client(HARVESTER) as client:
        client.mail()
        replies = [client.rcpt(f"@(:postmaster@)x.test:nobody{number}") for number in range(1, 6)]
        assert codes(replies) == [550] * 5
        assert_at_once(*replies[:4])
        assert_waited(replies[4])
        for route in "@(:postmaster@)x.test", "@[1:postmaster@2]", '@"a:postmaster@b"':
            assert_waited(client.rcpt(f"{route}:good1@example.test"))
        assert_at_once(client.rcpt("@(:nobody@)x.test:postmaster"), client.rcpt("postmaster@example.test"))


@needs_postfix
def test_case_folding_gives_no_credit():
    """U+017F, a long s, is an s for Postfix, and one of its own for who compares bytes."""
    with Site("postfix", smtputf8_enable="yes") as site, site.client(HARVESTER) as client:
        assert client.command("MAIL FROM:<someone@client.example> SMTPUTF8").code == 250
        harvest(client, 1)
        for spelling in "po\u017ftmaster@example.test", "postma\u017fter@example.test", "good1@example.te\u017ft":
            assert client.rcpt(spelling).code == 250
        harvest(client, 1, first=2)
        assert float(site.daemon.events("reject")[-1]["good"]) == 0


@both_mtas
def test_replay_takes_them_for_the_same_recipients(mta, tmp_path):
    """What Postfix logs is its own normal form, what Sendmail logs is the client's spelling."""
    with Site(mta, {"delay_min": "100ms", "delay_max": "100ms"}) as site:
        with site.client("127.1.1.1") as client:
            client.mail()
            for number in range(1, 8):
                client.rcpt(f"({number})postmaster@example.test")
                client.rcpt(f'@x{number}.test:"good1"@example.test')
                client.rcpt(f"({number}){unknown(number)}")
                client.rcpt(f'"nobody{number}"@example.test')
            client.data()
            client.body()
            client.quit()
        for source, before in ("127.2.1.1", f"({PADDING})"), ("127.3.1.1", "@(:postmaster@)x.test:"):
            with site.client(source) as client:
                client.mail()
                for number in range(1, 8):
                    client.rcpt(f"{before}{unknown(number)}")
                client.quit()
        time.sleep(1)  # for what is delivered
        flags = [(flag["client"], float(flag["score"])) for flag in site.daemon.events("flag")]
        rejections = len(site.daemon.events("reject"))
        settings = [word.replace("-o", "--set") if word == "-o" else word for word in site.daemon.command[4:]]
        (tmp_path / "maillog").write_bytes(site.mta.log_file.read_bytes())
    assert len(flags) == 2
    found, = tarpitctl("--json", "replay", "-c", os.devnull, *settings, tmp_path / "maillog").json["configurations"]
    assert [(flag["client"], flag["score"]) for flag in found["flags"]] == flags
    assert found["rejected"] == rejections
