# SPDX-License-Identifier: BSD-2-Clause
"""The MTA's side of the milter protocol (version 6), with MTAs that behave as Postfix and Sendmail do.

Only what the filter has negotiated is sent: no stage that it refused, and of the macros only those that it asked for.
"""

import ipaddress
import selectors
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

# Actions, and steps, of the negotiation (libmilter/mfdef.h)
SETSYMLIST = 0x100
NOCONNECT, NOHELO, NOMAIL, NORCPT, NOBODY, NOHDRS, NOEOH = (1 << bit for bit in range(7))
NR_HDR, NOUNKNOWN, NODATA, SKIP, RCPT_REJ = (1 << bit for bit in range(7, 12))
ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
NO_REPLY_STEPS = NR_HDR | sum(1 << bit for bit in range(12, 20))

STAGES = ("connect", "helo", "mail", "rcpt", "data", "eom", "eoh")
COMMANDS = {"connect": b"C", "helo": b"H", "mail": b"M", "rcpt": b"R", "data": b"T", "header": b"L", "eoh": b"N",
            "body": b"B", "eom": b"E", "abort": b"A", "quit": b"Q", "quit_nc": b"K", "unknown": b"U"}
REFUSABLE = {"connect": NOCONNECT, "helo": NOHELO, "mail": NOMAIL, "rcpt": NORCPT, "data": NODATA, "header": NOHDRS,
             "eoh": NOEOH, "body": NOBODY, "unknown": NOUNKNOWN}
ANSWERS = {b"c": "continue", b"a": "accept", b"t": "tempfail", b"r": "reject", b"d": "discard", b"y": "reply",
           b"p": "progress", b"s": "skip", b"f": "conn-fail", b"4": "shutdown"}


class Reply(NamedTuple):
    """action: continue, accept, tempfail, reject, discard, reply (with the text); "gone" if the filter hung up;
    "unasked" where the filter did not want to be asked. seconds: from the write to the reply."""

    action: str
    text: str
    seconds: float

    @property
    def is_deferral(self):
        return self.action == "reply" and self.text.startswith("421 ")


class Mta(NamedTuple):
    """name: what {v} says. lists: the macros that it sends at a stage if the filter does not choose."""

    version: str
    lists: dict
    is_postfix: bool


POSTFIX = Mta("Postfix 3.7.11", {
    "connect": ["j", "{daemon_name}", "{daemon_addr}", "v"],
    "helo": ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
    "mail": ["i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"],
    "rcpt": ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
    "data": ["i"],
}, True)
SENDMAIL = Mta("8.17.1.9", {
    "connect": ["j", "_", "{daemon_name}", "{if_name}", "{if_addr}"],
    "helo": ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
    "mail": ["i", "{auth_type}", "{auth_authen}", "{auth_ssf}", "{auth_author}", "{mail_mailer}", "{mail_host}",
             "{mail_addr}"],
    "rcpt": ["{rcpt_mailer}", "{rcpt_host}", "{rcpt_addr}"],
    "data": ["i"],
}, False)


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def text_of(data):
    return data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data


