# SPDX-License-Identifier: BSD-2-Clause
"""The bounds of stalling, in front of the real Postfix and the real Sendmail."""

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from mtas import both_mtas

from support.daemon import PATIENCE
from support.site import Site, assert_at_once, assert_waited, good, harvest, unknown

HARVESTER = "127.1.1.1"
INNOCENT = "127.2.2.2"


def assert_deferred(reply, waited=1.0):
    """A 421, after which the MTA has closed the connection; kept back for that long."""
    assert reply.code == 421, reply
    if waited:
        assert_waited(reply, waited)
    else:
        assert_at_once(reply)


def count(site, regex):
    return len(re.findall(regex, "\n".join(site.daemon.log_lines()), re.M))


@both_mtas
def test_third_session_of_a_flagged_client_is_deferred_at_connect(mta):
    with Site(mta) as site:
        site.flag(HARVESTER)
        with site.client(HARVESTER) as first, site.client(HARVESTER) as second:
            assert [first.greeting.code, second.greeting.code] == [220, 220]
            with site.client(HARVESTER) as third:
                assert_deferred(third.greeting)
                assert third.command("NOOP").code == 0
            with site.client(INNOCENT) as other:
                assert other.greeting.code == 220
                assert_at_once(other.greeting, other.mail())
            site.daemon.wait_for(r"^defer: client=127\.1\.1\.1 .*stage=CONNECT.*reason=sessions", 2)
            second.quit()
            site.settle()
            with site.client(HARVESTER) as third:
                assert third.greeting.code == 220
                assert_waited(third.greeting)


@both_mtas
def test_fifty_connections_opened_before_keep_two_that_crawl(mta):
    with Site(mta) as site, contextlib.ExitStack() as stack, ThreadPoolExecutor(50) as pool:
        clients = [stack.enter_context(site.client(HARVESTER)) for _ in range(50)]
        clients[0].mail()
        assert_waited(harvest(clients[0], 5)[4])
        clients[0].rset()

        replies = list(pool.map(lambda client: client.mail(), clients))
        for reply in replies[:2]:
            assert reply.code == 250
            assert_waited(reply)
        # Half of the budget is for that, and for those two.
        kept_back = sorted(replies[2:], key=lambda reply: reply.seconds)
        for reply in kept_back[:28]:
            assert_deferred(reply, waited=0)
        for reply in kept_back[30:]:
            assert_deferred(reply)
        with site.client(HARVESTER) as new:
            assert_deferred(new.greeting)
        with site.client(INNOCENT) as other:
            assert_at_once(other.greeting, other.mail(), other.rcpt(good()))


@both_mtas
def test_hundred_flagged_clients_and_a_budget_of_forty(mta):
    sources = [f"127.7.{n}.1" for n in range(100)]
    more_processes = {"default_process_limit": "250"} if mta == "postfix" else {}
    # All hundred must be there before the first of them has waited.
    options = {"delay_min": "7s", "delay_max": "7s", "stall_at": "{connect}"}
    with Site(mta, options, **more_processes) as site, \
            ThreadPoolExecutor(len(sources)) as pool, contextlib.ExitStack() as stack:
        site.flag_all(sources)
        futures = [pool.submit(site.client, source) for source in sources]
        # An eighth of the budget is kept for RCPT.
        site.daemon.wait_for(r"^stall: .*stage=CONNECT.* active=35", 7)
        with site.client(INNOCENT) as other:
            replies = other.greeting, other.mail(), other.rcpt(good()), other.data(), other.body()
            if PATIENCE == 1:
                assert_at_once(*replies)
            # Beside other tests, all with sanitizers, a hundred processes start: far less than their wait is at once.
            assert max(reply.seconds for reply in replies) < 3.5
        greetings = [stack.enter_context(future.result()).greeting for future in futures]
        assert sorted(greeting.code for greeting in greetings) == [220] * 35 + [421] * 65
        for greeting in greetings:
            if greeting.code == 220:
                assert_waited(greeting, 7)
        assert count(site, r"^defer: .*stage=CONNECT.*reason=budget") == 65


