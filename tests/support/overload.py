# SPDX-License-Identifier: BSD-2-Clause
"""Honest mail through an MTA with few processes, before and while harvesters want them all."""

import itertools
import threading
import time

from .crowd import Crowd, sources
from .site import good
from .smtp import Client

PROCESSES = 20
# As README advises: 40 percent of them, and no error sleeps in Postfix.
MAX_STALLS = 8
POSTFIX_LIMITS = {"smtpd_error_sleep_time": "0", "smtpd_hard_error_limit": "${stress?{1}:{10}}"}
POSTFIX_DEFAULTS = {"smtpd_error_sleep_time": "1s", "smtpd_hard_error_limit": "${stress?{1}:{20}}"}
OPTIONS = {"delay_min": "5s", "delay_max": "20s", "jitter": "10", "max_stalls": str(MAX_STALLS)}
ARGUMENTS = {
    "postfix": {"default_process_limit": str(PROCESSES), "smtpd_soft_error_limit": "10",
                "milter_default_action": "accept", **POSTFIX_LIMITS},
    "sendmail": {"flags": "", "sendmail_options": [f"define(`confMAX_DAEMON_CHILDREN', `{PROCESSES}')dnl"]},
}

ADDRESSES = 40
CONNECTIONS = 5             # of each of them
MAILS_A_SECOND = 2
# A sender that is turned away tries again so soon, and gives up so late.
RETRY_SECONDS = 0.5
GIVE_UP_SECONDS = 60


def harvesters():
    return sources(ADDRESSES)


def rank(values, share):
    """The least of the values that so large a share of them does not exceed: rank(seconds, 0.99)."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


class HonestMail:
    """with HonestMail(mta.address()) as mail: ... Sends at an even pace, whatever becomes of the mails before,
    each from an address of its own.

    mails: (when it was first tried, seconds from then to the last 250) of each. failures: (source, seconds since the
    beginning, why) of each call in vain. lost: the sources of mails that were given up."""

    _numbers = itertools.count()

    def __init__(self, address):
        self._address = address
        self._stopped = threading.Event()
        self._senders = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.began = 0.0
        self.mails = []
        self.failures = []
        self.lost = []

    def __enter__(self):
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Waits for the mails that are on their way."""
        self._stopped.set()
        self._thread.join()
        for sender in self._senders:
            sender.join()

    def seconds(self, since=0.0):
        """Of the mails that were first tried so long after the beginning."""
        return [seconds for began, seconds in self.mails if began - self.began >= since]

    def _run(self):
        due = self.began
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            number = next(self._numbers)
            self._senders.append(threading.Thread(
                target=self._send, args=(f"127.88.{number // 250}.{number % 250 + 1}",), daemon=True))
            self._senders[-1].start()
            due += 1 / MAILS_A_SECOND

    def _send(self, source):
        began = time.monotonic()
        while True:
            called = time.monotonic()
            reason, ended = self._call(source), time.monotonic()
            if reason is None:
                self.mails.append((began, ended - began))
                return
            self.failures.append((source, called - self.began, reason))
            if ended - began > GIVE_UP_SECONDS:
                self.lost.append(source)
                return
            time.sleep(RETRY_SECONDS)

    def _call(self, source):
        """None once the mail is accepted, or why it is not."""
        try:
            with Client(self._address, source, timeout=GIVE_UP_SECONDS, ehlo="honest.example") as client:
                reply = client.greeting
                if reply.code == 220:
                    reply = client.send_message("friend@honest.example", [good()])
                    client.write(["QUIT"])
                return None if reply.code == 250 else str(reply)
        except OSError as error:
            return str(error)


def send_alone(mta, seconds):
    with HonestMail(mta.address()) as mail:
        time.sleep(seconds)
    return mail


def press(mta, seconds, service="main", **crowd_arguments):
    """Honest mail and the harvesters together, for so long; what became of both."""
    with Crowd(mta.address(service), harvesters(), CONNECTIONS, **crowd_arguments) as crowd:
        with HonestMail(mta.address(service)) as mail:
            time.sleep(seconds)
        return mail, crowd.stop()


def probes_a_minute(got, first, last):
    """What the harvesters had answered, from that second to before that one."""
    found = sum(count for second, count in got["probes_by_second"].items() if first <= int(second) < last)
    return 60 * found / (last - first)
