# SPDX-License-Identifier: BSD-2-Clause
"""What a daemon holds of its host, and whether what it has counted adds up."""

import os
import re
from typing import NamedTuple


class Holdings(NamedTuple):
    rss_kb: int
    threads: int
    descriptors: int
    cpu_seconds: float

    @classmethod
    def of(cls, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            times = file.read().rpartition(")")[2].split()[11:13]
        return cls(int(fields["VmRSS"].split()[0]), int(fields["Threads"]), len(os.listdir(f"/proc/{pid}/fd")),
                   sum(map(int, times)) / os.sysconf("SC_CLK_TCK"))


def metrics_of(page):
    """name{labels} -> value"""
    return {match[1]: float(match[2]) for match in re.finditer(r"^([^#\s]+) (\S+)$", page, re.M)}


def family_sum(metrics, name):
    return sum(value for key, value in metrics.items() if key.startswith(name + "{"))


def faults_of_status(status):
    """What is wrong with the counters of a daemon that has no session left, as texts."""
    counters, wrong = status["counters"], []
    for opened, closed in (("sessions_opened", "sessions_closed"), ("stalls_begun", "stalls_ended")):
        if counters[opened] != counters[closed]:
            wrong.append(f"{opened}={counters[opened]} {closed}={counters[closed]}")
    wrong += [f"{name}={status[name]}" for name in ("sessions", "stalls") if status[name] != 0]
    return wrong


def faults_of_books(books, counters):
    """Where the counters do not agree with what clients have sent and got."""
    wrong = []
    for name, least, most in (("sessions_opened", books.opened, books.opened),
                              ("sessions_exempt", books.exempt, books.exempt),
                              ("rejects", books.rejects, books.rejects + books.maybe_rejects),
                              ("deferred", books.deferred, books.deferred + books.maybe_deferred)):
        if not least <= counters[name] <= most:
            wrong.append(f"{name}={counters[name]}, not {least} to {most}")
    if books.callbacks != books.answers:
        wrong.append(f"{books.callbacks} callbacks, {books.answers} answers")
    return wrong


def faults_of_metrics(page, counters):
    """Where the page of metrics does not agree with itself or with the counters."""
    metrics = metrics_of(page)
    pairs = {"rejects": family_sum(metrics, "tarpit_offences_total"),
             "stalls_begun": family_sum(metrics, "tarpit_stalls_total"),
             "stalls_ended": metrics.get("tarpit_stall_seconds_count"),
             "deferred": family_sum(metrics, "tarpit_deferred_total"),
             "passed": family_sum(metrics, "tarpit_passed_total"),
             "sessions_opened": metrics.get("tarpit_sessions_total"),
             "flags": metrics.get("tarpit_flags_total")}
    return [f"{name}={counters[name]}, but {value} on the page" for name, value in pairs.items()
            if counters[name] != value]
