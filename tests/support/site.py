# SPDX-License-Identifier: BSD-2-Clause
"""A mail site on loopback: a private MTA, tarpit-milter behind it, and clients with addresses of their own."""

import contextlib
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from .daemon import Daemon
from .postfix import Postfix
from .sendmail import Sendmail
from .smtp import Client

# The loopback network must not be exempt, for every client is in it; else the defaults, but short and exact delays.
# smtpd runs as another user than the one that the tests run as.
OPTIONS = {"exempt_clients": "{}", "delay_min": "1s", "delay_max": "1s", "jitter": "0", "socket_mode": "0666"}
MTAS = {"postfix": Postfix, "sendmail": Sendmail}

# What a reply may take that nobody delays, on a small machine that does other things too.
AT_ONCE_SECONDS = 0.8
LATE_SECONDS = 4.0


def unknown(number):
    """A recipient that neither MTA knows."""
    return f"nobody{number}@example.test"


def good(number=1):
    return f"good{number}@example.test"


def harvest(client, count, first=1):
    """Asks for that many distinct unknown recipients; the replies."""
    return [client.rcpt(unknown(number)) for number in range(first, first + count)]


def shared(memcached):
    """A daemon's options for that store; its timeout is long enough for a busy machine."""
    return {**memcached.options, "memcached_timeout": "1s"}


def assert_waited(reply, seconds=1.0):
    assert 0.97 * seconds <= reply.seconds < seconds + LATE_SECONDS, reply


def assert_at_once(*replies):
    for reply in replies:
        assert reply.seconds < AT_ONCE_SECONDS, reply


@contextlib.contextmanager
def open_directory():
    """A temporary directory that the MTA's own user can reach, unlike pytest's."""
    directory = tempfile.mkdtemp(prefix="tarpit-site-")
    try:
        os.chmod(directory, 0o755)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Site:
    """with Site("postfix", {"delay_max": "2s"}) as site, site.client("127.1.1.1") as client: ...

    options: of the daemon, beside OPTIONS. socket: the milter's, "unix", "inet" or "inet6".
    more_daemons: service name -> options of another daemon that serves a port of that name.
    Whatever else is given goes to the MTA; what Sendmail calls options is sendmail_options here. On failure the logs
    are printed.
    """

    def __init__(self, mta, options=None, socket="unix", more_daemons=None, services=None,
                 sendmail_options=None, **mta_arguments):
        self._kind = mta
        self._options = {"main": options or {}, **(more_daemons or {})}
        self._socket = socket
        self._services = services or {}
        self._mta_arguments = mta_arguments
        if sendmail_options:
            self._mta_arguments["options"] = sendmail_options
        self._stack = contextlib.ExitStack()
        self._clients = []
        self.daemons = {}
        self.mta = None

    @property
    def daemon(self):
        return self.daemons["main"]

    def __enter__(self):
        with self._stack as stack:
            directory = stack.enter_context(open_directory())
            for name, options in self._options.items():
                daemon = Daemon({**OPTIONS, **options}, socket=self._socket, control=True)
                self.daemons[name] = stack.enter_context(daemon)
            services = {name: {"milter": daemon.socket} for name, daemon in self.daemons.items() if name != "main"}
            self.mta = stack.enter_context(MTAS[self._kind](
                f"{directory}/mta", milter=self.daemon.socket, services={**services, **self._services},
                **self._mta_arguments))
            stack.push(self._print_logs)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self._stack.__exit__(*exception)

    def client(self, source="127.0.0.2", service="main", ehlo="client.example", **arguments):
        """A session from that loopback address: 127.*.*.*, or ::1. With xclient=, of any client (Postfix)."""
        host = "::1" if ":" in source else "127.0.0.1"
        client = Client(self.mta.address(service, host), source=source, ehlo=ehlo, **arguments)
        self._clients.append((service, client))
        return client

    def flag(self, source, service="main", **arguments):
        """Makes an offender of the client at that address: one delay long. Its session has ended then."""
        self.flag_all([source], service, **arguments)

    def flag_all(self, sources, service="main", **arguments):
        """The same for all of these, at once."""
        def offend(source):
            with self.client(source, service, **arguments) as client:
                client.mail()
                replies = harvest(client, 5)
            assert [reply.code for reply in replies] == [550] * 5, replies

        with ThreadPoolExecutor(len(sources)) as pool:
            list(pool.map(offend, sources))
        self.settle(service)

    def settle(self, service="main"):
        """Waits until the daemon has seen all those sessions end that have ended for their clients.

        A busy MTA tells it when it gets round to that, and so long the session is one of max_flagged_sessions."""
        daemon = self._daemon_of(service)
        daemon.wait_for_sessions(lambda: sum(
            client.is_open for service_of_it, client in self._clients if self._daemon_of(service_of_it) is daemon))

    def _daemon_of(self, service):
        return self.daemons.get(service, self.daemon)

    def _print_logs(self, kind, _error, _traceback):
        if kind:
            time.sleep(0.2)  # for what they still have to say
            print(f"--- the log of {self._kind}", *self.mta.log_lines(), sep="\n")
