# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl setup postfix: what it changes, what it leaves alone, and that undo takes back just that."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest
from checks import wait_until
from mtas import needs_postfix

from support.ctl import program, tarpitctl
from support.daemon import Daemon
from support.postfix import Postfix
from support.site import OPTIONS, assert_at_once, assert_waited, harvest, open_directory
from support.smtp import Client

# They run postconf and tarpitctl hundreds of times: the sanitizers see the unit tests in place of that.
pytestmark = [needs_postfix, pytest.mark.plain]

MAIN = """\
# Ours, and not to be touched.
compatibility_level = 3.6
queue_directory = @DIR@/queue
mynetworks = 127.0.0.0/8
   # in between
myhostname = mx.example.test
"""
SMTP = "smtp      inet  n       -       n       -       -       smtpd\n"
MASTER = SMTP + "pickup    unix  n       -       n       60      1       pickup\n"
SUBMISSION = """\
# for users
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
#  -o commented=out
  -o smtpd_tls_security_level=encrypt
"""
INET = "inet:8895@127.0.0.1"
ENTRY = "{ inet:127.0.0.1:8895, default_action=accept, connect_timeout=30s, command_timeout=30s }"
BUILD = os.path.abspath(os.path.dirname(program()))
RECOMMENDED = {"smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "${stress?{1}:{10}}",
               "disable_vrfy_command": "yes"}


