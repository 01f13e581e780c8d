# SPDX-License-Identifier: BSD-2-Clause
"""What 200 connections of 40 harvesters do to an MTA with 20 processes: to honest mail, and for themselves.

    sudo /usr/bin/python3 tests/soak/overload.py [--seconds 60] [--max-stalls 8] [SCENARIO...]

Each scenario is measured on the quiet machine, with the harvesters, and with the harvesters but without this milter.
Without a name on the command line these are postfix and sendmail. TARPIT_MILTER names the program; else it is
build/tarpit-milter. Fails if honest mail was lost, if more than max_stalls waited, if the p99 of honest mail was more
than half a second in all, or more than three times that of the quiet machine (and more than 50 ms) once the harvesters
are known."""

import argparse
import os
import resource
import sys
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.ctl import ctl  # noqa: E402
from support.overload import (  # noqa: E402
    ARGUMENTS, MAX_STALLS, OPTIONS, POSTFIX_DEFAULTS, PROCESSES, harvesters, press, probes_a_minute, rank, send_alone)
from support.site import Site  # noqa: E402

LONGEST_SECONDS = 0.5
# Below this, three times more is this machine's own noise.
FLOOR_SECONDS = 0.05
# So long all harvesters are new, and Postfix starts processes.
ONSET_SECONDS = 5
MANY_DESCRIPTORS = 8192


class Scenario(NamedTuple):
    mta: str
    what: str
    are_known: bool = False     # flagged since before
    pause: float = 1.0          # between two calls of one connection
    ramp: float = 0.0           # the first calls are spread over so many seconds
    limits: dict = {}


SCENARIOS = {
    "postfix": Scenario("postfix", "limits as README advises; harvesters nobody knows, all at once"),
    "postfix-ramped": Scenario("postfix", "limits as README advises; harvesters nobody knows, who come within 20 s",
                               ramp=20.0),
    "sendmail": Scenario("sendmail", "harvesters that are known, a call of each connection every 5 s", True, 5.0, 5.0),
    "postfix-defaults": Scenario("postfix", "Postfix's own limits; harvesters nobody knows, all at once",
                                 limits=POSTFIX_DEFAULTS),
    "sendmail-unknown": Scenario("sendmail", "harvesters nobody knows, all at once"),
}


def milliseconds(seconds):
    return f"{1000 * seconds:.0f} ms"


def print_mail(what, mail):
    times, later = mail.seconds(), mail.seconds(ONSET_SECONDS)
    figures = (f"; median {milliseconds(rank(times, 0.5))}, p99 {milliseconds(rank(times, 0.99))}, "
               f"longest {milliseconds(max(times))}" if times else "")
    figures += f"; after {ONSET_SECONDS} s p99 {milliseconds(rank(later, 0.99))}" if later else ""
    print(f"  {what:<26}{len(times)} mails accepted, {len(mail.lost)} lost, {len(mail.failures)} calls in vain{figures}", flush=True)


def print_crowd(got, seconds):
    settled = probes_a_minute(got, seconds // 2, seconds)
    print(f"  {'':<26}{got['probes']} probes answered, {settled:.0f} a minute in the second half; "
          f"{got['sessions']} sessions, {got['refused']} calls refused, {got['hung_up_on']} hung up on")
    if waits := got["deferred_seconds"]:
        print(f"  {'':<26}{got['deferred']} greeted with 421, after {milliseconds(rank(waits, 0.5))} (median), "
              f"{milliseconds(rank(waits, 0.99))} (p99)", flush=True)


def measure(name, seconds, max_stalls):
    scenario = SCENARIOS[name]
    mta = scenario.mta
    print(f"{name}: {PROCESSES} processes, max_stalls = {max_stalls}, {seconds} s; {scenario.what}")
    pace = {"pause": scenario.pause, "ramp": scenario.ramp}
    with Site(mta, {**OPTIONS, "max_stalls": max_stalls}, services={"bare": {"milter": ""}},
              **{**ARGUMENTS[mta], **scenario.limits}) as site:
        send_alone(site.mta, 3)
        quiet = send_alone(site.mta, seconds)
        print_mail("quiet", quiet)
        for harvester in harvesters() if scenario.are_known else ():
            ctl(site.daemon, "flag", harvester)
        mail, got = press(site.mta, seconds, **pace)
        print_mail("with harvesters", mail)
        print_crowd(got, seconds)
        most = max(int(event["active"]) for event in site.daemon.events("stall"))
        site.settle()
        status = site.daemon.status()
        print(f"  {'':<26}{status['stalls_begun']} stalls, {most} at once; {status['flags']} flagged, "
              f"{status['deferred']} deferred, {status['passed']} passed", flush=True)
        bare, got = press(site.mta, seconds, service="bare", **pace)
        print_mail("and without this milter", bare)
        print_crowd(got, seconds)
    return not mail.lost and most <= max_stalls and as_on_quiet_machine(mail, quiet)


def as_on_quiet_machine(mail, quiet):
    bound = max(3 * rank(quiet.seconds(), 0.99), FLOOR_SECONDS)
    return rank(mail.seconds(), 0.99) <= LONGEST_SECONDS and rank(mail.seconds(ONSET_SECONDS), 0.99) <= bound


def main():
    parser = argparse.ArgumentParser(prog="tests/soak/overload.py")
    parser.add_argument("scenario", nargs="*", default=["postfix", "sendmail"], metavar="SCENARIO",
                        help=f"{', '.join(SCENARIOS)}")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--max-stalls", type=int, default=MAX_STALLS)
    arguments = parser.parse_args()
    if unknown := set(arguments.scenario) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MANY_DESCRIPTORS), hard))
    results = [measure(name, arguments.seconds, arguments.max_stalls) for name in arguments.scenario]
    print("as it should be" if all(results) else "NOT as it should be")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
