# SPDX-License-Identifier: BSD-2-Clause
"""--check-config, --print-config, -o, include() and @FILE."""

import re
import tempfile

import pytest

from support.daemon import Daemon, run
from support.milter import Session

EX_CONFIG = 78

# What is promised: key -> default. --print-config, the example and the manual must say the same.
DEFAULTS = {
    "socket": "unix:/run/tarpit-milter/milter.sock", "socket_mode": "0660", "socket_group": "",
    "user": "tarpit-milter",
    "mode": "enforce", "store": "memory", "memcached_servers": ["127.0.0.1:11211"], "memcached_timeout": "50ms",
    "memcached_retry": "2s", "memcached_user": "", "memcached_password_file": "", "key_prefix": "tarpit",
    "memory_clients": "100000", "memory_file": "/var/lib/tarpit-milter/memory", "window": "4h", "threshold": "5",
    "good_credit": "2", "recipient_delimiter": "+", "offences": ["5.2.2 0", "5.3.4 0", "5.*.* 1"], "soft_offences": [], "hidden_weight": "0.5",
    "null_sender_weight": "0.25", "callout_senders": ["double-bounce@"], "count_distinct": "yes", "delay_min": "5s", "delay_max": "20s", "jitter": "10",
    "stall_at": ["connect", "mail", "rcpt", "data"], "mta": "auto", "mta_timeout": "auto", "max_stalls": "40",
    "when_full": "defer", "max_flagged_sessions": "2", "max_stall_per_transaction": "4m",
    "max_stall_per_session": "10m", "pass_limit": "100", "defer_longest": "30m", "ipv4_prefix": "32", "ipv6_prefix": "64", "nat64_prefixes": [], "network_threshold": "20",
    "ipv4_network": "24", "ipv6_network": "48", "siege_threshold": "30", "siege_factor": "5",
    "siege_half_life": "10m", "exempt_clients": ["127.0.0.0/8", "::1"], "exempt_hosts": [],
    "exempt_authenticated": "yes", "exempt_certificates": "no", "exempt_recipients": ["postmaster", "abuse"], "trap_recipients": [],
    "control_socket": "/run/tarpit-milter/control.sock", "metrics_listen": "", "pid_file": "",
    "syslog_facility": "mail", "log_level": "info",
}


def parse_value(text):
    """A value as written in a configuration: a list, or a text without its quotes."""
    text = text.strip()
    if text.startswith("{"):
        items = re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s,{}"]+)', text)
        return [quoted or plain for quoted, plain in items]
    return text[1:-1] if text.startswith('"') else text


def printed(*arguments, config_text=""):
    result = run("--print-config", *arguments, config_text=config_text)
    assert result.returncode == 0, result.stderr
    return dict((key, parse_value(value))
                for key, value in (line.split(" = ", 1) for line in result.stdout.splitlines()))


def check(*arguments, config_text=""):
    """(exit status, lines of faults)"""
    result = run("--check-config", *arguments, config_text=config_text)
    return result.returncode, result.stderr.splitlines()


# Good ones

def test_defaults_are_those_of_the_contract():
    assert printed() == DEFAULTS


def test_no_file_at_the_default_place_means_all_defaults():
    result = run("--print-config")
    assert result.returncode == 0 and "threshold = " in result.stdout


# Only its owner may read it, as it must be.
PASSWORD_FILE = tempfile.NamedTemporaryFile("w", prefix="tarpit-password-")
PASSWORD_FILE.write("secret\n")
PASSWORD_FILE.flush()

