# SPDX-License-Identifier: BSD-2-Clause
"""All kinds of clients, as logs in which we know who is who; and what replay finds of each kind.

    python3 tests/support/kinds.py --table [KIND...]    what is expected of each kind, and what replay finds
    python3 tests/support/kinds.py --write KIND         the log of that kind
    python3 tests/support/kinds.py --site               the log of a site that all kinds visit

What is expected goes for the default configuration, but where a kind has settings of its own."""

import argparse
import os
import statistics
import sys
import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support import dishonest_kinds, honest_kinds  # noqa: E402, F401
from support.ctl import tarpitctl  # noqa: E402
from support.kind import DAY, KINDS, alone, ordinary_day  # noqa: E402
from support.postfix_log import EPOCH, PostfixLog  # noqa: E402

# As many rows as replay gives of clients.
ROWS = 1000


class Found(NamedTuple):
    """What replay says of a kind, in the terms of Expected."""

    flagged: float
    first: int  # None: nobody was flagged
    own: float
    slowed: float  # None: there are more clients than rows

    def faults(self, expected):
        """What is not as expected, as texts."""
        wrong = []
        for name, bounds in expected._asdict().items():
            value = getattr(self, name)
            if bounds is not None and (value is None or not bounds[0] <= value <= bounds[1]):
                wrong.append(f"{name}: expected {_range(bounds)}, found {_number(value)}")
        return wrong


def write_kind(kind, seed=1):
    """The log of one kind, and the addresses of its clients."""
    log = PostfixLog(seed)
    return log, kind.write(log, kind.scene(log))


def write_site(log):
    """All kinds in one log: label -> the addresses of its clients.

    What is expected of each kind alone need not come true here: harvesters put the site under siege."""
    begin = ordinary_day(log)
    clients = {kind.label: kind.write(log, begin) for kind in KINDS.values() if kind.scene == alone}
    # The others come later: most of the first have gone by then.
    clients.update({kind.label: kind.write(log, begin + DAY) for kind in KINDS.values() if kind.scene != alone})
    return clients


class Refused(Exception):
    """Replay has not read the log, or not the settings."""


def replay(kind, directory, seed=1):
    """Replays the kind's log, which is left in the directory."""
    log, clients = write_kind(kind, seed)
    path = log.write(directory / "maillog")
    settings = [word for key, value in kind.settings.items() for word in ("--set", f"{key}={value}")]
    result = tarpitctl("--json", "replay", "-c", os.devnull, "-n", str(ROWS), *settings, path)
    if result.status != 0:
        raise Refused("; ".join(result.json.get("faults", [result.json["error"]])))
    lines = result.json["lines"]
    assert lines["unreadable"] == lines["misdated"] == lines["clients_unknown"] == 0, lines
    configuration, = result.json["configurations"]
    assert configuration["flags_total"] == len(configuration["flags"]), "more flags than replay lists"
    return _find(log, set(clients), configuration)


def _find(log, clients, configuration):
    flagged_at = {}
    for flag in configuration["flags"]:
        if flag["client"] in clients:
            flagged_at.setdefault(flag["client"], round(flag["time_s"] - EPOCH, 3))
    rejections = [rejection for rejection in log.rejections if rejection.client in clients]
    own = {client: sum(rejection.client == client and rejection.at <= at for rejection in rejections)
           for client, at in flagged_at.items()}
    first_at = min(flagged_at.values(), default=None)
    return Found(
        flagged=len(flagged_at) / len(clients),
        first=None if first_at is None else sum(rejection.at <= first_at for rejection in rejections),
        own=statistics.median(own.values()) if own else None,
        slowed=_slowed(clients, configuration))


def _slowed(clients, configuration):
    if configuration["clients_flagged"] > ROWS:
        return None
    prefixes = {str(ip_network((client, 64 if ":" in client else 32), strict=False)) for client in clients}
    return sum(row["stalls"] for row in configuration["worst"] if row["client"] in prefixes) / len(clients)


def _number(value):
    return "-" if value is None else f"{value:.3g}"


def _range(bounds):
    if bounds is None:
        return ""
    least, most = bounds
    return _number(least) if least == most else f"{_number(least)}..{_number(most)}"


def _verdict(kind, directory, seed):
    """A row of the table: found, and what is wrong with it."""
    try:
        found = replay(kind, directory, seed)
    except Refused as refusal:
        return [""] * len(kind.expected), str(refusal)
    return [_number(value) for value in found], _in_short(found, kind)


def _in_short(found, kind):
    return ", ".join(fault.partition(":")[0] for fault in found.faults(kind.expected)) or "ok"


def print_table(labels, seed):
    """Expected is what stands before the slash, found what stands behind it; then what was, and is, not as expected."""
    print(f"{'kind':39} {'':9}", *(f"{column:>16}" for column in Found._fields), f" {'before':16} now")
    with tempfile.TemporaryDirectory() as directory:
        for label in labels:
            kind = KINDS[label]
            found, verdict = _verdict(kind, Path(directory), seed)
            cells = (f"{_range(bounds)} / {value}" for bounds, value in zip(kind.expected, found))
            before = _in_short(Found(*kind.before), kind) if kind.before else "-"
            print(f"{label:39} {'honest' if kind.honest else 'dishonest':9}", *(f"{cell:>16}" for cell in cells),
                  f" {before:16} {verdict}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="kinds of clients")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--table", nargs="*", metavar="KIND", choices=[[], *KINDS])
    what.add_argument("--write", metavar="KIND", choices=KINDS)
    what.add_argument("--site", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.table is not None:
        print_table(arguments.table or list(KINDS), arguments.seed)
        return
    if arguments.write:
        log, _ = write_kind(KINDS[arguments.write], arguments.seed)
    else:
        log = PostfixLog(arguments.seed)
        write_site(log)
    sys.stdout.write(log.text())


if __name__ == "__main__":
    main()
