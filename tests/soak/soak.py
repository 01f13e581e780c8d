# SPDX-License-Identifier: BSD-2-Clause
"""Mixed traffic for an hour, with something going wrong every minute: does the daemon grow, forget, or miscount?

    /usr/bin/python3 tests/soak/soak.py [--seconds 3600] [--rate 200] [--round 60]

TARPIT_MILTER names the program; without it, build/tarpit-milter. Prints a line a round and a verdict; exit status 1
if anything is wrong. Each round ends with a pause, in which there is no session: then all counters must add up.
On a machine that has no time for it (see load) callbacks are late."""

import argparse
import asyncio
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.daemon import PATIENCE, Daemon, is_sanitized  # noqa: E402
from support.memcached import Memcached  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.swarm import OPTIONS, Swarm  # noqa: E402
from support.trouble import GOOD, Trouble  # noqa: E402
from support.upkeep import Holdings, faults_of_books, faults_of_metrics, faults_of_status  # noqa: E402

DELAY_MAX_SECONDS = 1.0
# What may come on top of the longest delay, on a small machine that does other things too.
SLACK_SECONDS = 3.0 * PATIENCE
SETTINGS = {**OPTIONS, "window": "1m", "delay_max": "1s", "max_stalls": "100", "max_flagged_sessions": "3",
            "stall_at": "{connect, helo, mail, rcpt, data}", "memory_clients": "1000", "log_level": "notice"}
# Rounds until the store is full, and all arenas and connections are there; and how much more there may be at the end.
WARM_UP_ROUNDS = 10
ROUNDS_FOR_MEMORY = 20
GROWTH = 0.05
GROWTH_KB = 2048
# Beyond those of the first rounds: connections to memcached are made as they are needed.
MORE_DESCRIPTORS = 10
MORE_THREADS = 2
SETTLE_SECONDS = 10 * PATIENCE


