# SPDX-License-Identifier: BSD-2-Clause
"""Table, example configurations and manuals say the same, and what they say works."""

import glob
import gzip
import os
import re
import signal
import subprocess
import urllib.request

import pytest
from checks import OPTIONS, assert_at_once, assert_waited, wait_until
from needs import require_journald
from test_config import DEFAULTS, check, parse_value, printed

from support import journald
from support.control import Control
from support.ctl import ctl_json
from support.daemon import TOP, Daemon, binary, free_port, parse_event, run
from support.journald import rfc3339, traditional
from support.memcached import Memcached
from support.milter import Session, offend

PACKAGING = os.path.join(TOP, "packaging")


def text_of(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def sources_of(room):
    """The text of all sources of a room, or of those that match."""
    return "".join(text_of(path) for path in sorted(glob.glob(os.path.join(TOP, "milter", room, "*.c"))))


def unescape(mdoc):
    """The text of an mdoc line's arguments."""
    return re.sub(r"\\e", r"\\", mdoc.replace(r"\&", "").replace(r"\-", "-").replace(r"\(dq", '"'))


def example_settings(text):
    """key -> value of the settings that stand in an example, commented out without a blank."""
    return {key: parse_value(value) for key, value in re.findall(r"^#(\w+) = (.+)$", text, re.M)}


def test_example_shows_every_key_with_its_default():
    found = example_settings(text_of("packaging", "tarpit-milter.conf"))
    assert found == DEFAULTS


def test_example_as_it_stands_changes_nothing():
    assert printed(config_text=text_of("packaging", "tarpit-milter.conf")) == DEFAULTS


def test_example_with_all_settings_uncommented_changes_nothing_either():
    text = re.sub(r"^#(\w+ = )", r"\1", text_of("packaging", "tarpit-milter.conf"), flags=re.M)
    assert printed(config_text=text) == DEFAULTS


def test_manual_describes_every_key_with_its_default():
    manual = text_of("packaging", "tarpit-milter.conf.5")
    items = re.findall(r"^\.It Ic (\w+) = (.*)$", manual, re.M)
    found = {key: parse_value(unescape(value)) for key, value in items}
    assert found == DEFAULTS
    assert len(items) == len(DEFAULTS), "a key is described twice"


def test_manual_names_the_keys_that_a_reload_leaves():
    table = re.findall(r'^\t\{"(\w+)",(.*?)\},$', sources_of("config"), re.M | re.S)
    manual = text_of("packaging", "tarpit-milter.conf.5").partition("\ntakes all keys but\n")[2]
    listed = manual.partition("for these the daemon")[0]
    assert re.findall(r"^\.Ic (\w+)", listed, re.M) == [key for key, rest in table if ".fixed = true" in rest]


def test_ranges_of_the_manual_are_those_that_are_kept():
    """Where an item says "A to B", A and B are allowed, and what is reported as allowed says the same."""
    manual = text_of("packaging", "tarpit-milter.conf.5")
    stated = re.findall(r"^\.It Ic (\w+) = .*\n(?:Integer|Number|Duration|Integer, percent)[,.] ?(.*)$", manual, re.M)
    form = re.compile(r"([\d.]+[a-z]*) to ([\d.]*\d[a-z]*)\.?$")
    ranges = [(key, *match.groups()) for key, rest in stated if (match := form.match(rest))]
    assert len(ranges) >= 4
    for key, low, high in ranges:
        _, faults = check("-o", f"{key}=-1")
        assert f"{low} to {high}" in faults[0], (key, low, high, faults)
        for bound in (low, high):
            assert "out of range" not in "".join(check("-o", f"{key}={bound}")[1]), (key, bound)


def test_exchange_example_is_exchanges_tar_pit():
    text = text_of("packaging", "exchange.conf")
    found = printed(config_text=text)
    expected = {"threshold": "1", "good_credit": "0", "delay_min": "5s", "delay_max": "5s", "stall_at": ["rcpt"]}
    assert {key: found[key] for key in expected} == expected
    quick = {"delay_min": "400ms", "delay_max": "400ms", "jitter": "0"}
    with Daemon(quick, config_text=text) as daemon, Session(daemon.address, "192.0.2.1") as session:
        assert_at_once(session.greeting, session.mail(), session.rcpt("known@example.org"))
        assert_waited(session.rcpt("unknown@example.org", rejected="5.1.1"), 0.4)


@pytest.mark.parametrize("block", re.findall(r"^\.Bd -literal -offset indent\n((?:.*\n)*?)\.Ed",
                                             text_of("packaging", "tarpit-milter.conf.5").partition(".Sh EXAMPLES")[2],
                                             re.M))
def test_examples_of_the_manual_can_be_read(block, tmp_path):
    friends = tmp_path / "friends"
    friends.write_text("192.0.2.0/24\n")
    text = unescape(block).replace("@/etc/tarpit-milter/friends", f"@{friends}")
    assert check(config_text=text) == (0, [])


def test_options_of_help_manual_and_program_are_the_same():
    manual = set(re.findall(r"^\.It Fl \w ?,? ?Fl -([\w-]+)", text_of("packaging", "tarpit-milter.8"), re.M)
                 or re.findall(r"Fl -([\w-]+)", text_of("packaging", "tarpit-milter.8")))
    shown = set(re.findall(r"--([\w-]+)", run("--help").stdout))
    assert shown == {"config", "set", "foreground", "daemon", "check-config", "print-config", "version", "help"}
    assert shown <= manual


def test_readme_names_only_keys_that_exist():
    readme = text_of("README")
    named = {key for key, _ in re.findall(r"^ {4,}(\w+) \+?= (.+)$", readme, re.M) if "_" in key} - {
        "smtpd_milters", "default_action", "connect_timeout", "command_timeout", "milter_default_action",
        "smtpd_error_sleep_time", "smtpd_hard_error_limit", "disable_vrfy_command"}
    assert named <= set(DEFAULTS), named - set(DEFAULTS)


def test_every_event_of_the_manual_is_one_that_is_logged():
    """And the other way round: what the sources log is described."""
    manual = text_of("packaging", "tarpit-milter.8")
    logged = set(re.findall(r'log_begin\(&line, [^"]*"(\w+)"\)', sources_of("*")))
    assert {"start", "stop", "reload", "reject", "flag", "stall", "release", "mta"} <= logged
    for event in logged | {"defer", "pass"}:
        assert re.search(rf"\b{event}\b", manual), event


def test_the_manual_names_every_counter_of_the_status_line():
    manual = text_of("packaging", "tarpit-milter.8")
    status = manual.partition(".It Sy status\n")[2].partition(".It Sy")[0]
    named = re.findall(r"^\.Cm (\w+)", status, re.M)
    with Daemon() as daemon:
        daemon.signal(signal.SIGUSR1)
        daemon.wait_for("^status: ")
        shown = list(daemon.events("status")[0])
    assert named == shown[1:]


def test_the_manual_names_every_metric():
    manual = text_of("packaging", "tarpit-milter.8")
    named = re.findall(r"^\.It Ic (tarpit_\w+)(?: No by Ar (.*))?$", manual, re.M)
    port = free_port()
    with Memcached() as memcached, Daemon({**memcached.options, "metrics_listen": f"127.0.0.1:{port}"}):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
    shown = {name if kind != "counter" or name.endswith("_total") else f"{name}_total"
             for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M)}
    assert sorted(name for name, _ in named) == sorted(shown)
    for name, labels in named:
        if found := re.search(rf"^{name}{{(.*)}} ", page, re.M):
            assert re.findall(r"(\w+)=", found[1]) == labels.split(", ")