OTHERS = {
    "socket": "inet:8895@127.0.0.1", "socket_mode": "0600", "socket_group": "mail", "user": "nobody",
    "mode": "observe",
    "store": "memcached", "memcached_servers": ["mx1.example.com:11211", "[2001:db8::1]:11212", "/run/m.sock"],
    "memcached_timeout": "120ms", "memcached_retry": "30s", "memcached_user": "tarpit@mx",
    "memcached_password_file": PASSWORD_FILE.name, "key_prefix": "A.b_c-9", "memory_clients": "500",
    "memory_file": "",
    "window": "14d", "threshold": "0.01", "good_credit": "0", "recipient_delimiter": "-=",
    "offences": ["5.1.1 10", "5.*.2 0.25", "5.*.* 0"],
    "soft_offences": ["4.7.1 1", "4.*.* 0.5"], "hidden_weight": "0", "null_sender_weight": "1",
    "callout_senders": ["probe@example.com", "verify@"], "count_distinct": "no", "delay_min": "100ms",
    "delay_max": "90s", "jitter": "0", "stall_at": ["helo"], "mta": "sendmail", "mta_timeout": "2m", "max_stalls": "1",
    "when_full": "pass", "max_flagged_sessions": "0", "max_stall_per_transaction": "299s",
    "max_stall_per_session": "1h", "pass_limit": "0", "defer_longest": "14d", "ipv4_prefix": "28", "ipv6_prefix": "56",
    "nat64_prefixes": ["2001:db8:64::/96", "64:ff9b:1:2:3:4::/96"], "network_threshold": "0",
    "ipv4_network": "16", "ipv6_network": "32", "siege_threshold": "0", "siege_factor": "1.5",
    "siege_half_life": "1d", "exempt_clients": ["192.0.2.0/24", "2001:db8::/32", "192.0.3.4"],
    "exempt_hosts": ["mail.example.com", ".example.net"], "exempt_authenticated": "no",
    "exempt_certificates": ["mx.example.com", "/O=Example/CN=mx", "15:1B:76:0F:F0:5D:16:53:11:4E:7B:B0:42:62:8B:D3"],
    "exempt_recipients": ["root", "info@example.com"], "trap_recipients": ["bait@example.com"], "control_socket": "", "metrics_listen": "127.0.0.1:9100",
    "pid_file": "/run/tarpit.pid", "syslog_facility": "local3", "log_level": "debug",
}


def written(values):
    def one(value):
        if isinstance(value, list):
            return "{" + ", ".join(f'"{item}"' for item in value) + "}"
        return f'"{value}"'
    return "".join(f"{key} = {one(value)}\n" for key, value in values.items())


def test_every_key_can_be_set_and_what_is_printed_reads_back_as_the_same():
    assert set(OTHERS) == set(DEFAULTS)
    assert not [key for key in OTHERS if OTHERS[key] == DEFAULTS[key]]
    first = run("--print-config", config_text=written(OTHERS))
    assert first.returncode == 0, first.stderr
    second = run("--print-config", config_text=first.stdout)
    assert second.returncode == 0 and second.stdout == first.stdout
    assert printed(config_text=first.stdout) == OTHERS


def test_every_key_can_be_set_on_the_command_line():
    arguments = [word for line in written(OTHERS).splitlines() for word in ("-o", line)]
    assert printed(*arguments) == printed(config_text=written(OTHERS))


@pytest.mark.parametrize(("key", "text", "value"), [
    ("window", "60", "1m"), ("window", "90m", "90m"), ("window", "2d", "2d"), ("delay_max", "20500ms", "20500ms"),
    ("delay_max", "25", "25s"), ("delay_max", "1m", "1m"), ("delay_max", "5.5s", "5500ms"),
    ("threshold", "7.25", "7.25"), ("exempt_hosts", "{a.example, .b.example}", ["a.example", ".b.example"]),
    ("stall_at", "connect, helo", ["connect", "helo"]), ("stall_at", "{}", []), ("stall_at", "", []),
    ("mode", "observe", "observe"), ("exempt_certificates", "No", "No"), ("exempt_certificates", "verified", "verified"),
    ("exempt_certificates", "mx", ["mx"]), ("exempt_certificates", "{verified}", "verified"), ("exempt_certificates", "{}", []), ("count_distinct", "no", "no"),
])
def test_values_and_units(key, text, value):
    assert printed("-o", f"{key}={text}")[key] == value


def test_command_line_wins_and_the_later_of_two_wins():
    assert printed("-o", "threshold=7", config_text="threshold = 6\nthreshold = 8\n")["threshold"] == "7"
    assert printed(config_text="threshold = 6\nthreshold = 8\n")["threshold"] == "8"
    assert printed("-o", "threshold=7", "-o", "threshold=9")["threshold"] == "9"


