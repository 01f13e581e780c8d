# SPDX-License-Identifier: BSD-2-Clause
"""Starting: sockets, users, files, exit codes. And what happens when descriptors run out."""

import contextlib
import grp
import os
import pathlib
import pwd
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import tempfile

import pytest
from checks import AT_MAIL, assert_at_once, assert_waited, daemon_with, flag, status_of, wait_until
from needs import as_root, needs

from support.daemon import PATIENCE, Daemon, binary, run
from support.milter import Session

CLIENT = "192.0.2.1"
EX_USAGE, EX_UNAVAILABLE, EX_NOUSER, EX_CANTCREAT, EX_IOERR, EX_CONFIG = 64, 69, 67, 73, 74, 78


def fails(options=None, config_text="", **arguments):
    """(exit status, log) of a daemon that does not start."""
    with Daemon(options, config_text, expect_start=False, **arguments) as daemon:
        return daemon.wait(), daemon.log_text()


# The command line

@pytest.mark.parametrize("arguments", [["--nonsense"], ["argument"], ["-c"], ["-f", "-d"], ["-o"], ["-x"]])
def test_usage_errors(arguments):
    result = run(*arguments)
    assert result.returncode == EX_USAGE
    assert "usage: tarpit-milter" in result.stderr and not result.stdout


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option):
    result = run(option)
    assert result.returncode == 0 and not result.stderr
    for word in ("--config", "--set", "--foreground", "--daemon", "--check-config", "--print-config", "--version"):
        assert word in result.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_names_the_libraries(option):
    result = run(option)
    assert result.returncode == 0
    for pattern in (r"tarpit-milter \d+\.\d+\.\d+", r"libmilter \d", r"libmemcached \d", r"libconfuse \d",
                    r"jansson \d", r"libsodium \d"):
        assert re.search(pattern, result.stdout)


@pytest.mark.plain
def test_version_names_all_libraries():
    needed = subprocess.run(["readelf", "-d", binary()], capture_output=True, text=True, check=True).stdout
    linked = set(re.findall(r"NEEDED.*\[(?:lib)?(\w+)[\w.+-]*\.so", needed))
    named = {re.match(r"(?:lib)?([\w-]+)", line)[1] for line in run("--version").stdout.splitlines()}
    assert linked - {"c", "m", "ld", "gcc_s", "pthread", "rt", "dl"} == named - {"tarpit-milter"}


@pytest.mark.parametrize("option", ["-V", "-h", "-p"])
def test_what_can_not_be_printed_is_told(option):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([binary(), option, "-c", "/dev/null"], stdin=subprocess.DEVNULL, stdout=full, check=False)
    assert result.returncode == EX_IOERR


# Sockets

def test_stale_socket_is_removed():
    with daemon_with() as daemon:
        daemon.kill()
        assert os.path.exists(daemon.address)
        daemon.start()
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


def test_socket_in_use_is_respected():
    with daemon_with() as daemon:
        status, log = fails({"socket": daemon.socket})
        assert status == EX_UNAVAILABLE
        assert daemon.address in log and "listens" in log
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


@pytest.mark.parametrize("family", ["inet", "inet6"])
def test_port_in_use_is_respected(family):
    with daemon_with(socket=family) as daemon:
        status, log = fails({"socket": daemon.socket})
        assert status == EX_UNAVAILABLE and "start: error=" in log
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


def test_what_is_no_socket_is_not_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("precious")
    status, log = fails({"socket": f"unix:{path}"})
    assert status == EX_CANTCREAT and str(path) in log
    assert path.read_text() == "precious"


def test_socket_where_none_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    assert fails({"socket": f"unix:{tmp_path}/file/milter.sock"})[0] == EX_CANTCREAT
    assert fails({"socket": f"unix:{tmp_path}/no/such/directory/milter.sock"})[0] == EX_CANTCREAT


def test_missing_directory_of_the_socket_is_made(tmp_path):
    with Daemon({"socket": f"unix:{tmp_path}/run/milter.sock"}):
        assert stat.S_ISSOCK(os.stat(tmp_path / "run" / "milter.sock").st_mode)


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
def test_socket_mode(mode):
    with Daemon({"socket_mode": mode}) as daemon:
        assert stat.S_IMODE(os.stat(daemon.address).st_mode) == int(mode, 8)


def test_socket_is_gone_after_a_stop():
    with daemon_with() as daemon:
        daemon.stop()
        assert not os.path.exists(daemon.address)


def test_restart_at_once_on_the_same_port():
    with daemon_with(socket="inet") as daemon:
        for _ in range(3):
            with Session(daemon.address, CLIENT) as session:
                assert_at_once(session.greeting)
                daemon.stop()
            daemon.start()


# User