def test_the_manual_names_every_finding_of_doctor():
    manual = text_of("packaging", "tarpitctl.8").partition("\nThe findings:\n")[2].partition("\n.El")[0]
    rows = re.findall(r'^\t\{"\w+", "(?:yes|no)", "([\w-]+)",', sources_of("doctor"), re.M)
    found = re.findall(r'report_find\((?:[^;"]*,)?\s*"([\w-]+)",', sources_of("doctor"))
    tables = re.findall(r'^\t\{"\w+", "\w+_maps", "([\w-]+)"', sources_of("doctor"), re.M)
    told = re.findall(r'^\t\t\{daemon->\w+, "([\w-]+)"', sources_of("doctor"), re.M)
    assert sorted(re.findall(r"^\.It ([\w-]+)$", manual, re.M)) == sorted({*rows, *found, *tables, *told})


def test_readme_installs_what_the_build_needs():
    script = f". {PACKAGING}/dependencies; echo ${{BUILD_PACKAGES[@]}}"
    needed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    command = re.search(r"apt-get install ((?:.*\\\n)*.*)", text_of("README"))[1]
    assert sorted(command.replace("\\\n", " ").split()) == sorted(needed)


def test_readme_names_only_commands_that_tarpitctl_has():
    tarpitctl = os.path.join(os.path.dirname(binary()), "tarpitctl")
    usage = subprocess.run([tarpitctl, "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z]+) ", usage.partition("commands:")[2], re.M))
    named = set(re.findall(r"^ {4,}tarpitctl (?:-S \S+ |--json )*([a-z]+)|`tarpitctl (?:--json )?([a-z]+)",
                           text_of("README"), re.M))
    assert {command for pair in named for command in pair if command} == commands
    replay = subprocess.run([tarpitctl, "replay", "--help"], capture_output=True, text=True, check=True).stdout
    section = section_of_readme("What would last month have looked like: replay")
    options = set(re.findall(r"[ `](--[a-z]+)", re.sub(r"journalctl .*?\|", "", section)))
    assert {"--set", "--vs", "--svg"} <= options <= set(re.findall(r"--[a-z]+", replay))


