# SPDX-License-Identifier: BSD-2-Clause
"""Logs made up for tarpitctl replay, and what it says of them."""

import gzip
import os
import time

from support.ctl import tarpitctl

SETTINGS = ["-c", os.devnull]
CLIENT = "192.0.2.1"


def replay(*args, status=0, **kwargs):
    result = tarpitctl("replay", *SETTINGS, *args, **kwargs)
    assert result.status == status, result
    return result


def replay_json(*args, **kwargs):
    result = tarpitctl("--json", "replay", *SETTINGS, *args, **kwargs)
    assert result.status == 0 and result.err == "", result
    return result.json


def only(document):
    configuration, = document["configurations"]
    return configuration


def refusal(number, client=CLIENT, queue_id="NOQUEUE", name="unknown"):
    return (f"{queue_id}: reject: RCPT from {name}[{client}]: 550 5.1.1 <no{number}@example.test>: Recipient address "
            f"rejected: User unknown; from=<x@client.example> to=<no{number}@example.test> proto=ESMTP helo=<h>")


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1772323200 + second))


def line(second, text, pid=100, program_name="smtpd"):
    return f"{stamp(second)} mx postfix/{program_name}[{pid}]: {text}\n"


def harvest_log(client=CLIENT, count=8, begin=0, pid=100):
    """One refusal a minute."""
    return [line(begin, f"connect from unknown[{client}]", pid),
            *[line(begin + 60 * (n + 1), refusal(n, client), pid) for n in range(count)],
            line(begin + 60 * count, f"disconnect from unknown[{client}]", pid)]


def delivery_log(client="192.0.2.50", name="mail.example.net", begin=0, queue_id="4ABCDE"):
    return [line(begin, f"connect from {name}[{client}]", 300),
            line(begin, f"{queue_id}: client={name}[{client}]", 300),
            line(begin, f"{queue_id}: from=<a@example.net>, size=1, nrcpt=1 (queue active)", 7, "qmgr"),
            line(begin, f"{queue_id}: to=<b@example.test>, relay=local, delay=1, dsn=2.0.0, status=sent (ok)", 8, "local"),
            line(begin, f"{queue_id}: removed", 7, "qmgr"),
            line(begin, f"disconnect from {name}[{client}]", 300)]


def write(path, lines):
    text = "".join(lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path
