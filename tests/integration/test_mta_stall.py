# SPDX-License-Identifier: BSD-2-Clause
"""Who waits, when, and who does not: in front of the real Postfix and the real Sendmail."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from mtas import both_mtas

from support.site import Site, assert_at_once, assert_waited, good, harvest, unknown

HARVESTER = "127.1.1.1"
INNOCENT = "127.2.2.2"


def assert_unknown(*replies):
    """What the client reads is the MTA's own refusal."""
    for reply in replies:
        assert reply.code == 550 and "5.1.1" in reply.text and "nknown" in reply.text, reply


def assert_delivers_at_once(site, source=INNOCENT, **arguments):
    with site.client(source, **arguments) as client:
        steps = [client.greeting, client.mail(), client.rcpt(good()), client.data(), client.body()]
    assert [step.code for step in steps] == [220, 250, 250, 354, 250], steps
    assert_at_once(*steps)


@both_mtas
def test_fifth_unknown_recipient_and_all_after_it_wait(mta):
    with Site(mta) as site:
        with site.client(HARVESTER) as client:
            assert_at_once(client.greeting, client.mail())
            first = harvest(client, 4)
            assert_unknown(*first)
            assert_at_once(*first)
            fifth = client.rcpt(unknown(5))
            assert_unknown(fifth)
            assert_waited(fifth)

            assert_delivers_at_once(site)

            for reply in harvest(client, 2, first=6):
                assert_unknown(reply)
                assert_waited(reply)
            accepted = client.rcpt(good())
            assert accepted.code == 250
            assert_waited(accepted)
            data = client.data()
            assert data.code == 354
            assert_waited(data)
            assert client.body().code == 250
            again = client.mail()
            assert again.code == 250
            assert_waited(again)

        with site.client(HARVESTER) as client:
            assert client.greeting.code == 220
            assert_waited(client.greeting)
            assert_waited(client.mail())
            assert_waited(client.rcpt(unknown(1)))

        assert_delivers_at_once(site)
        site.mta.wait_for_log(r"to=<good1@example\.test>.*status=sent|to=/dev/null.*stat=Sent")


@both_mtas
def test_the_log_tells_the_story(mta):
    with Site(mta) as site:
        site.flag(HARVESTER)
        rejects = [line for line in site.daemon.log_lines() if line.startswith("reject:")]
        assert len(rejects) == 5
        for line in rejects:
            assert f"client={HARVESTER} " in line and " stage=RCPT " in line and " code=5.1.1 " in line, line
        assert " score=5.00 " in rejects[4] and "flagged=yes" in rejects[4], rejects
        for event in (rf"^flag: client={HARVESTER} .*delay_ms=1000", rf"^stall: client={HARVESTER} .*stage=RCPT",
                      rf"^release: client={HARVESTER} .*reason=elapsed"):
            site.daemon.wait_for(event, 5)


@both_mtas
def test_delay_grows_with_the_score(mta):
    """It doubles with each threshold's worth; the score from before a RCPT decides how long that one waits."""
    options = {"threshold": "2", "delay_min": "500ms", "delay_max": "4s"}
    with Site(mta, options) as site, site.client(HARVESTER) as client:
        client.mail()
        assert [reply.code for reply in harvest(client, 4)] == [550] * 4
        client.rset()
        assert client.mail().code == 250
        stalls = [line for line in site.daemon.log_lines() if line.startswith("stall:")]
        delays = [int(re.search(r"delay_ms=(\d+)", line)[1]) for line in stalls]
        assert delays[:2] == [500, 500] and 700 <= delays[2] <= 710 and delays[3] == 1000, stalls


@both_mtas
def test_the_same_recipient_counts_once(mta):
    with Site(mta) as site, site.client(HARVESTER) as client:
        client.mail()
        assert_at_once(*[client.rcpt(unknown(1)) for _ in range(8)])
        assert_at_once(*harvest(client, 3, first=2))
        assert_waited(client.rcpt(unknown(5)))


@both_mtas
def test_good_recipients_take_off_the_score(mta):
    """4 unknown, 1 good, then it takes 3 more: 7 - 2 = 5."""
    with Site(mta) as site, site.client(HARVESTER) as client:
        client.mail()
        harvest(client, 4)
        assert client.rcpt(good()).code == 250
        assert_at_once(*harvest(client, 2, first=5))
        assert_waited(client.rcpt(unknown(7)))