def pack(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def strings(*texts):
    return b"".join(bytes_of(text) + b"\0" for text in texts)


class Session:
    """One SMTP session as the filter sees it.

    with Session(daemon.address, "192.0.2.1") as session:
        session.greet(); session.rcpt("nobody@example.org", rejected="5.1.1")

    Each command returns a Reply. begin_*/finish split a command in two, so that many sessions can wait at once.
    Of a session that was closed without quit() the filter learns when it gets round to that.
    client: an address; "unix" or None for a client that has none.
    """

    def __init__(self, address, client="192.0.2.1", mta=POSTFIX, name=None, resolve="FAIL", actions=ALL_ACTIONS,
                 steps=ALL_STEPS, timeout=60.0, macros=None, negotiate=True, connect=True):
        self.client = client
        self.mta = mta
        self.name = text_of(name) or (f"[{client}]" if client else "localhost")
        self.resolve = resolve
        self.macros = macros or {}
        self._offered = (actions, steps)
        self.actions = self.steps = 0
        self.lists = {}
        self.bad_count = 0
        self._passes = None     # or "message", "session": the filter has accepted that
        self._stage = None
        self.version = 0
        self.greeting = None
        self._began = 0.0
        self._socket = socket.socket(self._family(address), socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(address)
            if isinstance(address, tuple):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if negotiate:
                self.negotiate()
            if negotiate and connect:
                self.greeting = self.connect()
        except BaseException:
            self._socket.close()
            raise

    @staticmethod
    def _family(address):
        if isinstance(address, str):
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in address[0] else socket.AF_INET

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        return self._socket.fileno()

    # The protocol

    def write(self, data):
        self._began = time.monotonic()
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _receive(self, length):
        received = b""
        while len(received) < length:
            try:
                more = self._socket.recv(length - len(received))
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            received += more
        return received

    def read_packet(self):
        """(command, data); (None, b"") if the filter has hung up."""
        header = self._receive(4)
        body = self._receive(struct.unpack(">I", header)[0]) if header else None
        return (body[:1], body[1:]) if body else (None, b"")

    def finish(self):
        """The reply to what was begun last."""
        if self._stage is None:
            return Reply("unasked", "", 0.0)
        while True:
            command, data = self.read_packet()
            if command != b"p":
                break
        seconds = time.monotonic() - self._began
        if command is None:
            return Reply("gone", "", seconds)
        action = ANSWERS.get(command, f"unknown {command!r}")
        if action == "accept":
            self._passes = "session" if self._stage in ("connect", "helo") else "message"
        return Reply(action, data.rstrip(b"\0").decode("utf-8", "replace"), seconds)

    def negotiate(self):
        self.begin_negotiate()
        self.end_negotiate()

    def begin_negotiate(self):
        self.write(pack(b"O", struct.pack(">III", 6, *self._offered)))

    def end_negotiate(self):
        command, data = self.read_packet()
        assert command == b"O", (command, data)
        self.version, self.actions, self.steps = struct.unpack(">III", data[:12])
        data = data[12:]
        while data:
            stage = struct.unpack(">I", data[:4])[0]
            names, data = data[4:].split(b"\0", 1)
            self.lists[STAGES[stage]] = names.decode().split()

    def _macros(self, stage, values):
        """The packet of what the filter wants to know, of what the MTA has; if that is nothing, no packet, as Postfix
        does. (libmilter then goes on to show what it was told before.)"""
        names = self.lists.get(stage, self.mta.lists.get(stage, []))
        known = {name: values[name.strip("{}")] for name in names if values.get(name.strip("{}")) is not None}
        pairs = [text for pair in known.items() for text in pair]
        return pack(b"D", COMMANDS[stage] + strings(*pairs)) if pairs else b""

    def begin(self, stage, data, macros=None):
        """Writes a command, if the filter wants it."""
        if self._passes or self.steps & REFUSABLE.get(stage, 0):
            self._stage = None
            return
        self._stage = stage
        packet = self._macros(stage, {**(macros or {}), **self.macros}) if stage in STAGES else b""
        self.write(packet + pack(COMMANDS[stage], data))

    # The events of SMTP

    def connect(self):
        self.begin_connect()
        self.greeting = self.finish()
        return self.greeting

    def begin_connect(self):
        self.begin("connect", strings(self.name) + self._hostaddr(), {
            "j": "mx.example.org", "v": self.mta.version, "_": self.name, "client_addr": self.client or "",
            "client_name": "unknown" if self.name.startswith("[") else self.name, "client_resolve": self.resolve,
            "daemon_name": "mx.example.org", "client_port": "43210", "client_connections": "1",
            **({} if self.mta.is_postfix else {"client_rate": "1", "daemon_family": "inet"})})

    def _hostaddr(self):
        if self.client is None:
            return b"U"
        if self.client == "unix":
            return b"L" + struct.pack(">H", 0) + strings("/run/somewhere")
        version = ipaddress.ip_address(self.client).version
        return b"%d" % (4 if version == 4 else 6) + struct.pack(">H", 43210) + strings(
            f"IPv6:{self.client}" if version == 6 and not self.mta.is_postfix else self.client)

    def helo(self, name="client.example", **macros):
        self.begin("helo", strings(name), macros)
        return self.finish()

    def mail(self, sender="someone@client.example", **macros):
        self.begin_mail(sender, **macros)
        return self.finish()

    def begin_mail(self, sender="someone@client.example", **macros):
        self._end_message()
        self.begin("mail", strings(b"<" + bytes_of(sender) + b">"), {"i": "4F0011", **macros})

    def rcpt(self, recipient="user@example.org", rejected=None, **macros):
        """rejected: the enhanced status code that the MTA rejects it with."""
        self.begin_rcpt(recipient, rejected, **macros)
        return self.finish()

    def begin_rcpt(self, recipient="user@example.org", rejected=None, **macros):
        self._stage = None
        self.bad_count += 1 if rejected else 0
        if not rejected or self.steps & RCPT_REJ:
            self.begin("rcpt", strings(b"<" + bytes_of(recipient) + b">"),
                       {**self._rcpt_macros(recipient, rejected), **macros})

    def _rcpt_macros(self, recipient, rejected):
        hidden = {} if self.mta.is_postfix else {"nbadrcpts": str(self.bad_count)}
        if not rejected:
            host = "" if hidden else "example.org"
            return {"rcpt_mailer": "local", "rcpt_host": host, "rcpt_addr": recipient, **hidden}
        text = "Recipient address rejected: User unknown in local recipient table"
        if not self.mta.is_postfix:
            text = f"{rejected[0]}50 {rejected} User unknown"
        return {"rcpt_mailer": "error", "rcpt_host": rejected, "rcpt_addr": text, **hidden}

    def hide(self, count=1):
        """Recipients that the MTA rejects without showing them, as Sendmail does."""
        self.bad_count += count

    def data(self, **macros):
        hidden = {} if self.mta.is_postfix else {"nbadrcpts": str(self.bad_count)}
        self.begin("data", b"", {**hidden, **macros})
        return self.finish()

    def eom(self):
        """The end of a message, of whose headers and body the filter wants nothing."""
        self.begin("eom", b"")
        return self.finish()

    def deliver(self, **macros):
        """DATA and a message's end; the replies."""
        return self.data(**macros), self.eom()

    def unknown(self, line):
        self.begin("unknown", strings(line))
        return self.finish()

    def greet(self, sender="someone@client.example"):
        """HELO and MAIL; the reply to MAIL."""
        self.helo()
        return self.mail(sender)

    def _end_message(self):
        self.bad_count = 0
        if self._passes == "message":
            self._passes = None

    def abort(self):
        if not self._passes:
            self.write(pack(b"A"))
        self._end_message()

    def quit(self, wait=True):
        """Ends the session, and waits until the filter has done so too: then it hangs up."""
        self.write(pack(b"Q"))
        while wait and self.read_packet()[0] is not None:
            pass
        self.close()

    def quit_nc(self):
        """The SMTP session is over; the connection is used for the next."""
        self.write(pack(b"K"))
        self._passes = None

    def close(self):
        self._socket.close()

    def reject_many(self, count, first=1, code="5.1.1", domain="example.org"):
        """That many distinct unknown recipients; the replies."""
        return [self.rcpt(f"nobody{number}@{domain}", rejected=code) for number in range(first, first + count)]


def offend(address, client="192.0.2.1", count=5, **arguments):
    """A whole session of so many rejected recipients; their replies."""
    with Session(address, client, **arguments) as session:
        session.greet()
        replies = session.reject_many(count)
        session.quit()
    return replies


def finish_all(sessions, timeout=60.0):
    """The replies to what was begun in each of these sessions, read as they come, in the order of the sessions."""
    replies = {}
    end = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for session in sessions:
            selector.register(session.fileno(), selectors.EVENT_READ, session)
        while selector.get_map():
            if time.monotonic() > end:
                raise TimeoutError(f"{len(selector.get_map())} of {len(sessions)} sessions got no reply")
            for key, _ in selector.select(1.0):
                replies[key.data] = key.data.finish()
                selector.unregister(key.fileobj)
    return [replies[session] for session in sessions]


def all_at_once(functions):
    """Calls all of these, each in a thread of its own, as nearly at once as can be; the results in order."""
    barrier = threading.Barrier(len(functions))

    def call(function):
        barrier.wait(60)
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))


def innocent_waits(address, clients, seconds, spacing):
    """For a process of its own: what each callback of honest clients took, who come again and again.
    Three lists: connect, mail, rcpt."""
    waits = ([], [], [])
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        with Session(address, clients[number % len(clients)], timeout=20.0) as session:
            session.helo()
            replies = (session.greeting, session.mail(), session.rcpt(f"user{number}@example.org"))
            for wait, reply in zip(waits, replies):
                assert reply.action == "continue", reply
                wait.append(reply.seconds)
            session.data()
            session.quit(wait=False)
        number += 1
        time.sleep(spacing)
    return waits
