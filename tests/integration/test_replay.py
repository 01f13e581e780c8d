# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl replay: says of a log what the daemon did when it was written, whatever the log looks like."""

import calendar
import contextlib
import fcntl
import gzip
import lzma
import os
import pty
import random
import re
import struct
import subprocess
import termios
import threading
import time
import xml.etree.ElementTree
import zlib
from pathlib import Path

import pytest
from mtas import both_mtas
from replay_logs import (CLIENT, SETTINGS, delivery_log, harvest_log, line, only, replay, replay_json,
                         stamp, write)

from support.ctl import program, tarpitctl
from support.site import Site, good, harvest, unknown

TOP = Path(__file__).parents[2]
REAL_LOG = TOP / "tests" / "logs" / "postfix-3.10.log"

# A log that a real MTA wrote


class Stamped:
    """Notes when the daemon said that a client is flagged."""

    def __init__(self, daemon):
        self._daemon = daemon
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.flags = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while True:
            ended = self._ended.is_set()
            flags = self._daemon.events("flag")
            self.flags += [(time.time(), flag["client"], float(flag["score"])) for flag in flags[len(self.flags):]]
            if ended:
                return
            self._ended.wait(0.02)


def deliver(client, sender, recipients):
    client.mail(sender)
    for recipient in recipients:
        client.rcpt(recipient)
    client.data()
    client.body()


def be_visited(site):
    """Harvesters, honest clients and doubtful ones, each in a network of its own."""
    with site.client("127.1.1.1") as client:
        client.mail()
        harvest(client, 7)
        client.quit()
    with site.client("127.2.1.1") as client:
        deliver(client, "news@client.example", [good(1), good(2), unknown(1), good(3), good(4)])
        deliver(client, "other@client.example", [unknown(2), good(5)])
        client.quit()
    for number in range(7):
        with site.client("127.3.1.1") as client:
            client.mail(f"sender{number}@client.example")
            client.rcpt(unknown(number))
            client.quit()
    with site.client("127.4.1.1") as client:
        dead = iter(range(100))
        deliver(client, "list@client.example",
                [recipient for number in range(1, 5)
                 for recipient in [*(unknown(next(dead)) for _ in range(3)), good(number)]])
    with site.client("127.5.1.1") as client:
        client.mail("")
        harvest(client, 4)
        client.rset()
        client.mail("someone@client.example")
        harvest(client, 6, first=10)
    with site.client("127.6.1.1") as client:
        client.mail()
        for number in range(1, 10):
            client.rcpt(f"hidden{number}@example.test")
        client.rcpt(unknown(1))
        client.rcpt("someone@elsewhere.test")
        client.rcpt(unknown(2))
    for number in range(1, 23):
        with site.client(f"127.7.1.{number}") as client:
            client.mail()
            client.rcpt(unknown(number))
    with site.client("127.8.1.1") as client:
        client.command("NOOP")
    # Sendmail knows its name, which is exempt.
    with site.client("127.9.9.9") as client:
        client.mail()
        harvest(client, 6)


def settings_of(daemon):
    """What it was told with -o, for replay."""
    return [word.replace("-o", "--set") if word == "-o" else word
            for word in daemon.command[4:]]


def said_of_rejections(daemon):
    return sum(int(event.get("count", 1)) for event in daemon.events("reject"))


@both_mtas
def test_the_same_flags_at_the_same_seconds(mta, tmp_path):
    options = {"delay_min": "300ms", "delay_max": "300ms", "exempt_hosts": "{.partner.test}"}
    with Site(mta, options) as site, Stamped(site.daemon) as stamped:
        be_visited(site)
        site.mta.wait_for_log(r"127\.9\.9\.9.*rcpt=0/6|lost input channel from .*127\.9\.9\.9")
        time.sleep(0.5)  # for what is delivered
        (tmp_path / "maillog").write_bytes(site.mta.log_file.read_bytes())
        rejections = said_of_rejections(site.daemon)
        stalls = len(site.daemon.events("stall"))
        settings = settings_of(site.daemon)

    found = only(replay_json("-n", "1000", *settings, tmp_path / "maillog"))
    assert found["flags_total"] == len(found["flags"])
    told = [(flag["time_s"], flag["client"], flag["score"]) for flag in found["flags"]]
    assert len(stamped.flags) >= 9, stamped.flags
    assert ("127.9.9.9" in [flag[1] for flag in told]) == (mta == "postfix")
    assert [flag[1:] for flag in told] == [flag[1:] for flag in stamped.flags]
    for (told_s, *_), (flagged_s, *_) in zip(told, stamped.flags):
        # The log's second has begun when it was written, just before or after the daemon's line.
        assert told_s - 0.5 <= flagged_s < told_s + 1.5, (told, stamped.flags)
    assert found["rejected"] == rejections
    assert found["messages"] == 3 and found["flagged_delivering"] == 1
    assert found["innocents"][0]["client"] == "127.4.1.1/32"
    if mta == "postfix":
        assert found["stalls"]["count"] == stalls