class Place:
    """A Postfix that does not run: two files of its own, and our configuration."""

    def __init__(self, directory, main=MAIN, master=MASTER, ours=f"socket = {INET}\n"):
        self.directory = pathlib.Path(directory)
        self.config = self.directory / "postfix"
        self.states = self.directory / "states"
        self.ours = self.directory / "tarpit-milter.conf"
        self.config.mkdir()
        (self.directory / "queue").mkdir()
        self.main, self.master = self.config / "main.cf", self.config / "master.cf"
        self.main.write_text(main.replace("@DIR@", str(self.directory)))
        self.master.write_text(master)
        self.ours.write_text(ours.replace("@DIR@", str(self.directory)))
        self.begun = self.bytes()
        self.age()

    def age(self):
        """postconf waits for two seconds before it reads a file that was changed just now."""
        for path in self.main, self.master:
            os.utime(path, (0, 0))

    def bytes(self):
        return self.main.read_bytes(), self.master.read_bytes()

    def setup(self, *args, status=0, where=True, **kwargs):
        """What it prints; err is to be empty where it is to succeed."""
        own = ["--config-dir", str(self.config)] if where else []
        result = tarpitctl("setup", "postfix", "-c", str(self.ours), "--state-dir", str(self.states), *own, *args,
                           **kwargs)
        self.age()
        assert result.status == status, result
        assert re.fullmatch(r"[ -~\n]*", result.out + result.err), "what would control a terminal"
        assert status or not result.err, result
        return result

    def refuse(self, *args, status=1, **kwargs):
        """It must change nothing, and leave no record; what it says is wrong."""
        before = self.bytes()
        result = self.setup(*args, status=status, **kwargs)
        assert self.bytes() == before and not self.recorded()
        return result

    def recorded(self):
        return sorted(self.states.iterdir()) if self.states.exists() else []

    def postconf(self, *args):
        done = subprocess.run(["postconf", "-c", self.config, *args], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        self.age()
        return done.stdout

    def own(self):
        """What main.cf sets."""
        return dict(re.split(" = ?", line, maxsplit=1) for line in self.postconf("-n").splitlines())

    def of_services(self):
        """SERVICE/TYPE -> its own smtpd_milters."""
        lines = self.postconf("-P", "*/*/smtpd_milters").splitlines()
        return {name.removesuffix("/smtpd_milters"): value
                for name, value in (re.split(" = ?", line, maxsplit=1) for line in lines)}


@pytest.fixture(name="place")
def fresh_place(tmp_path):
    return Place(tmp_path)


def commands_of(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_fresh_postfix_and_back(place):
    before = place.own()
    out = place.setup().out
    assert place.own() == {**before, "smtpd_milters": ENTRY, **RECOMMENDED}
    assert place.of_services() == {}
    for name in "smtpd_milters", *RECOMMENDED:
        assert any(f"'{name} = " in command for command in commands_of(out)), name
    assert "postfix reload" in out
    undo, = re.findall("^#     (tarpitctl .*--undo.*)", out, re.M)
    subprocess.run(["bash", "-euc", undo], check=True, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"})
    assert place.bytes() == place.begun and not place.recorded()


def test_dry_run_changes_nothing_and_prints_what_a_shell_would_do(tmp_path):
    place = Place(tmp_path, MAIN + "smtpd_milters = $it's,\n  inet:[::1]:8891\nit's = inet:a:1\n", MASTER + SUBMISSION)
    out = place.refuse("--dry-run", status=0).out
    assert "what setup would do" in out
    subprocess.run(["bash", "-euc", out], check=True)
    by_hand = place.bytes()
    place.main.write_bytes(place.begun[0])
    place.master.write_bytes(place.begun[1])
    place.setup()
    assert place.bytes() == by_hand != place.begun


@pytest.mark.parametrize("others, of_service", [
    ("", ""),
    ("inet:127.0.0.1:8891", "inet:127.0.0.1:8891"),
    ("inet:127.0.0.1:8891,", "inet:127.0.0.1:8891,"),
    ("inet:127.0.0.1:8891,\n    # a remark\n    { unix:opendkim/sock,\n  default_action=tempfail }",
     "inet:127.0.0.1:8891,{unix:opendkim/sock,default_action=tempfail}"),
    ("$ours unix:it's/`id`/\"  $(ours) ,", "$ours,unix:it's/`id`/\",$(ours)"),
    ("unix:a\\nb;c", "unix:a\\nb;c"),
    ("unix:a\x1b[31mb, unix:grün", "unix:a\x1b[31mb,unix:grün"),
    ("${ours?{inet:a:1}:{inet:b:2}}", "${ours?{inet:a:1}:{inet:b:2}}"),
], ids=["empty", "one", "comma", "lines", "quotes", "backslash", "controls", "conditional"])
def test_other_milters_come_first_and_stay_with_the_users(tmp_path, others, of_service):
    place = Place(tmp_path, MAIN + f"smtpd_milters = {others}\nours = inet:1.2.3.4:5\n", MASTER + SUBMISSION)
    expanded = place.postconf("-xh", "smtpd_milters").strip(", \n")
    place.setup()
    now = place.postconf("-xh", "smtpd_milters").strip()
    assert now == (f"{expanded}, {ENTRY}" if expanded else ENTRY)
    assert place.of_services() == {"submission/inet": of_service}
    place.setup("--undo")
    assert place.bytes() == place.begun


def test_what_main_cf_sets_stays_and_is_named(tmp_path):
    place = Place(tmp_path, MAIN + "smtpd_error_sleep_time = 3s\nsmtpd_hard_error_limit = 5\ndisable_vrfy_command=no\n")
    out = place.setup().out
    own = place.own()
    assert [own[name] for name in RECOMMENDED] == ["3s", "5", "no"]
    assert "smtpd_error_sleep_time = 3s, which stays. Better: 0" in out
    assert "disable_vrfy_command = no, which stays. Better: yes" in out


def test_services_of_the_sites_own_users(tmp_path):
    """With options of their own they stay as they are; others are no such services."""
    place = Place(tmp_path, master=MASTER + SUBMISSION + """\
smtps     inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
submissions inet n - n - - smtpd -o smtpd_milters=$mua_milters
127.0.0.1:587 inet n - n - - smtpd
[::1]:465 inet n - n - - smtpd
submission-haproxy pass - - n - - smtpd
submissionish unix - - n - - smtp
10025     inet n - n - - smtpd -o smtpd_milters=
smtpd     pass - - n - - smtpd
""")
    out = place.setup().out
    assert place.of_services() == {
        "smtps/inet": "", "submission/inet": "", "submissions/inet": "$mua_milters", "127.0.0.1:587/inet": "",
        "[::1]:465/inet": "", "submission-haproxy/pass": "", "10025/inet": ""}
    assert "10025/inet has milters of its own" in out and "submissions/inet has" not in out
    place.setup("--undo")
    assert place.bytes() == place.begun


def test_local_mail_does_not_pass_because_others_do(tmp_path):
    """OpenDKIM's guides have non_smtpd_milters = $smtpd_milters."""
    place = Place(tmp_path, MAIN + "smtpd_milters = inet:a:1\nnon_smtpd_milters = $smtpd_milters\n")
    place.setup()
    assert place.own()["non_smtpd_milters"] == "inet:a:1"
    place.setup("--undo")
    assert place.bytes() == place.begun
    place.main.write_text(place.main.read_text().replace("= $smtpd_milters", "= $smtpd_milters, inet:b:2"))
    assert "non_smtpd_milters = $smtpd_milters, inet:b:2" in place.refuse().err


def test_twice_is_once(place):
    place.setup()
    once = place.bytes(), place.recorded()[0].read_bytes()
    assert commands_of(place.setup().out) == []
    assert "Nothing to change" in place.setup().out
    assert (place.bytes(), place.recorded()[0].read_bytes()) == once
    place.setup("--undo")
    assert "Nothing to undo" in place.setup("--undo").out
    assert place.bytes() == place.begun


def test_what_was_added_since_is_set_up_and_undone_too(place):
    """A second setup knows what main.cf had before the first, and a change by hand outlives the undo."""
    place.setup()
    place.master.write_text(place.master.read_text() + SUBMISSION)
    place.postconf("-e", "mydestination=example.test")
    place.setup()
    assert place.of_services() == {"submission/inet": ""}
    before = place.own()
    place.setup("--undo")
    assert place.own() == {name: value for name, value in before.items()
                           if name not in ("smtpd_milters", *RECOMMENDED)}
    assert place.of_services() == {}


def test_undo_leaves_what_was_changed_by_hand(tmp_path):
    place = Place(tmp_path, master=MASTER + SUBMISSION)
    before = place.own()
    place.setup()
    place.postconf("-e", f"smtpd_milters={ENTRY}, inet:a:1", "mydestination=example.test")
    place.postconf("-X", "smtpd_error_sleep_time")
    place.postconf("-P", "submission/inet/smtpd_milters=inet:b:2")
    result = place.setup("--undo", status=1)
    assert place.own() == {**before, "smtpd_milters": f"{ENTRY}, inet:a:1", "mydestination": "example.test"}
    assert place.of_services() == {"submission/inet": "inet:b:2"}
    assert f"smtpd_milters: it is not what setup has made of it, and stays: {ENTRY}, inet:a:1" in result.err
    assert f"postconf -c {place.config} -X smtpd_milters" in result.out
    assert f"postconf -c {place.config} -PX submission/inet/smtpd_milters" in result.out
    assert not place.recorded()


def test_undo_as_a_dry_run(place):
    place.setup()
    done = place.bytes()
    assert "put back" in place.setup("--undo", "--dry-run").out
    assert place.bytes() == done and place.recorded()
    place.postconf("-e", "mydestination=example.test")
    done = place.bytes()
    assert f"postconf -c {place.config} -X smtpd_milters" in place.setup("--undo", "--dry-run").out
    assert place.bytes() == done and place.recorded()


@pytest.mark.parametrize("socket, chroot, level, address", [
    ("@DIR@/queue/tarpit/m.sock", "y", "3.6", "unix:tarpit/m.sock"),
    ("@DIR@/queue/tarpit/m.sock", "n", "3.6", "unix:tarpit/m.sock"),
    ("/run/tarpit/m.sock", "n", "3.6", "unix:/run/tarpit/m.sock"),
    ("/run/tarpit/m.sock", "-", "3.6", "unix:/run/tarpit/m.sock"),
    ("/run/tarpit/m.sock", "y", "3.6", None),
    ("/run/tarpit/m.sock", "-", "0", None),
])
def test_chroot(tmp_path, socket, chroot, level, address):
    """A submission service that is chrooted does not matter."""
    place = Place(tmp_path, MAIN.replace("3.6", level),
                  SMTP.replace("-       n", f"-       {chroot}") + SUBMISSION.replace("- n", "- y"),
                  f"socket = unix:{socket}\nuser = root\nsocket_mode = 0666\n")
    if address:
        place.setup()
        assert place.own()["smtpd_milters"] == "{ " + address + ENTRY[len("{ inet:127.0.0.1:8895"):]
        place.setup("--undo")
        assert place.bytes() == place.begun
    else:
        result = place.refuse()
        assert "chrooted" in result.err
        assert f'    socket = "unix:{tmp_path}/queue/tarpit-milter/milter.sock"' in result.out


@pytest.mark.parametrize("ours, address", [
    ("inet:8895@0.0.0.0", "inet:127.0.0.1:8895"), ("inet6:8895@::1", "inet:[::1]:8895"),
    ("inet6:8895@::", "inet:[::1]:8895"), ("inet:8895@localhost", "inet:localhost:8895"),
])
def test_addresses(tmp_path, ours, address):
    place = Place(tmp_path, ours=f'socket = "{ours}"\n')
    place.setup()
    assert place.own()["smtpd_milters"].startswith("{ " + address + ", ")


@pytest.mark.parametrize("ours, timeout, advice", [
    ("delay_max = 28s", 30, None), ("delay_max = 28500ms", 31, "mta_timeout = 31s"),
    ("delay_max = 2m", 122, "mta_timeout = 122s"), ("mta_timeout = 45s", 45, None),
    ("mta_timeout = 10s\ndelay_max = 60s", 30, None),
])
def test_timeout_fits_the_longest_delay(tmp_path, ours, timeout, advice):
    place = Place(tmp_path, ours=f"socket = {INET}\n{ours}\n")
    out = place.setup().out
    assert f"connect_timeout={timeout}s, command_timeout={timeout}s" in place.own()["smtpd_milters"]
    assert re.findall(r"mta_timeout = \w+", out) == ([advice] if advice else [])


def test_other_delays_need_an_undo_first(place):
    place.setup()
    done = place.bytes()
    place.ours.write_text(f"socket = {INET}\ndelay_max = 60s\n")
    assert "undo that first" in place.setup(status=1).err
    assert place.bytes() == done
    place.setup("--undo")
    place.setup()
    assert "command_timeout=62s" in place.own()["smtpd_milters"]


@pytest.mark.parametrize("by_hand", ["inet:127.0.0.1:8895", "inet:a:1, inet:localhost:8895"])
def test_what_was_written_by_hand_stays(tmp_path, by_hand):
    place = Place(tmp_path, MAIN + f"smtpd_milters = {by_hand}\n", MASTER + SUBMISSION)
    out = place.setup().out
    assert place.own()["smtpd_milters"] == by_hand
    assert place.of_services() == {}
    assert "submission/inet has the milter too" in out
    place.setup("--undo")
    assert place.bytes() == place.begun


def test_networks_that_are_not_exempt_are_told(tmp_path):
    place = Place(tmp_path, MAIN.replace("127.0.0.0/8", "127.0.0.0/8, [2001:db8::]/32 192.0.2.9/24,!10.0.0.1 hash:/x"))
    out = place.setup().out
    assert '    exempt_clients += {"2001:db8::/32", "192.0.2.0/24"}\n' in out
    assert "mynetworks has !10.0.0.1" in out and "mynetworks has hash:/x" in out
    place.ours.write_text(place.ours.read_text() + 'exempt_clients += {"2001:db8::/32", "192.0.2.0/24"}\n')
    assert "exempt_clients +=" not in place.setup().out


def test_delimiter_is_told(tmp_path):
    place = Place(tmp_path, MAIN + "recipient_delimiter = -_\n")
    assert '    recipient_delimiter = "-_"\n' in place.setup().out
    place.ours.write_text(place.ours.read_text() + 'recipient_delimiter = "-_"\n')
    assert "recipient_delimiter" not in place.setup().out


# What it refuses

@pytest.mark.parametrize("main, master, reason", [
    ("smtpd_milters = inet:a:1\nsmtpd_milters = inet:b:2\n", "", "main.cf sets it twice"),
    ("smtpd_milters = { inet:a:1\n", "", "braces do not match"),
    ("smtpd_milters = ${a? {inet:a:1} : {inet:b:2}}\n", SUBMISSION, "can't give that to submission/inet"),
    ("smtpd_milters = { inet:a:1, { default_action = accept } }\n", SUBMISSION, "can't give that to submission/inet"),
    ("smtpd_milters = $smtpd_milters\n", "", "postconf: "),
    ("what is this\n", "", "postconf: "),
    ("mail_owner = nobody-of-that-name\n", "", "there is no user nobody-of-that-name"),
    ("smtp_x = y\n", "what is this\n", "postconf: "),
])
def test_what_it_does_not_understand(tmp_path, main, master, reason):
    """A value with a blank that means something would be another one in master.cf."""
    ours = f"socket = {INET}\n" if "mail_owner" not in main else "socket = unix:@DIR@/queue/t/m\nuser = root\n"
    place = Place(tmp_path, MAIN + main, MASTER + master, ours)
    assert reason in place.refuse().err


def test_lines_to_add_by_hand_are_those_that_work(tmp_path):
    place = Place(tmp_path, MAIN + "smtpd_milters = { inet:a:1\n")
    out = place.refuse().out
    assert f"smtpd_milters = (the milters that are there), {ENTRY}" in out
    for name, value in RECOMMENDED.items():
        assert f"    {name} = {value}\n" in out


def test_line_that_nobody_would_read(tmp_path):
    place = Place(tmp_path, master=SMTP.replace("smtpd", "smtpd -o smtpd_milters=") + SUBMISSION)
    assert "no smtpd in master.cf takes its milters from main.cf" in place.refuse().err


@pytest.mark.parametrize("ours, reason", [
    ("user = nobody-of-that-name", "there is no user nobody-of-that-name"),
    ("user = root", "set user or socket_group"),
    ("user = root\nsocket_group = group-of-no-name", "there is no group"),
    ("user = nobody\nsocket_mode = 0600", "socket_mode = 0600 lets only nobody connect"),
])
def test_socket_that_postfix_could_not_reach(tmp_path, ours, reason):
    place = Place(tmp_path, ours=f"socket = unix:@DIR@/queue/t/m.sock\n{ours}\n")
    # Were it not refused, the machine's own Postfix would join a group.
    assert reason in place.refuse("--dry-run").err


def test_socket_that_postfix_could_not_read(tmp_path):
    place = Place(tmp_path, ours='socket = "unix:/run/a b,c/$d"\nuser = root\nsocket_mode = 0666\n')
    assert "Postfix can't read a socket that is written so" in place.refuse().err


def test_faulty_configuration_of_ours(place):
    place.ours.write_text("delay_max = soon\n")
    assert f"{place.ours}:1: delay_max: " in place.refuse(status=78).err
    assert place.refuse("-c", "/nonexistent", status=78).err


def fake(directory, script):
    """A PATH on which postconf is this script."""
    directory.mkdir(exist_ok=True)
    (directory / "postconf").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "postconf").chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def test_no_postfix(place, tmp_path):
    env = fake(tmp_path / "bin", "kill -9 $$")
    assert "postconf: " in place.refuse(status=69, env=env).err
    assert "postconf: " in place.refuse("--undo", status=69, env=env).err


def test_old_postfix(place, tmp_path):
    real = shutil.which("postconf", path="/usr/sbin:/usr/bin")
    env = fake(tmp_path / "bin", f'case "$*" in *mail_version) echo 2.11.3;; *) exec {real} "$@";; esac')
    assert "Postfix 2.11.3" in place.refuse(env=env).err


def test_several_postfix(tmp_path):
    place = Place(tmp_path, MAIN + "multi_instance_directories = /etc/postfix-two\n")
    real = shutil.which("postconf", path="/usr/sbin:/usr/bin")
    env = fake(tmp_path / "bin", f'exec {real} -c {place.config} "$@"')
    assert "--config-dir" in place.refuse(where=False, env=env).err
    place.setup()


def test_half_of_it_can_be_undone(tmp_path):
    """postconf fails in the midst; the record is there before the first change."""
    place = Place(tmp_path, master=MASTER + SUBMISSION)
    real = shutil.which("postconf", path="/usr/sbin:/usr/bin")
    env = fake(tmp_path / "bin",
               f'case "$*" in *"smtpd_milters="*) echo no room >&2; exit 1;; *) exec {real} "$@";; esac')
    result = place.setup(status=1, env=env)
    assert "no room" in result.err and "--undo" in result.out
    assert ENTRY in place.own()["smtpd_milters"] and place.recorded()
    place.setup("--undo")
    assert place.bytes() == place.begun and not place.recorded()


# Its record

def test_record_is_roots_and_one_for_each_postfix(place):
    place.setup()
    record, = place.recorded()
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert record.name == "setup-postfix" + str(place.config).replace("/", "-") + ".state"


@pytest.mark.parametrize("spoil, reason", [
    (lambda record: record.chmod(0o666), "others may write"),
    (lambda record: os.chown(record, 65534, 65534), "others may write"),
    (lambda record: record.write_text(record.read_text().replace('"format": 1', '"format": 2')), "no record"),
    (lambda record: record.write_text(record.read_text()[:-9]), "no record"),
    (lambda record: record.write_text(re.sub('"postfix": ".*?"', '"postfix": "/etc/other"', record.read_text())),
     "no record"),
    (lambda record: record.write_text("[" * 100000), "no record"),
    (lambda record: (record.unlink(), record.mkdir()), "not a regular file"),
    (lambda record: record.write_bytes(b"\0"), "not a text"),
], ids=["mode", "owner", "format", "cut", "other", "deep", "folder", "nul"])
def test_record_that_is_not_believed(place, spoil, reason):
    place.setup()
    done = place.bytes()
    spoil(place.recorded()[0])
    for args in (), ("--undo",):
        assert reason in place.setup(*args, status=1).err
    assert place.bytes() == done


def test_record_is_no_link(place):
    place.setup()
    record, = place.recorded()
    record.rename(place.directory / "elsewhere")
    record.symlink_to(place.directory / "elsewhere")
    assert place.setup("--undo", status=1).err


def test_record_holds_a_value_of_any_kind(place):
    """What main.cf says in Latin-1 can't be kept as JSON: it is refused before anything is changed."""
    place.main.write_bytes(place.main.read_bytes() + b"smtpd_milters = unix:gr\xfcn\n")
    assert "not UTF-8" in place.refuse().err
    place.main.write_bytes(place.main.read_bytes().replace(b"\xfc", "ü".encode()) + b"# gr\xfcn\n")
    before = place.own()
    place.setup()
    place.setup("--undo")
    assert place.own() == before


# With accounts, and a real Postfix

@pytest.fixture(name="group")
def group_of_its_own(account):
    """Without members at the end: one with members would outlive its user."""
    yield account.pw_name
    subprocess.run(["gpasswd", "--delete", "postfix", account.pw_name], stderr=subprocess.DEVNULL, check=False)


def test_group_and_folder(tmp_path, group):
    """The daemon's user owns the folder, Postfix's is let into the group, and both are undone."""
    tmp_path.chmod(0o755)
    place = Place(tmp_path, ours=f"socket = unix:@DIR@/queue/tarpit-milter/m.sock\nuser = {group}\n")
    folder = tmp_path / "queue" / "tarpit-milter"

    def members():
        return subprocess.run(["getent", "group", group], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip().split(":")[3]

    out = place.setup("--dry-run").out
    assert f"usermod --append --groups {group} postfix" in commands_of(out)
    assert not folder.exists() and members() == ""

    def is_done(*args):
        # Another test may have the files of users locked.
        return tarpitctl("setup", "postfix", "-c", str(place.ours), "--state-dir", str(place.states), "--config-dir",
                         str(place.config), *args).status == 0

    wait_until(is_done, 60)
    assert folder.owner() == folder.group() == group and stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert members() == "postfix"
    assert commands_of(place.setup().out) == []
    (folder / "m.sock").touch()
    wait_until(lambda: not is_done("--undo") and members() == "", 60)
    assert folder.exists() and not place.recorded(), "what is in it is not ours to remove"
    assert place.bytes() == place.begun


def test_real_postfix_works_with_it_and_without_again():
    """The harvester is flagged and waits, at that port only whose service has no milters of its own."""
    with open_directory() as directory, Daemon(OPTIONS) as daemon, \
            Postfix(f"{directory}/mta", services={"users": {"smtpd_milters": ""}}) as postfix:
        files = [pathlib.Path(postfix.config_dir, name) for name in ("main.cf", "master.cf")]
        before = [file.read_bytes() for file in files]
        ours = pathlib.Path(directory, "ours.conf")
        ours.write_text(f"socket = {daemon.socket}\nuser = root\nsocket_mode = 0666\n")
        arguments = ["setup", "postfix", "-c", str(ours), "--config-dir", postfix.config_dir, "--state-dir", directory]
        assert tarpitctl(*arguments).status == 0
        postfix.restart()
        with Client(postfix.address(), "127.1.1.1", ehlo="client.example") as client:
            assert_at_once(client.mail(), *harvest(client, 4))
            assert_waited(harvest(client, 1, first=5)[0])
        assert daemon.events("flag", client="127.1.1.1")
        with Client(postfix.address("users"), "127.1.1.1", ehlo="client.example") as client:
            assert_at_once(client.greeting, client.mail())
        assert tarpitctl(*arguments, "--undo").status == 0
        assert [file.read_bytes() for file in files] == before
        postfix.restart()
        with Client(postfix.address(), "127.1.1.1", ehlo="client.example") as client:
            assert_at_once(client.greeting, client.mail(), *harvest(client, 6))


def test_chrooted_postfix_reaches_a_daemon_of_its_own_user(group):
    """As on Debian: setup makes the folder below the queue and lets Postfix into the group, before the daemon runs."""
    with open_directory() as directory, Postfix(f"{directory}/mta") as postfix:
        master = pathlib.Path(postfix.config_dir, "master.cf")
        master.write_text(master.read_text().replace(f"{postfix.port()} inet n - n", f"{postfix.port()} inet n - y"))
        ours = pathlib.Path(directory, "ours.conf")
        ours.write_text(f"socket = unix:{directory}/mta/queue/tarpit-milter/milter.sock\nuser = {group}\n")
        arguments = ["setup", "postfix", "-c", str(ours), "--config-dir", postfix.config_dir, "--state-dir", directory]
        wait_until(lambda: tarpitctl(*arguments).status == 0, 60)
        postfix.restart()
        options = {**OPTIONS, "socket": None, "user": None, "socket_mode": None}
        with Daemon(options, config_text=ours.read_text(), socket=None) as daemon:
            with Client(postfix.address(), "127.1.1.1", ehlo="client.example") as client:
                assert_at_once(client.mail(), *harvest(client, 4))
                assert_waited(harvest(client, 1, first=5)[0])
            assert daemon.events("flag", client="127.1.1.1")


# Its command line

@pytest.mark.parametrize("args", [
    (), ("postfix", "sendmail"), ("exim",), ("postfix", "-x"), ("postfix", "--write"), ("postfix", "--mc", "x"),
    ("sendmail", "--config-dir", "x"), ("sendmail", "--rebuild"), ("postfix", "--json"),
], ids=" ".join)
def test_wrong_usage(args):
    result = tarpitctl("setup", *args)
    assert result.status == 64 and "usage: tarpitctl setup " in result.err
    document = tarpitctl("--json", "setup", *args)
    assert document.status == document.json["status"] == 64 and document.json["ok"] is False


def test_record_is_json(place):
    place.setup()
    assert json.loads(place.recorded()[0].read_text())["entry"] == ENTRY