@as_root
def test_root_becomes_the_user_with_no_capability_left(account):
    with Daemon({"user": account.pw_name, "store": "memcached", "memcached_servers": '"127.0.0.1:1"'}) as daemon:
        threads = status_of(daemon.pid)
        assert len(threads) > 3
        for thread in threads:
            assert thread["Uid"].split() == [str(account.pw_uid)] * 4
            assert thread["Gid"].split() == [str(account.pw_gid)] * 4
            assert set(map(int, thread["Groups"].split())) == {
                account.pw_gid, grp.getgrnam(f"{account.pw_name}-more").gr_gid}
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(thread[capabilities], 16) == 0, (capabilities, thread[capabilities])
            assert thread["NoNewPrivs"] == "1"
        owner = os.stat(daemon.address)
        assert (owner.st_uid, owner.st_gid) == (account.pw_uid, account.pw_gid)
        assert not [line for line in daemon.log_lines("start") if "warning" in line]
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


@as_root
def test_root_that_stays_root_warns():
    with Daemon({"user": "root"}) as daemon:
        assert "root" in daemon.events("start")[0]["warning"]


@as_root
def test_no_such_user():
    status, log = fails({"user": "no-such-user"})
    assert status == EX_NOUSER and "no-such-user" in log


@as_root
def test_default_user_is_needed():
    """Where the package's user is not there, the daemon does not run as root instead."""
    try:
        account = pwd.getpwnam("tarpit-milter")
    except KeyError:
        assert fails({"user": None})[0] == EX_NOUSER
        return
    with Daemon({"user": None}) as daemon:
        assert set(map(int, status_of(daemon.pid)[0]["Uid"].split())) == {account.pw_uid}


def become(account):
    """What makes a new process that user's."""
    def prepare():
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    return prepare


def copy_for_all(directory):
    """A copy of the daemon there, and of tarpit-store: the binary may stand where only root can reach it."""
    for name in os.path.basename(binary()), "tarpit-store":
        subprocess.run(["cp", os.path.join(os.path.dirname(binary()), name), directory], check=True)
    return os.path.join(directory, os.path.basename(binary()))


@as_root
def test_anyone_else_stays_who_it_is(account):
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, account.pw_uid, account.pw_gid)
        os.chmod(directory, 0o755)
        options = {"socket": f"unix:{directory}/milter.sock", "user": "no-such-user"}
        with Daemon(options, preexec=become(account), program=copy_for_all(directory)) as daemon:
            assert {thread["Uid"].split()[0] for thread in status_of(daemon.pid)} == {str(account.pw_uid)}
            with Session(f"{directory}/milter.sock", CLIENT) as session:
                assert_at_once(session.greeting)


@as_root
def test_socket_in_a_directory_that_may_not_be_written(account):
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        status, log = fails({"socket": f"unix:{directory}/milter.sock"}, preexec=become(account),
                            program=copy_for_all(directory))
        assert status == EX_CANTCREAT
        assert f'start: error="socket unix:{directory}/milter.sock: cannot bind: Permission denied"' in log


# --daemon and pid_file

def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def detached(directory, *options):
    """A daemon that has detached; its process number."""
    pid_file = os.path.join(directory, "pid")
    result = run("--daemon", "-o", "user=root", "-o", "control_socket=\"\"", "-o", f"pid_file={pid_file}",
                 "-o", "memory_file=", "-o", f"socket=unix:{directory}/milter.sock", *options, config_text="")
    assert result.returncode == 0, result.stderr
    with open(pid_file, encoding="ascii") as file:
        pid = int(file.read())
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_detached_daemon(tmp_path):
    with detached(tmp_path) as pid:
        assert os.getsid(pid) != os.getsid(0)
        assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
        with Session(f"{tmp_path}/milter.sock", CLIENT) as session:  # it is ready once the parent has returned
            assert_at_once(session.greeting)
        second = run("--daemon", "-o", "user=root", "-o", f"pid_file={tmp_path}/pid",
                     "-o", f"socket=unix:{tmp_path}/other.sock", config_text="")
        assert second.returncode == EX_CANTCREAT and "pid" in second.stderr
        assert int((tmp_path / "pid").read_text()) == pid
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_running(pid), 3 * PATIENCE)
        assert not (tmp_path / "pid").exists() and not (tmp_path / "milter.sock").exists()


def test_stale_pid_file_is_taken_over(tmp_path):
    (tmp_path / "pid").write_text("1\n")
    with detached(tmp_path) as pid:
        assert pid > 1 and is_running(pid)


@pytest.mark.parametrize("text", ["", "1", " 4194304\n"])
def test_pid_file_of_any_number_is_taken_over(tmp_path, text):
    (tmp_path / "pid").write_text(text)
    with Daemon({"pid_file": f"{tmp_path}/pid"}) as daemon:
        assert (tmp_path / "pid").read_text() == f"{daemon.pid}\n"


@pytest.mark.parametrize("text", ["threshold = 5\n", "1\nx", "1" * 100])
def test_pid_file_that_is_none_is_left_alone(tmp_path, text):
    (tmp_path / "pid").write_text(text)
    status, log = fails({"pid_file": f"{tmp_path}/pid"})
    assert status == EX_CANTCREAT and f"{tmp_path}/pid: exists and is no pid file" in log
    assert (tmp_path / "pid").read_text() == text