# Logs made up


def test_json(tmp_path):
    log = write(tmp_path / "log", harvest_log() + delivery_log(CLIENT, "mail.example.net", 1000) + ["rubbish\n"])
    document = replay_json(log)
    assert document["ok"] is True and document["files"] == [str(log)]
    assert document["period"] == {"from": stamp(0), "to": stamp(1000)}
    assert document["lines"] == {"read": 17, "other": 0, "submission": 0, "misdated": 0, "unreadable": 1, "first_unreadable": f"{log}:17",
                                 "clients_unknown": 0}
    found = only(document)
    assert found["name"] == "as configured"
    assert found["flags"] == [{"time": stamp(300), "time_s": 1772323500.0, "client": CLIENT, "score": 5.0}]
    assert found["rejected"] == found["rejected_counted"] == 8
    assert (found["sessions"], found["clients"], found["clients_flagged"]) == (2, 1, 1)
    assert found["stalls"]["by_stage"]["rcpt"]["count"] == 5
    assert found["stalls"]["count"] == sum(stage["count"] for stage in found["stalls"]["by_stage"].values())
    assert found["stalls"]["seconds"] == pytest.approx(
        sum(stage["seconds"] for stage in found["stalls"]["by_stage"].values()))
    assert found["peak"] == {"stalls": 1, "time": stamp(300), "max_stalls": 40, "over_budget": 0}
    worst, = found["worst"]
    assert worst == found["innocents"][0]
    assert worst["client"] == f"{CLIENT}/32" and worst["host"] == "mail.example.net"
    assert worst["first_flagged"] == stamp(300) and worst["messages"] == 1 and worst["score_max"] == 8
    timeline = found["timeline"]
    assert sum(timeline["stalls_begun"]) == found["stalls"]["count"]
    assert max(timeline["stalls_at_once"]) == 1
    assert len(timeline["stalls_begun"]) == len(timeline["stalls_at_once"]) <= 512


def test_text(tmp_path):
    log = write(tmp_path / "log", harvest_log() + delivery_log(CLIENT, "mail.example.net", 1000))
    text = replay(log, env={"TZ": "UTC", "COLUMNS": "60", "LC_ALL": "C.UTF-8"}).out
    assert re.search(r"^Period +2026-03-01 00:00:00 to 2026-03-01 00:16:40 \(16 min 40 s\)$", text, re.M)
    assert re.search(r"^Flagged +1 client, 1 time; 1 of them delivered mail too$", text, re.M)
    assert len(re.findall(rf"^  {CLIENT} .* mail\.example\.net$", text, re.M)) == 2
    assert "\u2588" in text and max(map(len, text.split("Stalls at once:")[1].splitlines())) <= 60
    assert replay(log, env={"LC_ALL": "C"}).out.isascii()


def test_readme_shows_every_figure():
    figures = r"([A-Z][a-z]+(?: once)?)  +"
    shown = re.search(r"it says, for example,\n\n((?:    .*\n)+)", (TOP / "README").read_text())[1]
    assert re.findall(rf"^    {figures}", shown, re.M) == re.findall(f"^{figures}", replay(REAL_LOG).out, re.M)[2:]


