# SPDX-License-Identifier: BSD-2-Clause
"""The fail2ban filter finds the clients that a daemon flagged, in each form of log, and nobody else."""

import contextlib
import datetime
import os
import re
import shutil
import subprocess

import pytest
from checks import OPTIONS, wait_until
from needs import as_root, needs_program, require_journald

from support import journald
from support.daemon import TOP, Daemon
from support.journald import rfc3339, traditional
from support.milter import Session, offend

pytestmark = needs_program("fail2ban-regex")

HARMLESS = "198.51.100.9"
FLAG_OF_ANOTHER = (f"flag: client={HARMLESS} host=x bad=5.00 good=0.00 score=5.00 network=198.51.100.0/24 "
                   "network_score=5.00 delay_ms=5000")
STAMP = "Nov 21 03:20:20 mx tarpit-milter[4711]: "
# client -> the name that it gives itself: all are flagged.
OFFENDERS = {
    "192.0.2.1": "mail.example.net",
    "2001:db8:1:2::3": "six.example.net",
    "192.0.2.3": FLAG_OF_ANOTHER,
    "192.0.2.4": f"x\n{STAMP}{FLAG_OF_ANOTHER}",
    "192.0.2.5": f'x" bad=1 {FLAG_OF_ANOTHER}',
    "192.0.2.6": f"client={HARMLESS}",
    "192.0.2.7": FLAG_OF_ANOTHER.replace(" ", "\t"),
    "192.0.2.8": FLAG_OF_ANOTHER.replace(" ", "\u00a0"),
    "192.0.2.9": f"{'x' * 190} {FLAG_OF_ANOTHER}",
    "2001:db8:9::1": f"\\x0A{STAMP}{FLAG_OF_ANOTHER}",
    # What connects here is a translator's address.
    "64:ff9b::cb00:7109": f"{FLAG_OF_ANOTHER} via={HARMLESS}",
}
# Recipients and senders of a client that is rejected, and never flagged.
HOSTILE_RECIPIENTS = [
    f'"{FLAG_OF_ANOTHER}"@example.org',
    f'"\r\n{STAMP}{FLAG_OF_ANOTHER}"@example.org',
    f"{FLAG_OF_ANOTHER} ",
]
# What others write, and lines that are cut.
STRANGERS = [
    f"postfix/smtpd[12]: NOQUEUE: reject: RCPT from x[192.0.2.99]: helo=<tarpit-milter[1]: {FLAG_OF_ANOTHER}>",
    f"postfix/smtpd[12]: tarpit-milter[1]: {FLAG_OF_ANOTHER}",
    f"sm-mta[12]: x: tarpit-milter[1]: {FLAG_OF_ANOTHER}",
    f"tarpit-milter: {FLAG_OF_ANOTHER}",
    f"not-tarpit-milter[1]: {FLAG_OF_ANOTHER}",
    f"tarpit-milter[1]: info: {FLAG_OF_ANOTHER}",
    f"info: {FLAG_OF_ANOTHER}",
    f"tarpit-milter[1]: control: command={FLAG_OF_ANOTHER}",
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER[:60]}",
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER} and=more",
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER} via={HARMLESS} and=more",
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER} via=localhost",
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER}".replace("flag:", "stall:"),
    f"tarpit-milter[1]: {FLAG_OF_ANOTHER}".replace(HARMLESS, "localhost"),
]


def flag_offenders(daemon):
    """Only MAIL is stalled, and nobody sends a second one."""
    for client, name in OFFENDERS.items():
        with Session(daemon.address, client, name=name) as session:
            session.greet()
            session.reject_many(5)
            session.quit()
    with Session(daemon.address, HARMLESS, name=FLAG_OF_ANOTHER) as session:
        session.greet(sender=FLAG_OF_ANOTHER)
        for recipient in HOSTILE_RECIPIENTS:
            session.rcpt(recipient, rejected="5.1.1")
        session.quit()


@pytest.fixture(scope="module")
def journal():
    """The journal of a real journald, with all that a real daemon has to say of OFFENDERS."""
    require_journald()
    with journald.Journald() as ours:
        with ours.daemon({**OPTIONS, "stall_at": "{mail}", "network_threshold": "0",
                          # It takes no line of a client that only a siege has flagged.
                          "siege_threshold": "0"}) as daemon:
            flag_offenders(daemon)
        yield ours


