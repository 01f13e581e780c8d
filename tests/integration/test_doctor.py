# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl doctor and check, beside a real daemon and a real Postfix's configuration: nothing on a sound machine,
and each planted fault by its name."""

import contextlib
import os
import pathlib
import re
import shutil
import socket

import pytest
from mtas import needs_postfix
from needs import as_root
from test_tarpitctl import Liar, as_nobody, assert_harmless

from support.control import frame
from support.ctl import tarpitctl
from support.daemon import Daemon
from support.memcached import Memcached
from support.milter import Session, offend
from support.ports import free_port
from support.postfix import Postfix
from support.site import open_directory

# They run postconf and tarpitctl hundreds of times: the sanitizers see the unit tests in place of that.
pytestmark = [needs_postfix, pytest.mark.plain]

SOUND = {"disable_vrfy_command": "yes", "recipient_delimiter": "+"}
CHECK_LINE = re.compile(r"TARPIT (OK|WARNING|CRITICAL) - [^|\n]+( \| ((\w+=\d+;\d*;\d*;\d*;\d*)|(\w+=\d+;;;0)| )+)?\n")


class Machine:
    """A daemon, and the files of a Postfix that asks it."""

    def __init__(self, daemon, config):
        self.daemon, self.config = daemon, pathlib.Path(config)
        command = daemon.command
        self.arguments = ["-c", daemon.config_path, *(word for i, word in enumerate(command)
                                                      if "-o" in (word, command[i - 1]))]

    def plant(self, main_cf="", master_cf=None):
        """Adds lines to main.cf, or replaces some in master.cf."""
        with open(self.config / "main.cf", "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(main_cf)
        if master_cf:
            path = self.config / "master.cf"
            before = path.read_text()
            path.write_text(re.sub(*master_cf, before, flags=re.M))
            assert path.read_text() != before

    def run(self, command, *args, **kwargs):
        result = tarpitctl(command, *self.arguments, "--config-dir", str(self.config), *args, **kwargs)
        assert_harmless(result.out, result.err)
        return result

    def doctor(self, *args, **kwargs):
        """Its report. The text has the same findings, and check the same status."""
        result = self.run("doctor", "--json", *args, **kwargs)
        report = result.json
        lines = self.run("doctor", *args, **kwargs)
        check = self.run("check", *args, **kwargs)
        assert report["status"] == result.status == lines.status == check.status and result.err == ""
        assert sorted(re.findall(r"^(OK|WARNING|CRITICAL) ([\w-]+): ", lines.out, re.M)) == sorted(
            (found["level"].upper(), found["id"]) for found in report["findings"])
        assert all(f"{found['text']}: {found['mend']}\n" in lines.out for found in report["findings"])
        assert re.findall(r"^NOT CHECKED (.*)$", lines.out, re.M) == report["not_checked"]
        assert CHECK_LINE.fullmatch(check.out), check.out
        assert check.out.split()[1] == ["OK", "WARNING", "CRITICAL"][check.status]
        return report

    def found(self, *args, **kwargs):
        report = self.doctor(*args, **kwargs)
        assert report["not_checked"] == []
        return [found["id"] for found in report["findings"]]


@contextlib.contextmanager
def machine(options=None, services=None, **parameters):
    with open_directory() as directory:
        daemon = Daemon({"mode": "enforce", **(options or {})}, control=True)
        milter = f"{{ {daemon.socket}, default_action=accept, command_timeout=30s }}"
        config = Postfix(f"{directory}/mta", services=services,
                         **{**SOUND, "smtpd_milters": milter, **parameters}).write()
        with daemon:
            # As socket_group has it, which is for a daemon that starts with more rights than the unit's.
            if os.path.exists(daemon.address):
                shutil.chown(daemon.address, group="postfix")
            yield Machine(daemon, config)


@pytest.fixture(name="sound", scope="module")
def one_that_is_not_changed():
    with machine() as made:
        yield made


@pytest.fixture(name="ours")
def one_to_be_changed(sound):
    """The same with its files as they were afterwards."""
    texts = {path: path.read_bytes() for path in (sound.config / "main.cf", sound.config / "master.cf")}
    yield sound
    for path, text in texts.items():
        path.write_bytes(text)


def test_a_sound_machine_has_no_finding(sound):
    report = sound.doctor()
    assert report["findings"] == [] and report["not_checked"] == [] and report["status"] == 0
    line, = sound.run("doctor").out.splitlines()
    assert line.startswith("OK nothing found; looked at: configuration, daemon ")
    assert line.endswith(f"socket {sound.daemon.socket}, Postfix in {sound.config}")


def test_check_has_performance_data(sound):
    assert re.fullmatch(r"TARPIT OK - nothing found \| stalls=0;;40;0;40 sessions=0;;(\d+);0;\1 flagged=0;;;0 "
                        r"clients=0;;;0\n", sound.run("check").out)


def test_no_value_can_forge_performance_data(ours):
    ours.plant("smtpd_milters = unix:/tarpit|stalls=0\n")
    out = ours.run("check").out
    assert "unix:/tarpit/stalls=0" in out and out.count("|") == 1


MASTER_CHROOT = r"^(\d+ inet n - )n", r"\1y"


@pytest.mark.parametrize("fault, main_cf, master_cf", [
    ("vrfy-on", "disable_vrfy_command = no", None),
    ("delay-reject", "smtpd_delay_reject = no", None),
    ("unlisted-recipient", "smtpd_reject_unlisted_recipient = no", None),
    ("soft-bounce", "soft_bounce = yes", None),
    ("local-unchecked", "local_recipient_maps =", None),
    ("relay-unchecked", "relay_domains = backup.test", None),
    ("virtual-unchecked", "virtual_mailbox_domains = boxes.test", None),
    ("reject-code-4xx", "unknown_local_recipient_reject_code = 450", None),
    ("recipient-delimiter", "recipient_delimiter = +-", None),
    ("mynetworks-not-exempt", "mynetworks = 127.0.0.0/8, 192.0.2.0/24", None),
    ("milter-missing", "smtpd_milters =", None),
    ("milter-missing", "smtpd_milters = unix:/run/opendkim/opendkim.sock", None),
    ("socket-differs", "smtpd_milters = unix:/nowhere/tarpit.sock", None),
    ("command-timeout", "smtpd_milters = {{ {socket}, default_action=accept, command_timeout=5s }}", None),
    ("connect-timeout", "smtpd_milters = {{ {socket}, default_action=accept, connect_timeout=1s }}", None),
    ("default-action", "smtpd_milters = {socket}", None),
    ("milter-protocol", "milter_protocol = 3", None),
    ("max-stalls", "default_process_limit = 20", None),
    ("max-stalls", "", (r"^(\d+ inet n - n - )-", r"\g<1>20")),
    ("socket-outside-chroot", "", MASTER_CHROOT),
    ("submission-served", "", (r"\Z", "submission inet n - n - - smtpd\n")),
])
def test_a_planted_fault_of_postfix_is_found_alone(ours, fault, main_cf, master_cf):
    ours.plant(main_cf.format(socket=ours.daemon.socket) + "\n", master_cf)
    assert ours.found() == [fault]


def test_submission_that_leaves_the_milter_out_is_none(ours):
    ours.plant(master_cf=(r"\Z", "submission inet n - y - - smtpd\n  -o smtpd_milters=\n"))
    assert ours.found() == []


def test_the_same_socket_by_a_link_is_the_same(ours, tmp_path):
    folder = tmp_path / "link"
    folder.symlink_to(ours.daemon.directory)
    ours.plant(f"smtpd_milters = {{ unix:{folder}/milter.sock, default_action=accept }}\n")
    assert ours.found() == []


@pytest.mark.parametrize("fault, option", [
    ("config-faulty", "threshold=no"), ("config-stale", "mode=observe"), ("config-stale", "store=memcached"),
    ("socket-open", "socket_mode=0666"),
])
def test_a_planted_fault_of_ours_is_found_alone(sound, fault, option):
    report = sound.doctor("-o", option)
    assert [found["id"] for found in report["findings"]] == [fault]


def test_the_last_fault_has_its_place_and_is_critical(sound):
    found, = sound.doctor("-o", "threshold=no")["findings"]
    assert found["level"] == "critical" and re.match(r"--set:\d+: threshold: 'no'", found["text"])


@pytest.mark.parametrize("mode, path", [(0o600, "milter.sock"), (0o700, "")])
def test_a_socket_that_postfix_cannot_reach(sound, mode, path):
    path = os.path.join(sound.daemon.directory, path)
    before = os.stat(path).st_mode & 0o7777
    os.chmod(path, mode)
    try:
        report = sound.doctor()
    finally:
        os.chmod(path, before)
    found, = report["findings"]
    assert found["id"] == "socket-denied" and found["text"].startswith("Postfix's user postfix may not ")
    assert report["status"] == 2


def test_a_socket_that_is_gone(sound):
    path = sound.daemon.address
    os.rename(path, path + ".away")
    try:
        assert sound.found() == ["socket-missing"]
    finally:
        os.rename(path + ".away", path)


def test_a_daemon_that_is_down():
    with machine() as ours:
        ours.daemon.stop()
        found, = ours.doctor()["findings"]
        assert (found["id"], found["level"]) == ("daemon-down", "critical")
        assert ours.run("check").out.startswith("TARPIT CRITICAL - daemon-down: ")


def test_a_daemon_without_control_socket(sound):
    report = sound.doctor("-o", 'control_socket=""')
    assert [found["id"] for found in report["findings"]] == ["control-off"] and len(report["not_checked"]) == 1


def test_a_daemon_of_another_version(sound):
    answer = {"ok": True, "version": "0.0.9\x1b[2J", "mode": "enforce", "store": "memory", "store_state": "up"}
    with Liar(frame(answer), hang=True) as liar:
        result = sound.run("doctor", "--json", "-S", liar.path)
    found, = result.json["findings"]
    assert found["id"] == "version-skew" and r"0.0.9\x1b[2J" in found["text"]


def test_to_observe_is_no_fault():
    with machine({"mode": "observe"}) as ours:
        report = ours.doctor()
        assert [(found["id"], found["level"]) for found in report["findings"]] == [("observe", "ok")]
        assert report["status"] == 0 and "\nOK nothing found; " in ours.run("doctor").out


def test_inet_sockets_are_open_to_strangers():
    port = free_port()
    milter = f"{{ inet:127.0.0.1:{port}, default_action=accept }}"
    with machine({"socket": f"inet:{port}@127.0.0.1"}, smtpd_milters=milter) as ours:
        assert ours.found() == ["inet-local"]
    with machine({"socket": f"inet:{port}@0.0.0.0"}, smtpd_milters=milter) as ours:
        assert ours.found() == ["inet-public"]


def test_a_memcached_that_all_can_reach_or_that_is_down():
    with Memcached() as memcached, machine({**memcached.options, "memcached_retry": "60s"}) as ours:
        assert ours.found() == []
        servers = f'memcached_servers={{"127.0.0.1:{memcached.address[1]}", "198.51.100.7:11211"}}'
        assert ours.found("-o", servers) == ["memcached-public"]
        with socket.create_server(("0.0.0.0", 0)) as listener:
            servers = f'memcached_servers={{"127.0.0.1:{listener.getsockname()[1]}"}}'
            assert ours.found("-o", servers) == ["memcached-open"]
        memcached.kill()
        offend(ours.daemon.address)
        ours.daemon.wait_for("^store: state=down")
        assert ours.found() == ["memcached-down"]


def test_gateways_that_the_daemon_has_seen():
    with machine({"stall_at": "{}", "max_flagged_sessions": "0"}) as ours:
        offend(ours.daemon.address, "172.17.0.1", 6)
        assert ours.found() == ["private-client"]
        for number in range(1000):
            with Session(ours.daemon.address, f"203.0.113.{number % 3 // 2}") as session:
                session.quit()
        ours.daemon.wait_for("^mta: .*makes most of all sessions")
        text = ours.run("doctor").out
        assert ours.found() == ["gateway", "private-client"]
        assert "WARNING gateway: 203.0.113.0 makes most of all sessions" in text
        assert "WARNING private-client: 172.17.0.1 is a private address" in text
        assert ours.found("-o", "exempt_clients += {172.16.0.0/12, 203.0.113.0/24}") == []


@as_root
def test_what_may_not_be_looked_at_is_not_fine(sound):
    report = sound.doctor(preexec_fn=as_nobody)
    assert report["findings"] == [] and report["status"] == 1
    assert [line.partition(":")[0] for line in report["not_checked"]] == ["daemon"]
    assert "nothing found" not in sound.run("doctor", preexec_fn=as_nobody).out
    assert sound.run("check", preexec_fn=as_nobody).out.startswith("TARPIT WARNING - not checked: daemon: ")


@as_root
def test_a_configuration_that_may_not_be_read(sound):
    os.chmod(sound.daemon.config_path, 0o600)
    try:
        report = sound.doctor(preexec_fn=as_nobody)
    finally:
        os.chmod(sound.daemon.config_path, 0o644)
    assert report["findings"] == [] and report["status"] == 1
    assert report["not_checked"][0] == f"configuration: {sound.daemon.config_path}: permission denied"


def test_no_postfix_is_said(sound):
    report = sound.doctor("--config-dir", "/nonexistent")
    assert report["findings"] == [] and report["status"] == 1
    assert report["not_checked"] == ["MTA: postconf: fatal: open /nonexistent/main.cf: No such file or directory"]


def test_sendmail_by_its_file(sound, tmp_path):
    path = tmp_path / "sendmail.cf"
    line = f"Xtarpit-milter, S={sound.daemon.socket}, F={{}}, T=R:30s\n"
    head = "O InputMailFilters=tarpit-milter\nO PrivacyOptions=authwarnings,novrfy\n"
    path.write_text(head + line.format(""))
    assert sound.found("--sendmail-cf", str(path)) == []
    path.write_text(head.replace(",novrfy", "") + line.format(""))
    assert sound.found("--sendmail-cf", str(path)) == ["vrfy-on"]
    path.write_text(head + line.format("T"))
    assert sound.found("--sendmail-cf", str(path)) == ["default-action"]
    path.unlink()
    assert sound.doctor("--sendmail-cf", str(path))["not_checked"] == [f"MTA: {path}: No such file or directory"]


@pytest.mark.parametrize("value", [
    "\x1b]0;owned\x07\x1b[2J", "{ { { {", "} } }", "\udc9b31m | x=1", "x" * 5000, "{" * 5000, "$recipient_delimiter",
    "%s%n%s%n", "unix:/tarpit\x1b[31m",
], ids=lambda value: repr(value[:20]))
def test_hostile_values_do_no_harm(ours, value):
    """run() looks at what comes out; that some fault is found shows that the value was read."""
    for name in "recipient_delimiter", "smtpd_milters", "mynetworks", "unknown_local_recipient_reject_code":
        ours.plant(f"{name} = {value}\n")
    assert ours.doctor()["status"] > 0


@pytest.mark.parametrize("args", [["x"], ["--no-such"], ["-c"], ["--config-dir"]])
@pytest.mark.parametrize("command", ["doctor", "check"])
def test_wrong_usage(command, args):
    result = tarpitctl(command, *args)
    assert result.status == 64 and result.out == "" and "usage: " in result.err


@pytest.mark.parametrize("command", ["doctor", "check"])
def test_help_says_the_exit_statuses(command):
    result = tarpitctl(command, "--help")
    assert result.status == 0 and re.search(r"exit status: 0 .*; 1 warning.*;\n2 critical; 64 usage", result.out)
