# SPDX-License-Identifier: BSD-2-Clause
"""Harvesters that know this program, in front of the real Postfix and the real Sendmail: how many users they get."""

import contextlib
import itertools
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import wait_until
from mtas import both_mtas, needs_postfix

from support.control import ask
from support.site import Site, assert_waited, good, harvest as ask_many, unknown

# It is about what the MTAs make of answers and times; the program's own code is run by all the others, too.
pytestmark = pytest.mark.plain

DELAY = 0.3
PASS_LIMIT = 20
# Delays and limits in proportion to each other as the defaults are, but a hundredth as long.
SHORT = {"delay_min": "300ms", "delay_max": "300ms", "pass_limit": str(PASS_LIMIT),
         "max_stall_per_transaction": "2s", "max_stall_per_session": "5s"}
# Postfix's own limits of a session are as it is shipped, so that a harvester has to evade them.
AS_SHIPPED = {"smtpd_soft_error_limit": "10", "smtpd_hard_error_limit": "20"}
# Replies before the flag, which nobody delays, and the few that sessions race for at a limit.
BEFORE = 5
RACES = 3
SECONDS = 10
HARVESTER = "127.1.1.1"


def site_of(mta, **options):
    return Site(mta, {**SHORT, **options}, **(AS_SHIPPED if mta == "postfix" else {}))


# A reply that nobody delays takes less. The last wait before a limit may be short, too.
FREE_SECONDS = 0.05


class Harvest:
    """Sessions of a harvester, and what they get in so many seconds: how long each answer to a RCPT took.

    A parting answer is one after which the connection is closed: what becomes at Sendmail of a 421 to a recipient that
    it has rejected."""

    def __init__(self, site, seconds=SECONDS, first=1):
        self.site = site
        self.waited = []
        self.free = []
        self.parting = 0
        self.refused = 0
        self._numbers = itertools.count(first)
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def goes_on(self):
        return time.monotonic() < self._end

    def run(self, ways):
        """Each way in a thread of its own, again and again."""
        def repeat(way):
            while self.goes_on:
                with contextlib.suppress(OSError):
                    way()

        with ThreadPoolExecutor(len(ways)) as pool:
            for future in [pool.submit(repeat, way) for way in ways]:
                future.result()
        return self

    @contextlib.contextmanager
    def session(self, source, **arguments):
        """None where it is refused."""
        client = self.site.client(source, timeout=10, **arguments)
        try:
            self.note(client.greeting)
            yield client if client.is_open else None
        finally:
            client.close()

    def note(self, reply):
        if reply.code in (0, 421):
            self.refused += 1
            # A loop without this would be a test of the MTA's connection rate.
            time.sleep(0.02)
        return reply

    def ask(self, client, count=1):
        """Asks for so many new users. False once the session is over."""
        answer = None
        for _ in range(count):
            reply = self.note(client.rcpt(unknown(next(self._numbers))))
            if reply.code == 0 and answer in self.free:
                self.free.remove(answer)
                self.parting += 1
            if reply.code != 550:
                return False
            answer = reply.seconds
            (self.free if answer < FREE_SECONDS else self.waited).append(answer)
            if not self.goes_on:
                return False
        return True

    def users_an_hour(self):
        """What this would be with the defaults: delays of 20 s, a pass_limit of 100 in four hours."""
        delays = self._seconds / DELAY
        passed = max(len(self.free) - BEFORE, 0)
        return (len(self.waited) + self.parting) / delays * 180 + passed / PASS_LIMIT * 25

    def __str__(self):
        return (f"{len(self.waited)} answers after a wait, {len(self.free)} without, {self.parting} partings, "
                f"{self.refused} refusals: {self.users_an_hour():.0f} users an hour with the defaults")


def patient(harvest, source, **arguments):
    """A mail to postmaster after every nine errors: Postfix never hangs up on it."""
    with harvest.session(source, **arguments) as client:
        while client and client.is_open and harvest.goes_on:
            if harvest.note(client.mail()).code != 250 or not harvest.ask(client, 9):
                break
            if client.rcpt("postmaster@example.test").code == 250 and client.data().code == 354:
                client.body()