def test_comments_and_quotes():
    text = "# a comment\nthreshold = 6 # another\n\n  key_prefix = \"mx\"\n// so is this\nuser = 'nobody'\n"
    found = printed(config_text=text)
    assert (found["threshold"], found["key_prefix"], found["user"]) == ("6", "mx", "nobody")


def test_lists_can_be_added_to():
    assert printed(config_text='exempt_certificates += {mx}\n')["exempt_certificates"] == ["mx"]
    assert printed(config_text='exempt_clients += {"192.0.2.0/24"}\n')["exempt_clients"] == [
        "127.0.0.0/8", "::1", "192.0.2.0/24"]
    assert printed(config_text='exempt_clients = {"192.0.2.0/24"}\nexempt_clients += {"10.0.0.0/8"}\n')[
        "exempt_clients"] == ["192.0.2.0/24", "10.0.0.0/8"]


def test_include(tmp_path):
    (tmp_path / "more.conf").write_text("threshold = 9\njitter = 3\n")
    found = printed(config_text=f'threshold = 6\ninclude("{tmp_path}/more.conf")\njitter = 4\n')
    assert (found["threshold"], found["jitter"]) == ("9", "4")


def test_fault_in_an_included_file_is_placed_there(tmp_path):
    (tmp_path / "more.conf").write_text("\n\nthreshold = none\n")
    status, faults = check(config_text=f'include("{tmp_path}/more.conf")\n\nwindow = never\n')
    assert status == EX_CONFIG and len(faults) == 2
    assert any(fault.startswith(f"{tmp_path}/more.conf:3: threshold: ") for fault in faults)
    assert any(re.search(r"tarpit-milter\.conf:3: window: ", fault) for fault in faults)


def test_exempt_clients_from_a_file(tmp_path):
    friends = tmp_path / "friends"
    friends.write_text("# friends\n192.0.2.0/24\n\n  2001:db8::/32   # more\r\n198.51.100.7")
    with Daemon(config_text=f'exempt_clients = {{"203.0.113.1", "@{friends}"}}\n') as daemon:
        for client, action in (("192.0.2.9", "accept"), ("2001:db8::9", "accept"), ("198.51.100.7", "accept"),
                               ("203.0.113.1", "accept"), ("198.51.100.8", "continue"), ("127.0.0.1", "continue")):
            with Session(daemon.address, client) as session:
                assert session.greeting.action == action, client


def test_relative_file_of_clients_is_beside_the_one_that_names_it(tmp_path):
    for name in ("etc", "etc/more", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "main.conf").write_text('include("more/more.conf")\nexempt_clients += {"@friends"}\n')
    (tmp_path / "etc" / "more" / "more.conf").write_text('exempt_clients = {"@friends", "@../others", "@here"}\n')
    for name in ("etc/friends", "etc/more/friends", "etc/others", "work/here", "work/friends", "work/set"):
        (tmp_path / name).write_text("nonsense\n")
    result = run("-c", f"{tmp_path}/etc/main.conf", "-o", "exempt_clients+={@set, @none}", "-t", cwd=tmp_path / "work")
    assert re.findall(r"^(\S+): exempt_clients: ", result.stderr, re.M) == [
        f"{tmp_path}/etc/more/friends:1", f"{tmp_path}/etc/more/../others:1", "here:1", f"{tmp_path}/etc/friends:1",
        "set:1", "--set:1"]
    assert "none: No such file" in result.stderr


def test_trap_recipients_from_a_file(tmp_path):
    traps = tmp_path / "traps"
    traps.write_text("# on the old web page\nbait@example.org\n\nDead.Long@Example.com  # since 2019\n")
    with Daemon(config_text=f'trap_recipients = {{"third@example.net", "@{traps}"}}\nstall_at = {{}}\n') as daemon:
        for number, trap in enumerate(("bait@example.org", "dead.long@example.com", "third@example.net")):
            with Session(daemon.address, f"192.0.2.{number}") as session:
                session.mail()
                session.rcpt(trap)
                session.rcpt("bait@example.com")
        assert [(event["client"], event["rcpt"], event["code"], event["weight"]) for event in daemon.events("reject")] == [
            ("192.0.2.0", "bait@example.org", "trap", "5.00"), ("192.0.2.1", "dead.long@example.com", "trap", "5.00"),
            ("192.0.2.2", "third@example.net", "trap", "5.00")]
        assert len(daemon.events("flag")) == 3
    traps.write_text("bait@example.org\nbait\n")
    status, faults = check(config_text=f'trap_recipients = {{"@{traps}"}}\n')
    assert status == 78 and len(faults) == 1 and faults[0].startswith(f"{traps}:2: trap_recipients: 'bait': "), faults


