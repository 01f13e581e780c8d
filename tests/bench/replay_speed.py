#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long tarpitctl takes to replay a log of Postfix, and how much memory: a year of it, made up here.

    tests/bench/replay_speed.py [MIB]       (64 unless told; 1024 takes a minute to write and a GiB of /var/tmp)

Figures of one run compare with each other; those of other runs or machines do not.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.daemon import binary  # noqa: E402

YEAR_SECONDS = 365 * 86400
MIB = 1 << 20
BYTES_PER_SESSION = 1050  # about
HARVESTERS = 5000
HONEST = 200_000


def address(number, first):
    return f"{first}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def harvest(stamp, pid, number):
    client = f"unknown[{address(number, 203)}]"
    lines = [f"connect from {client}"]
    for _ in range(5):
        user = f"nobody{random.randrange(10**6)}@example.org"
        lines.append(f"NOQUEUE: reject: RCPT from {client}: 550 5.1.1 <{user}>: Recipient address rejected: User unknown "
                     f"in local recipient table; from=<x{number}@spam.example> to=<{user}> proto=ESMTP helo=<spam.example>")
    lines.append(f"disconnect from {client} ehlo=1 mail=1 rcpt=0/5 quit=1 commands=3/8")
    return "".join(f"{stamp} mx postfix/smtpd[{pid}]: {line}\n" for line in lines)


def deliver(stamp, pid, number, message):
    client = f"mail{number}.example.net[{address(number, 198)}]"
    queue_id = f"{message:012X}"
    users = [f"user{random.randrange(1000)}@example.org" for _ in range(random.randrange(1, 4))]
    smtpd, qmgr = f"{stamp} mx postfix/smtpd[{pid}]: ", f"{stamp} mx postfix/qmgr[77]: {queue_id}: "
    deliveries = "".join(
        f"{stamp} mx postfix/local[{pid + 1}]: {queue_id}: to=<{user}>, relay=local, delay=0.12, delays=0.1/0/0/0.02, "
        "dsn=2.0.0, status=sent (delivered to mailbox)\n" for user in users)
    return (f"{smtpd}connect from {client}\n{smtpd}{queue_id}: client={client}\n"
            f"{stamp} mx postfix/cleanup[{pid + 2}]: {queue_id}: message-id=<{message}.{number}@example.net>\n"
            f"{qmgr}from=<list-{number}@example.net>, size=4711, nrcpt={len(users)} (queue active)\n{deliveries}"
            f"{qmgr}removed\n{smtpd}disconnect from {client} ehlo=1 mail=1 rcpt={len(users)} data=1 quit=1 commands=5\n")


def write_log(file, size):
    sessions = size // BYTES_PER_SESSION
    begin = time.time() - YEAR_SECONDS
    for i in range(sessions):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(begin + i * YEAR_SECONDS / sessions))
        pid = 1000 + i % 500
        if random.random() < 0.2:
            file.write(harvest(stamp, pid, random.randrange(HARVESTERS)))
        else:
            file.write(deliver(stamp, pid, random.randrange(HONEST), i + 1))


def main():
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 64 * MIB
    random.seed(1)
    tarpitctl = os.path.join(os.path.dirname(binary()), "tarpitctl")
    with tempfile.NamedTemporaryFile("w", prefix="tarpit-replay-", dir="/var/tmp", encoding="ascii") as file:
        write_log(file, size)
        file.flush()
        size = os.stat(file.name).st_size
        began = time.monotonic()
        subprocess.run([tarpitctl, "replay", "-c", os.devnull, "--set", "user=root", file.name], check=True)
        seconds = time.monotonic() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n{size / MIB:.0f} MiB in {seconds:.1f} s ({usage.ru_utime + usage.ru_stime:.1f} s of CPU), "
          f"{size / MIB / seconds:.1f} MiB/s; most memory: {usage.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
