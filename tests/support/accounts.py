# SPDX-License-Identifier: BSD-2-Clause
"""What lets a client authenticate to the private MTAs: passwords through Cyrus SASL, and certificates."""

import contextlib
import os
import pathlib
import socket
import struct
import subprocess
import threading

SECONDS = 5


class Saslauthd:
    """Says yes to the given accounts, in the protocol of Cyrus' saslauthd, which both MTAs can ask.

    Needs libsasl2-modules for the PLAIN mechanism.
    with Saslauthd(directory, {"alice": "secret"}) as sasl, Postfix(..., sasl_conf=sasl.conf): ...
    """

    def __init__(self, directory, accounts):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._accounts = accounts
        self._socket = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stopped = False

    def __enter__(self):
        path = self.directory / "mux"
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._socket.listen()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped = True
        with socket.socket(socket.AF_UNIX) as wake, contextlib.suppress(OSError):
            wake.connect(str(self.directory / "mux"))
        self._thread.join(SECONDS)
        self._socket.close()

    @property
    def conf(self):
        """The text of the SASL library's own configuration file for the MTA."""
        return f"pwcheck_method: saslauthd\nmech_list: PLAIN\nsaslauthd_path: {self.directory}/mux\n"

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if self._stopped:
                    return
                connection.settimeout(SECONDS)
                with contextlib.suppress(OSError, struct.error):
                    user, password, _, _ = [self._counted(connection) for _ in range(4)]
                    answer = b"OK" if self._accounts.get(user) == password else b"NO"
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    @staticmethod
    def _counted(connection):
        length, = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        return connection.recv(length, socket.MSG_WAITALL).decode() if length else ""


class Certificates:
    """An authority that the MTA trusts, the MTA's certificate, and one of a client: all made by openssl here.

    Postfix(..., certificates=certificates.directory); client.starttls(*certificates.client())
    """

    def __init__(self, directory, client="client.example.test"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._make("authority", "Authority of the tests", [])
        for name, common_name in ("server", "mx.example.test"), ("client", client):
            self._make(name, common_name, ["-CA", self._path("authority.pem"), "-CAkey", self._path("authority.key")])
        self._make("stranger", "stranger.example", [])

    def client(self, name="client"):
        """(certificate, key) as Client.starttls() takes them. "stranger" is one that nobody signed."""
        return self._path(f"{name}.pem"), self._path(f"{name}.key")

    def _path(self, name):
        return str(self.directory / name)

    def _make(self, name, common_name, signed_by):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", f"/CN={common_name}", *signed_by,
                        "-keyout", self._path(f"{name}.key"), "-out", self._path(f"{name}.pem")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(self._path(f"{name}.key"), 0o600)
