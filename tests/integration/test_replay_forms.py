# SPDX-License-Identifier: BSD-2-Clause
"""Logs in the forms that syslog daemons, journalctl and containers give them, and those that nothing can be made of."""

import json
import os
import socket
import subprocess
import time

import pytest
from checks import wait_until
from needs import require_journald
from replay_logs import CLIENT, SETTINGS, harvest_log, only, refusal, replay, replay_json, stamp, write

from support import journald
from support.ctl import tarpitctl


def forms(texts):
    """(second, pid, text) as each logger writes it: name, lines."""
    def moment(second, form):
        return time.strftime(form, time.gmtime(1772323200 + second))

    def plain(second, pid, text):
        return f"{moment(second, '%b %e %H:%M:%S')} mx postfix/smtpd[{pid}]: {text}"

    def journal(second, pid, text):
        return {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": f"{1772323200 + second}000123", "_HOSTNAME": "mx",
                "SYSLOG_IDENTIFIER": "postfix/smtpd", "_PID": str(pid), "_COMM": "smtpd", "MESSAGE": text}

    def dated(second):
        return moment(second, "%Y-%m-%dT%H:%M:%S.018306084Z")

    one_line = {
        "unpadded day": lambda s, pid, text: plain(s, pid, text).replace("  ", " ", 1),
        "docker logs -t": lambda s, pid, text: f"{dated(s)} {plain(s, pid, text)}",
        "compose": lambda s, pid, text: f"mail-1  | {plain(s, pid, text)}",
        "compose, coloured": lambda s, pid, text: f"\033[33mmail-1  | \033[0m{plain(s, pid, text)}",
        "compose -t": lambda s, pid, text: f"mail-1  | {dated(s)} {plain(s, pid, text)}",
        "Kubernetes": lambda s, pid, text: f"{dated(s)} stdout F {plain(s, pid, text)}",
        "kubectl --prefix": lambda s, pid, text: f"[pod/mail-0/postfix] {plain(s, pid, text)}",
        "json-file": lambda s, pid, text: json.dumps({"log": plain(s, pid, text) + "\n", "stream": "stdout",
                                                      "time": dated(s)}),
        "syslog driver": lambda s, pid, text: f"{moment(s, '%b %e %H:%M:%S')} node 3f2a1b[9]: {plain(s, pid, text)}",
        "level": lambda s, pid, text: f"{moment(s, '%Y-%m-%dT%H:%M:%S+00:00')} INFO    postfix/smtpd[{pid}]: {text}",
        "French": lambda s, pid, text: plain(s, pid, text).replace("Mar  1", "mars 01"),
        "Japanese": lambda s, pid, text: plain(s, pid, text).replace("Mar  1", " 3\u6708 01"),
        "with-unit": lambda s, pid, text: f"{moment(s, '%a %Y-%m-%d %H:%M:%S UTC')} mx postfix@-.service[{pid}]: {text}",
        "json": lambda s, pid, text: json.dumps(journal(s, pid, text)),
        "json-seq": lambda s, pid, text: "\x1e" + json.dumps(journal(s, pid, text)),
        "json-sse": lambda s, pid, text: f"data: {json.dumps(journal(s, pid, text))}\n",
        "json of bytes": lambda s, pid, text: json.dumps(journal(s, pid, list(text.encode()))),
        "journald driver": lambda s, pid, text: json.dumps(
            {**journal(s, 9, plain(s, pid, text)), "SYSLOG_IDENTIFIER": "3f2a1b"}),
    }
    return {name: [form(*text) + "\n" for text in texts] for name, form in one_line.items()}


TEXTS = [(0, 101, f"connect from unknown[{CLIENT}]"), *((n + 1, 101, refusal(n)) for n in range(8)),
         (10, 101, f"disconnect from unknown[{CLIENT}] ehlo=1 mail=1 rcpt=0/8 quit=1 commands=3/11")]


@pytest.mark.parametrize("form", forms([]))
def test_every_form_says_the_same(tmp_path, form):
    log = write(tmp_path / "log", forms(TEXTS)[form])
    os.utime(log, (1772323300, 1772323300))
    document = replay_json(log, env={"TZ": "UTC"})
    assert document["lines"]["unreadable"] == 0
    found = only(document)
    assert found["rejected"] == 8 and found["sessions"] == 1
    assert [(int(flag["time_s"]), flag["client"]) for flag in found["flags"]] == [(1772323205, CLIENT)]