def test_columns_of_long_addresses(tmp_path):
    client = "2001:db8:1000:ffff:eeee:dddd:cccc:bbb0"
    log = write(tmp_path / "log", harvest_log(client) + harvest_log("192.0.2.9", begin=1000, pid=101) +
                delivery_log(client, begin=2000) + delivery_log("192.0.2.9", begin=2001, queue_id="5ABCDE"))
    text = replay("--set", "ipv6_prefix=128", log).out
    for table in re.findall(r"(?:Worst|Flagged, but).*:\n((?:  .*\n)+)", text):
        assert client in table and len({row.rindex("  ") for row in table.splitlines()}) == 1, table
    assert text.count(client) == 2


@pytest.mark.parametrize("form", ["<22>{iso}", "<22>{month}", "<22>{year}", "{year}", "<22>1 {iso}"])
def test_stamps_with_a_priority_or_a_year(tmp_path, form):
    def stamped(text):
        begin, rest = text.split(" ", 1)
        moment = time.strptime(begin, "%Y-%m-%dT%H:%M:%SZ")
        if form.startswith("<22>1"):
            rest = re.sub(r"\[(\d+)\]:", r" \1 - -", rest, count=1)
        return form.format(iso=begin, month=time.strftime("%b %e %T", moment),
                           year=time.strftime("%b %e %Y %T", moment)) + " " + rest

    document = replay_json(write(tmp_path / "log", map(stamped, harvest_log())), env={"TZ": "UTC"})
    assert document["lines"]["unreadable"] == 0
    assert [flag["time"][4:] for flag in only(document)["flags"]] == [stamp(300)[4:]], document


def yearless(moments):
    """Sessions of a client each, in local time."""
    return [time.strftime("%b %e %T", time.gmtime(at + second)) + text.split("Z", 1)[1]
            for number, at in enumerate(moments)
            for second, text in enumerate(harvest_log(f"192.0.{number}.1", 6, pid=number + 1))]


@pytest.mark.parametrize("days, silent", [
    (["2025-05-20", "2025-09-01", "2026-01-01", "2026-04-01", "2026-06-01"], True),
    (["2025-05-20", *[f"2025-{month:02}-01" for month in range(6, 13)],
      *[f"2026-{month:02}-01" for month in range(1, 7)]], True),
    (["2024-12-01", "2025-06-01", "2025-12-01", "2026-06-01"], True),
    (["2023-12-30", "2024-02-29", "2024-08-01", "2025-01-20", "2025-02-20", "2025-08-20", "2026-02-20", "2026-06-02"],
     True),
    (["2026-05-20", "2026-06-01"], True),
    ([*[f"2026-05-{day}" for day in range(18, 24)], "2026-05-01"], False),
])
def test_stamps_without_a_year(tmp_path, days, silent):
    moments = [calendar.timegm(time.strptime(day, "%Y-%m-%d")) for day in days]
    log = write(tmp_path / "log", yearless(moments))
    os.utime(log, (0, calendar.timegm((2026, 6, 2, 12, 0, 0))))
    result = tarpitctl("--json", "replay", *SETTINGS, log, env={"TZ": "UTC"})
    told = [flag["time"] for flag in only(result.json)["flags"]]
    assert len(told) == len(days), told
    if silent:
        assert [flag[:10] for flag in told] == days and result.err == "", result.err
    else:
        assert f"{log}: the year of some lines can't be told" in result.err


@pytest.mark.parametrize("rubbish", ["{garbage\n", '{"a": 1}\n', "\n"])
@pytest.mark.parametrize("place", [0, 4 * 8])
def test_a_line_with_a_brace_tells_nothing_of_the_year(tmp_path, rubbish, place):
    """Two years and more, a session every third day."""
    begin, end = calendar.timegm((2024, 10, 1, 0, 0, 0)), calendar.timegm((2026, 11, 1, 0, 0, 0))
    lines = yearless(range(begin, end, 3 * 86400))
    log = write(tmp_path / "log", [*lines[:place], rubbish, *lines[place:]])
    os.utime(log, (0, end))
    period = replay_json(log, env={"TZ": "UTC"})["period"]
    assert period["from"][:10] == "2024-10-01" and period["to"][:10] == "2026-10-30"


