# SPDX-License-Identifier: BSD-2-Clause
"""What a test run counted, for tests/run: `PASSED FAILED SKIPPED`, then a line for each test that did not pass.

    tally.py pytest JUNIT.XML [AGAIN.XML]   what pytest --junitxml wrote; AGAIN: of those that failed, run once more
    tally.py few-failed JUNIT.XML   exit status 0: so few failed that they may run once more
    tally.py unit DIRECTORY...      TAP in the .log files of `make check`, with automake's .trs beside them
"""

import pathlib
import re
import sys
import xml.etree.ElementTree


# More than these are no accident of timing.
FEW = 3
SECOND_TRY = "passed only at the second try"


def from_pytest(path, again=None):
    """Yields (name, outcome, reason). What says nothing of a failed test has not made it better."""
    second = {name: outcome for name, outcome, _ in from_pytest(again)} if again else {}
    for name, outcome, reason in from_junit(path):
        if outcome == "failed" and second.get(name) == "passed":
            outcome = SECOND_TRY
        yield name, outcome, reason


def from_junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        outcomes = {child.tag: child.get("message") or "" for child in case}
        for tag, outcome in ("failure", "failed"), ("error", "failed"), ("skipped", "skipped"):
            if tag in outcomes:
                yield name, outcome, outcomes[tag]
                break
        else:
            yield name, "passed", ""


def from_unit_tests(*directories):
    for result in sorted(path for directory in directories for path in pathlib.Path(directory).rglob("*.trs")):
        program = result.stem
        rows = list(from_tap(result.with_suffix(".log").read_text(errors="replace")))
        yield from ((f"{program}: {name}", outcome, "") for name, outcome in rows)
        # A program that crashed, or that a sanitizer faults, has said nothing of it in TAP.
        failed = not re.search(r"^:test-result: (PASS|SKIP)", result.read_text(), re.MULTILINE)
        if not rows or (failed and "failed" not in [outcome for _, outcome in rows]):
            yield program, "failed", "the program itself: see its log"


def from_tap(text):
    """Old versions of cmocka write a skipped test as `not ok 3 # SKIP name`."""
    for line in text.splitlines():
        if found := re.match(r"(not )?ok \d+ (?:- )?(# SKIP)?\s*(.*)", line):
            refused, skipped, name = found.groups()
            yield name, "skipped" if skipped else "failed" if refused else "passed"


def main():
    kind, *paths = sys.argv[1:]
    if kind == "few-failed":
        return 0 if sum(outcome == "failed" for _, outcome, _ in from_pytest(*paths)) <= FEW else 1
    rows = list({"pytest": from_pytest, "unit": from_unit_tests}[kind](*paths))
    outcomes = [outcome for _, outcome, _ in rows]
    passed = outcomes.count("passed") + outcomes.count(SECOND_TRY)
    print(passed, outcomes.count("failed"), outcomes.count("skipped"))
    for name, outcome, reason in rows:
        if outcome != "passed":
            print(f"{outcome}: {name}" + (f" ({reason.splitlines()[0][:200]})" if reason else ""))
    return 0 if rows else "no test was run"


if __name__ == "__main__":
    sys.exit(main())