def members(document, path=()):
    """The names in a JSON document, wherever they are; not those of counters and stages, which are elsewhere."""
    if isinstance(document, list):
        return set().union(*(members(each, path) for each in document))
    if not isinstance(document, dict) or path[-1:] in (("counters",), ("by_stage",)):
        return set()
    return set(document).union(*(members(value, (*path, name)) for name, value in document.items()))


def test_the_manual_names_the_members_of_each_json_document(tmp_path):
    manual = text_of("packaging", "tarpitctl.8").partition("\n.Sh JSON\n")[2].partition("\n.Sh")[0]
    common, *sections = re.split(r"^\.It Ic ", manual, flags=re.M)
    named = {section.split()[0]: set(re.findall(r"\w+", " ".join(re.findall(r"^\.(?:Po )?Va (.*)$", section, re.M))))
             for section in sections}
    named["show"] |= named["list"] - {"clients", "clients_total"}
    client = "192.0.2.7"
    log = tmp_path / "damaged.gz"
    log.write_bytes(gzip.compress(text_of("tests", "logs", "postfix-3.7.log").encode())[:-9])
    with Memcached() as memcached, \
            Daemon({**memcached.options, "memcached_timeout": "1s", "exempt_clients": "{10.0.0.0/8}"},
                   control=True) as daemon, \
            Session(daemon.address, client) as session:
        session.greet()
        session.reject_many(4)
        session.begin_rcpt("nobody@example.org", rejected="5.1.1")
        wait_until(lambda: ctl_json(daemon, "stalls")["active"] == 1)
        shown = {command: members(ctl_json(daemon, *words.split())) for command, words in {
            "status": "status", "stalls": "stalls", "list": "list", "flag": f"flag {client}", "reload": "reload",
            "export": "export",
            "replay": f"replay --set threshold=3 {log}", "forgive": f"forgive {client}"}.items()}
        shown["doctor"] = members(ctl_json(daemon, "doctor", "-c", daemon.config_path, status=2))
        shown["show"] = members([ctl_json(daemon, "show", each) for each in (client, "10.0.0.1")])
    assert set(re.findall(r"^\.Va (ok|error|faults|warning|status)\b", common, re.M)) == {
        "ok", "error", "faults", "warning", "status"}
    # Where a command has no status, it is 0; doctor's is always there.
    assert {command: names - {"ok"} for command, names in shown.items()} == named


# README on reading the log. Everything that it says of a log is tried with what a real daemon logged.

HOSTILE = "x rcpt=nobody error=x waited_ms=99999000 tarpit-milter[1]: flag: client=198.51.100.1 control:"
QUICK = {**OPTIONS, "delay_min": "100ms", "delay_max": "100ms", "max_flagged_sessions": "1"}


def section_of_readme(title):
    return re.search(rf"^{re.escape(title)}\n-+\n\n(.*?)(?=\n[^\n]*\n---)", text_of("README"), re.M | re.S)[1]


def blocks_of(section):
    """The indented parts."""
    return [re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n)+", section, re.M)]


WOULD_BE_SLOWED = blocks_of(section_of_readme("From observe to enforce"))[0]
TO_FILE, TO_JOURNAL, *RECIPES = blocks_of(section_of_readme("Reading the log with plain tools"))


@pytest.fixture(scope="module")
def logged():
    """The journal of a daemon that has had something to say of all kinds."""
    require_journald()
    with journald.Journald() as ours:
        control = str(ours.directory / "control.sock")
        with ours.daemon({**QUICK, "control_socket": control}) as daemon:
            offend(daemon.address, "192.0.2.8", 7, name=HOSTILE)
            offend(daemon.address, "2001:db8::9", 3)
            with Session(daemon.address, "192.0.2.7") as session:
                session.greet()
                session.reject_many(6)
                with Session(daemon.address, "192.0.2.7"):
                    pass
                session.quit()
            with Control(control) as admin:
                admin.ask("forgive", client="192.0.2.7")
                admin.ask("flag", client="192.0.2.9")
                admin.ask("reload")
            daemon.signal(signal.SIGUSR1)
        yield ours


