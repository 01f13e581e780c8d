# SPDX-License-Identifier: BSD-2-Clause
"""A private Sendmail beside whatever mail system is installed.

Debian's packages are unpacked, not installed (they conflict with Postfix), into a cache folder; configuration, queue,
maps and log are in one directory. Libraries of ours in front of its own give it a host name that has a dot and no DNS
(else it waits for a minute), a /dev/log of its own, and one process group, which ends whole.

What it serves, for anyone:
    good1 ... good50, postmaster, abuse     @example.test   accepted (and thrown away)
    hidden*   (hidden1 ... hidden50)        @example.test   550 5.1.1 by the access map: the filter never sees it
    grey1 ... grey50                        @example.test   450 4.2.0 by the access map: nor this
    anybody else                            @example.test   550 5.1.1 User unknown: the filter sees it
    good1 ... good50                        @virtual.test   accepted: the virtual user table
    anybody else                            @virtual.test   550 5.1.1
    anybody                                 elsewhere       550 5.7.1 Relaying denied (hidden), but not for 127.0.0.1
127.9.9.9 is mail.partner.test; no other address has a name.
"""

import contextlib
import fcntl
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from .mta import PrivateMta
from .ports import free_port, has_ipv6
from .postfix import GOOD_USERS
from .preload import preload
from .seccomp import prctl

CACHE = "/var/cache/tarpit-milter-tests"
PACKAGES = ["sendmail-bin", "sendmail-base", "sendmail-cf"]
LISTED = range(1, 51)
START_SECONDS = 20
STOP_SECONDS = 5
PR_SET_PDEATHSIG = 1

SENDMAIL_MC = """\
include(`{unpacked}/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.example.test')dnl
define(`ALIAS_FILE', `{directory}/aliases')dnl
define(`QUEUE_DIR', `{directory}/queue')dnl
define(`STATUS_FILE', `{directory}/statistics')dnl
define(`confPID_FILE', `{directory}/sendmail.pid')dnl
define(`confDEF_USER_ID', `nobody:nogroup')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`LOCAL_MAILER_PATH', `/bin/false')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
define(`confTO_IDENT', `0s')dnl
define(`confLOG_LEVEL', `12')dnl
define(`confMILTER_LOG_LEVEL', `8')dnl
{options}\
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`access_db', `hash -T<TMPF> {directory}/access')dnl
FEATURE(`blocklist_recipients')dnl
FEATURE(`virtusertable', `hash {directory}/virtusertable')dnl
VIRTUSER_DOMAIN(`virtual.test')dnl
LOCAL_DOMAIN(`example.test virtual.test')dnl
{filters}\
{daemons}\
MAILER(`local')dnl
MAILER(`smtp')dnl
{environment}\
"""

CERTIFICATES = {"confCACERT_PATH": "", "confCACERT": "/authority.pem",
                "confSERVER_CERT": "/server.pem", "confSERVER_KEY": "/server.key"}


@functools.cache
def unpack(cache=CACHE):
    """Downloads and unpacks the packages into the cache folder, unless they are there; where they are then.

    The libraries that they need, and m4, are installed."""
    cache = pathlib.Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unpacked = cache / f"sendmail-{_newest_version()}"
        if not unpacked.exists():
            _install_libraries()
            _unpack_into(cache, unpacked)
    return unpacked


def _newest_version():
    for update in False, True:
        if update:
            subprocess.run(["apt-get", "-qq", "update"], check=True)
        policy = _output_of("apt-cache", "policy", "sendmail-bin")
        if found := re.search(r"^ +Candidate: (\d\S*)", policy, re.MULTILINE):
            return found[1]
    raise RuntimeError("apt knows no package sendmail-bin")


def _output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout


def _install_libraries():
    depends = _output_of("apt-cache", "depends", "sendmail-bin")
    needed = re.findall(r"^ +Depends: (lib\S+)", depends, re.MULTILINE) + ["m4"]
    missing = [name for name in needed if not _is_installed(name)]
    if missing:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends",
                        "-o", "DPkg::Lock::Timeout=300", *missing],
                       check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _is_installed(package):
    status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                            capture_output=True, text=True).stdout
    return status == "installed"


def _unpack_into(cache, unpacked):
    packages = cache / "packages"
    partly = cache / "partly"
    for path in packages, partly:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *PACKAGES],
                   check=True, cwd=packages, stdout=subprocess.DEVNULL)
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, partly], check=True)
    # Without the set-group-id bit it cannot be of use to anybody else on the machine.
    (partly / "usr/libexec/sendmail/sendmail").chmod(0o755)
    partly.rename(unpacked)


def filter_address(milter):
    """The socket in the syntax that Sendmail and libmilter share, whatever the caller had."""
    if found := re.fullmatch(r"(inet6?):\[?([^\]@]*[^\]@\d:][^\]@]*|::1)\]?:(\d+)", milter):
        family, host, port = found.groups()
        return f"{'inet6' if ':' in host else family}:{port}@{host}"
    return milter