def test_faults_in_a_file_of_clients_are_placed_there(tmp_path):
    friends = tmp_path / "friends"
    friends.write_text("192.0.2.0/24\nnonsense\n192.0.2.1/24\n")
    status, faults = check(config_text=f'exempt_clients = {{"@{friends}"}}\n')
    assert status == EX_CONFIG
    assert [re.match(rf"{friends}:(\d): exempt_clients: ", fault)[1] for fault in faults] == ["2", "3"]
    assert "192.0.2.0/24" in faults[1], "it says what was probably meant"


# Faulty ones: what stands in line 2 of a file, and what the report must say of it beside key and place

FAULTS = [
    ("nonsense = 1", "nonsense", "unknown"),
    ("treshold = 1", "treshold", "unknown"),
    ("socket = /run/milter.sock", "socket", "unix:PATH"),
    ('socket = ""', "socket", "unix:PATH"),
    ("socket = unix:milter.sock", "socket", "absolute"),
    ("socket = inet:smtp@localhost", "socket", "port"),
    ("socket = inet:0@localhost", "socket", "port"),
    ("socket = inet:70000@localhost", "socket", "port"),
    ('socket = "inet:8895"', "socket", "host"),
    ('socket = "inet:8895@::1"', "socket", "version"),
    ('socket = "inet6:8895@127.0.0.1"', "socket", "version"),
    (f'socket = "unix:/{"x" * 120}"', "socket", "longer"),
    ("socket_group = \"a b\"", "socket_group", "name of a group"),
    ("socket_mode = 0999", "socket_mode", "octal"),
    ("socket_mode = 01777", "socket_mode", "0777"),
    ("socket_mode = rw", "socket_mode", "octal"),
    ('user = ""', "user", "user"),
    ('user = "a:b"', "user", "user"),
    ("mode = paranoid", "mode", "enforce or observe"),
    ("store = redis", "store", "memory or memcached"),
    ('memcached_servers = {"localhost"}', "memcached_servers", "HOST:PORT"),
    ('memcached_servers = {"localhost:0"}', "memcached_servers", "port"),
    ('memcached_servers = {"::1:11211"}', "memcached_servers", "brackets"),
    ('memcached_servers = {"a:1", "a:1"}', "memcached_servers", "twice"),
    ('memcached_servers = {""}', "memcached_servers", "HOST:PORT"),
    ("memcached_timeout = 0", "memcached_timeout", "2s"),
    ("memcached_timeout = fast", "memcached_timeout", "duration"),
    ("memcached_timeout = 3s", "memcached_timeout", "2s"),
    ("memcached_retry = 1ms", "memcached_retry", "100ms"),
    ('memcached_user = "mx"', "memcached_user", "or neither"),
    (f'memcached_user = {"x" * 129}', "memcached_user", "too long"),
    ('memcached_password_file = "secret"', "memcached_password_file", "absolute"),
    ('memcached_password_file = "/nonexistent/x"', "memcached_password_file", "No such file"),
    ('memcached_password_file = "/dev/null"', "memcached_password_file", "regular"),
    ('memcached_password_file = "/etc/passwd"', "memcached_password_file", "others"),
    ('key_prefix = ""', "key_prefix", "32"),
    ('key_prefix = "a b"', "key_prefix", "character"),
    ('key_prefix = "a:b"', "key_prefix", "character"),
    (f'key_prefix = {"x" * 33}', "key_prefix", "too long"),
    ("memory_clients = 1", "memory_clients", "100"),
    ("memory_clients = many", "memory_clients", "integer"),
    ("window = 59s", "window", "1m to 14d"),
    ("window = 15d", "window", "1m to 14d"),
    ("window = 4x", "window", "duration"),
    ("window = -4h", "window", "duration"),
    ("window = 99999999999999d", "window", None),
    ("threshold = 0", "threshold", "0.01 to 10000"),
    ("threshold = 10001", "threshold", "0.01 to 10000"),
    ("threshold = five", "threshold", "number"),
    ("threshold = 1e3", "threshold", "number"),
    ("threshold = nan", "threshold", "number"),
    ("good_credit = -1", "good_credit", "number"),
    ("good_credit = 101", "good_credit", "0 to 100"),
    ('offences = {"4.2.0 1"}', "offences", "4.x.x counts in soft_offences only"),
    ('soft_offences = {"5.1.1 1"}', "soft_offences", "temporary"),
    ('soft_offences = {"4.7.1"}', "soft_offences", "weight"),
    ('offences = {"5.1.1"}', "offences", "weight"),
    ('offences = {"5.1.1 11"}', "offences", "0 to 10"),
    ('offences = {"5.1.1 0.125"}', "offences", "two decimals"),
    ('offences = {"550 1"}', "offences", "pattern"),
    ("hidden_weight = 0.125", "hidden_weight", "two decimals"),
    ("hidden_weight = 11", "hidden_weight", "0 to 10"),
    ("null_sender_weight = x", "null_sender_weight", "number"),
    ("count_distinct = perhaps", "count_distinct", "yes or no"),
    ("delay_min = 0", "delay_min", "100ms"),
    ("delay_max = 1h", "delay_max", "10m"),
    ("jitter = 51", "jitter", "0 to 50"),
    ("jitter = 10%", "jitter", "integer"),
    ("stall_at = {connect, quit}", "stall_at", "connect, helo, mail, rcpt, data"),
    ("stall_at = {mail, mail}", "stall_at", "twice"),
    ("mta_timeout = 1s", "mta_timeout", "auto"),
    ("max_stalls = 0", "max_stalls", "1 to"),
    ("max_stalls = 1.5", "max_stalls", "integer"),
    ("when_full = reject", "when_full", "defer or pass"),
    ("max_flagged_sessions = -1", "max_flagged_sessions", "integer"),
    ("max_stall_per_transaction = 0", "max_stall_per_transaction", "1s"),
    ("max_stall_per_session = 2d", "max_stall_per_session", "1d"),
    ("ipv4_prefix = 33", "ipv4_prefix", "32"),
    ("ipv6_prefix = 129", "ipv6_prefix", "128"),
    ("ipv4_network = 4", "ipv4_network", "8 to 32"),
    ('nat64_prefixes = {"2001:db8:64::/64"}', "nat64_prefixes", "not a /96"),
    ('nat64_prefixes = {"2001:db8:64::/97"}', "nat64_prefixes", "not a /96"),
    ('nat64_prefixes = {"2001:db8:64::1/96"}', "nat64_prefixes", "host bits"),
    ('nat64_prefixes = {"192.0.2.0/24"}', "nat64_prefixes", "IPv6"),
    ('nat64_prefixes = {"::ffff:0:0/96"}', "nat64_prefixes", "IPv6"),
    ('nat64_prefixes = {"@/etc/prefixes"}', "nat64_prefixes", "IPv6"),
    ('nat64_prefixes = {"2001:db8::/96", "2001:DB8:0::/96"}', "nat64_prefixes", "twice"),
    ("nat64_prefixes = {" + ", ".join(f'"2001:db8:{i:x}::/96"' for i in range(65)) + "}", "nat64_prefixes", "too many"),
    ("network_threshold = 0.5", "network_threshold", "0, or 1"),
    ('exempt_clients = {"192.0.2.1/24"}', "exempt_clients", "192.0.2.0/24"),
    ('exempt_clients = {"300.1.2.3"}', "exempt_clients", "address"),
    ('exempt_clients = {"192.0.2.0/33"}', "exempt_clients", "address"),
    ('exempt_clients = {"@/no/such/file"}', "exempt_clients", "No such file"),
    ('exempt_hosts = {"mail_.exa mple"}', "exempt_hosts", "host name"),
    ('exempt_hosts = {"."}', "exempt_hosts", "host name"),
    ('exempt_recipients = {"@example.com"}', "exempt_recipients", "local part"),
    ('exempt_recipients = {"a b"}', "exempt_recipients", "local part"),
    ("exempt_certificates = yes", "exempt_certificates", "a word, not a certificate"),
    ("exempt_certificates = {no, mx}", "exempt_certificates", "a word stands alone"),
    ('exempt_certificates = {"mx.example.com", "no"}', "exempt_certificates", "a word stands alone"),
    ("exempt_certificates = verified\nexempt_certificates += {mx}", "exempt_certificates", "a word stands alone"),
    ('exempt_certificates = {"CN=mx"}', "exempt_certificates", "begins with a slash"),
    ('exempt_certificates = {"15:1B:76"}', "exempt_certificates", "not a fingerprint"),
    ('exempt_certificates = {"@/no/such/file"}', "exempt_certificates", "No such file"),
    ("mta = exim", "mta", "auto, postfix or sendmail"),
    ("mta = {postfix, sendmail}", "mta", "one value, not a list"),
    ('trap_recipients = {"bait"}', "trap_recipients", "without a domain"),
    ('trap_recipients = {"a b@example.com"}', "trap_recipients", "address"),
    ('trap_recipients = {"@/no/such/file"}', "trap_recipients", "No such file"),
    ('callout_senders = {"probe"}', "callout_senders", "local part that ends in @"),
    ('callout_senders = {"@"}', "callout_senders", "address"),
    ('recipient_delimiter = "@"', "recipient_delimiter", "up to 8"),
    ('recipient_delimiter = "+-+-+-+-+"', "recipient_delimiter", "up to 8"),
    ("pass_limit = -1", "pass_limit", "integer"),
    ("defer_longest = 30s", "defer_longest", "1m to 14d"),
    ("siege_threshold = 0.5", "siege_threshold", "0, or 1"),
    ('control_socket = "control.sock"', "control_socket", "absolute"),
    ('metrics_listen = "9100"', "metrics_listen", "HOST:PORT"),
    ('pid_file = "tarpit.pid"', "pid_file", "absolute"),
    ('memory_file = "memory"', "memory_file", "absolute"),
    ("syslog_facility = kern", "syslog_facility", "mail"),
    ("log_level = loud", "log_level", "debug"),
    ("threshold = {1, 2}", "threshold", None),
    ("threshold += 1", "threshold", "list"),
]
# Faults of two keys, of which the later one is named
CONTRADICTIONS = [
    ("delay_min = 30s", "delay_min", "delay_max"),
    ("delay_max = 1s", "delay_max", "delay_min"),
    ("ipv4_network = 25\nipv4_prefix = 24", "ipv4_prefix", "ipv4_network"),
    ("ipv6_prefix = 32", "ipv6_prefix", "ipv6_network"),
    ("memcached_servers = {}\nstore = memcached", "store", "server"),
    ('control_socket = "/run/tarpit-milter/milter.sock"', "control_socket", "socket"),
    ('control_socket = "/run/x.sock"\nsocket = "local:/run/x.sock"', "socket", "control_socket"),
    ('pid_file = "/run/tarpit-milter/milter.sock"', "pid_file", "socket"),
    ('pid_file = "/run/tarpit-milter/control.sock"', "pid_file", "control_socket"),
    ('memory_file = "/run/tarpit-milter/milter.sock"', "memory_file", "socket"),
    ('memory_file = "/run/tarpit-milter/control.sock"', "memory_file", "control_socket"),
    ('memory_file = /run/pid\npid_file = /run/pid', "pid_file", "memory_file"),
    ('socket = "inet:8895@127.0.0.1"\nmetrics_listen = "127.0.0.1:8895"', "metrics_listen", "socket"),
    ('metrics_listen = "[::1]:8895"\nsocket = "inet6:8895@::1"', "socket", "metrics_listen"),
]
FAULT_LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): (?P<key>\w+): (?P<reason>.+) \((?P<allowed>.+)\)$")