def endless(harvest, source, **arguments):
    """One transaction with as many recipients as one gets answers to."""
    with harvest.session(source, **arguments) as client:
        if client and harvest.note(client.mail()).code == 250:
            harvest.ask(client, 100000)


def assert_slow(harvest, most_free=BEFORE + PASS_LIMIT + RACES):
    print(harvest)
    assert len(harvest.free) <= most_free, str(harvest)
    assert harvest.users_an_hour() <= 400, str(harvest)
    # It was not kept out either: that would be another test.
    assert harvest.waited, str(harvest)


@both_mtas
@pytest.mark.parametrize("way", [patient, endless])
def test_patient_harvester(mta, way):
    """On one connection after the other. Where Postfix does not hang up on who makes errors, the delays go on."""
    with site_of(mta) if way is patient else Site(mta, SHORT) as site:
        harvest = Harvest(site)
        assert_slow(harvest.run([lambda: way(harvest, HARVESTER)]))


@both_mtas
def test_harvester_on_many_connections_at_once(mta):
    with site_of(mta) as site:
        harvest = Harvest(site)
        ways = [patient if number % 2 else endless for number in range(8)]
        # Six of eight may have been greeted before the flag, and each be answered once more by its end.
        assert_slow(harvest.run([lambda way=way: way(harvest, HARVESTER) for way in ways]),
                    BEFORE + PASS_LIMIT + RACES + len(ways))


CATCH_ALL = {"virtual_alias_domains": "virtual.test, catch-all.test",
             "virtual_alias_maps": "inline:{ {@catch-all.test=good1@example.test} }"}


@needs_postfix
@pytest.mark.parametrize("own", ["a%b.test@catch-all.test", "b.test!a@catch-all.test", '"a@b.test"@catch-all.test'])
def test_harvester_with_a_catch_all_domain_of_its_own_earns_ten_there(own):
    """Though it has a recipient rejected that only looks like one of that domain."""
    with Site("postfix", SHORT, **CATCH_ALL) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            assert client.rcpt(own).code == 554
            client.rset()
            assert client.send_message("me@client.example", [f"u{n}@catch-all.test" for n in range(60)]).code == 250
        harvest = Harvest(site, 3)
        endless(harvest, HARVESTER)
        print(harvest)
        assert 2 * 10 < len(harvest.free) <= 2 * 10 + BEFORE + PASS_LIMIT + RACES


# Many connections at once are in before anybody is flagged. Postfix can't be told to refuse a recipient, so each gets
# what its own limit allows; what counts is what comes then.

CONNECTIONS = 40
OF_A_SESSION = int(AS_SHIPPED["smtpd_hard_error_limit"])


def connections(site, sources):
    """So many at once, of these clients by turns: what they get at first, and what in the time after that."""
    ways = [patient if number % 2 else endless for number in range(CONNECTIONS)]
    spans = []
    for seconds in (5, SECONDS):
        harvest = Harvest(site, seconds, first=1000 * len(spans) + 1)
        spans.append(harvest.run([lambda way=way, source=source: way(harvest, source)
                                  for way, source in zip(ways, itertools.cycle(sources))]))
        print(harvest)
    return spans


@both_mtas
def test_harvester_that_has_delivered_a_mail_is_slow_all_the_same(mta):
    with site_of(mta) as site:
        assert deliver(site, HARVESTER).code == 250
        first, then = connections(site, [HARVESTER])
        assert len(first.free) <= BEFORE + 2 + PASS_LIMIT + CONNECTIONS, str(first)
        assert_slow(then, RACES)


@both_mtas
def test_network_of_harvesters_is_slow(mta):
    """All of it has a quarter of the budget, ten places."""
    with site_of(mta) as site:
        first, then = connections(site, [f"127.1.1.{number}" for number in range(1, 21)])
        assert len(first.free) <= CONNECTIONS * OF_A_SESSION, str(first)
        assert len(then.free) <= CONNECTIONS, str(then)
        assert then.waited, str(then)
        assert then.users_an_hour() <= 10 * 200, str(then)


# Honest senders

PAST = {"offences": '{"5.*.* 10"}', "pass_limit": "100"}
EVERYBODY = [f"good{n}@{domain}" for n in range(1, 51) for domain in ("example.test", "virtual.test")]