@both_mtas
def test_budget_used_up_may_let_pass(mta):
    options = {"max_stalls": "1", "when_full": "pass", "delay_min": "3s", "delay_max": "3s", "stall_at": "{connect}"}
    with Site(mta, options) as site, ThreadPoolExecutor(1) as pool:
        site.flag_all(["127.3.3.3", "127.4.4.4"])
        waiting = pool.submit(site.client, "127.3.3.3")
        site.daemon.wait_for(r"^stall: client=127\.3\.3\.3 .*stage=CONNECT", 5)
        with site.client("127.4.4.4") as client:
            assert client.greeting.code == 220
            assert_at_once(client.greeting)
        site.daemon.wait_for(r"^pass: client=127\.4\.4\.4 .*reason=budget", 2)
        with waiting.result() as client:
            assert_waited(client.greeting, 3)


@both_mtas
@pytest.mark.parametrize("how", ["close", "reset"])
def test_hang_up_in_a_stall_gives_the_slot_back(mta, how):
    with Site(mta, {"max_stalls": "1"}) as site:
        site.flag_all(["127.3.3.3", "127.4.4.4"])
        leaver = site.client("127.3.3.3")
        leaver.write(["MAIL FROM:<a@b.test>"])
        site.daemon.wait_for(r"^stall: client=127\.3\.3\.3 .*stage=MAIL", 5)
        getattr(leaver, how)()
        site.daemon.wait_for(r"^release: client=127\.3\.3\.3 .*stage=MAIL", 5)
        with site.client("127.4.4.4") as client:
            assert client.greeting.code == 220
            assert_waited(client.greeting)
        with site.client(INNOCENT) as other:
            assert_at_once(other.greeting, other.mail())


@both_mtas
def test_pipelined_recipients_stay_under_the_bound_of_the_transaction(mta):
    """All the replies come together, so it is their sum that the client waits for; then a new sum begins."""
    with Site(mta, {"max_stall_per_transaction": "2500ms"}) as site:
        site.flag(HARVESTER)
        with site.client(HARVESTER) as client:
            replies = client.pipeline(["MAIL FROM:<a@b.test>", *[f"RCPT TO:<{unknown(n)}>" for n in range(1, 16)]])
            assert [reply.code for reply in replies] == [250] + [550] * 15
            assert_waited(replies[-1], 2.5)
            assert count(site, rf"^pass: client={HARVESTER} .*reason=transaction-limit") >= 1
            client.rset()
            assert_waited(client.mail())


@both_mtas
def test_bound_of_the_session(mta):
    with Site(mta, {"max_stall_per_session": "2s"}) as site:
        site.flag(HARVESTER)
        with site.client(HARVESTER) as client:
            assert_waited(client.greeting)
            mail = client.mail()
            # What is left of the session's two seconds; a busy machine may have taken more than one of them.
            waited_ms = int(site.daemon.events("release", client=HARVESTER, stage="CONNECT")[-1]["waited_ms"])
            delay_ms = int(site.daemon.events("stall", client=HARVESTER, stage="MAIL")[-1]["delay_ms"])
            assert delay_ms == 2000 - waited_ms
            assert_waited(mail, delay_ms / 1000)
            client.rset()
            assert_at_once(client.mail(), client.rcpt(unknown(1)), client.rcpt(unknown(2)))
            site.daemon.wait_for(rf"^pass: client={HARVESTER} .*reason=session-limit", 2)
        with site.client(HARVESTER) as client:
            assert_waited(client.greeting)


@both_mtas
def test_stop_in_the_middle_of_stalls_answers_all(mta):
    sources = [f"127.7.{n}.1" for n in range(6)]
    with Site(mta, {"delay_min": "6s", "delay_max": "6s"}) as site, ThreadPoolExecutor(len(sources)) as pool:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(site.client(source)) for source in sources]
            for client in clients:
                client.mail()
                assert_at_once(*harvest(client, 4))
            futures = [pool.submit(client.rcpt, unknown(5)) for client in clients]
            site.daemon.wait_for(r"^stall: .*active=6", 5)
            site.daemon.stop()
            replies = [future.result() for future in futures]
            assert [reply.code for reply in replies] == [550] * 6
            assert all(reply.seconds < 5 for reply in replies), replies