def assert_reports(fault, key, line, word):
    match = FAULT_LINE.match(fault)
    assert match, f"not FILE:LINE: key: reason (what is allowed): {fault}"
    assert (match["key"], int(match["line"])) == (key, line), fault
    assert match["file"].endswith("/tarpit-milter.conf"), fault
    assert word is None or word in fault, fault


@pytest.mark.parametrize(("setting", "key", "word"), FAULTS, ids=[setting[:40] for setting, _, _ in FAULTS])
def test_fault_is_reported_with_place_key_and_reason(setting, key, word):
    status, faults = check(config_text=f"# line 1\n{setting}\n")
    assert status == EX_CONFIG
    assert len(faults) == 1, faults
    assert_reports(faults[0], key, 2, word)


@pytest.mark.parametrize(("settings", "key", "word"), CONTRADICTIONS)
def test_contradiction_is_reported_at_the_later_key(settings, key, word):
    status, faults = check(config_text=f"{settings}\n")
    assert status == EX_CONFIG and len(faults) == 1
    assert_reports(faults[0], key, settings.count("\n") + 1, word)


def test_all_faults_are_reported_in_one_run():
    last = {}
    for setting, key, word in FAULTS:
        if not setting.startswith(("threshold +=", "treshold", "nonsense")):
            last[key] = (setting, word)
    text = "".join(f"{setting}\n" for setting, _ in last.values())
    status, faults = check(config_text=text)
    assert status == EX_CONFIG
    assert len(faults) == len(last) >= 35
    by_key = {FAULT_LINE.match(fault)["key"]: fault for fault in faults}
    for line, (key, (_, word)) in enumerate(last.items(), 1):
        assert_reports(by_key[key], key, line, word)


