# SPDX-License-Identifier: BSD-2-Clause
"""All that threads could race for, at once: sessions that stall and hang up, reloads every 50 ms, clients flagged and
forgiven while they wait, memcached stopped and killed, lists, metrics, reports. Then the books, and TERM in full load.

    /usr/bin/python3 tests/soak/stress.py [--seconds 60] [--rate 150]

TARPIT_MILTER names the program; one built with --enable-sanitizers=thread sees the races themselves."""

import argparse
import asyncio
import contextlib
import itertools
import os
import random
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.control import frame  # noqa: E402
from support.daemon import PATIENCE, Daemon  # noqa: E402
from support.memcached import Memcached  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.swarm import OPTIONS, TOLD, Swarm, boaster, harvester, honest, leaver, told  # noqa: E402
from support.trouble import FAULTY, GOOD, OTHER, Trouble  # noqa: E402
from support.upkeep import Holdings, faults_of_books, faults_of_metrics, faults_of_status  # noqa: E402

SETTINGS = {**OPTIONS, "window": "1m", "max_stalls": "100", "max_flagged_sessions": "3", "log_level": "debug",
            "stall_at": "{connect, helo, mail, rcpt, data}", "memory_clients": "200", "memcached_retry": "500ms"}
DELAYS = "delay_min = 100ms\ndelay_max = 800ms\n"
FILES = (DELAYS, DELAYS + "jitter = 50\nmax_stalls = 30\n", DELAYS + "mode = observe\n", FAULTY,
         DELAYS + "ipv4_prefix = 24\nwindow = 2m\n", DELAYS + "stall_at = {mail, rcpt}\ncount_distinct = no\n")
DELAY_MAX_SECONDS = 0.8
SHARES = {harvester: 40, leaver: 25, told: 10, honest: 20, boaster: 1}
SLACK_SECONDS = 5.0 * PATIENCE
# Connections to memcached come and go: 8 workers and a keeper.
MORE_DESCRIPTORS = 9
# Who has waited so long as TERM comes is in a stall, and gets its answer.
STALLED_SECONDS = 0.2


