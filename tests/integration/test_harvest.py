# SPDX-License-Identifier: BSD-2-Clause
"""Harvesters that know this program, in front of the real Postfix and the real Sendmail: how many users they get."""

import contextlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from mtas import both_mtas, needs_postfix, needs_sendmail

from support.site import Site, unknown

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
SECONDS = 15
HARVESTER = "127.1.1.1"


def site_of(mta, options=None, **arguments):
    return Site(mta, {**SHORT, **(options or {})}, **(AS_SHIPPED if mta == "postfix" else {}), **arguments)


# A reply that nobody delays takes less. The last wait before a limit may be short, too.
FREE_SECONDS = 0.05


class Harvest:
    """Sessions of a harvester, and what they get in so many seconds: how long each answer to a RCPT took.

    A parting answer is one after which the connection is closed: what becomes at Sendmail of a 421 to a recipient that
    it has rejected."""

    def __init__(self, site, seconds=SECONDS):
        self.site = site
        self.waited = []
        self.free = []
        self.parting = 0
        self.refused = 0
        self._numbers = itertools.count(1)
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
    """On one connection after the other."""
    with site_of(mta) as site:
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