def deliver(site, source, recipients=(good(),)):
    with site.client(source) as client:
        return client.send_message("list@client.example", recipients)


def have_a_past(site, source):
    """So many dead recipients that no message makes up for them: 20, each of which counts as ten."""
    def some(first):
        with site.client(source) as client:
            client.mail()
            ask_many(client, 5, first)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(some, range(1, 21, 5)))
    site.settle()


@both_mtas
@pytest.mark.parametrize("has_credit", [False, True])
def test_long_list_of_a_flagged_sender_gets_through(mta, has_credit):
    """It waits as long as a transaction may, then a hundred recipients may pass."""
    with site_of(mta, **PAST) as site:
        if has_credit:
            assert deliver(site, HARVESTER).code == 250
        have_a_past(site, HARVESTER)
        with site.client(HARVESTER) as client:
            assert client.mail("list@client.example").code == 250
            began = time.monotonic()
            replies = [client.rcpt(recipient) for recipient in EVERYBODY]
            seconds = time.monotonic() - began
            assert [reply.code for reply in replies] == [250] * 100
            assert (client.data().code, client.body().code) == (354, 250)
        print(f"{seconds:.1f} s for a hundred recipients")
        assert 1.5 < seconds < 12


def flag_by_hand(site, *sources):
    for source in sources:
        assert ask(site.daemon, "flag", client=source)["ok"]


@both_mtas
def test_pipelined_list_of_who_sends_mail_is_answered_in_time(mta):
    """Whatever has passed before: all the replies come together, and no client waits for ever."""
    dead = ["dead@example.test", "dead@virtual.test"]
    with site_of(mta, **{**PAST, "pass_limit": "20"}) as site:
        assert deliver(site, HARVESTER, [*dead, *EVERYBODY]).code == 250
        have_a_past(site, HARVESTER)
        with site.client(HARVESTER) as client:
            for _ in range(2):
                replies = client.pipeline(["MAIL FROM:<list@client.example>",
                                           *[f"RCPT TO:<{recipient}>" for recipient in EVERYBODY[:30]], "RSET"])
                print(f"{replies[-1].seconds:.1f} s for thirty recipients")
        assert 1.5 < replies[-1].seconds < 2.0 + 2.0, "five minutes, at the defaults"


class Droppers:
    """Flagged clients that open connections and drop them, all the time: each holds its place until the delay ends."""

    def __init__(self, site, sources):
        self._site = site
        self._sources = sources
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._drop, args=(source,)) for source in sources for _ in range(2)]
        self.dropped = 0

    def __enter__(self):
        flag_by_hand(self._site, *self._sources)
        for thread in self._threads:
            thread.start()
        time.sleep(1.0)
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()
        print(f"{self.dropped} connections dropped")

    def _drop(self, source):
        while not self._end.is_set():
            with contextlib.suppress(OSError):
                with socket.create_connection(self._site.mta.address(), 10, (source, 0)):
                    time.sleep(0.05)
                self.dropped += 1
            time.sleep(0.2)


ELSEWHERE = "127.77.7.7"
IN_NETWORKS = [f"127.30.{n}.1" for n in range(20)]
IN_ONE = [f"127.31.1.{n}" for n in range(1, 21)]
LONG = {"delay_min": "1s", "delay_max": "1s", "max_stall_per_transaction": "20s", "max_stall_per_session": "50s"}


@both_mtas
@pytest.mark.parametrize("sources", [IN_NETWORKS, IN_ONE], ids=["networks", "one network"])
def test_clients_that_drop_connections_shut_nobody_out_who_delivers(mta, sources):
    with site_of(mta, **LONG) as site:
        assert deliver(site, ELSEWHERE).code == 250
        flag_by_hand(site, ELSEWHERE)
        with Droppers(site, sources):
            replies = [deliver(site, ELSEWHERE) for _ in range(3)]
            stranger = [deliver(site, f"127.78.{n}.8").code for n in range(3)]
        assert [reply.code for reply in replies] == [250] * 3, replies
        assert stranger == [250] * 3


