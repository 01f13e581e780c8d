# SPDX-License-Identifier: BSD-2-Clause
"""A private Postfix: its own configuration, queue and log in one directory, on high loopback ports.

The machine's own Postfix is neither read nor touched: master(8) is started directly with our configuration directory,
which root may do without an entry in alternate_config_directories.

What it serves, for anyone:
    good1 ... good50, postmaster, abuse     @example.test   accepted (and discarded)
    grey*                                   @example.test   450 4.2.0, as greylisting does
    refused*                                @example.test   554 5.7.1, by an access map
    full*                                   @example.test   550 5.2.2, by an access map
    anybody else                            @example.test   550 5.1.1 User unknown
    good1 ... good50                        @virtual.test   accepted: a virtual alias
    anybody else                            @virtual.test   550 5.1.1
    anybody                                 elsewhere       554 5.7.1 Relay access denied
"""

import grp
import os
import pwd
import re
import signal
import subprocess

from .mta import PrivateMta
from .ports import free_port, has_ipv6

DAEMONS = "/usr/lib/postfix/sbin"
GOOD_USERS = [f"good{n}" for n in range(1, 51)] + ["postmaster", "abuse"]
START_SECONDS = 20
STOP_SECONDS = 5

MAIN_CF = {
    "compatibility_level": "3.6",
    "inet_interfaces": "127.0.0.1, ::1",
    "inet_protocols": "all",
    "myhostname": "mx.example.test",
    "mydestination": "example.test",
    "mynetworks": "127.0.0.1/32",
    "relay_domains": "",
    "virtual_alias_domains": "virtual.test",
    "alias_maps": "",
    "alias_database": "",
    "local_transport": "discard:",
    "default_transport": "discard:",
    "smtpd_relay_restrictions": "reject_unauth_destination",
    "smtpd_authorized_xclient_hosts": "127.0.0.0/8, [::1]/128",
    "smtpd_peername_lookup": "no",
    "disable_dns_lookups": "yes",
    "smtputf8_enable": "no",
    "in_flow_delay": "0s",
    # Nothing but the milter is to slow or limit a client.
    "smtpd_soft_error_limit": "1000",
    "smtpd_hard_error_limit": "1001",
    "smtpd_junk_command_limit": "1000",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "anvil_status_update_time": "1h",
    "default_process_limit": "100",
    "milter_connect_timeout": "30s",
    "milter_command_timeout": "30s",
    "milter_content_timeout": "60s",
    "milter_default_action": "tempfail",
    "non_smtpd_milters": "",
}

# service type private unpriv chroot wakeup maxproc command; nothing runs in a chroot.
MASTER_CF = """\
pickup    unix       n - n 60  1 pickup
cleanup   unix       n - n -   0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -   - trivial-rewrite
bounce    unix       - - n -   0 bounce
defer     unix       - - n -   0 bounce
trace     unix       - - n -   0 bounce
error     unix       - - n -   - error
retry     unix       - - n -   - error
discard   unix       - - n -   - discard
anvil     unix       - - n -   1 anvil
postlog   unix-dgram n - n -   1 postlogd
"""

ACCESS = """\
/^grey.*@example\\.test$/     450 4.2.0 Greylisted, try again later
/^refused.*@example\\.test$/  REJECT
/^full.*@example\\.test$/     550 5.2.2 Mailbox full
"""


def milter_address(milter):
    """libmilter's way to name a socket (inet:PORT@HOST) in Postfix's (inet:HOST:PORT)."""
    if found := re.fullmatch(r"inet6?:(\d+)@(.+)", milter):
        port, host = found.groups()
        return f"inet:[{host}]:{port}" if ":" in host else f"inet:{host}:{port}"
    return re.sub(r"^local:", "unix:", milter)


