# SPDX-License-Identifier: BSD-2-Clause
"""Memory, threads and descriptors run out: mail passes, no session is lost, nothing leaks, and the log says so once."""

import asyncio
import contextlib
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import assert_at_once, wait_until
from needs import as_root

from support.control import Control
from support.daemon import Daemon
from support.fail_malloc import FailMalloc
from support.milter import Session, offend
from support.swarm import OPTIONS, Peer, Swarm, honest, told
from support.upkeep import faults_of_status

SETTINGS = {**OPTIONS, "delay_min": "100ms", "delay_max": "200ms", "max_stalls": "100", "memory_clients": "200",
            "max_flagged_sessions": "0", "stall_at": "{connect, helo, mail, rcpt, data}", "log_level": "notice"}
COMMANDS = ({"command": "status"}, {"command": "list"}, {"command": "stalls"},
            {"command": "show", "client": "192.0.2.1"}, {"command": "flag", "client": "100.64.0.1", "duration_s": 1},
            {"command": "forgive", "client": "100.64.0.1"}, {"command": "export"}, {"command": "nonsense"})
# Blocks by which an idle daemon differs from itself: the C library keeps some for each thread that there has been.
SOME_BLOCKS = 64


def fill(daemon):
    """The store keeps as many clients and recipients as it may: from here on it needs no more memory."""
    # Most of them wait: so many put the site under siege.
    with ThreadPoolExecutor(25) as pool:
        list(pool.map(lambda number: offend(daemon.address, f"10.200.{number}.1", count=4), range(250)))


def ask_all(daemon):
    """All that an administrator asks; whether there was an answer to each: without memory he may be hung up on."""
    count = 0
    for command in COMMANDS:
        with Control(daemon.control_path) as control, contextlib.suppress(OSError, AssertionError):
            control.send(command)
            count += control.receive() is not None
    return count == len(COMMANDS)


async def press(daemon, swarm, seconds):
    """Sessions of all kinds, with an administrator beside them."""
    traffic = asyncio.create_task(swarm.run(150, seconds))
    while not traffic.done():
        await asyncio.to_thread(ask_all, daemon)
        await asyncio.sleep(0.05)
    await traffic


def prime(daemon):
    """Store, threads and tables are as large as they get here."""
    fill(daemon)
    flag_all(daemon)
    burst(daemon, 4)
    settle(daemon)


def run_short_of_memory(daemon, memory, phases):
    """The books of sessions while these shares (of our allocations, of libmilter's) fail, each for a second."""
    swarm = Swarm(daemon.address)

    async def run():
        for share, libmilter in phases:
            memory.fail(share, libmilter)
            if share == 1:
                daemon.signal(signal.SIGHUP)
            await press(daemon, swarm, 1.0)
        memory.fail(0)
        assert await swarm.drain(), f"{swarm.open} sessions do not end"

    asyncio.run(run())
    return swarm.books


def settle(daemon):
    """What it says of itself once all sessions have ended."""
    def is_quiet():
        with Control(daemon.control_path) as control:
            return not faults_of_status(control.ask("status"))

    wait_until(is_quiet)


def assert_nothing_is_kept(daemon, memory, blocks):
    settle(daemon)
    # Links to memcached are made anew with the next question, and workers of libmilter end one by one.
    wait_until(lambda: memory.live <= blocks + SOME_BLOCKS, 10)


def test_without_memory_mail_passes_and_nothing_leaks(store):
    with FailMalloc() as memory, Daemon({**SETTINGS, **store}, control=True, env=memory.env) as daemon:
        prime(daemon)
        run_short_of_memory(daemon, memory, [(0, 0)])
        settle(daemon)
        blocks, descriptors = memory.live, daemon.descriptors()
        books = run_short_of_memory(daemon, memory, [(0.01, 0), (0.1, 0), (1, 0), (0.02, 0)])
        assert memory.failed > 300
        assert books.answers == books.callbacks and not books.gone, books.wrong
        assert not [text for text in books.wrong if "exempt" not in text], books.wrong
        assert_nothing_is_kept(daemon, memory, blocks)
        assert daemon.descriptors() <= descriptors + 9  # workers' connections to memcached
        assert ask_all(daemon)
        warnings = [event["warning"] for event in daemon.events("limits")]
        assert "out of memory: sessions pass unwatched" in warnings
        assert len(warnings) == len(set(warnings)), warnings
        assert offend(daemon.address, "203.0.113.77")[-1].seconds > 0.08