class Soak:
    def __init__(self, daemon, memcached, metrics_port, round_seconds, rate):
        self.daemon = daemon
        self.swarm = Swarm(daemon.address)
        self.trouble = Trouble(daemon, memcached, self.swarm, metrics_port, min(1.0, round_seconds / 60))
        self._round_seconds, self._rate = round_seconds, rate
        self._rows = []
        self.faults = []
        self.slowest = 0.0

    async def run(self, seconds):
        end = time.monotonic() + seconds
        print(f"{'round':>6} {'sessions':>9} {'a second':>8} {'callbacks':>9} {'honest p99':>10} {'longest':>9} "
              f"{'slowest':>8} {'rejects':>8} {'stalls':>7} {'421':>6} {'RSS kB':>7} {'thr':>4} {'fds':>4} {'CPU':>5} "
              f"{'load':>5}  trouble", flush=True)
        while time.monotonic() < end:
            await self._round()
        self._judge_growth()
        self.faults += [*self.swarm.books.wrong, *self.trouble.wrong]

    async def _round(self):
        books = self.swarm.books
        began, opened, answers = time.monotonic(), books.opened, books.answers
        traffic = asyncio.create_task(self.swarm.run(self._rate, 0.93 * self._round_seconds))
        beside = asyncio.create_task(self._look_on(traffic))
        what = await self.trouble.next()
        await traffic
        await beside
        if not await self.swarm.drain():
            self._blame(f"{self.swarm.open} sessions do not end")
        status = await self._settle()
        held = Holdings.of(self.daemon.pid)
        await self._check(status)
        (_, _, p99, longest), slowest = books.take_seconds()
        self.slowest = max(self.slowest, slowest)
        if slowest > DELAY_MAX_SECONDS + SLACK_SECONDS:
            self._blame(f"a callback took {slowest:.2f} s")
        self._rows.append(held)
        counters = status["counters"]
        print(f"{len(self._rows):>6} {books.opened:>9} {(books.opened - opened) / (time.monotonic() - began):>8.0f} "
              f"{books.answers - answers:>9} {1000 * p99:>7.1f} ms {1000 * longest:>6.0f} ms {slowest:>6.2f} s "
              f"{counters['rejects']:>8} {counters['stalls_begun']:>7} {counters['deferred']:>6} {held.rss_kb:>7} "
              f"{held.threads:>4} {held.descriptors:>4} {held.cpu_seconds:>5.0f} "
              f"{os.getloadavg()[0]:>5.1f}  {what}", flush=True)

    async def _look_on(self, traffic):
        """A scrape and a status every few seconds, and an eye on who is never answered."""
        while not traffic.done():
            await asyncio.sleep(min(5, self._round_seconds / 5))
            self.swarm.look_for_the_lost()
            try:
                await self.trouble.scrape()
            except OSError as error:
                self._blame(f"no page of metrics: {error}")
            await self.trouble.status()

    async def _settle(self):
        """The status once the daemon has noticed that all have gone, or after a while."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            status = await self.trouble.status()
            if not faults_of_status(status) or time.monotonic() > end:
                # Workers of libmilter that have become too many end, and what memcached is owed is paid.
                await asyncio.sleep(0.01 * self._round_seconds)
                return status
            await asyncio.sleep(0.1)

    async def _check(self, status):
        counters = status["counters"]
        for fault in (*faults_of_status(status), *faults_of_books(self.swarm.books, counters),
                      *faults_of_metrics(await self.trouble.scrape(), counters)):
            self._blame(fault)
        # HUPs that come together are one.
        if counters["reloads_failed"] > self.trouble.faulty_reloads or counters["reloads"] > self.trouble.reloads:
            self._blame(f"{counters['reloads']} reloads, {counters['reloads_failed']} failed")
        if counters["flagged_by_hand"] != self.trouble.by_hand:
            self._blame(f"{counters['flagged_by_hand']} flagged by hand, not {self.trouble.by_hand}")
        self.daemon.check()

    def _blame(self, text):
        self.faults.append(f"round {len(self._rows) + 1}: {text}")
        print(f"       {self.faults[-1]}", flush=True)

    def _judge_growth(self):
        """The second half of the rounds against the first after the warm-up, for a peak is no growth."""
        rows = self._rows[min(WARM_UP_ROUNDS, len(self._rows) // 2):]
        early, late = rows[:(len(rows) + 1) // 2], rows[len(rows) // 2:]
        bounds = {"threads": MORE_THREADS, "descriptors": MORE_DESCRIPTORS}
        # Sanitizers keep what was freed for a while.
        if len(self._rows) >= ROUNDS_FOR_MEMORY and not is_sanitized():
            bounds["rss_kb"] = max(GROWTH_KB, int(GROWTH * early[0].rss_kb))
        for name, more in bounds.items():
            before, after = ([getattr(row, name) for row in part] for part in (early, late))
            print(f"{name}: {min(before)} to {max(before)} in the first half, {min(after)} to {max(after)} in the second")
            if min(after) > max(before) + more // 2 or max(after) > max(before) + more:
                self._blame(f"{name} grows: {before} {after}")


def soak(seconds, rate, round_seconds):
    """The faults found."""
    port = free_port()
    options = {**SETTINGS, "metrics_listen": f"127.0.0.1:{port}"}
    with Memcached() as memcached:
        with Daemon({**options, **memcached.options}, GOOD, control=True) as daemon:
            hour = Soak(daemon, memcached, port, round_seconds, rate)
            asyncio.run(hour.run(seconds))
            lines = daemon.log_lines()
            print(f"{len(lines)} lines of log; warnings by kind:")
            for event in ("limits", "mta", "store", "control", "reload"):
                print(f"  {event:<10}{len(daemon.log_lines(event))}")
            print(f"stopped within {daemon.stop():.2f} s")
    print(f"sessions by kind: {dict(hour.swarm.books.kinds)}; {hour.swarm.books.hung_up} hung up in mid-stall, "
          f"{hour.swarm.held_back} held back; {hour.swarm.books.callbacks} callbacks, "
          f"{hour.swarm.books.lost} unanswered; the slowest took {hour.slowest:.2f} s")
    return hour.faults


def main():
    parser = argparse.ArgumentParser(prog="tests/soak/soak.py")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--rate", type=int, default=200, help="new sessions a second")
    parser.add_argument("--round", type=float, default=60, help="seconds from one trouble to the next")
    arguments = parser.parse_args()
    faults = soak(arguments.seconds, arguments.rate, arguments.round)
    print("\n".join(faults))
    print(f"verdict: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
