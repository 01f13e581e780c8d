#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What honest mail waits while a flagged client calls again and again, without packaging/nftables and with it.

    tests/bench/held_off.py [SECONDS [CONNECTIONS]]     as root; seconds for each row, connections of the flagged client

A real Postfix, the daemon, both clients and the firewall are in a network namespace of their own. The flagged client
hangs up when it has its answer, after 50 ms at the latest, and calls again at once. Figures of one run compare with
each other; those of other runs or machines do not.
"""

import multiprocessing
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.ctl import ctl  # noqa: E402
from support.daemon import TOP  # noqa: E402
from support.site import Site, good  # noqa: E402

RULES = pathlib.Path(TOP, "packaging", "nftables", "tarpit-milter.nft")
FLAGGED, HONEST = "127.1.1.1", "127.2.2.2"
PATIENCE_SECONDS = 0.05
INSIDE = "TARPIT_HELD_OFF"


def hammer(address, ended, count):
    """One connection after the other, until the end; count: how many were made."""
    while not ended.is_set():
        with socket.socket() as connection:
            connection.settimeout(PATIENCE_SECONDS)
            try:
                connection.bind((FLAGGED, 0))
                connection.connect(address)
            except OSError:
                continue
            with count.get_lock():
                count.value += 1
            try:
                connection.recv(512)
            except OSError:
                pass


def deliver(site):
    """Seconds of a message, from the call to the answer to QUIT."""
    began = time.monotonic()
    with site.client(HONEST) as client:
        replies = [client.greeting, client.mail(), client.rcpt(good()), client.data(), client.body()]
        client.quit()
    assert [reply.code for reply in replies] == [220, 250, 250, 354, 250], replies
    return time.monotonic() - began


def measure(name, site, seconds, connections):
    ended, count = multiprocessing.Event(), multiprocessing.Value("q", 0)
    hammers = [multiprocessing.Process(target=hammer, args=(site.mta.address(), ended, count), daemon=True)
               for _ in range(connections)]
    for each in hammers:
        each.start()
    waits, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(waits) < 3:
        waits.append(deliver(site))
        time.sleep(0.01)
    ended.set()
    for each in hammers:
        each.join()
    waits.sort()
    print(f"{name:28} {count.value / seconds:14.1f} {len(waits):9} {waits[len(waits) // 2] * 1e3:9.1f} "
          f"{waits[len(waits) * 99 // 100] * 1e3:9.1f}", flush=True)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, INSIDE: "yes"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"{'':28} {'flagged, calls':>14} {'honest':>9} {'ms':>9} {'ms':>9}")
    print(f"{'':28} {'a second':>14} {'messages':>9} {'median':>9} {'p99':>9}")
    with Site("postfix") as site:
        measure("quiet", site, seconds, 0)
        site.flag(FLAGGED)
        measure("flagged, without nftables", site, seconds, connections)
        rules = re.sub("dport 25 ", f"dport {site.mta.address()[1]} ", RULES.read_text(encoding="utf-8"))
        for script in rules, ctl(site.daemon, "export", "--format", "nft").out:
            subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)
        measure("flagged, with nftables", site, seconds, connections)
        measure("quiet again", site, seconds, 0)


if __name__ == "__main__":
    main()