def test_where_libmilter_has_no_memory_it_hangs_up(store):
    """That is its own way. No session may wait for ever, nor be kept."""
    with FailMalloc() as memory, Daemon({**SETTINGS, **store}, control=True, env=memory.env) as daemon:
        prime(daemon)
        run_short_of_memory(daemon, memory, [(0, 0)])
        settle(daemon)
        blocks = memory.live
        books = run_short_of_memory(daemon, memory, [(0, 0.02), (0.05, 0.1)])
        assert books.gone and not books.lost
        assert_nothing_is_kept(daemon, memory, blocks)
        assert offend(daemon.address, "203.0.113.77")[-1].seconds > 0.08


# Threads

FLAGGED = [f"172.20.{number}.1" for number in range(25)]


@contextlib.contextmanager
def limited(daemon, kind, count):
    """So much of this and no more, for a while."""
    before = resource.prlimit(daemon.pid, kind)
    resource.prlimit(daemon.pid, kind, (count, before[1]))
    try:
        yield
    finally:
        resource.prlimit(daemon.pid, kind, before)


def flag_all(daemon):
    with Control(daemon.control_path) as control:
        for client in FLAGGED:
            assert control.ask("flag", client=client)["ok"]


def burst(daemon, times=1):
    """The books of flagged clients and honest ones who all come at once."""
    swarm = Swarm(daemon.address)

    async def run():
        for client in FLAGGED * times:
            swarm.start(told, lambda swarm, client=client: Peer(swarm, client))
            swarm.start(honest)
        end = asyncio.get_running_loop().time() + 30
        while swarm.open and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
            swarm.look_for_the_lost()

    asyncio.run(run())
    return swarm.books


def threads_of(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/task"))


def size_of(daemon):
    with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


# An idle daemon has about a dozen.
FEW_THREADS = 20
LONG = {"delay_min": "400ms", "delay_max": "400ms"}
NO_THREADS = "no more threads: clients pass that were to be slowed"


def assert_serves_again(daemon, descriptors):
    settle(daemon)
    wait_until(lambda: daemon.descriptors() <= descriptors)
    books = burst(daemon)
    assert books.slowest > 0.38 and not books.wrong, books.wrong


def is_slowed(daemon, client):
    with Session(daemon.address, client) as session:
        return session.greeting.action == "continue" and session.greeting.seconds > 0.38


@as_root
def test_without_threads_sessions_pass_and_none_is_lost(account):
    """libmilter loses one for ever, and its descriptor, where it can't start a thread for it."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NPROC, (FEW_THREADS, FEW_THREADS))  # noqa: E731
    with Daemon({**SETTINGS, **LONG, "user": account.pw_name}, control=True, preexec=few) as daemon:
        flag_all(daemon)
        wait_until(lambda: is_slowed(daemon, FLAGGED[0]))
        settle(daemon)
        descriptors = daemon.descriptors()
        books = burst(daemon)
        assert not books.lost and not books.gone and books.answers == books.callbacks > 150, books.wrong
        settle(daemon)
        wait_until(lambda: daemon.descriptors() <= descriptors)
        assert len([event for event in daemon.events("limits") if event["warning"] == NO_THREADS]) == 1
        wait_until(lambda: is_slowed(daemon, FLAGGED[0]))


# Sanitizers need more address space than there is.
@pytest.mark.plain
def test_without_address_space_no_session_is_lost():
    """Then memory and threads run out together, as in a control group that is full. libmilter hangs up on some."""
    with Daemon({**SETTINGS, **LONG}, control=True) as daemon:
        flag_all(daemon)
        wait_until(lambda: threads_of(daemon) >= 10)
        descriptors = daemon.descriptors()
        with limited(daemon, resource.RLIMIT_AS, size_of(daemon) + 200000):
            books = burst(daemon)
            assert not books.lost, books.wrong
            daemon.signal(signal.SIGHUP)
            daemon.wait_for("^reload: ")
        assert_serves_again(daemon, descriptors)


# Descriptors; see test_life.py too

def test_without_descriptors_the_log_says_so_and_the_daemon_heals():
    """libmilter's listener spins then until a session ends; connections wait, and stalls lack one to wake the pool."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))  # noqa: E731
    with Daemon({**SETTINGS, **LONG}, control=True, preexec=few) as daemon, contextlib.ExitStack() as stack:
        flag_all(daemon)
        before = daemon.descriptors()
        flagged = [stack.enter_context(Session(daemon.address, client, connect=False)) for client in FLAGGED[:3]]
        waiting = [stack.enter_context(Session(daemon.address, negotiate=False)) for _ in range(200)]
        wait_until(lambda: daemon.descriptors() == 100)
        for session in flagged:
            assert session.connect().seconds > 0.38
        assert len([line for line in daemon.log_lines("limits") if "no descriptor" in line]) == 1
        for session in waiting[:170]:
            session.close()
        assert_at_once(*(session.connect() for session in waiting[170:] if session.negotiate() is None))
        stack.close()
        wait_until(lambda: daemon.descriptors() <= before)
        assert is_slowed(daemon, FLAGGED[0])