class Postfix(PrivateMta):
    """with Postfix(directory, milter=daemon.socket) as postfix: Client(postfix.address()) ...

    milter: a socket as libmilter or Postfix writes it, or None for no milter.
    services: name -> parameters that differ there from main.cf, for more ports beside "main"; the parameter
    `maxproc` there is the service's process limit, `milter` a different socket.
    sasl_conf: the Cyrus SASL library's smtpd.conf, which makes smtpd offer AUTH.
    certificates: a directory with server.pem, server.key and authority.pem, which makes smtpd offer STARTTLS.
    overrides: main.cf parameters that differ from those above.
    """

    def __init__(self, directory, milter=None, services=None, sasl_conf=None, certificates=None, **overrides):
        super().__init__(directory, services)
        self._sasl_conf = sasl_conf
        self._parameters = {**MAIN_CF, **self._own_parameters(milter)}
        if sasl_conf:
            self._parameters.update(smtpd_sasl_auth_enable="yes", smtpd_sasl_type="cyrus", smtpd_sasl_path="smtpd",
                                    cyrus_sasl_config_path=self._config / "sasl")
        if certificates:
            self._parameters.update(
                smtpd_tls_security_level="may", smtpd_tls_ask_ccert="yes",
                smtpd_tls_CAfile=f"{certificates}/authority.pem",
                smtpd_tls_cert_file=f"{certificates}/server.pem", smtpd_tls_key_file=f"{certificates}/server.key")
        self._parameters.update(overrides)
        if not has_ipv6():
            self._parameters.update(inet_interfaces="127.0.0.1", inet_protocols="ipv4")

    def write(self):
        """Its directories and files, which start() writes too; where they are."""
        self._make_directories()
        self._write_files()
        return self._config

    def start(self):
        self.write()
        self._begin()

    def restart(self):
        """Stops, and starts with the files as they are now."""
        self.stop()
        for name in "main.cf", "master.cf":
            os.utime(self._config / name, (0, 0))
        self.log_file.rename(f"{self.log_file}.before")
        self._begin()

    def _begin(self):
        with open(self.directory / "stderr", "wb") as stderr:
            self._process = subprocess.Popen(
                [f"{DAEMONS}/master", "-c", str(self._config), "-d"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
        try:
            self.wait_for_log(r"daemon started", START_SECONDS)
        except BaseException as error:
            self.stop()
            raise RuntimeError((self.directory / "stderr").read_text() or "see above") from error

    def stop(self):
        """master ends its children with itself; whatever of them is left after that is killed."""
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._process = None

    @property
    def config_dir(self):
        return str(self._config)

    @property
    def _config(self):
        return self.directory / "config"

    def _own_parameters(self, milter):
        directory = self.directory
        config = self._config
        return {
            "config_directory": config,
            "queue_directory": directory / "queue",
            "data_directory": directory / "data",
            "maillog_file": self.log_file,
            "maillog_file_prefixes": directory,
            "smtpd_milters": milter_address(milter) if milter else "",
            "local_recipient_maps": f"texthash:{config}/users",
            "virtual_alias_maps": f"texthash:{config}/virtual",
            "smtpd_recipient_restrictions":
                f"reject_unauth_destination, check_recipient_access regexp:{config}/access",
        }

    def _make_directories(self):
        postfix = pwd.getpwnam("postfix")
        postdrop = grp.getgrnam("postdrop").gr_gid
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)

        def make(name, mode, uid, gid):
            path = self.directory / name
            path.mkdir(exist_ok=True)
            os.chown(path, uid, gid)
            path.chmod(mode)

        make("config", 0o755, 0, 0)
        make("queue", 0o755, 0, 0)
        make("queue/pid", 0o755, 0, 0)
        make("queue/public", 0o710, postfix.pw_uid, postdrop)
        make("queue/maildrop", 0o1730, postfix.pw_uid, postdrop)
        make("data", 0o700, postfix.pw_uid, postfix.pw_gid)
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split():
            make(f"queue/{name}", 0o700, postfix.pw_uid, 0)

    def _write_files(self):
        def write(name, text):
            path = self._config / name
            path.write_text(text)
            # Postfix waits for two seconds before it reads a file that was changed just now.
            os.utime(path, (0, 0))

        write("main.cf", "".join(f"{name} = {value}\n" for name, value in self._parameters.items()))
        write("master.cf", MASTER_CF + "".join(self._service_lines()))
        write("users", "".join(f"{user} x\n" for user in GOOD_USERS))
        write("virtual", "".join(f"{user}@virtual.test {user}@example.test\n" for user in GOOD_USERS))
        write("access", ACCESS)
        if self._sasl_conf:
            # Debian's Postfix reads it here, whatever cyrus_sasl_config_path says.
            (self._config / "sasl").mkdir(exist_ok=True)
            write("sasl/smtpd.conf", self._sasl_conf)

    def _service_lines(self):
        """A port for each service, the same on all interfaces."""
        for name, options in self._services.items():
            options = dict(options)
            port = self._ports[name] = free_port()
            maxproc = options.pop("maxproc", "-")
            if "milter" in options:
                options["smtpd_milters"] = milter_address(options.pop("milter"))
            changes = "".join(f"  -o {{ {key} = {value} }}\n" for key, value in options.items())
            yield f"{port} inet n - n - {maxproc} smtpd\n{changes}"
