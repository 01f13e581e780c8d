# SPDX-License-Identifier: BSD-2-Clause
"""Writes what Postfix 3.7 logs of sessions that never took place: tests/logs has what it logs of real ones."""

import datetime
import itertools
import random
from typing import NamedTuple

# A window of four hours begins here.
EPOCH = 1772323200
MACHINE = "mx"
REPLIES = {
    "5.1.1": "550 5.1.1 <{0}>: Recipient address rejected: User unknown in local recipient table",
    "5.7.1": "554 5.7.1 <{0}>: Relay access denied",
    "5.2.2": "552 5.2.2 <{0}>: Recipient address rejected: Mailbox full",
    "4.2.0": "450 4.2.0 <{0}>: Recipient address rejected: Greylisted, try again later",
}
LETTERS = "BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789"


class Rcpt(NamedTuple):
    address: str
    code: str = ""  # of the rejection; empty: accepted


class Mail(NamedTuple):
    """A transaction. end: what follows the last recipient: data, rset, or hangup, which ends the session.

    Without an accepted recipient there is no DATA."""

    recipients: list
    sender: str = "someone@client.example"
    end: str = "data"


class Rejection(NamedTuple):
    at: float
    client: str
    recipient: Rcpt


class PostfixLog:
    """Collects sessions, in any order of time. The same seed and calls make the same text.

    Times are seconds since EPOCH."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.rejections = []
        self._lines = []
        self._pids = itertools.count()
        self._networks = itertools.count(1)
        self._queue_ids = itertools.count(1)

    def network(self):
        """The first three numbers of a /24 in which nobody is yet."""
        number = next(self._networks)
        return f"10.{number // 256}.{number % 256}"

    def address(self):
        """An address whose neighbours are nobody's."""
        return f"{self.network()}.1"

    def session(self, begin, client, mails, host="unknown", pause=0.2, login=False):
        """A client that sends these mails, with a pause before each command; when it has gone."""
        return _Session(self, begin, client, host, pause, login).run(mails)

    def text(self):
        """All lines, in the order of time."""
        return "".join(line for _, line in sorted(self._lines, key=lambda entry: entry[0]))

    def write(self, path):
        path.write_text(self.text())
        return path

    def line(self, at, program, pid, text):
        at = round(at, 3)
        stamp = datetime.datetime.fromtimestamp(EPOCH + at, datetime.timezone.utc)
        self._lines.append((at, f"{stamp:%Y-%m-%dT%H:%M:%S}.{round(at * 1000) % 1000:03d}+00:00 "
                                f"{MACHINE} postfix/{program}[{pid}]: {text}\n"))

    def new_pid(self):
        return 2000 + next(self._pids) % 30000

    def new_queue_id(self):
        """A long one, as with enable_long_queue_ids."""
        number, digits = next(self._queue_ids), ""
        for _ in range(6):
            number, digit = divmod(number, len(LETTERS))
            digits = LETTERS[digit] + digits
        return f"4Rgz{digits}z5tk"


class _Session:
    def __init__(self, log, begin, client, host, pause, login):
        self._log = log
        self._now = begin
        self._client = client
        self._who = f"{host}[{client}]"
        self._pause = pause
        self._login = login
        self._pid = log.new_pid()
        self._counts = {"ehlo": [1, 1]}
        if login:
            self._counts["auth"] = [1, 1]

    def run(self, mails):
        self._say(f"connect from {self._who}")
        for mail in mails:
            self._transaction(mail)
            if mail.end == "hangup":
                self._say(f"lost connection after RCPT from {self._who}")
                break
        else:
            self._command("quit")
        counts = [f"{name}={_count(*count)}" for name, count in self._counts.items()]
        total = _count(*(sum(column) for column in zip(*self._counts.values())))
        self._say(f"disconnect from {self._who} {' '.join(counts)} commands={total}")
        return self._now

    def _say(self, text):
        self._log.line(self._now, "smtpd", self._pid, text)

    def _command(self, name, succeeds=True):
        self._now += self._pause
        count = self._counts.setdefault(name, [0, 0])
        count[0] += succeeds
        count[1] += 1

    def _transaction(self, mail):
        queue_id, accepted = None, []
        self._command("mail")
        for recipient in mail.recipients:
            self._command("rcpt", not recipient.code)
            if recipient.code:
                self._reject(mail, recipient, queue_id or "NOQUEUE")
                continue
            accepted.append(recipient.address)
            if queue_id is None:
                queue_id = self._log.new_queue_id()
                login = ", sasl_method=PLAIN, sasl_username=someone" if self._login else ""
                self._say(f"{queue_id}: client={self._who}{login}")
        if mail.end == "data" and accepted:
            self._command("data")
            self._deliver(mail.sender, queue_id, accepted)
        elif mail.end != "hangup":
            self._command("rset")

    def _reject(self, mail, recipient, queue_id):
        reply = REPLIES[recipient.code].format(recipient.address)
        self._log.rejections.append(Rejection(round(self._now, 3), self._client, recipient))
        self._say(f"{queue_id}: reject: RCPT from {self._who}: {reply}; from=<{mail.sender}> "
                  f"to=<{recipient.address}> proto=ESMTP helo=<client.example>")

    def _deliver(self, sender, queue_id, accepted):
        log, now = self._log, self._now
        log.line(now, "cleanup", 101, f"{queue_id}: message-id=<{queue_id}@client.example>")
        log.line(now, "qmgr", 102, f"{queue_id}: from=<{sender}>, size=2310, nrcpt={len(accepted)} (queue active)")
        for address in accepted:
            log.line(now + 0.05, "local", 103, f"{queue_id}: to=<{address}>, relay=local, delay=0.1, "
                                               "delays=0.05/0/0/0.05, dsn=2.0.0, status=sent (delivered to mailbox)")
        log.line(now + 0.1, "qmgr", 102, f"{queue_id}: removed")


def _count(successes, tries):
    return str(tries) if successes == tries else f"{successes}/{tries}"
