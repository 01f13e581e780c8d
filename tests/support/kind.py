# SPDX-License-Identifier: BSD-2-Clause
"""What a kind of client is, and what most of them do: kinds.py has them all."""

import functools
from typing import Callable, NamedTuple

from support.postfix_log import Mail, Rcpt

MINUTE, HOUR, DAY = 60, 3600, 86400
DOMAINS = ["example.test", "sales.example.test", "example.org", "lists.example.org"]
NEVER, ALWAYS = (0, 0), (1, 1)


class Expected(NamedTuple):
    """Each bound is (least, most); None: any.

    flagged: the share of the kind's clients that are flagged at some time
    first: how many RCPTs of all of them had been rejected by the first flag, that one included
    own: the same for each flagged client and its own RCPTs; the median
    slowed: commands that would have waited, a client in the mean"""

    flagged: tuple
    first: tuple = None
    own: tuple = None
    slowed: tuple = None


class Kind(NamedTuple):
    """scene: writes what happens before, and returns when the kind may begin.
    write: writes its sessions from that moment on, and returns the addresses of its clients.
    before: what was found, in the order of Expected, with the arithmetic in which good recipients counted from the
    first offence on, and with RCPT already; empty where it had no such settings."""

    label: str
    honest: bool
    scene: Callable
    write: Callable
    expected: Expected
    settings: dict
    before: tuple


KINDS = {}


def alone(_):
    return 0


def kind(label, honest, flagged, first=None, own=None, slowed=None, settings=None, scene=alone, before=()):
    """Enters the function as the kind's write."""
    def enter(write):
        expected = Expected(flagged, first, own, slowed)
        KINDS[label] = Kind(label, honest, scene, write, expected, settings or {}, before)
        return write
    return enter


honest = functools.partial(kind, honest=True)
dishonest = functools.partial(kind, honest=False)


# Recipients


def good(number, domain=DOMAINS[0]):
    return Rcpt(f"user{number}@{domain}")


def dead(number, domain=DOMAINS[0], code="5.1.1"):
    return Rcpt(f"gone{number}@{domain}", code)


def addressees(log, count, share, domains=DOMAINS):
    """A list of distinct recipients, each of which is dead with that probability."""
    return [(dead if log.random.random() < share else good)(number, log.random.choice(domains))
            for number in log.random.sample(range(100000), count)]


def in_messages(log, recipients, most=5, **mail):
    """The list cut into transactions of one to so many recipients."""
    mails = []
    while recipients:
        size = log.random.randint(1, most)
        mails.append(Mail(recipients[:size], **mail))
        recipients = recipients[size:]
    return mails


def spread(log, begin, seconds, client, mails, **session):
    """One session for each mail, at random times."""
    for at, mail in zip(sorted(log.random.uniform(0, seconds) for _ in mails), mails):
        log.session(begin + at, client, [mail], **session)


def hosts(log, count, name="mail"):
    """Addresses, each in a network of its own, with their names."""
    return {log.address(): f"{name}{number}.sender.example" for number in range(1, count + 1)}


def one_by_one(log, count, begin, apart=HOUR):
    """Addresses, each in a network of its own, and when each begins: so far apart that they are no siege."""
    return [(log.address(), begin + number * apart) for number in range(count)]


def within(network, count, first=1):
    return [f"{network}.{number}" for number in range(first, first + count)]


def harvest(log, begin, client, count, pause=1, **session):
    """One session that asks for so many dead recipients and hangs up; when it has gone."""
    return log.session(begin, client, [Mail([dead(number) for number in log.random.sample(range(10**6), count)],
                                            end="hangup")], pause=pause, **session)


def ordinary_day(log):
    """A scene: a day of sixty senders, who now and then mistype a recipient."""
    for client, name in hosts(log, 60, "ordinary").items():
        spread(log, 0, DAY, client, in_messages(log, addressees(log, 12, 0.03), 2), host=name)
    return DAY


def botnet(log, begin, bots, probes, seconds):
    """Unrelated addresses, each of which comes once."""
    clients = [log.address() for _ in range(bots)]
    for number, client in enumerate(clients):
        harvest(log, begin + number * seconds / bots, client, probes)
    return clients


def siege(log):
    """A scene: after an ordinary day a botnet comes for an hour; a third of it has passed."""
    begin = ordinary_day(log)
    botnet(log, begin, 600, 1, HOUR)
    return begin + 20 * MINUTE