@both_mtas
def test_a_network_that_drops_connections_shuts_nobody_out_elsewhere(mta):
    """It holds a quarter of the budget: nobody elsewhere is deferred, and a harvester waits."""
    with site_of(mta, **LONG) as site:
        site.flag(ELSEWHERE)
        with Droppers(site, IN_ONE):
            for number in range(4):
                with site.client(ELSEWHERE) as client:
                    replies = [client.greeting, client.mail(), client.rcpt(unknown(100 + number))]
                assert [reply.code for reply in replies] == [220, 250, 550], replies
                for reply in replies:
                    assert_waited(reply)


@both_mtas
def test_who_has_credit_is_not_deferred_for_what_has_passed(mta):
    options = {"delay_min": "3s", "delay_max": "3s", "max_stall_per_transaction": "3s", "pass_limit": "1",
               "max_stalls": "2"}
    with contextlib.ExitStack() as stack:
        oracle = Oracle(mta, stack, **options)
        assert deliver(oracle.site, HARVESTER).code == 250
        flag_by_hand(oracle.site, HARVESTER)
        with oracle.site.client(HARVESTER) as client:
            assert [client.mail().code, client.rcpt(good(1)).code, client.rset().code] == [250] * 3
        oracle.site.settle()
        oracle.fill(2, 1)
        with oracle.site.client(HARVESTER) as client:
            assert client.greeting.code == 220


REJECTS_SENDERS = {"smtpd_sender_restrictions": "reject_non_fqdn_sender"}


@needs_postfix
def test_catch_all_rejects_nobody_for_the_sender_that_was_given():
    """The domain's bound of ten must not fall because the sender, not the recipient, will not do."""
    with Site("postfix", SHORT, **CATCH_ALL, **REJECTS_SENDERS) as site:
        with site.client(HARVESTER) as client:
            client.mail("unqualified")
            assert client.rcpt("u@catch-all.test").code == 504
            client.rset()
            assert client.send_message("me@client.example", [f"u{n}@catch-all.test" for n in range(60)]).code == 250
        harvest = Harvest(site, 3)
        endless(harvest, HARVESTER)
        print(harvest)
        assert len(harvest.free) <= 2 * 10 + BEFORE + PASS_LIMIT + RACES


# What a wait or a refusal tells

PROBED = {"delay_min": "500ms", "delay_max": "500ms", "max_stall_per_transaction": "30s",
          "max_stall_per_session": "60s", "siege_threshold": "0"}
ROUNDS = 3


def offend(site, source, count=BEFORE, first=1):
    with site.client(source) as client:
        client.mail()
        ask_many(client, count, first)


class Oracle:
    """Sessions that a client may bring about, each of which has come as far as MAIL, and what it hears at RCPT then."""

    def __init__(self, mta, stack, **options):
        self.mta = mta
        self.stack = stack
        self.site = stack.enter_context(Site(mta, {**PROBED, **options}))
        self._addresses = itertools.count(1)

    def address(self):
        return f"127.60.{next(self._addresses)}.1"

    def begin(self, source):
        client = self.stack.enter_context(self.site.client(source))
        assert client.mail().code == 250
        return client

    def fill(self, count, each):
        """That many stalls of others, which are still there when the probe is over."""
        sources = [f"127.61.{n // each}.{n % each + 1}" for n in range(count)]
        for source in sources:
            flag_by_hand(self.site, source)
            connection = socket.create_connection(self.site.mta.address(), 10, (source, 0))
            self.stack.callback(connection.close)
        wait_until(lambda: self.site.daemon.status()["stalls"] == str(count))


def flagged(oracle):
    source = oracle.address()
    offend(oracle.site, source)
    return oracle.begin(source)


def flagged_by_hand(oracle):
    source = oracle.address()
    flag_by_hand(oracle.site, source)
    return oracle.begin(source)


def flagged_meanwhile(oracle):
    source = oracle.address()
    client = oracle.begin(source)
    offend(oracle.site, source)
    return client


def crowded(oracle):
    source = oracle.address()
    *_, client = [oracle.begin(source) for _ in range(3)]
    offend(oracle.site, source)
    return client


def at_the_limit(oracle):
    """At the same recipient again and again, which is one offence."""
    client = flagged(oracle)
    while client.rcpt(unknown(1)).seconds > 0.25:
        pass
    return client