@both_mtas
def test_accepted_virtual_alias_recipients_never_count(mta):
    """Postfix shows them with {rcpt_mailer} = error, as it does the ones that it rejects."""
    with Site(mta, {"good_credit": "0"}) as site, site.client(HARVESTER) as client:
        client.mail()
        accepted = [client.rcpt(f"good{n}@virtual.test") for n in range(1, 13)]
        assert [reply.code for reply in accepted] == [250] * 12
        assert_at_once(*accepted)
        replies = [client.rcpt(f"nobody{n}@virtual.test") for n in range(1, 6)]
        assert_unknown(*replies)
        assert_at_once(*replies[:4])
        assert_waited(replies[4])


@both_mtas
def test_null_sender_counts_a_quarter(mta):
    with Site(mta) as site, site.client(HARVESTER) as client:
        client.mail("")
        replies = harvest(client, 20)
        assert_unknown(*replies)
        assert_at_once(*replies[:19])
        assert_waited(replies[19])


@both_mtas
def test_several_messages_and_greetings_in_one_session(mta):
    with Site(mta, {"good_credit": "0"}) as site, site.client(HARVESTER) as client:
        for message in range(2):
            client.mail()
            assert_at_once(*harvest(client, 2, first=2 * message + 1))
            assert client.rcpt(good()).code == 250
            assert client.data().code == 354
            assert client.body().code == 250
        assert_at_once(client.ehlo())
        client.mail()
        assert_waited(client.rcpt(unknown(5)))
        client.rset()
        assert_waited(client.mail())


@both_mtas
def test_stall_at_helo_only(mta):
    with Site(mta, {"stall_at": "{helo}"}) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            assert_at_once(*harvest(client, 6), client.rset())
            assert_waited(client.ehlo())
        with site.client(HARVESTER, ehlo=None) as client:
            assert_at_once(client.greeting)
            assert_waited(client.ehlo())
            assert_at_once(client.mail())


@both_mtas
def test_the_wait_does_not_tell_a_known_user_from_an_unknown_one(mta):
    """Two clients with the same score: what each next recipient is makes no difference to how long it waits."""
    with Site(mta, {"delay_max": "3s"}) as site:

        def wait_ms(probe):
            source, recipient, code = probe
            site.flag(source)
            with site.client(source) as client:
                client.mail()
                reply = client.rcpt(recipient)
            stalls = [line for line in site.daemon.log_lines() if line.startswith(f"stall: client={source} ")]
            delay_ms = int(re.search(r"delay_ms=(\d+)", stalls[-1])[1])
            assert reply.code == code
            assert_waited(reply, delay_ms / 1000)
            return delay_ms

        with ThreadPoolExecutor(2) as pool:
            known, unknown_user = pool.map(wait_ms, [(HARVESTER, good(), 250), ("127.3.3.3", unknown(99), 550)])
        assert known == unknown_user


@both_mtas
def test_observe_mode_waits_for_nobody(mta):
    with Site(mta, {"mode": "observe"}) as site:
        for _ in range(4):
            with site.client(HARVESTER) as client:
                assert_at_once(client.greeting, client.mail(), *harvest(client, 7), client.rcpt(good()), client.data())
        lines = "\n".join(site.daemon.log_lines())
        assert re.search(rf"^flag: client={HARVESTER} ", lines, re.M)
        assert re.search(rf"^pass: client={HARVESTER} .*reason=observe", lines, re.M)
        assert not re.search(r"^(stall|defer):", lines, re.M)


@both_mtas
@pytest.mark.parametrize("socket", ["unix", "inet", "inet6"])
@pytest.mark.parametrize("source", [HARVESTER, "::1"])
def test_over_every_kind_of_socket_and_address(mta, socket, source):
    with Site(mta, socket=socket) as site:
        with site.client(source) as client:
            client.mail()
            replies = harvest(client, 5)
            assert_at_once(*replies[:4])
            assert_waited(replies[4])
        assert any(line.startswith(f"flag: client={source} ") for line in site.daemon.log_lines())
        if source != "::1":
            assert_delivers_at_once(site)


@both_mtas
def test_mail_is_accepted_at_speed_beside_stalled_clients(mta):
    harvesters = [f"127.7.{n}.1" for n in range(12)]
    options = {"delay_min": "5s", "delay_max": "5s", "stall_at": "{connect}"}
    with Site(mta, options) as site, ThreadPoolExecutor(len(harvesters)) as pool:
        site.flag_all(harvesters)
        stalled = [pool.submit(site.client, source) for source in harvesters]
        site.daemon.wait_for(r"^stall: .*stage=CONNECT.*active=12", 5)
        for _ in range(3):
            assert_delivers_at_once(site)
        assert not any(future.done() for future in stalled), "the stalls were over before the mail was"
        for future in stalled:
            with future.result() as client:
                assert_waited(client.greeting, 5)
