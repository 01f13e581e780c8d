# SPDX-License-Identifier: BSD-2-Clause
"""A raw SMTP client that says how long each reply took."""

import base64
import ipaddress
import socket
import ssl
import struct
import time
from typing import NamedTuple


class Reply(NamedTuple):
    """code 0: the server closed or reset the connection instead of replying."""

    code: int
    text: str
    seconds: float


class Client:
    """One SMTP session. Every command returns a Reply; seconds counts from the end of the write to the
    last line of the reply (for the greeting: from the begin of the connect). is_open: neither side has ended it."""

    def __init__(self, address, source=None, timeout=60.0, ehlo=None, xclient=None):
        """address: (host, port). source: local address to connect from. ehlo: a name to greet with at once.
        xclient: an address to play (Postfix that authorises us), which makes the session a fresh one."""
        self._lines = b""
        self._socket = None
        self.is_open = True
        began = time.monotonic()
        try:
            self._socket = socket.create_connection(address, timeout, (source, 0) if source else None)
            self.greeting = self._reply(began)
            if xclient:
                self.ehlo(ehlo or "client.example")
                self.greeting = self.xclient(xclient)
            if ehlo and self.greeting.code == 220:
                self.ehlo(ehlo)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # The commands

    def ehlo(self, name="client.example"):
        return self.command(f"EHLO {name}")

    def mail(self, sender="someone@client.example"):
        return self.command(f"MAIL FROM:<{sender}>")

    def rcpt(self, recipient):
        return self.command(f"RCPT TO:<{recipient}>")

    def rset(self):
        return self.command("RSET")

    def data(self):
        return self.command("DATA")

    def body(self, text="Subject: test\r\n\r\nHello.\r\n"):
        """What follows a 354."""
        return self.command(text + ".")

    def quit(self):
        reply = self.command("QUIT")
        self.close()
        return reply

    def send_message(self, sender, recipients):
        """A whole message; the reply is the last one that was needed."""
        reply = self.mail(sender)
        for recipient in recipients if reply.code == 250 else ():
            reply = self.rcpt(recipient)
        if reply.code == 250:
            reply = self.data()
        return self.body() if reply.code == 354 else reply

    def xclient(self, address, **attributes):
        """Become the client at that address; name=, login=, port= ... as XCLIENT has them."""
        if ipaddress.ip_address(address).version == 6:
            address = f"IPV6:{address}"
        attributes = {"name": "[UNAVAILABLE]", "addr": address, **attributes}
        return self.command("XCLIENT " + " ".join(f"{k.upper()}={v}" for k, v in attributes.items()))

    def auth_plain(self, user, password):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}")

    def starttls(self, certificate=None, key=None):
        """The server is not verified: it is our own. Greet again afterwards."""
        reply = self.command("STARTTLS")
        if reply.code == 220:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if certificate:
                context.load_cert_chain(certificate, key)
            self._socket = context.wrap_socket(self._socket)
        return reply

    # Below the commands

    def command(self, line):
        return self.pipeline([line])[0]

    def pipeline(self, lines):
        """Writes all the lines at once; the replies' seconds all count from that write."""
        began = self.write(lines)
        return [self._reply(began) for _ in lines]

    def write(self, lines):
        """Writes without reading; returns when. read() then takes each reply."""
        try:
            self._socket.sendall(b"".join(line.encode() + b"\r\n" for line in lines))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return time.monotonic()

    def read(self, began):
        return self._reply(began)

    def set_timeout(self, seconds):
        self._socket.settimeout(seconds)

    def reset(self):
        """Closes with a TCP reset instead of a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.is_open = False
        if self._socket:
            self._socket.close()

    def _line(self):
        while b"\n" not in self._lines:
            try:
                received = self._socket.recv(4096)
            except ConnectionResetError:
                received = b""
            if not received:
                return None
            self._lines += received
        line, self._lines = self._lines.split(b"\n", 1)
        return line.decode("ascii", "backslashreplace").rstrip("\r")

    def _reply(self, began):
        lines = []
        while (line := self._line()) is not None:
            lines.append(line)
            if line[3:4] != "-":
                break
        seconds = time.monotonic() - began
        code = int(line[:3]) if line is not None else 0
        if code in (0, 421):
            self.is_open = False
        return Reply(code, "\n".join(lines), seconds)
