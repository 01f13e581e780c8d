#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What each way in which memcached can fail costs those who do nothing wrong: a table, for the settings of production.

    tests/soak/memcached.py [--rounds N] [--timeout SECONDS] [--retry SECONDS] [PART OF A NAME]

TARPIT_MILTER=path chooses the program. It takes some 10 s for each failure and round. Of several rounds the worst is
shown: the longest wait, most who paid, most lost, the longest way back.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support import adversary  # noqa: E402


def worst(all_figures):
    return adversary.Figures(*(
        sum(column, []) if isinstance(column[0], list) else max(column) for column in zip(*all_figures)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=0.05)
    parser.add_argument("--retry", type=float, default=2.0)
    options = parser.parse_args()
    setting = adversary.Setting(options.timeout, options.retry, calm=1.0, outage=3 * options.retry)
    bad = 0
    print(adversary.HEADING)
    for name, failure in adversary.FAILURES.items():
        if options.name not in name:
            continue
        rounds = []
        for _ in range(options.rounds):
            with adversary.Site(setting, **failure.site) as site:
                rounds.append(adversary.run(site, failure))
        figures = worst(rounds)
        print(adversary.row(name, figures), flush=True)
        if figures.faults or figures.surplus > 0 or figures.lost > failure.in_flight:
            print("   ", f"{figures.surplus} too many", figures.faults)
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