@pytest.fixture(params=["traditional", "rfc3339", "journal"])
def shell(request, logged, tmp_path):
    """Runs a recipe of the README; its lines. The log files are rotated, and the oldest is compressed."""
    if request.param == "journal":
        define = TO_JOURNAL.replace("journalctl", f"journalctl -D {logged.path}")
    else:
        lines = logged.as_file(traditional if request.param == "traditional" else rfc3339).splitlines(keepends=True)
        third = len(lines) // 3
        (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress("".join(lines[:third]).encode()))
        (tmp_path / "mail.log.1").write_text("".join(lines[third:2 * third]))
        (tmp_path / "mail.log").write_text("".join(lines[2 * third:]) + "Nov 21 03:20:20 mx postfix/smtpd[1]: x\n")
        for age, name in enumerate(("mail.log", "mail.log.1", "mail.log.2.gz")):
            os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
        define = TO_FILE.replace("/var/log/", f"{tmp_path}/")

    def run_recipe(word):
        recipe, = (each for each in (WOULD_BE_SLOWED, *RECIPES) if word in each)
        today, = (line for each in RECIPES for line in each.splitlines() if line.startswith("today="))
        ran = subprocess.run(["bash", "-euc", "\n".join([define, today, recipe])], capture_output=True, text=True,
                             env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        return ran.stdout.splitlines()
    return run_recipe


def test_readme_tells_who_was_rejected_most_often(shell):
    assert shell("for (c in n) print n[c], c") == [
        "7 client=192.0.2.8", "6 client=192.0.2.7", "3 client=2001:db8::9"]


def test_readme_tells_who_was_flagged_today(shell):
    assert [line.split()[1:3] for line in shell('"flag:" && $1 ~ today')] == [
        ["flag:", "client=192.0.2.8"], ["flag:", "client=192.0.2.7"]]


def test_readme_tells_the_history_of_a_client(shell):
    events = [line.split()[1] for line in shell('$3 == "client=192.0.2.7"')]
    assert events == ["reject:"] * 4 + ["flag:", "reject:", "stall:", "release:", "reject:", "stall:", "release:",
                                        "defer:", "control:"]


def test_readme_tells_who_would_be_slowed(shell):
    assert [line.split(None, 2) for line in shell("flag: (client=")] == [
        ["1", "client=192.0.2.8", f'host="{HOSTILE}"'], ["1", "client=192.0.2.7", "host=[192.0.2.7]"]]


def test_readme_counts_stalls_by_the_hour(shell):
    counts = [line.split() for line in shell('"stall:" { split($1, t, ":")')]
    assert sum(int(count) for _, count in counts) == 5
    assert all(re.fullmatch(r"(\d{4}-\d\d|[A-Z]..)-\d+T\d\d", hour) for hour, _ in counts)


def test_readme_adds_up_the_seconds_of_a_day(shell):
    """Five stalls of 0.1 s; the seconds that a name pretends are not among them."""
    assert {seconds for _, seconds in (line.split() for line in shell("ms[t[1]] += w[2]"))} <= {"0", "1"}


def test_readme_tells_who_was_deferred(shell):
    assert [line.split() for line in shell('$2 == "defer:" { n')] == [
        ["1", "client=192.0.2.7", "stage=CONNECT", "reason=sessions"]]


def test_readme_tells_which_recipients_were_tried(shell):
    counts = [line.split() for line in shell("rcpt=$text")]
    assert sorted(map(tuple, counts)) == sorted(
        [("3", f"nobody{number}@example.org") for number in (1, 2, 3)]
        + [("2", f"nobody{number}@example.org") for number in (4, 5, 6)] + [("1", "nobody7@example.org")])


def test_readme_tells_what_administrators_did(shell):
    assert [line.split()[2] for line in shell('"control:"')] == ["command=forgive", "command=flag", "command=reload"]


def test_readme_tells_what_needs_attention(shell):
    assert [line.split()[1] for line in shell("(store|mta|limits)")] == ["start:"], "it runs as root"


def test_readme_sums_up_a_day(shell):
    lines = [line.strip() for line in shell("recipients rejected, of")]
    assert lines.pop(3) in ("0 seconds waited in all", "1 seconds waited in all")
    assert lines == ["16 recipients rejected, of 3 clients", "2 clients flagged", "5 stalls of 2 clients",
                     "1 times a 421, for 1 clients", "0 times passed at full speed",
                     "0 changes of memcached, 0 warnings about the MTA"]


def test_all_recipes_are_tried():
    assert len(RECIPES) == 10


def test_lines_that_readme_shows_have_the_keys_of_real_ones(logged):
    shown = [parse_event(line) for line in blocks_of(section_of_readme("Reading the log"))[0].splitlines()]
    assert all(shown)
    real = {}
    for line in logged.read("-o", "cat").splitlines():
        event = parse_event(line)
        real.setdefault((event["event"], event.get("command")), []).append(list(event))
    tried = 0
    for event in shown:
        kind = event["event"], event.get("command")
        if kind in real and "instead_of" not in event and "count" not in event and "needs_restart" not in event:
            assert list(event) in real[kind], event
            tried += 1
    assert tried >= 10
