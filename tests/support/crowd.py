# SPDX-License-Identifier: BSD-2-Clause
"""Harvesters in number: many addresses with many connections each, in a process of their own.

One thread and an event loop, for they share the machine with the MTA that they press. Each connection behaves in one
of these ways, in turn; none lets up before it is stopped:
    patient  waits for every reply, asks for one recipient after the other, and calls again when it is hung up on
    hasty    hangs up after nine recipients, as one does who knows Postfix, or if a reply takes too long; calls again
    lazy     as patient, but idles for two seconds before each command
"""

import asyncio
import collections
import itertools
import json
import random
import signal
import subprocess
import sys
import time

STYLES = ("patient", "hasty")
ROUND_TRIP_SECONDS = 0.05   # how far away they are
HASTY_PROBES = 9
HASTY_SECONDS = 3.0
LAZY_SECONDS = 2.0
# What a reply may take at most: a stall is shorter, and so is an MTA that has no process free.
REPLY_SECONDS = 90


def sources(number, network="127.66"):
    """Addresses no two of which are in one /24: it is not their network that gives them away."""
    return [f"{network}.{n}.1" for n in range(1, number + 1)]


class Crowd:
    """with Crowd(mta.address(), sources(40), connections=5) as crowd: ... crowd.stop() -> what they got.

    pause: seconds between two calls of one connection, give or take a half. ramp: the first calls are spread over so
    many seconds; 0: all at once.

    The result is a dictionary: sessions, refused (connections), deferred (421 in place of the greeting), hung_up_on
    (421 or nothing later in a session), probes, found; second -> number of them: probes_by_second; and the seconds
    from the call to the 421, sorted: deferred_seconds."""

    def __init__(self, address, addresses, connections, pause=1.0, ramp=0.0, styles=STYLES):
        self._arguments = {"address": address, "addresses": addresses, "connections": connections, "pause": pause,
                           "ramp": ramp, "styles": styles}
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen([sys.executable, __file__, json.dumps(self._arguments)],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def stop(self):
        self._process.terminate()
        output, _ = self._process.communicate(timeout=30)
        return json.loads(output)


class _HungUp(Exception):
    pass


class _Tally:
    def __init__(self):
        self.began = time.monotonic()
        self.counts = collections.Counter(
            {name: 0 for name in ("sessions", "refused", "deferred", "hung_up_on", "probes", "found")})
        self.probes_by_second = collections.Counter()
        self.deferred_seconds = []

    def probed(self, code):
        self.counts["probes"] += 1
        self.counts["found"] += code == 250
        self.probes_by_second[int(time.monotonic() - self.began)] += 1

    def result(self):
        return {**self.counts, "probes_by_second": self.probes_by_second,
                "deferred_seconds": sorted(round(seconds, 4) for seconds in self.deferred_seconds)}


class _Connection:
    def __init__(self, server, source, pause, style, guesses, tally):
        self._server = server
        self._source = source
        self._pause = pause
        self._style = style
        self._guesses = guesses
        self._tally = tally
        self._reader = self._writer = None

    async def run(self, after):
        await asyncio.sleep(after)
        while True:
            await self._session()
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._pause)

    async def _session(self):
        counts = self._tally.counts
        began = time.monotonic()
        try:
            self._reader, self._writer = await asyncio.open_connection(
                *self._server, local_addr=(self._source, 0), limit=4096)
        except OSError:
            counts["refused"] += 1
            return
        counts["sessions"] += 1
        try:
            if await self._reply() == 220:
                await self._harvest()
            else:
                counts["deferred"] += 1
                self._tally.deferred_seconds.append(time.monotonic() - began)
        except (_HungUp, OSError):
            counts["hung_up_on"] += 1
        except asyncio.TimeoutError:
            pass
        finally:
            self._writer.close()

    async def _harvest(self):
        await self._ask("EHLO harvester.example")
        await self._ask("MAIL FROM:<offers@harvester.example>")
        for number in itertools.count(1):
            self._tally.probed(await self._ask(f"RCPT TO:<guess{next(self._guesses)}@example.test>"))
            if self._style == "hasty" and number == HASTY_PROBES:
                return

    async def _ask(self, line):
        await asyncio.sleep(LAZY_SECONDS if self._style == "lazy" else ROUND_TRIP_SECONDS)
        self._writer.write(line.encode() + b"\r\n")
        code = await self._reply()
        if code == 421:
            raise _HungUp
        return code

    async def _reply(self):
        seconds = HASTY_SECONDS if self._style == "hasty" else REPLY_SECONDS
        return await asyncio.wait_for(self._read_reply(), seconds)

    async def _read_reply(self):
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise _HungUp
            if line[3:4] != b"-":
                return int(line[:3])


async def _main(address, addresses, connections, pause, ramp, styles):
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready", flush=True)
    tally = _Tally()
    guesses = itertools.count(1)
    tasks = [asyncio.create_task(_Connection(
        address, source, pause, style, guesses, tally).run(random.uniform(0, ramp)))
        for (_, source), style in zip(itertools.product(range(connections), addresses), itertools.cycle(styles))]
    await stopped.wait()
    pending = tasks
    while pending:
        # More than once, for wait_for overlooks a cancellation that comes together with what it waits for.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)
    for task in tasks:
        if not task.cancelled():
            task.result()
    print(json.dumps(tally.result()))


if __name__ == "__main__":
    asyncio.run(_main(**json.loads(sys.argv[1])))
