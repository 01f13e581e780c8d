# SPDX-License-Identifier: BSD-2-Clause
"""What the tests over the raw protocol have in common: settings with short exact delays, and what a reply must be."""

import contextlib
import os
import time

from support.daemon import PATIENCE, Daemon
from support.milter import Session, offend

DELAY = 0.6
OPTIONS = {"delay_min": "600ms", "delay_max": "600ms", "jitter": "0"}
# Where only MAIL is stalled, a client can be flagged without a wait.
AT_MAIL = {**OPTIONS, "stall_at": "{mail}"}

# What a reply may take that nobody delays, and how late one may be that is delayed, on a small machine that does
# other things too.
AT_ONCE_SECONDS = 0.5 if PATIENCE == 1 else 1.5
LATE_SECONDS = 2.0 * PATIENCE


def daemon_with(*options, **arguments):
    """A daemon with OPTIONS and these."""
    merged = dict(OPTIONS)
    for more in options:
        merged.update(more)
    return Daemon(merged, **arguments)


def assert_at_once(*replies, action="continue"):
    for reply in replies:
        assert reply.action == action, reply
        assert reply.seconds < AT_ONCE_SECONDS, reply


def assert_waited(reply, seconds=DELAY):
    assert reply.action == "continue", reply
    assert 0.99 * seconds <= reply.seconds < seconds + LATE_SECONDS, reply


def assert_delivered(session, **macros):
    """A message to recipients that may earn credit: the filter wants to know of its end, and nothing before."""
    data, end = session.deliver(**macros)
    assert_at_once(data)
    assert_at_once(end, action="accept")


def assert_deferred(*replies, waited=0):
    """waited: the seconds for which the 421 was kept back, where there is room for that."""
    for reply in replies:
        assert reply.is_deferral and reply.text.startswith("421 4.7.0 "), reply
        assert 0.97 * waited <= reply.seconds < waited + AT_ONCE_SECONDS, reply


def flag(daemon, *clients, **arguments):
    """Makes offenders of these clients; without a wait if RCPT is not stalled."""
    for client in clients:
        offend(daemon.address, client, **arguments)


def is_slowed(daemon, client, **arguments):
    """Whether that client's next MAIL waits."""
    with Session(daemon.address, client, **arguments) as session:
        reply = session.greet()
        session.quit()
    assert reply.action == "continue", reply
    return bool(daemon.events("stall", client=client, stage="MAIL")) and reply.seconds >= 0.99 * DELAY


def wait_until(is_so, seconds=5.0 * PATIENCE):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)


def takes_connections(daemon):
    """Its socket is there a moment before."""
    try:
        Session(daemon.address, negotiate=False).close()
    except OSError:
        return False
    return True


def status_of(pid):
    """What /proc says of each thread: {key: value} of each."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found