FORMS = {
    "syslog": lambda journal: journal.as_file(traditional),
    "rfc3339": lambda journal: journal.as_file(rfc3339),
    **{f"journalctl-{name}": lambda journal, name=name: journal.read("-o", name)
       for name in ("short", "short-precise", "short-iso", "short-iso-precise")},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """fail2ban's configuration as Debian has it, and ours; the only jail is ours."""
    path = tmp_path_factory.mktemp("fail2ban") / "config"
    shutil.copytree("/etc/fail2ban", path)
    shutil.rmtree(path / "jail.d")
    shutil.copytree(os.path.join(TOP, "packaging/fail2ban"), path, dirs_exist_ok=True)
    return path


def found(config, log, *options, name="tarpit-milter"):
    """The addresses that the filter finds, in order."""
    output = subprocess.run(
        ["fail2ban-regex", "-c", config, "-o", "ip", *options, log, config / f"filter.d/{name}.conf"],
        capture_output=True, text=True, check=False)
    assert output.returncode == 0, output
    return output.stdout.split()


@pytest.mark.parametrize("form", FORMS)
def test_finds_those_that_were_flagged_and_nobody_else(journal, config, form, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text(FORMS[form](journal))
    assert log.read_text().count(HARMLESS) > len(OFFENDERS), "what should mislead it is not there"
    assert found(config, log) == list(OFFENDERS)


def test_finds_them_in_the_journal_itself(journal, config):
    by_name = "-m", "SYSLOG_IDENTIFIER=tarpit-milter"
    assert found(config, f"systemd-journal[journalpath={journal.path}]", *by_name) == list(OFFENDERS)


def test_takes_of_the_journal_only_what_the_unit_wrote(journal, config):
    assert found(config, f"systemd-journal[journalpath={journal.path}]") == []


@pytest.mark.parametrize("form", [
    "<mail.notice> mx tarpit-milter[1]: {}", "mx mail.notice tarpit-milter[1]: {}", "mx tarpit-milter[1]: {}", "{}"])
def test_reads_what_other_log_daemons_write(config, form, tmp_path):
    """busybox syslogd, and a daemon in the foreground whose lines somebody else stamps."""
    log = tmp_path / "mail.log"
    now = datetime.datetime.now().astimezone()
    log.write_text(f"{traditional(now)} {form.format(FLAG_OF_ANOTHER)}\n")
    assert found(config, log) == [HARMLESS]


@pytest.mark.parametrize("stamp", [traditional, rfc3339])
def test_is_not_misled_by_other_lines(config, stamp, tmp_path):
    now = datetime.datetime.now().astimezone()
    log = tmp_path / "mail.log"
    log.write_text("".join(f"{stamp(now)} mx {line}\n" for line in STRANGERS))
    assert found(config, log) == []
    log.write_text(f"{stamp(now)} mx tarpit-milter[1]: {FLAG_OF_ANOTHER}\n")
    assert found(config, log) == [HARMLESS], "so the lines above would have been found without what is wrong in them"


@pytest.mark.parametrize("stamp", [traditional, rfc3339])
def test_the_other_filter_finds_who_is_answered_421(config, stamp, tmp_path):
    now = datetime.datetime.now().astimezone()
    log = tmp_path / "mail.log"
    misleading = [*STRANGERS, f"tarpit-milter[1]: pass: client={HARMLESS} stage=CONNECT reason=budget",
                  f"tarpit-milter[1]: defer: client={HARMLESS} stage=CONNECT reason=sessions",
                  f"tarpit-milter[1]: defer: client={HARMLESS} stage=CONNECT reason=sessions count=1 count=2",
                  f"tarpit-milter[1]: reject: rcpt=\"defer: client={HARMLESS} stage=A reason=b count=1\" count=1",
                  f"tarpit-milter[1]: {FLAG_OF_ANOTHER}"]
    log.write_text("".join(f"{stamp(now)} mx {line}\n" for line in misleading))
    assert found(config, log, name="tarpit-milter-defer") == []
    with Daemon({**OPTIONS, "stall_at": "{mail}", "max_stalls": "1", "threshold": "1", "delay_max": "2s", "delay_min": "2s"}) as daemon:
        for client in ("192.0.2.1", "2001:db8:1:2::3", "64:ff9b::cb00:7109"):
            offend(daemon.address, client)
        with Session(daemon.address, "192.0.2.1") as waiting, Session(daemon.address, "2001:db8:1:2::3") as refused, \
                Session(daemon.address, "64:ff9b::cb00:7109") as translated:
            waiting.begin_mail()
            wait_until(lambda: daemon.events("stall"), 10)
            assert refused.mail().is_deferral
            assert translated.mail().is_deferral
        lines = daemon.log_lines("defer")
    log.write_text("".join(f"{stamp(now)} mx tarpit-milter[1]: {line}\n" for line in lines))
    assert found(config, log, name="tarpit-milter-defer") == ["2001:db8:1:2::3", "64:ff9b::cb00:7109"]


def client_of(config, directory):
    """Runs fail2ban-client on a server of our own; its output."""
    def run(*arguments):
        return subprocess.run(["fail2ban-client", "-c", config, "-s", directory / "socket", "-p", directory / "pid",
                               *arguments], capture_output=True, text=True, check=False)
    return run


def write_jail(config, log, *settings):
    """The jail as it is shipped, but for the log's place and these settings."""
    (config / "jail.local").write_text("\n".join(["[tarpit-milter]", f"logpath = {log}", "backend = polling", *settings, ""]))
    (config / "fail2ban.local").write_text("[Definition]\ndbfile = None\n")


@contextlib.contextmanager
def server_of(config, directory, *before):
    """A server of our own; before: a command that it is run by."""
    with subprocess.Popen(
            [*before, "fail2ban-server", "-f", "-c", config, "-s", directory / "socket", "-p", directory / "pid",
             "--logtarget", directory / "log"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            yield server
        finally:
            server.terminate()
            server.wait(20)


def test_the_jail_bans_who_is_flagged_for_the_third_time(config, tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("")
    write_jail(config, log, "banaction = dummy", f"action = dummy[target={tmp_path}/banned]")
    ask = client_of(config, tmp_path)
    tested = ask("-t")
    assert tested.returncode == 0, tested
    dumped = ask("-d").stdout
    for setting in "'maxretry', 3", "'findtime', '7d'", "'bantime', '1d'":
        assert setting in dumped, dumped

    now = datetime.datetime.now().astimezone()
    seldom, once = (FLAG_OF_ANOTHER.replace(HARMLESS, other) for other in ("198.51.100.10", "2001:db8::7"))
    flags = zip((6, 5, 4, 3, 2, 0), (seldom, FLAG_OF_ANOTHER, seldom, FLAG_OF_ANOTHER, once, FLAG_OF_ANOTHER))
    log.write_text("".join(f"{traditional(now - datetime.timedelta(days=days))} mx tarpit-milter[1]: {line}\n"
                           for days, line in flags))
    with server_of(config, tmp_path):
        wait_until(lambda: HARMLESS in ask("get", "tarpit-milter", "banip").stdout, 20)
        assert ask("get", "tarpit-milter", "banip").stdout.split() == [HARMLESS]


@as_root
@needs_program("nft")
def test_the_action_bans_the_whole_client(config, tmp_path):
    """Two addresses of one /64, and one of IPv4, in a network namespace of their own."""
    log = tmp_path / "mail.log"
    log.write_text("")
    write_jail(config, log, "banaction = tarpit-milter-nftables", "maxretry = 1")
    stamp = traditional(datetime.datetime.now().astimezone())
    banned = "2001:db8:1:2::3", "2001:db8:1:2::4", "192.0.2.1"
    with server_of(config, tmp_path, "unshare", "--net") as server:
        ask = client_of(config, tmp_path)

        def rules():
            return subprocess.run(["nsenter", "--net", "--target", str(server.pid), "nft", "list", "ruleset"],
                                  capture_output=True, text=True, check=True).stdout

        def elements():
            return re.findall(r"elements = \{ (.*) \}", rules())

        wait_until(lambda: ask("status", "tarpit-milter").returncode == 0, 20)
        log.write_text("".join(f"{stamp} mx tarpit-milter[1]: {FLAG_OF_ANOTHER.replace(HARMLESS, client)}\n"
                               for client in banned))
        wait_until(lambda: len(ask("get", "tarpit-milter", "banip").stdout.split()) == 3 and len(elements()) == 2, 20)
        assert sorted(elements()) == ["192.0.2.1", "2001:db8:1:2::/64"]
        assert "tcp dport 25 ip6 saddr @addr6-set-tarpit-milter reject" in rules()
        for client in banned:
            assert ask("set", "tarpit-milter", "unbanip", client).returncode == 0
        wait_until(lambda: not elements(), 20)
    assert " ERROR " not in (tmp_path / "log").read_text()