def test_failed_start_leaves_no_pid_file(tmp_path):
    with daemon_with() as other:
        assert fails({"socket": other.socket, "pid_file": f"{tmp_path}/pid"})[0] == EX_UNAVAILABLE
    assert not os.listdir(tmp_path)


@as_root
def test_failed_start_leaves_no_socket(account):
    """The last that can go wrong is a password that it may not read."""
    with tempfile.TemporaryDirectory() as directory:
        program = copy_for_all(directory)
        os.mkdir(f"{directory}/run")
        os.chown(f"{directory}/run", account.pw_uid, account.pw_gid)
        os.chmod(directory, 0o755)
        with open(f"{directory}/password", "w", encoding="ascii") as password:
            password.write("secret\n")
        os.chmod(f"{directory}/password", 0o600)
        options = {"socket": f"unix:{directory}/run/milter.sock", "control_socket": f"{directory}/run/control.sock",
                   "pid_file": f"{directory}/run/pid", "store": "memcached", "memcached_user": "mx",
                   "memcached_password_file": f"{directory}/password"}
        status, log = fails(options, preexec=become(account), program=program)
        assert status == EX_UNAVAILABLE and "password" in log
        assert not os.listdir(f"{directory}/run")


@as_root
def test_pid_file_names_nobody_after_a_stop(account, tmp_path):
    """The user that it has become may not remove a file of root's directory."""
    for _ in range(2):
        with Daemon({"user": account.pw_name, "pid_file": f"{tmp_path}/pid"}) as daemon:
            assert (tmp_path / "pid").read_text() == f"{daemon.pid}\n"
            daemon.stop()
            assert (tmp_path / "pid").read_text() == ""


def test_detached_daemon_that_can_not_start_says_so(tmp_path):
    with daemon_with() as other:
        result = run("--daemon", "-o", "user=root", "-o", f"socket={other.socket}", config_text="")
    assert result.returncode == EX_UNAVAILABLE and other.address in result.stderr
    result = run("--daemon", "-o", f"pid_file={tmp_path}/no/such/pid", "-o", "user=root", config_text="")
    assert result.returncode == EX_CANTCREAT and "pid_file" in result.stderr
    result = run("--daemon", "-o", "nonsense=1", config_text="")
    assert result.returncode == EX_CONFIG and "nonsense" in result.stderr


@needs(not os.path.exists(binary()) or b"libsystemd.so" in pathlib.Path(binary()).read_bytes(), "libsystemd")
def test_systemd_is_told(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(5 * PATIENCE)
        with Daemon(env={"NOTIFY_SOCKET": path}) as daemon:
            assert b"READY=1" in notify.recv(1000)
            daemon.reload()
            assert b"RELOADING=1" in notify.recv(1000)
            assert b"READY=1" in notify.recv(1000)
            daemon.stop()
            assert b"STOPPING=1" in notify.recv(1000)


# Descriptors

def few_descriptors(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_sessions_beyond_the_limit_pass_and_nothing_leaks():
    with daemon_with(AT_MAIL, preexec=few_descriptors(160)) as daemon, contextlib.ExitStack() as stack:
        flag(daemon, CLIENT)
        before = daemon.descriptors()
        limit = int(daemon.events("start")[-1]["max_sessions"])
        assert 16 <= limit <= 160
        sessions = [stack.enter_context(Session(daemon.address, f"198.51.100.{number}"))
                    for number in range(limit + 20)]
        assert [session.greeting.action for session in sessions[:limit]] == ["continue"] * limit
        assert [session.greeting.action for session in sessions[limit:]] == ["accept"] * 20
        assert len(daemon.log_lines("limits")) == 1
        for session in sessions:
            session.quit()
        wait_until(lambda: daemon.descriptors() <= before)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


def test_hardly_any_descriptors_leave_little_room_not_endless():
    with daemon_with(preexec=few_descriptors(50)) as daemon:
        start = daemon.events("start")[-1]
        assert 1 <= int(start["max_stalls"]) <= int(start["max_sessions"]) <= 50
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


def test_no_session_is_lost_where_descriptors_run_out():
    """Those beyond the last descriptor wait to be accepted, and are served as others leave."""
    with daemon_with(preexec=few_descriptors(130)) as daemon, contextlib.ExitStack() as stack:
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)
            session.quit()
        before = daemon.descriptors()
        sessions = [stack.enter_context(Session(daemon.address, f"198.51.100.{number}", negotiate=False))
                    for number in range(250)]
        for session in sessions:
            session.begin_negotiate()
        served = 0
        while sessions:
            ready = finish_ready(sessions)
            served += len(ready)
            for session in ready:
                session.quit()
                sessions.remove(session)
        assert served == 250
        wait_until(lambda: daemon.descriptors() <= before)
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greeting)


def finish_ready(sessions):
    """Of these sessions those whose negotiation is answered, of which there must be one soon."""
    ready = select.select(sessions, [], [], 10 * PATIENCE)[0]
    assert ready, f"{len(sessions)} sessions are lost"
    for session in ready:
        session.end_negotiate()
    return ready