def test_submission_services_are_left_out(tmp_path):
    own = [text.replace("postfix/smtpd", f"postfix/{name}/smtpd")
           for name in ("submission", "submissions", "smtps") for text in harvest_log()]
    log = write(tmp_path / "log", own + harvest_log("192.0.2.9", begin=1000))
    document = replay_json(log)
    assert document["lines"]["submission"] == 30 and document["lines"]["unreadable"] == 0
    assert [flag["client"] for flag in only(document)["flags"]] == ["192.0.2.9"]
    assert re.search("^ +30 left out, of submission services$", replay(log).out, re.M)
    assert "left out" not in replay(write(log, harvest_log())).out


def test_a_clock_that_was_wrong_for_a_moment(tmp_path):
    lines = harvest_log(count=4) + delivery_log(begin=90000) + harvest_log("198.51.100.7", 40, 200000)
    wanted = replay_json(write(tmp_path / "log", lines))
    for count in 1, 2, 5, 20:
        wrong = [line(10 ** 8 + number, "connect from unknown[192.0.2.77]", 777) for number in range(count)]
        log = write(tmp_path / "log", lines[:4] + wrong + lines[4:])
        document = replay_json(log)
        assert document["configurations"] == wanted["configurations"] and document["period"] == wanted["period"]
        assert document["lines"]["misdated"] == document["lines"]["unreadable"] == count
        assert document["lines"]["first_unreadable"] == f"{log}:5"
        assert re.search(f"^ +{count} of a time a day and more from the others'$", replay(log).out, re.M)


def test_names_cannot_control_the_terminal(tmp_path):
    log = write(tmp_path / "log", [text.replace("unknown[", "a\x1b]0;x\x07\u00e9[") for text in harvest_log()])
    assert "\x1b" not in replay(log).out
    picture = tmp_path / "x.svg"
    assert "\x1b" not in replay("--svg", picture, log).out
    assert only(replay_json(log))["worst"][0]["host"].startswith(r"a\x1b]0;x\x07")


def test_names_of_files_cannot_control_the_terminal(tmp_path):
    """Neither of one that breaks off, nor of one whose years are lost, nor of one that is no log."""
    cut, lost, stranger = [tmp_path / f"\x1b[31m{name}" for name in ("cut", "lost", "stranger")]
    cut.write_bytes(gzip.compress("".join(harvest_log()).encode())[:-6])
    days = [calendar.timegm((2026, 5, day, 0, 0, 0)) for day in (18, 19, 20, 21, 22, 23, 1)]
    write(lost, yearless(days))
    os.utime(lost, (0, calendar.timegm((2026, 5, 24, 0, 0, 0))))
    write(stranger, ["rubbish\n"])
    result = replay(cut, lost, stranger)
    assert "\x1b" not in result.err + result.out
    for name, reason in ("cut", "ends too early"), ("lost", "can't be told"), ("stranger", "no line has"):
        assert re.search(rf"\\x1b\[31m{name}: .*{reason}", result.err), result.err
    assert "\x1b" not in replay(stranger, status=66).err


def test_files_in_any_order(tmp_path):
    lines = harvest_log()
    parts = [write(tmp_path / "mail.log", lines[7:]), write(tmp_path / "mail.log.1", lines[4:7]),
             write(tmp_path / "mail.log.2.gz", lines[:4])]
    whole = write(tmp_path / "whole", lines)
    wanted = replay_json(whole)
    for order in parts, parts[::-1], [parts[1], parts[2], parts[0]]:
        document = replay_json(*order)
        assert document["files"] == [str(part) for part in parts[::-1]]
        assert {**document, "files": 0} == {**wanted, "files": 0}
    with open(whole, "rb") as log:
        done = subprocess.run([program(), "replay", *SETTINGS, "-"], stdin=log, capture_output=True, text=True,
                              check=True)
    assert done.stdout == replay(whole).out


def test_versus(tmp_path):
    log = write(tmp_path / "log", harvest_log(count=4) + harvest_log("198.51.100.7", 8, 1000, 101))
    args = ["--set", "good_credit=0", "--vs", "threshold=3", "--vs", "threshold=9", "--set", "max_stalls=7", log]
    text = replay(*args).out
    names = re.findall(r"^  ([A-Z])  (.*)$", text, re.M)
    assert names == [("A", "good_credit=0"), ("B", "threshold=3"), ("C", "threshold=9 max_stalls=7")]
    assert re.search(r"^Clients flagged +1 +2 +0$", text, re.M)
    assert re.search(r"^  of max_stalls +40 +40 +7$", text, re.M)
    document = replay_json(*args)
    assert [found["name"] for found in document["configurations"]] == [name for _, name in names]
    assert [found["clients_flagged"] for found in document["configurations"]] == [1, 2, 0]
    # Each is what it would be alone.
    alone = only(replay_json("--set", "good_credit=0", "--set", "threshold=3", log))
    assert {**alone, "name": 0} == {**document["configurations"][1], "name": 0}