class Sendmail(PrivateMta):
    """with Sendmail(directory, milter=daemon.socket) as sendmail: Client(sendmail.address()) ...

    milter: a socket as libmilter writes it, or None for no milter.
    services: name -> dict for more ports beside "main"; "milter" there is a different socket, or None.
    timeouts: the filter's T=; flags: its F= ("T": temporary failure when it breaks; "": go on without it).
    options: more lines for the .mc file, such as define(`confMAX_DAEMON_CHILDREN', `20')dnl.
    sasl_conf: the Cyrus SASL library's Sendmail.conf, which makes it offer AUTH.
    certificates: a directory with server.pem, server.key and authority.pem, which makes it offer STARTTLS.
    """

    def __init__(self, directory, milter=None, services=None, timeouts="C:30s;S:10s;R:30s;E:60s", flags="T",
                 options=(), sasl_conf=None, certificates=None, cache=CACHE):
        super().__init__(directory, services)
        self._milters = {name: service.get("milter", milter) for name, service in self._services.items()}
        self._timeouts = timeouts
        self._flags = flags
        self._options = list(options)
        self._sasl_conf = sasl_conf
        self._certificates = certificates
        if sasl_conf:
            self._options.append("define(`confAUTH_MECHANISMS', `PLAIN')dnl")
        if certificates:
            self._options += [f"define(`{name}', `{self.directory}/certificates{path}')dnl"
                              for name, path in CERTIFICATES.items()]
        self._cache = cache
        self._syslog = None

    def start(self):
        unpacked = unpack(self._cache)
        programs = unpacked / "usr/libexec/sendmail"
        self._write_files(unpacked)
        for name in "access", "virtusertable":
            with open(self.directory / name) as text:
                subprocess.run([programs / "makemap", "-C", "sendmail.cf", "hash", name],
                               check=True, stdin=text, cwd=self.directory)
        self._syslog = _Syslog(self.directory / "syslog", self.log_file)
        self._run(["-bi"]).wait(START_SECONDS)
        self._process = self._run(["-bD"])
        try:
            self._wait_until_it_listens()
        except BaseException as error:
            self.stop()
            raise RuntimeError(self._output() or "Sendmail did not start") from error

    def stop(self):
        """All of its processes are in one group: see own_names.c."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._syslog:
            self._syslog.stop()
            self._syslog = None

    def _run(self, arguments):
        program = unpack(self._cache) / "usr/libexec/sendmail/sendmail"
        env = {**os.environ, **preload("own_names", "own_log", TARPIT_TEST_LOG=str(self._syslog.path))}
        with open(self.directory / "output", "ab") as output:
            return subprocess.Popen([program, "-C", self.directory / "sendmail.cf", *arguments], env=env,
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                                    preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def _output(self):
        return (self.directory / "output").read_text(errors="backslashreplace") + "\n".join(self.log_lines())

    def _wait_until_it_listens(self):
        """By /proc/net/tcp and tcp6: a connection would start a session with the milter."""
        deadline = time.monotonic() + START_SECONDS
        hosts = ["0100007F"] + (["00000000000000000000000001000000"] if has_ipv6() else [])
        wanted = {f"{host}:{port:04X}" for host in hosts for port in self._ports.values()}
        while True:
            rows = [line.split() for table in pathlib.Path("/proc/net").glob("tcp*")
                    for line in table.read_text().splitlines()]
            if wanted <= {row[1] for row in rows if row[3] == "0A"}:
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Sendmail does not listen")
            time.sleep(0.02)

    def _write_files(self, unpacked):
        directory = self.directory
        for path in directory, directory / "queue":
            path.mkdir(mode=0o755, parents=True, exist_ok=True)

        def write(name, text):
            (directory / name).write_text(text)

        write("aliases", "".join(f"{user}: /dev/null\n" for user in GOOD_USERS + ["MAILER-DAEMON"]))
        write("virtusertable", "".join(f"{user}@virtual.test {user}\n" for user in GOOD_USERS))
        write("access", "".join(
            f"To:hidden{n}@example.test\tERROR:5.1.1:550 No such user\n"
            f"To:grey{n}@example.test\tERROR:4.2.0:450 Greylisted\n" for n in LISTED))
        write("statistics", "")
        write("sendmail.mc", self._mc(unpacked))
        if self._sasl_conf:
            write("Sendmail.conf", self._sasl_conf)
        if self._certificates:
            shutil.copytree(self._certificates, directory / "certificates")
        with open(directory / "sendmail.cf", "w") as cf:
            subprocess.run(["m4", f"-D_CF_DIR_={unpacked}/usr/share/sendmail/cf/", "sendmail.mc"],
                           check=True, cwd=directory, stdout=cf)

    def _mc(self, unpacked):
        filters = []
        daemons = []
        for name, milter in self._milters.items():
            port = self._ports[name] = free_port()
            if milter:
                flags = f", F={self._flags}" if self._flags else ""
                filters.append(f"MAIL_FILTER(`{name}', `S={filter_address(milter)}{flags}, T={self._timeouts}')dnl\n")
            families = ["Family=inet, Address=127.0.0.1"] + (["Family=inet6, Address=::1"] if has_ipv6() else [])
            daemons += [f"DAEMON_OPTIONS(`{family}, Port={port}, Name={name}{n}, Listen=256, "
                        f"InputMailFilters={name if milter else ''}')dnl\n" for n, family in enumerate(families)]
        # The SASL library finds Sendmail.conf by it.
        environment = f"LOCAL_CONFIG\nESASL_CONF_PATH={self.directory}\n" if self._sasl_conf else ""
        return SENDMAIL_MC.format(unpacked=unpacked, directory=self.directory, filters="".join(filters),
                                  daemons="".join(daemons), options="".join(f"{line}\n" for line in self._options),
                                  environment=environment)


class _Syslog:
    """A datagram socket whose messages go to a file, without the priority in front."""

    def __init__(self, path, log_file):
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._log_file = log_file
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self):
        with open(self._log_file, "ab", buffering=0) as log:
            while message := self._socket.recv(65536):
                log.write(re.sub(rb"^<\d+>", b"", message).rstrip(b"\0\n") + b"\n")

    def stop(self):
        """An empty message ends the thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self._socket.getsockname())
        self._thread.join(STOP_SECONDS)
        self._socket.close()