@pytest.mark.parametrize("text", ["threshold", "threshold = ", "threshold = 5 6", "offences = {", 'user = "abc', "= 5",
                                  "include(\"/no/such/file\")", "section { a = 1 }", "\x00", "\xff\xfe = 1"])
def test_broken_syntax_is_placed(text):
    status, faults = check(config_text=f"# line 1\n{text}\n")
    assert status == EX_CONFIG and faults
    assert re.match(r"^\S+/tarpit-milter\.conf:\d: ", faults[0]), faults


def test_huge_and_deep_files_end():
    assert check(config_text="threshold = 5\n" * 50000)[0] == 0
    assert check(config_text="threshold = 5\n" * 500000)[0] == EX_CONFIG
    assert check(config_text="{" * 100000)[0] == EX_CONFIG
    assert check(config_text='exempt_clients = {"' + "1" * 1000000 + '"}')[0] == EX_CONFIG


def test_file_that_includes_itself(tmp_path):
    path = tmp_path / "self.conf"
    path.write_text(f'include("{path}")\n')
    result = run("-c", str(path), "--check-config")
    assert result.returncode == EX_CONFIG and result.stderr


@pytest.mark.parametrize(("setting", "word"), [
    ("threshold=none", "threshold"), ("nonsense=1", "nonsense"), ("threshold", ""), ("=5", ""),
    ("threshold=5\nwindow=1s", ""), ("", "")])
def test_fault_on_the_command_line(setting, word):
    status, faults = check("-o", setting)
    assert status == EX_CONFIG
    assert faults[0].startswith("--set:1: ") and word in faults[0]


def test_named_file_that_is_missing():
    result = run("-c", "/no/such/file", "--check-config")
    assert result.returncode == EX_CONFIG and "/no/such/file" in result.stderr


def test_good_configuration_is_said_to_be_one():
    result = run("--check-config", config_text="threshold = 6\n")
    assert (result.returncode, result.stdout, result.stderr) == (0, "The configuration is good.\n", "")


def test_refused_reload_counts_its_faults():
    with Daemon() as daemon:
        for text, count in (("threshold = 0\n", "1 fault"), ("threshold = 0\njitter = 51\n", "2 faults")):
            daemon.write_config(text)
            assert daemon.reload()[-1] == f'reload: error="{count}: the configuration stays as it was"'


def test_daemon_does_not_start_with_a_faulty_configuration():
    with Daemon(config_text="threshold = 0\n", expect_start=False) as daemon:
        assert daemon.wait() == EX_CONFIG
        assert_reports(daemon.log_lines()[0], "threshold", 1, "0.01 to 10000")
