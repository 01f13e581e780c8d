# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong around a daemon in its life, one after the other, beside its sessions."""

import asyncio
import contextlib
import json
import random
import signal
import struct

from . import ctl
from .swarm import TOLD, harvester, harvester_client, leaver, Peer

GOOD = "delay_min = 200ms\n"
OTHER = "delay_min = 300ms\njitter = 30\nmax_stalls = 90\n"
FAULTY = "delay_min = nonsense\nno_such_key = 1\n"
CLIENTS_THAT_HANG = 6


class Trouble:
    """trouble = Trouble(daemon, memcached, swarm, metrics_port); await trouble.next()

    Each returns within scale times some ten seconds, and leaves all as it was but for what the daemon remembers."""

    def __init__(self, daemon, memcached, swarm, metrics_port, scale=1.0):
        self.daemon, self.memcached, self.swarm = daemon, memcached, swarm
        self._metrics_port = metrics_port
        self._scale = scale
        self._turn = 0
        self.reloads = self.faulty_reloads = self.by_hand = 0
        self.wrong = []
        self.all = (self.kill_memcached, self.reload, self.hang_memcached, self.reload_faulty, self.administer,
                    self.burst, self.empty_memcached, self.hang_control, self.hang_metrics, self.ask_much,
                    self.hang_and_kill_memcached, self.leave_together)

    async def next(self):
        """Does the next of them; what that was."""
        trouble = self.all[self._turn % len(self.all)]
        self._turn += 1
        await trouble()
        return trouble.__name__.replace("_", " ")

    async def _pause(self, seconds):
        await asyncio.sleep(seconds * self._scale)

    def _expect(self, is_so, text):
        if not is_so and len(self.wrong) < 20:
            self.wrong.append(text)

    # memcached

    async def kill_memcached(self):
        self.memcached.kill()
        await self._pause(10)
        await asyncio.to_thread(self.memcached.start)

    async def hang_memcached(self):
        self.memcached.hang()
        try:
            await self._pause(5)
        finally:
            self.memcached.resume()

    async def hang_and_kill_memcached(self):
        self.memcached.hang()
        await self._pause(3)
        await asyncio.to_thread(self.memcached.restart)

    async def empty_memcached(self):
        def flush():
            with self.memcached.client() as client:
                client.flush()
        await asyncio.to_thread(flush)

    # The administrator

    async def tarpitctl(self, *args):
        """(status, answer)"""
        process = await asyncio.create_subprocess_exec(
            ctl.program(), "-S", self.daemon.control_path, "--json", *args, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, error = await process.communicate()
        try:
            return process.returncode, json.loads(out)
        except ValueError:
            return process.returncode, {"error": (out + error).decode("utf-8", "replace")}

    async def status(self):
        status, answer = await self.tarpitctl("status")
        assert status == 0, answer
        return answer

    async def reload(self):
        self.daemon.write_config(random.choice((GOOD, OTHER)))
        self.reloads += 1
        self.daemon.signal(signal.SIGHUP)
        await self._pause(1)

    async def reload_faulty(self):
        self.daemon.write_config(FAULTY)
        self.faulty_reloads += 2
        self.daemon.signal(signal.SIGHUP)
        await self._pause(1)
        status, answer = await self.tarpitctl("reload")
        self._expect(status == 78, f"reload of a faulty file: {status} {answer}")
        self.daemon.write_config(GOOD)
        status, answer = await self.tarpitctl("reload")
        self._expect(status == 0, f"reload: {status} {answer}")
        self.reloads += 1

    async def flag_and_forgive(self, client):
        """Status 1 is for a memcached that can't be told, and for a client that nobody knows."""
        status, answer = await self.tarpitctl("flag", client, "30s")
        self._expect(status in (0, 1), f"flag: {status} {answer}")
        self.by_hand += status == 0 or "warning" in answer
        for command in ("show", "forgive"):
            status, answer = await self.tarpitctl(command, client)
            self._expect(status in (0, 1), f"{command}: {status} {answer}")

    async def forgive_stalled(self):
        """Forgives those who wait now."""
        status, answer = await self.tarpitctl("stalls")
        self._expect(status == 0, f"stalls: {status} {answer}")
        for row in answer.get("stalls", [])[:5]:
            status, answer = await self.tarpitctl("forgive", row["client"])
            self._expect(status in (0, 1), f"forgive: {status} {answer}")

    async def administer(self):
        for number in range(5):
            await self.flag_and_forgive(f"{TOLD}{number}")
            await self.forgive_stalled()
            await self._pause(0.5)
        for words in (("list", "-n", "100"), ("status",), ("stalls",)):
            status, answer = await self.tarpitctl(*words)
            self._expect(status == 0, f"{words}: {status} {answer}")

    async def ask_much(self):
        for _ in range(20):
            self.daemon.signal(signal.SIGUSR1)
            await self.tarpitctl("list")
            await self._pause(0.1)

    # Those who hang

    async def _connect_control(self):
        return await asyncio.open_unix_connection(self.daemon.control_path)

    async def hang_control(self):
        """Some say nothing, some the half of a request; the daemon hangs up on them, and answers others meanwhile."""
        hung = [await self._connect_control() for _ in range(CLIENTS_THAT_HANG)]
        for number, (_, writer) in enumerate(hung):
            writer.write(struct.pack(">I", 100)[:number] + b'{"command'[:max(0, 3 * (number - 4))])
        status, answer = await self.tarpitctl("status")
        self._expect(status == 0, f"status beside clients that hang: {status} {answer}")
        await self._pause(8)
        for _, writer in hung:
            writer.close()

    async def scrape(self):
        """The page of metrics."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._metrics_port)
        try:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return (await reader.read()).decode("ascii", "replace")
        finally:
            writer.close()

    async def hang_metrics(self):
        """Some take all places and say nothing; at the end there is a page again."""
        hung = []
        with contextlib.suppress(OSError):
            for _ in range(CLIENTS_THAT_HANG):
                hung.append(await asyncio.open_connection("127.0.0.1", self._metrics_port))
        hung[0][1].write(b"GET /metr")
        await self._pause(3)
        for _, writer in hung:
            writer.close()
        page = await self.scrape()
        self._expect("tarpit_uptime_seconds" in page, f"no page of metrics: {page[:200]!r}")

    # Sessions

    async def burst(self):
        """Five hundred at once."""
        for _ in range(500):
            self.swarm.start(harvester)
        await self._pause(5)

    async def leave_together(self):
        """Some hundred stalled ones hang up at the same time."""
        for _ in range(200):
            self.swarm.start(leaver, lambda swarm: Peer(swarm, harvester_client()))
        await self._pause(3)
