#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a session costs the daemon: CPU time of its process and of its tarpit-stores, and the longest callback, for clients of several kinds.

    tests/bench/cpu_per_session.py [SESSIONS]

Figures of one run compare with each other; those of other runs or machines do not.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.daemon import Daemon  # noqa: E402
from support.memcached import Memcached  # noqa: E402
from support.milter import Session  # noqa: E402

RECIPIENTS = 2
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def converse(address, client, rejected):
    """One session with one message; what each callback took."""
    with Session(address, client) as session:
        replies = [session.greeting]
        if session.greeting.action == "continue":
            replies.append(session.mail())
            replies += [session.rcpt(f"user{n}@example.org", rejected=rejected) for n in range(RECIPIENTS)]
            replies.append(session.data())
            # The filter wants to know of the message's end where that earns something.
            if replies[-1].action == "continue":
                replies.append(session.eom())
        session.quit()
    return [reply.seconds for reply in replies]


def measure(name, options, client, sessions, rejected=None):
    with Daemon({"log_level": "notice", **options}) as daemon:
        converse(daemon.address, client, None)
        pids = [daemon.pid, *daemon.children()]
        before = sum(map(cpu_seconds, pids))
        waits = sorted(wait for _ in range(sessions) for wait in converse(daemon.address, client, rejected))
        cost = (sum(map(cpu_seconds, pids)) - before) / sessions * 1e6
    print(f"{name:34} {cost:9.0f} {waits[len(waits) // 2] * 1e6:9.0f} {waits[len(waits) * 99 // 100] * 1e6:9.0f}")


def main():
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    print(f"{sessions} sessions each, {RECIPIENTS} recipients\n")
    print(f"{'':34} {'CPU us':>9} {'callback us':>19}")
    print(f"{'':34} {'/session':>9} {'median':>9} {'p99':>9}")
    measure("exempt client", {}, "127.0.0.1", sessions)
    measure("clean client, memory", {}, "192.0.2.1", sessions)
    # The first two recipients count, the rest are repeats: the client stays below the threshold.
    measure("client that repeats, memory", {}, "192.0.2.1", sessions, "5.1.1")
    with Memcached() as memcached:
        measure("clean client, memcached", memcached.options, "192.0.2.1", sessions)
        measure("client that repeats, memcached", memcached.options, "192.0.2.1", sessions, "5.1.1")


if __name__ == "__main__":
    main()