@pytest.fixture(name="journal", scope="module")
def fixture_journal():
    """read(*options) -> what journalctl prints of a journal with TEXTS."""
    require_journald()
    with journald.Journald() as ours, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        def read(*options):
            return subprocess.run(["journalctl", "--no-pager", "-q", "-D", ours.path, "-t", "postfix/smtpd", *options],
                                  capture_output=True, check=False).stdout

        log.connect(str(ours.socket))
        for _, pid, text in TEXTS:
            log.send(f"<22>Mar  1 00:00:00 postfix/smtpd[{pid}]: {text}".encode())
        wait_until(lambda: b"disconnect from" in read())
        yield read


@pytest.mark.parametrize("output", ["short", "short-precise", "short-full", "short-iso", "short-iso-precise", "short-unix",
                                    "with-unit", "json", "json-seq", "json-sse"])
def test_what_journalctl_prints(tmp_path, journal, output):
    (tmp_path / "log").write_bytes(journal("-o", output))
    document = replay_json(tmp_path / "log")
    assert document["lines"]["unreadable"] == 0
    assert only(document)["rejected"] == 8 and only(document)["sessions"] == only(document)["clients_flagged"] == 1


@pytest.mark.parametrize("output", ["short-monotonic", "cat", "verbose", "export", "json-pretty"])
def test_what_journalctl_prints_that_has_no_line_with_a_date(tmp_path, journal, output):
    (tmp_path / "log").write_bytes(journal("-o", output))
    assert "journalctl" in replay(tmp_path / "log", status=66).err


@pytest.mark.parametrize("text, rejected", [
    ("mx postfix/smtpd[100]: message repeated 5 times: [ {refusal}]", 6),
    ("mx last message repeated 5 times", 6),
    ("mx syslogd: last message repeated 5 times", 6),
    ("mx newsyslog[7]: last message repeated 5 times", 1),
    ("mx last message repeated 2 times\n{stamp} mx last message repeated 3 times", 6),
    ("--- last message repeated 5 times ---", 6),
    ("mx postfix/smtpd[100]: lost connection after RCPT from unknown[192.0.2.1]\n"
     "{stamp} mx last message repeated 5 times", 1),
    ("mx postfix/smtpd[100]: message repeated 5 times: [ lost connection after RCPT from unknown[192.0.2.1]]", 1),
])
def test_what_was_repeated_counts_as_often(tmp_path, text, rejected):
    log = harvest_log(count=1)
    log.insert(2, f"{stamp(70)} {text.format(stamp=stamp(70), refusal=refusal(0))}\n")
    document = replay_json("--set", "count_distinct=no", write(tmp_path / "log", log))
    assert document["lines"]["unreadable"] == 0
    assert only(document)["rejected"] == rejected
    assert only(document)["clients_flagged"] == (rejected > 5)


def test_a_service_of_choice(tmp_path):
    log = write(tmp_path / "log", [text.replace("postfix/smtpd", "postfix/submission-haproxy/smtpd")
                                   for text in harvest_log()] + harvest_log("192.0.2.2", 7, pid=101))
    assert replay_json(log)["lines"]["submission"] == 10
    assert only(replay_json(log))["rejected"] == 7
    assert only(replay_json("--service", "submission-haproxy", log))["rejected"] == 8
    assert only(replay_json("--service", "postfix", log))["rejected"] == 7
    assert "submission" in replay("--service", "submission", log, status=66).err


def test_units_tell_no_service(tmp_path):
    log = write(tmp_path / "log", forms(TEXTS)["with-unit"])
    assert only(replay_json(log, env={"TZ": "UTC"}))["rejected"] == 8
    for service in "postfix", "submission":
        assert f"no session is of the service {service}" in replay("--service", service, log, status=66).err
    write(log, [*forms(TEXTS)["with-unit"], *harvest_log("192.0.2.2", 7, pid=7)])
    document = replay_json("--service", "postfix", log, env={"TZ": "UTC"})
    assert only(document)["rejected"] == 7 and document["lines"]["submission"] == len(TEXTS)