class Stress:
    def __init__(self, daemon, memcached, metrics_port):
        self.daemon, self.memcached = daemon, memcached
        self.swarm = Swarm(daemon.address, most_open=600, shares=SHARES)
        self.trouble = Trouble(daemon, memcached, self.swarm, metrics_port)
        self.done = dict.fromkeys(("reload", "command", "scrape", "report", "memcached", "burst"), 0)
        self.faults = []

    # Each of these goes on until it is cancelled.

    async def _reload(self):
        new = self.daemon.config_path + ".new"
        while True:
            with open(new, "w", encoding="utf-8") as file:
                file.write(random.choice(FILES))
            os.replace(new, self.daemon.config_path)
            self.daemon.signal(signal.SIGHUP)
            self.done["reload"] += 1
            await asyncio.sleep(0.05)

    async def _report(self):
        while True:
            self.daemon.signal(signal.SIGUSR1)
            self.done["report"] += 1
            await asyncio.sleep(0.03)

    async def _scrape(self):
        while True:
            page = await self.trouble.scrape()
            if "tarpit_uptime_seconds" not in page:
                self.faults.append(f"no page of metrics: {page[:100]}")
            self.done["scrape"] += 1
            await asyncio.sleep(0.05)

    async def _memcached(self):
        for number in itertools.count():
            await asyncio.sleep(random.uniform(0.2, 1.0))
            self.memcached.hang()
            await asyncio.sleep(random.uniform(0.02, 0.3))
            self.memcached.resume()
            if number % 3 == 2:
                self.memcached.kill()
                await asyncio.sleep(random.uniform(0.1, 1.0))
                await asyncio.to_thread(self.memcached.start)
            self.done["memcached"] += 1

    async def _administer(self):
        reader, writer = await asyncio.open_unix_connection(self.daemon.control_path)

        async def ask(command, **arguments):
            writer.write(frame({"command": command, **arguments}))
            length = struct.unpack(">I", await reader.readexactly(4))[0]
            self.done["command"] += 1
            return await reader.readexactly(length)

        try:
            while True:
                waiting = [peer.client for peer in self.swarm.waiting(0.02) if peer.client]
                for client in random.sample(waiting, min(5, len(waiting))):
                    await ask("forgive", client=client)
                    await ask("flag", client=client, duration_s=1)
                    await ask("show", client=client)
                await ask("flag", client=f"{TOLD}{random.randrange(20)}", duration_s=5)
                await ask("forgive", client=f"{TOLD}{random.randrange(20)}")
                for command in ("status", "stalls", "list", "reload"):
                    await ask(command)
                await asyncio.sleep(0.01)
        finally:
            writer.close()

    async def _burst(self):
        while True:
            await asyncio.sleep(3)
            for _ in range(150 // PATIENCE):
                self.swarm.start(harvester)
            self.done["burst"] += 1

    @contextlib.asynccontextmanager
    async def _all_at_once(self):
        tasks = [asyncio.create_task(each) for each in
                 (self._reload(), self._report(), self._scrape(), self._memcached(), self._administer(),
                  self._administer(), self._burst())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(result, asyncio.CancelledError) and not self.swarm.is_stopping:
                    self.faults.append(f"ended early: {result!r}")
            await asyncio.to_thread(self.memcached.restart)

    async def run(self, seconds, rate):
        await self.swarm.run(rate, 2)
        await self._drain()
        before = Holdings.of(self.daemon.pid)
        async with self._all_at_once():
            await self.swarm.run(rate, seconds)
            if not await self.swarm.drain():
                self.faults.append(f"{self.swarm.open} sessions do not end")
        self.daemon.write_config(GOOD + OTHER)
        await self._check(before)
        await self._stop_in_full_load(rate)

    async def _drain(self):
        """The status once the daemon has noticed that all have gone, or after a while."""
        if not await self.swarm.drain():
            self.faults.append(f"{self.swarm.open} sessions do not end")
        end = time.monotonic() + 5 * PATIENCE
        while True:
            status = await self.trouble.status()
            if not faults_of_status(status) or time.monotonic() > end:
                return status
            await asyncio.sleep(0.1)

    async def _check(self, before):
        status = await self._drain()
        after = Holdings.of(self.daemon.pid)
        counters = status["counters"]
        self.faults += [*faults_of_status(status), *faults_of_books(self.swarm.books, counters),
                        *faults_of_metrics(await self.trouble.scrape(), counters), *self.swarm.books.wrong]
        if after.descriptors > before.descriptors + MORE_DESCRIPTORS:
            self.faults.append(f"{after.descriptors} descriptors, {before.descriptors} before")
        if counters["reloads"] == 0 or counters["reloads_failed"] == 0 or counters["forgiven"] == 0:
            self.faults.append(f"too little happened: {counters}")
        self.daemon.check()
        print(f"{self.done}\n{dict(self.swarm.books.kinds)}\n{counters}")
        if self.swarm.books.slowest > DELAY_MAX_SECONDS + SLACK_SECONDS:
            self.faults.append(f"a callback took {self.swarm.books.slowest:.2f} s: {self.swarm.books.slowest_what}")
        print(f"before {before}\nafter  {after}\nslowest callback {self.swarm.books.slowest:.2f} s: "
              f"{self.swarm.books.slowest_what}", flush=True)

    async def _stop_in_full_load(self, rate):
        self.daemon.write_config("delay_min = 8s\ndelay_max = 10s\n")
        await self.trouble.tarpitctl("reload")
        traffic = asyncio.create_task(self.swarm.run(rate, 60))
        end = time.monotonic() + 5 * PATIENCE
        while len(self.swarm.waiting(STALLED_SECONDS)) < 50 and time.monotonic() < end:
            await asyncio.sleep(0.05)
        self.swarm.is_stopping = True
        stalled = [(peer, peer.waits_since) for peer in self.swarm.waiting(STALLED_SECONDS)]
        seconds = await asyncio.to_thread(self.daemon.stop)
        traffic.cancel()
        await self.swarm.drain()
        cut_off = [peer for peer, began in stalled if peer.cut_off == began]
        print(f"TERM: {len(stalled)} were stalled, {len(cut_off)} of them without an answer; gone in {seconds:.2f} s")
        if not stalled or cut_off:
            self.faults.append(f"of {len(stalled)} that were stalled {len(cut_off)} got no answer at the stop")


def stress(seconds, rate):
    """The faults found."""
    port = free_port()
    with Memcached() as memcached:
        options = {**SETTINGS, **memcached.options, "metrics_listen": f"127.0.0.1:{port}"}
        with Daemon(options, DELAYS, control=True) as daemon:
            test = Stress(daemon, memcached, port)
            asyncio.run(test.run(seconds, rate))
    return test.faults


def main():
    parser = argparse.ArgumentParser(prog="tests/soak/stress.py")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=150, help="new sessions a second")
    arguments = parser.parse_args()
    faults = stress(arguments.seconds, arguments.rate)
    print("\n".join(faults))
    print(f"verdict: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