def test_svg(tmp_path):
    picture = tmp_path / "stalls.svg"
    log = write(tmp_path / "log", harvest_log())
    replay("--svg", picture, "--vs", 'socket=unix:/a<&>"b', "--vs", "max_stalls=7", log)
    root = xml.etree.ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("max_stalls = 40") == 2 and texts.count("max_stalls = 7") == 1
    assert 'socket=unix:/a<&>"b' in texts
    assert any(re.fullmatch(r"2026-0[23]-\d\d", text) for text in texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 3


def test_svg_overwrites_nothing_but_a_picture(tmp_path):
    log, older = write(tmp_path / "mail.log", harvest_log()), write(tmp_path / "mail.log.1", harvest_log())
    text = log.read_bytes()
    # As of `--svg mail.log*`, with the picture's name forgotten.
    assert str(log) in replay("--svg", log, older, status=73).err
    assert "one of the logs" in replay("--svg", log, log, status=64).err
    link = tmp_path / "link"
    link.symlink_to(log)
    assert "one of the logs" in replay("--svg", link, log, status=64).err
    with open(log, "rb") as log_in:
        assert subprocess.run([program(), "replay", *SETTINGS, "--svg", log, "-"], stdin=log_in, capture_output=True,
                              check=False).returncode == 64
    assert tarpitctl("--json", "replay", *SETTINGS, "--svg", log, older).json["status"] == 73
    for begin in "<", "<?xm", "<sv":
        older.write_text(begin)
        assert "no picture" in replay("--svg", older, log, status=73).err and older.read_text() == begin
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    replay("--svg", dangling, log, status=73)
    dangling.unlink()
    assert log.read_bytes() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "mail.log", "mail.log.1"]


def test_svg_replaces_a_picture(tmp_path):
    log = write(tmp_path / "log", harvest_log())
    picture, link, old = tmp_path / "x.svg", tmp_path / "link", tmp_path / "old"
    picture.touch(0o640)
    link.symlink_to(picture)
    replay("--svg", link, log)
    xml.etree.ElementTree.parse(picture)
    assert link.is_symlink() and picture.stat().st_mode & 0o777 == 0o640
    os.link(picture, old)
    wanted = old.read_bytes()
    assert "/nonexistent" in replay("--svg", picture, log, "/nonexistent", status=66).err
    assert old.samefile(picture) and old.read_bytes() == wanted
    old.write_text("<svg/>")
    replay("--svg", picture, log)
    assert old.samefile(picture) and picture.read_bytes() == wanted
    old.write_text("<svg/>" + "x" * 2 * len(wanted))
    replay("--svg", picture, log)
    assert picture.read_bytes() == wanted
    fresh = tmp_path / "fresh.svg"
    assert "/nonexistent" in replay("--svg", fresh, log, "/nonexistent", status=66).err
    assert len(list(tmp_path.iterdir())) == 4
    for path in picture, fresh:     # where there is no room for it, an old picture stays, and there is no new one
        command = f"trap '' XFSZ; ulimit -f 1; exec {program()} replay --svg {path} {log}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 73 and "File too large" in done.stderr
    assert picture.read_bytes() == wanted and len(list(tmp_path.iterdir())) == 4
    assert "</svg>" in replay("--svg", "/dev/stdout", log).out


def test_log_without_a_session_has_a_report_and_a_picture(tmp_path):
    picture = tmp_path / "stalls.svg"
    log = write(tmp_path / "log", [line(0, "daemon started", program_name="master")])
    assert "Sessions    0 of 0 clients" in replay("--svg", picture, log).out
    xml.etree.ElementTree.parse(picture)
    assert only(replay_json(log))["flags"] == []


