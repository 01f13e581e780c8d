# SPDX-License-Identifier: BSD-2-Clause
"""memory_file: what the memory store knows outlives the daemon, and a file that is not sound harms nobody."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import stat
import tempfile

import pytest
from checks import AT_MAIL, assert_at_once, assert_waited, daemon_with, flag, is_slowed, wait_until
from needs import as_root

from support.control import ask
from support.daemon import PATIENCE, Daemon
from support.memcached import Memcached
from support.milter import Session
from support.preload import preload

CLIENT = "192.0.2.1"
OTHER = "198.51.100.1"
STOP_SECONDS = 1.5 * PATIENCE
FILE_MAX = 8192


@pytest.fixture
def folder():
    """A folder that every user can look into."""
    with tempfile.TemporaryDirectory(prefix="tarpit-") as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


@contextlib.contextmanager
def daemon_at(path, *options, **arguments):
    with daemon_with(AT_MAIL, {"memory_file": f'"{path}"'}, *options, control=True, **arguments) as daemon:
        yield daemon


def restart(daemon):
    """How many clients the new daemon remembers."""
    assert daemon.stop() < STOP_SECONDS
    daemon.start()
    return remembered(daemon)


def remembered(daemon):
    return int(daemon.events("start")[-1]["remembered"])


def warnings(daemon):
    return daemon.events("memory_file")


def identity(path):
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def wait_for_write(path, daemon):
    """A reload has it written within moments, as another file in its place."""
    before = identity(path)
    daemon.reload()
    wait_until(lambda: identity(path) not in (None, before))


# What is kept

def test_flagged_client_waits_after_a_restart_too(tmp_path):
    path = tmp_path / "memory"
    with daemon_at(path) as daemon:
        flag(daemon, CLIENT)
        assert restart(daemon) == 1
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        assert len(daemon.log_lines("flag")) == 1, "it is no news any more"
        assert not is_slowed(daemon, OTHER)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(tmp_path) == ["memory"]
        assert not warnings(daemon)


def test_client_that_was_flagged_before_a_reload_waits_after_a_kill(tmp_path):
    path = tmp_path / "memory"
    with daemon_at(path) as daemon:
        flag(daemon, CLIENT)
        wait_for_write(path, daemon)
        flag(daemon, OTHER)
        daemon.kill()
        (tmp_path / "memory.new").write_text("what a kill may leave behind")
        daemon.start()
        assert remembered(daemon) == 1
        assert is_slowed(daemon, CLIENT) and not is_slowed(daemon, OTHER)
        wait_for_write(path, daemon)
        assert os.listdir(tmp_path) == ["memory"]


def test_recipients_are_counted_once_over_a_restart(tmp_path):
    with daemon_at(tmp_path / "memory") as daemon:
        for _ in range(2):
            with Session(daemon.address, CLIENT) as session:
                session.mail()
                for number in range(4):
                    assert_at_once(session.rcpt(f"nobody{number}@example.org", rejected="5.1.1"))
            assert ask(daemon, "show", client=CLIENT)["bad"] == 4
            restart(daemon)
        assert not is_slowed(daemon, CLIENT)


def test_credit_of_clean_clients_outlives_a_restart(tmp_path):
    with daemon_at(tmp_path / "memory") as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.mail()
            session.rcpt("known@example.org")
            session.deliver()
        assert ask(daemon, "show", client=CLIENT)["good"] == 1
        assert restart(daemon) == 0
        assert ask(daemon, "show", client=CLIENT)["good"] == 1


def test_what_was_done_by_hand_outlives_a_restart(tmp_path):
    with daemon_at(tmp_path / "memory") as daemon:
        flag(daemon, OTHER)
        until = ask(daemon, "flag", client=CLIENT, duration_s=3600)["until"]
        ask(daemon, "forgive", client=OTHER)
        for _ in range(2):
            assert restart(daemon) == 1
            shown = ask(daemon, "show", client=CLIENT)
            assert shown["by_hand"] and shown["by_hand_until"] == until
        assert not is_slowed(daemon, OTHER)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        ask(daemon, "forgive", client=CLIENT)
        assert restart(daemon) == 0
        assert not is_slowed(daemon, CLIENT)


def test_other_window_forgets_counts_and_keeps_flags(tmp_path):
    with daemon_at(tmp_path / "memory", {"window": None}, config_text="window = 14d\n") as daemon:
        flag(daemon, CLIENT)
        ask(daemon, "flag", client=OTHER, duration_s=3600)
        daemon.write_config("window = 13d\n")
        assert daemon.stop() < STOP_SECONDS
        daemon.start()
        assert remembered(daemon) == 1
        assert ask(daemon, "show", client=OTHER)["by_hand"]
        assert ask(daemon, "show", client=CLIENT)["bad"] == 0


# Where it is kept

def test_reload_takes_another_path(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with Daemon({**AT_MAIL, "memory_file": None}, config_text=f"memory_file = {first}\n") as daemon:
        wait_for_write(first, daemon)
        daemon.write_config(f"memory_file = {second}\n")
        wait_for_write(second, daemon)
        assert not daemon.events("reload", needs_restart="memory_file")
        flag(daemon, CLIENT)
        assert restart(daemon) == 1
        daemon.write_config("memory_file = \"\"\n")
        second.unlink()
        daemon.reload()
        daemon.stop()
        assert not second.exists()


@pytest.mark.parametrize("reload", [False, True])
def test_nothing_is_written_where_no_file_is_named(tmp_path, reload):
    with daemon_at("", preexec=lambda: os.chdir(tmp_path)) as daemon:
        flag(daemon, CLIENT)
        if reload:
            daemon.reload()
        assert restart(daemon) == 0
        assert not is_slowed(daemon, CLIENT) and not warnings(daemon)
    assert not os.listdir(tmp_path)


def test_nothing_is_written_with_memcached(tmp_path):
    path = tmp_path / "folder" / "memory"
    with Memcached() as memcached, daemon_at(path, {**memcached.options, "memcached_timeout": "1s"}) as daemon:
        flag(daemon, CLIENT)
        daemon.reload()
        daemon.stop()
        assert not warnings(daemon) and "remembered" not in daemon.events("start")[0]
    assert not os.listdir(tmp_path)


def test_missing_folder_is_made(tmp_path):
    path = tmp_path / "folder" / "memory"
    with daemon_at(path) as daemon:
        flag(daemon, CLIENT)
        assert restart(daemon) == 1
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750 and not warnings(daemon)


@as_root
def test_missing_folder_is_made_for_the_user_that_it_becomes(account, folder):
    path = folder / "made" / "memory"
    with daemon_at(path, {"user": account.pw_name}) as daemon:
        flag(daemon, CLIENT)
        assert restart(daemon) == 1
        for made, mode in ((path.parent, 0o750), (path, 0o600)):
            status = made.stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (
                account.pw_uid, account.pw_gid, mode)
        assert not warnings(daemon)


# What may be wrong with it

def test_damaged_file_is_one_warning_and_an_empty_memory(tmp_path):
    path = tmp_path / "memory"
    with daemon_at(path) as daemon:
        flag(daemon, CLIENT)
        daemon.stop()
        sound = path.read_bytes()
        for text, reason in ((sound[:-1], "cut off"), (b"", "cut off"), (b"threshold = 5\n" * 9, "not written by"),
                             (sound[:80] + bytes([sound[80] ^ 1]) + sound[81:], "damaged")):
            path.write_bytes(text)
            before = len(warnings(daemon))
            daemon.start()
            assert remembered(daemon) == 0
            assert re.search(rf"{path}: {reason}", warnings(daemon)[-1]["warning"])
            assert len(warnings(daemon)) == before + 1
            assert not is_slowed(daemon, CLIENT)
            flag(daemon, OTHER)
            assert restart(daemon) == 1, "it has been written anew"
            daemon.stop()


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path, 0o600), lambda path: path.symlink_to("/etc/passwd"),
                                  lambda path: path.touch(0o666) or path.chmod(0o666), os.mkdir])
def test_what_is_no_file_of_its_own_is_not_read(tmp_path, make):
    path = tmp_path / "memory"
    make(path)
    with daemon_at(path) as daemon:
        assert remembered(daemon) == 0 and len(warnings(daemon)) == 1
        flag(daemon, CLIENT)
        assert is_slowed(daemon, CLIENT)


@as_root
def test_folder_that_can_not_be_written_to_is_a_warning_and_mail_flows(account, folder):
    with daemon_at(folder / "memory", {"user": account.pw_name}) as daemon:
        warning, = warnings(daemon)
        assert warning["warning"] == f"{folder}: Permission denied: a restart will forget all"
        flag(daemon, CLIENT)
        for _ in range(3):
            daemon.reload()
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
        assert restart(daemon) == 0
        assert len(warnings(daemon)) == 2, "one for each daemon"
    assert not os.listdir(folder)


def test_full_disk_is_a_warning_and_the_file_before_stays(tmp_path):
    """It ends a write as a limit of the size of files does."""
    path = tmp_path / "memory"
    with daemon_at(path, config_text="log_level = info\n",
                   preexec=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN)) as daemon:
        flag(daemon, CLIENT)
        wait_for_write(path, daemon)
        before = identity(path)
        daemon.write_config("log_level = warning\n")
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: identity(path) != before)
        for number in range(250):
            ask(daemon, "flag", client=f"10.0.0.{number}", duration_s=3600)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (FILE_MAX, resource.RLIM_INFINITY))
        assert os.path.getsize(f"{daemon.directory}/log") < FILE_MAX / 2 < FILE_MAX < 250 * 62
        assert daemon.stop() < STOP_SECONDS
        assert warnings(daemon)[-1]["warning"] == f"{path}: File too large: a restart will forget what is not in it"
        assert os.listdir(tmp_path) == ["memory"]
        daemon.write_config("log_level = info\n")
        daemon.start()
        assert remembered(daemon) == 1 and is_slowed(daemon, CLIENT)


def test_disk_that_hangs_holds_up_neither_mail_nor_a_stop(tmp_path):
    path = tmp_path / "memory"
    with daemon_at(path, env=preload("slow_disk")) as daemon:
        flag(daemon, CLIENT)
        daemon.reload()
        wait_until(lambda: os.path.exists(f"{path}.new"))
        assert is_slowed(daemon, CLIENT) and not is_slowed(daemon, OTHER)
        daemon.reload()
        assert ask(daemon, "show", client=CLIENT)["flagged"]
        assert daemon.stop() < STOP_SECONDS
        assert warnings(daemon)[-1]["warning"] == "not written in time: the disk is too slow"
        assert os.listdir(tmp_path) == ["memory.new"]


def test_end_does_not_wait_until_the_disk_has_it(tmp_path):
    """No process can end while a thread of it does."""
    with daemon_at(tmp_path / "memory", env=preload("slow_disk")) as daemon:
        flag(daemon, CLIENT)
        assert restart(daemon) == 1
        assert not warnings(daemon)