def beyond_pass_limit(oracle):
    client = at_the_limit(oracle)
    client.rcpt(unknown(1))
    return client


def of_a_dirty_network(oracle):
    network = oracle.address().removesuffix(".1")
    for neighbour in range(5):
        offend(oracle.site, f"{network}.{neighbour + 100}", 4)
    offend(oracle.site, f"{network}.1", 1)
    return oracle.begin(f"{network}.1")


def in_a_siege(oracle):
    for number in range(4):
        offend(oracle.site, f"127.62.{number}.1", 4)
    oracle.site.daemon.wait_for("^siege: state=on", 5)
    source = oracle.address()
    offend(oracle.site, source, 1)
    return oracle.begin(source)


def with_credit(oracle):
    source = oracle.address()
    assert deliver(oracle.site, source).code == 250
    offend(oracle.site, source, 10)
    return oracle.begin(source)


LASTING = {"delay_min": "4s", "delay_max": "4s"}
TRANSACTION = {"max_stall_per_transaction": "1500ms"}
SESSION = {"max_stall_per_session": "1500ms"}
STATES = {
    "flagged": (flagged, {}), "by hand": (flagged_by_hand, {}), "meanwhile": (flagged_meanwhile, {}),
    "crowded": (crowded, {}), "with credit": (with_credit, {}),
    "transaction limit": (at_the_limit, TRANSACTION), "session limit": (at_the_limit, SESSION),
    "beyond at transaction limit": (beyond_pass_limit, {**TRANSACTION, "pass_limit": "2"}),
    "beyond at session limit": (beyond_pass_limit, {**SESSION, "pass_limit": "2"}),
    "dirty network": (of_a_dirty_network, {}),
    "siege": (in_a_siege, {"siege_threshold": "10", "siege_half_life": "1h"}),
    "budget full": (flagged_meanwhile, {**LASTING, "max_stalls": "2"}),
    "reserve only": (flagged_meanwhile, {**LASTING, "max_stalls": "16"}),
}
# How many stalls of others there are, and in each network.
OTHERS = {"budget full": (2, 1), "reserve only": (14, 4)}


def is_refused(client, reply):
    """421, or what Sendmail makes of one for a recipient that it has rejected: its 550, and it hangs up."""
    return reply.code == 421 or client.command("NOOP").code != 250


@both_mtas
@pytest.mark.parametrize("state", STATES)
def test_no_wait_and_no_refusal_tells_who_is_known(mta, state):
    """Both wait, or neither does; both are refused, or neither."""
    prepare, options = STATES[state]
    kinds = {"known": (good(), 250), "unknown": (unknown(999), 550)}
    heard = {name: [] for name in kinds}

    def probe(name, client):
        recipient, code = kinds[name]
        reply = client.rcpt(recipient)
        assert reply.code in (code, 421), reply
        heard[name].append((reply.seconds, is_refused(client, reply)))

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2 * ROUNDS) as pool:
        oracle = Oracle(mta, stack, **options)
        names = list(kinds) * (1 if state in OTHERS else ROUNDS)
        probes = list(zip(names, pool.map(prepare, [oracle] * len(names))))
        oracle.site.settle()
        if state in OTHERS:
            oracle.fill(*OTHERS[state])
        for future in [pool.submit(probe, *each) for each in probes]:
            future.result()
    seconds = {name: statistics.median(found[0] for found in all_found) for name, all_found in heard.items()}
    refused = {name: [found[1] for found in all_found] for name, all_found in heard.items()}
    is_slowed = max(seconds.values()) > 0.4 or any(map(any, refused.values()))
    passes = state in ("transaction limit", "session limit") or (mta, state) == ("postfix", "budget full")
    print(f"{mta}, {state}: {seconds['known']:.3f} s if known, {seconds['unknown']:.3f} s if not, refused: {refused}")
    # Nobody is asked twice while others hold the places, and what would tell there is a wait of four seconds.
    assert abs(seconds["known"] - seconds["unknown"]) < (1.0 if state in OTHERS else 0.25)
    assert set(refused["known"]) == set(refused["unknown"])
    assert is_slowed is not passes, "it was in another state"