@pytest.mark.parametrize("content, hint", [
    ("rubbish\n", '"rubbish"'),
    ("\n-- Journal begins at Fri 2026-11-20 --\nru\033[1mbbish\n", r'log:3: "ru\x1b[1mbbish"'),
    ("lis 20 10:00:00 mx postfix/smtpd[1]: connect from unknown[192.0.2.1]\n", "LC_ALL=C journalctl -o short-iso"),
    ("[   12.345678] mx postfix/smtpd[1]: connect from unknown[192.0.2.1]\n", "short-iso"),
    ("connect from unknown[192.0.2.1]\n", "short-iso"),
    ("__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795178096123456\nMESSAGE=connect from unknown[192.0.2.1]\n", "short-iso"),
    ('{\n\t"MESSAGE" : "connect from unknown[192.0.2.1]"\n}\n', "an entry a line"),
    ('{"when": 1, "what": "connect from unknown[192.0.2.1]"}\n', "an entry a line"),
    ("Nov 20 10:00:00 mx dovecot: imap-login: Login: user=<a>\n", "postfix/smtpd"),
    ("Nov 20 10:00:00 mx /usr/sbin/cron[1]: (root) CMD (true)\n", "postfix/smtpd"),
    ("Nov 20 10:00:00 mx sm-notify[1]: Version 2.6.2 starting\n", "postfix/smtpd"),
    ("Nov 20 10:00:00 mx postfix_exporter.service[1]: listening on :9154\n", "postfix/smtpd"),
    ("", "nothing in it"),
    ("\n-- No entries --\n", "nothing in it but"),
])
def test_what_is_not_understood_is_no_report_of_zeros(tmp_path, content, hint):
    log, picture = tmp_path / "log", tmp_path / "x.svg"
    log.write_text(content * 3)
    result = replay("--svg", picture, log, status=66)
    assert result.out == "" and hint in result.err and result.err.isascii() and "\033" not in result.err, result
    assert not picture.exists()
    result = tarpitctl("--json", "replay", *SETTINGS, log)
    assert result.status == 66 == result.json["status"] and hint in result.json["error"], result


def test_nothing_in_any_log_is_no_report_of_zeros(tmp_path):
    """A log that has just been rotated is empty: that matters if no other has a line."""
    empty, blank = write(tmp_path / "mail.log", []), write(tmp_path / "mail.log.1", ["-- No entries --\n"])
    assert "nothing in it" in replay(empty, os.devnull, status=66).err
    assert "nothing in it" in replay(empty, blank, status=66).err
    assert only(replay_json(empty, blank, write(tmp_path / "mail.log.2.gz", harvest_log())))["rejected"] == 8


def test_a_stranger_beside_logs_is_named(tmp_path):
    log = write(tmp_path / "log", harvest_log())
    stranger = write(tmp_path / "stranger", ["20 10:00:00 mx postfix/smtpd[1]: nonsense\n"] * 3)
    empty = write(tmp_path / "empty", ["\n"])
    result = tarpitctl("--json", "replay", *SETTINGS, log, stranger, empty)
    assert result.status == 0 and only(result.json)["rejected"] == 8
    assert result.err.splitlines() == [f"tarpitctl: {stranger}: warning: no line has a time stamp that is known"]


def test_little_that_is_understood_has_a_warning(tmp_path):
    log = harvest_log()
    for strangers, warns in (len(log), False), (len(log) + 1, True):
        path = write(tmp_path / "log", log + ["20 10:00:00 mx postfix/smtpd[1]: nonsense\n"] * strangers)
        result = tarpitctl("--json", "replay", *SETTINGS, path)
        assert result.status == 0 and only(result.json)["rejected"] == 8
        assert ("warning: only 10 of 21 lines" in result.err and "LC_ALL=C" in result.err) == warns, result


@pytest.mark.parametrize("month", ["lis", "gru", "Thg 1", "Ebr "])
def test_any_month_of_a_language_that_is_not_read_has_a_warning(tmp_path, month):
    text = f"{month} 20 10:00:00 mx postfix/smtpd[1]: connect from unknown[192.0.2.1]"
    log = write(tmp_path / "log", ["rubbish\n", *harvest_log(), f"{text}\n"])
    result = tarpitctl("--json", "replay", *SETTINGS, log)
    assert result.status == 0 and only(result.json)["rejected"] == 8
    assert f'warning: only 10 of 12 lines could be understood; {log}:12: "{text}": the month is in' in result.err, result
    assert "LC_ALL=C journalctl -o short-iso" in result.err


def test_the_line_that_is_shown_is_the_one_that_is_named(tmp_path):
    dovecot, cut = [stamp(1) + text for text in (" mx dovecot: imap-login\n", " mx postfix/smtpd[1]: connect from a.exam\n")]
    log, other = tmp_path / "log", tmp_path / "other"
    write(log, [dovecot, cut, "rubbish\n"])
    assert f'{log}:3: "rubbish"' in replay(log, status=66).err
    write(other, [dovecot, cut])
    assert f'{log}:3: "rubbish"' in replay(other, log, status=66).err
    assert f'{other}:2: "{cut[:-1]}"' in replay(other, status=66).err
    write(log, [*harvest_log(), *[cut] * 11])
    assert f'{log}:11: "{cut[:-1]}": it has a time stamp, but is cut' in replay(log).err


def test_relaying_that_is_deferred_counts_if_asked_for(tmp_path):
    log = write(tmp_path / "log", [text.replace("550 5.1.1", "454 4.7.1") for text in harvest_log()])
    assert only(replay_json(log))["rejected"] == 0
    found = only(replay_json("--set", 'soft_offences={"4.7.1 1"}', log))
    assert found["rejected"] == found["rejected_counted"] == 8 and found["clients_flagged"] == 1