@pytest.mark.parametrize("args, status, complaint", [
    ([], 64, "which log?"),
    (["--bogus", "x"], 64, "unrecognized option"),
    (["-n", "many", os.devnull], 64, "many"),
    (["/nonexistent/log"], 66, "/nonexistent/log"),
    ([os.devnull, "/"], 66, "/"),
    (["--svg", "/nonexistent/svg", os.devnull], 73, "/nonexistent/svg"),
    (["--svg", "/dev/full", REAL_LOG], 73, "/dev/full"),
    (["--set", "threshold=x", os.devnull], 78, "threshold: 'x'"),
    (["--vs", "nonsense=1", os.devnull], 78, "nonsense"),
    (["-c", "/nonexistent/conf", os.devnull], 78, "/nonexistent/conf"),
])
def test_faults(args, status, complaint):
    assert complaint in replay(*args, status=status).err
    result = tarpitctl("--json", "replay", *SETTINGS, *args)
    assert result.status == status == result.json["status"] and result.json["ok"] is False, result
    assert complaint in str(result.json) or "unrecognized" in complaint


def test_faults_of_all_configurations():
    args = ["--set", "window=x", "--vs", "threshold=y", "--vs", "nonsense=1", os.devnull]
    complaints = replay(*args, status=78).err.splitlines()
    assert [complaint.split(" ")[0] for complaint in complaints] == ["--set:1:", "--vs:1:", "--vs:2:"], complaints
    assert tarpitctl("--json", "replay", *SETTINGS, *args).json["faults"] == complaints


def test_faults_are_of_the_option_that_was_given():
    args = ["--set", "jitter=x", "--vs", "threshold=1", "--set", "window=y", "--vs", "threshold=2", "--set", "network=z"]
    complaints = replay(*args, os.devnull, status=78).err.splitlines()
    assert [re.match(r"\S+ \w+", complaint)[0] for complaint in complaints] == [
        "--set:1: jitter", "--set:2: window", "--set:3: network"]


@pytest.mark.parametrize("args", [["-x", "--json"], ["-n", "many", "--json"], ["--set", "--json", "-x", "--json"],
                                  ["--json", "-x"], ["--js", "-n"]])
def test_faults_before_json(args):
    result = tarpitctl("replay", *args)
    assert result.status == 64 == result.json["status"], result
    assert result.out.count("\n") == 1 and result.err.count("tarpitctl: ") + result.err.count("replay: ") >= 1


def test_options_after_the_files_and_help(tmp_path):
    log = write(tmp_path / "log", harvest_log())
    assert tarpitctl("replay", log, *SETTINGS, "--json").json["ok"]
    assert tarpitctl("replay", "--help").out.startswith("usage: tarpitctl")


@contextlib.contextmanager
def terminal():
    leader, follower = pty.openpty()
    try:
        yield leader, follower
    finally:
        os.close(leader)


@pytest.mark.parametrize("columns", [10, 24, 25, 40, 63, 64, 200])
def test_progress_does_not_break_the_line(tmp_path, columns):
    log = write(tmp_path / "log", harvest_log() + [line(900, "warning: nothing")] * 60000)
    with terminal() as (leader, follower):
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        subprocess.run([program(), "replay", *SETTINGS, log], stderr=follower, stdout=subprocess.DEVNULL, check=True)
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):
            while piece := os.read(leader, 4096):
                shown += piece
    assert shown.endswith(b"\r") and b"%" in shown
    assert max(len(text) for text in shown.split(b"\r")) < columns, shown


def test_progress_on_a_terminal_only(tmp_path):
    log = write(tmp_path / "log", harvest_log() + [line(900, "warning: nothing")] * 60000)
    assert replay(log).err == ""
    with terminal() as (leader, follower):
        done = subprocess.run([program(), "replay", *SETTINGS, log], stderr=follower, stdout=subprocess.DEVNULL,
                              check=True)
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):
            while piece := os.read(leader, 4096):
                shown += piece
    assert done.returncode == 0
    assert re.search(rb"\r\[[#.]{40}\] +\d+ % of \d+ MiB", shown), shown
    assert shown.endswith(b"\r")


# Broken logs


