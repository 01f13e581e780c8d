# SPDX-License-Identifier: BSD-2-Clause
"""A real systemd of our own, with a journald, in namespaces that nobody sees: it starts the daemon as an administrator
who follows README has it started. The network is the host's."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from .daemon import TOP, binary
from .seccomp import prctl

SYSTEMD = "/lib/systemd/systemd"
UNITS = "/usr/lib/systemd/system"
SECONDS = 30
PR_SET_PDEATHSIG = 1
UNIT = os.path.join(TOP, "packaging", "tarpit-milter.service")

# A control group, and so that nothing of it is to be seen on the host, a mount of all groups, of our own.
OUTSIDE = """\
set -e
mkdir {directory}/groups
mount -t cgroup2 cgroup2 {directory}/groups
mkdir {directory}/groups/{name}
echo $$ >{directory}/groups/{name}/cgroup.procs
exec unshare --cgroup --pid --fork --kill-child --uts --ipc --mount sh {directory}/inside
"""
# Writable copies of what systemd and the administrator change; systemd would also set kernel parameters.
INSIDE = """\
set -e
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs {directory}/dev
for device in null zero full random urandom tty; do
    touch {directory}/dev/$device
    mount --bind /dev/$device {directory}/dev/$device
done
mkdir {directory}/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts {directory}/dev/pts
ln -s pts/ptmx {directory}/dev/ptmx
mount --rbind {directory}/dev /dev
cp -a /etc/. {directory}/etc
rm -rf {directory}/etc/systemd/system
mkdir -p {directory}/etc/systemd/system
mount --bind {directory}/etc /etc
mount --bind {directory}/local /usr/local
for path in /run /var/lib /var/log /var/spool; do
    mount -t tmpfs -o mode=755 tmpfs $path
done
mkdir -p /run/lock /run/units
cp {units}/systemd-journald.service {units}/systemd-journald.socket {units}/systemd-journald-dev-log.socket /run/units
for target in sysinit basic shutdown umount network multi-user; do
    printf '[Unit]\\nDefaultDependencies=no\\n' >/run/units/$target.target
done
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \\
    SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units {systemd} --system --unit=basic.target --log-target=journal
"""


def why_not():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "root"
    if not os.path.exists(SYSTEMD):
        return "systemd"
    script = "mount -t cgroup2 cgroup2 /mnt && unshare -Cpf mount -t proc proc /proc"
    tried = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    return f"namespaces and control groups: {tried.stderr}" if tried.returncode else None


class Machine:
    """with Machine() as machine: machine.install(config_text); machine.run("systemctl", "start", "tarpit-milter")"""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tarpit-machine-"))
        self.directory.chmod(0o755)
        self._process = None
        self.pid = None

    def __enter__(self):
        for name in "dev", "etc", "local/sbin", "local/bin", "local/libexec", "local/etc":
            (self.directory / name).mkdir(parents=True)
        values = {"directory": self.directory, "name": self.directory.name, "systemd": SYSTEMD, "units": UNITS}
        (self.directory / "inside").write_text(INSIDE.format(**values), encoding="utf-8")
        self._process = subprocess.Popen(["unshare", "--mount", "sh", "-c", OUTSIDE.format(**values)],
                                         stdin=subprocess.DEVNULL, start_new_session=True,
                                         preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        try:
            self.wait_until(self._is_up)
            self.run("systemctl", "start", "systemd-journald")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Nothing in there outlives its first process, and that one not unshare."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._remove_groups()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_groups(self):
        script = ("mount -t cgroup2 cgroup2 /mnt && cd /mnt && for try in 1 2 3 4 5 6 7 8 9; do "
                  f"find {self.directory.name} -depth -type d -exec rmdir {{}} + 2>/dev/null && break; sleep 0.2; done")
        subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False)

    def _is_up(self):
        assert self._process.poll() is None, "no systemd"
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = children.read_text(encoding="ascii").split()
        if not found:
            return False
        self.pid = int(found[0])
        return self.run("systemctl", "is-active", "basic.target", check=False) == "active\n"

    @staticmethod
    def wait_until(is_so):
        end = time.monotonic() + SECONDS
        while not is_so():
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.05)

    def run(self, *command, check=True):
        """What a command prints that runs in there."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-p", "-C", "-r", *command],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=SECONDS)
        assert not check or done.returncode == 0, (command, done, self.journal())
        return done.stdout

    def journal(self, *options):
        return self.run("journalctl", "-q", "--no-pager", "-o", "cat", *options, check=False)

    def path(self, path):
        """From the host, a path of in there."""
        return f"/proc/{self.pid}/root{path}"

    def install(self):
        """Steps 1, 2, 3 and 5 of README."""
        local = self.directory / "local"
        shutil.copy(binary(), local / "sbin" / "tarpit-milter")
        for name, place in (("tarpitctl", "bin"), ("tarpit-store", "libexec")):
            shutil.copy(os.path.join(os.path.dirname(binary()), name), local / place / name)
        self.run("install", "-D", "-m", "0644", f"{TOP}/packaging/tarpit-milter.sysusers",
                 "/etc/sysusers.d/tarpit-milter.conf")
        self.run("systemd-sysusers")
        self.run("install", "-d", "/var/spool/postfix")
        self.run("install", "-d", "-o", "tarpit-milter", "-g", "tarpit-milter", "-m", "0750",
                 "/var/spool/postfix/tarpit-milter")
        self.run("install", "-m", "0644", UNIT, "/etc/systemd/system/")
        self.run("systemctl", "daemon-reload")

    def configure(self, text):
        """Into the file that the daemon reads by default."""
        path = re.search(r"instead of (/\S+)", self.run("/usr/local/sbin/tarpit-milter", "--help"))[1]
        self.run("mkdir", "-p", os.path.dirname(path))
        pathlib.Path(self.path(path)).write_text(text, encoding="utf-8")

    def drop_in(self, unit, text):
        """As `systemctl edit` does."""
        directory = pathlib.Path(self.path(f"/etc/systemd/system/{unit}.d"))
        directory.mkdir(exist_ok=True)
        (directory / "override.conf").write_text(text, encoding="utf-8")
        self.run("systemctl", "daemon-reload")

    def property(self, name, unit="tarpit-milter"):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def main_pid(self):
        """The daemon's number, as the host knows it."""
        inside = self.property("MainPID")
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:\s+(\d+)\s+(\d+)$", status.read_text(encoding="utf-8"), re.M)
                same = os.readlink(status.parent / "ns" / "pid") == os.readlink(f"/proc/{self.pid}/ns/pid")
                if numbers and same and numbers[2] == inside:
                    return int(numbers[1])
        raise AssertionError(f"no process {inside}")