def log_of_every_kind():
    sendmail = ["NOQUEUE: connect from mail.example.net [192.0.2.9]", "6AL3N8Yh000019: <no1@example.test>... User unknown",
                "6AL3N8Yh000019: ruleset=check_rcpt, arg1=<a@b>, relay=[192.0.2.9], reject=550 5.7.1 <a@b>... Relaying denied",
                "6AL3N8Yh000019: from=<x@example.net>, size=0, class=0, nrcpts=2, proto=ESMTP, daemon=MTA, relay=[192.0.2.9]",
                "6AL3N8Yh000019: to=<good1@example.test>,<good2@example.test>, delay=00:00:01, mailer=local, stat=Sent",
                "6AL3N8Yh000019: lost input channel from [192.0.2.9] to MTA after rcpt"]
    return harvest_log(count=5) + delivery_log(CLIENT) + [f"{stamp(700)} mx sendmail[19]: {text}\n" for text in sendmail]


def test_lines_cut_anywhere(tmp_path):
    """Each line at each of its places."""
    lines = [text[:length] + "\n" for text in log_of_every_kind() for length in range(len(text))]
    result = tarpitctl("--json", "replay", *SETTINGS, write(tmp_path / "log", lines))
    assert result.status == 0 and "warning: only" in result.err, result
    document = result.json
    assert document["lines"]["read"] == len(lines)
    assert 0 < document["lines"]["unreadable"] < len(lines)


def test_any_byte_anywhere(tmp_path):
    """Each byte in each line, at some place."""
    random.seed(3)
    path = tmp_path / "log"
    with open(path, "wb") as log:
        for text in log_of_every_kind():
            for byte in range(256):
                changed = bytearray(text.encode())
                changed[random.randrange(len(changed) - 1)] = byte
                log.write(changed)
    picture = tmp_path / "x.svg"
    replay_json("--svg", picture, path)
    xml.etree.ElementTree.parse(picture)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_log_cut_anywhere(tmp_path, suffix):
    whole = write(tmp_path / f"whole{suffix}", log_of_every_kind()).read_bytes()
    path = tmp_path / f"log{suffix}"
    for length in range(0, len(whole), len(whole) // 25):
        path.write_bytes(whole[:length])
        result = tarpitctl("--json", "replay", *SETTINGS, path)
        if length == 0 or suffix and b"192.0.2.1]" not in zlib.decompressobj(31).decompress(whole[:length]):
            assert result.status == 66, (length, result)
        else:
            assert result.status == 0 and result.json["ok"], (length, result)
            assert len(result.json["damaged"]) == (suffix != ""), (length, result)


def test_damaged_and_foreign_files(tmp_path):
    good_log = write(tmp_path / "log", harvest_log())
    whole = gzip.compress("".join(text for number in range(2000) for text in harvest_log(begin=number * 500)).encode())
    bad = bytearray(gzip.compress(good_log.read_bytes()))
    bad[-6] ^= 255
    path = tmp_path / "bad"
    for content, reason in ((lzma.compress(good_log.read_bytes()), "xz"), (bad, "damaged"), (whole[:10], "early")):
        path.write_bytes(content)
        for paths in [path], [good_log, path]:
            assert f"{path}: " in replay(*paths, status=66).err
            result = tarpitctl("--json", "replay", *SETTINGS, *paths)
            assert result.status == 66 == result.json["status"] and reason in result.json["error"]
        with open(path, "rb") as log:
            assert subprocess.run([program(), "replay", *SETTINGS, "-"], stdin=log, capture_output=True,
                                  check=False).returncode == 66
    path.write_bytes(whole[:-20])
    result = tarpitctl("--json", "replay", *SETTINGS, good_log, path)
    assert result.status == 0 and "too early" in result.err and result.json["lines"]["read"] > 1000
    assert result.json["damaged"] == [{"file": str(path), "reason": "the compressed data ends too early"}]


def test_noise(tmp_path):
    random.seed(4)
    path = tmp_path / "log"
    path.write_bytes(random.randbytes(300_000) + b"\0" * 100_000 + b"a" * 100_000)
    assert "could be understood" in replay(path, status=66).err
    with open(path, "ab") as log:
        log.write(b"\n" + "".join(harvest_log()).encode())
    result = tarpitctl("--json", "replay", *SETTINGS, path)
    assert result.status == 0 and "warning: only" in result.err and only(result.json)["rejected"] == 8
