# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl export: each format is read by the program that it is for; nftables slows whom it names and nobody else."""

import contextlib
import datetime
import pathlib
import re
import select
import socket
import subprocess
import time

import pytest
from checks import AT_MAIL, daemon_with, flag, wait_until
from needs import as_root, needs_program, require

from support.ctl import ctl, ctl_json, tarpitctl
from support.daemon import TOP, binary
from support.fake_control import FakeControl
from support.machine import UNIT, Machine
from support.machine import why_not as why_no_machine
from support.milter import Session
from support.network import Network, why_not

NFTABLES = pathlib.Path(TOP, "packaging", "nftables")
RULES = NFTABLES / "tarpit-milter.nft"
FORMATS = "cidr", "nft", "ipset", "rbldnsd", "postscreen", "json"
BY_COUNTS = "192.0.2.1"
BY_HAND = "192.0.2.7"
IPV6 = "2001:db8:1:2::3"
HARMLESS = "192.0.2.2"
KEYS = ["192.0.2.1/32", "192.0.2.7/32", "2001:db8:1:2::/64"]
EXEMPT = {"exempt_clients": "{198.51.100.0/24, 2001:db8:5:5::7}", "network_threshold": "0"}


def flag_all(daemon):
    """Three are flagged; others have offended a little, or are exempt."""
    flag(daemon, BY_COUNTS, IPV6)
    flag(daemon, HARMLESS, count=4)
    flag(daemon, "198.51.100.9", "2001:db8:5:5::8")
    ctl(daemon, "flag", BY_HAND, "10m")


@pytest.fixture(name="daemon", scope="module")
def flagging_daemon():
    with daemon_with(AT_MAIL, EXEMPT, control=True) as daemon:
        flag_all(daemon)
        yield daemon


@pytest.fixture(name="idle", scope="module")
def idle_daemon():
    """It knows of nobody."""
    with daemon_with(control=True) as daemon:
        yield daemon


def export(daemon, form, *options):
    result = ctl(daemon, "export", "--format", form, *options)
    assert result.err == ""
    return result.out


def export_to(path, daemon, form, *options):
    path.write_text(export(daemon, form, *options), encoding="utf-8")
    return path


def run(*command, **arguments):
    """What a command prints, which must not fail nor complain."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def in_network_of_its_own(script):
    return run("unshare", "--net", "bash", "-euo", "pipefail", "-c", script)


# The clients that are named

def test_names_the_flagged_in_order_and_for_how_long(daemon):
    answer = ctl_json(daemon, "export")
    assert set(answer) == {"ok", "mode", "clients"} and answer["mode"] == "enforce"
    assert [client["client"] for client in answer["clients"]] == KEYS
    by_counts, by_hand, _ = answer["clients"]
    assert by_hand["by_hand"] is True and 570 < by_hand["remains_s"] <= 600
    assert by_counts["by_hand"] is False and by_counts["score"] == 5
    assert 0 < by_counts["remains_s"] <= 28 * 86400
    shown = {client["client"]: client for client in ctl_json(daemon, "list", "-n", "1000")["clients"]}
    assert set(KEYS) < {key for key, client in shown.items() if client["flagged"]}, "exempt ones are flagged, too"
    assert export(daemon, "json").replace(" ", "")[:20] == ctl(daemon, "--json", "export").out.replace(" ", "")[:20]


def test_cidr_is_what_is_printed_if_nothing_else_is_asked_for(daemon):
    assert ctl(daemon, "export").out == export(daemon, "cidr") == "".join(f"{key}\n" for key in KEYS)


def test_a_timeout_is_the_longest_that_anybody_is_held_off(daemon):
    clients = ctl_json(daemon, "export", "--timeout", "5m")["clients"]
    assert [client["remains_s"] for client in clients] == [300, 300, 300]
    clients = ctl_json(daemon, "export", "--timeout", "28d")["clients"]
    assert clients[1]["remains_s"] <= 600 < clients[0]["remains_s"]


def test_forgiven_is_no_longer_named():
    with daemon_with(AT_MAIL, EXEMPT, control=True) as daemon:
        flag_all(daemon)
        ctl(daemon, "forgive", BY_COUNTS)
        assert export(daemon, "cidr").split() == KEYS[1:]


def test_in_observe_mode_nobody_is_named_unless_asked_for():
    with daemon_with(AT_MAIL, EXEMPT, {"mode": "observe"}, control=True) as daemon:
        flag_all(daemon)
        for form in FORMATS:
            result = ctl(daemon, "export", "--format", form)
            assert not [key for key in KEYS if key in result.out], result
            assert result.err == "tarpitctl: mode = observe: nobody is slowed, so nobody is named\n"
        result = ctl(daemon, "export", "--observe")
        assert result.out.split() == KEYS
        assert result.err == "tarpitctl: mode = observe: the daemon itself slows none of these\n"


def test_with_memcached_a_host_names_whom_it_has_seen(memcached):
    options = {**memcached.options, "memcached_timeout": "1s"}
    with daemon_with(AT_MAIL, options, control=True) as daemon, daemon_with(AT_MAIL, options, control=True) as other:
        flag(daemon, BY_COUNTS)
        ctl(daemon, "flag", BY_HAND)
        assert export(daemon, "cidr").split() == KEYS[:2]
        assert export(other, "cidr") == ""
        for client in BY_COUNTS, BY_HAND:
            with Session(other.address, client) as session:
                session.quit()
        assert export(other, "cidr").split() == KEYS[:2]


def page(more, *clients, **members):
    return {"ok": True, "mode": "enforce", "more": more, "clients": [
        {"client": client, "remains_s": 60, "by_hand": False, "score": 5, **members} for client in clients]}


def test_each_page_is_asked_for_behind_the_last_client(tmp_path):
    pages = {None: page(True, "192.0.2.1/32", "192.0.2.2/32"), "192.0.2.2/32": page(True, "192.0.2.3/32"),
             "192.0.2.3/32": page(False, "2001:db8::/64")}
    with FakeControl(str(tmp_path / "control.sock")) as fake:
        fake.raw["export"] = lambda request: pages[request.get("after")]
        result = tarpitctl("export", socket=fake.path)
        assert (result.status, result.err) == (0, "")
        assert result.out.split() == ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "2001:db8::/64"]
        assert (fake.asked["export"], fake.connections) == (3, 1)


@pytest.mark.parametrize("second", [
    {"ok": False, "status": 1, "error": "no \x1b[2J"}, {"ok": True}, {"ok": False}, {"ok": False, "error": "x"}, [],
    page(True), page(False, "192.0.2.1/32"), page(False, "192.0.2.1/32; flush ruleset"),
    page(False, "192.0.2.9/32", remains_s=0)], ids=str)
@pytest.mark.parametrize("form", ["nft", "json"])
def test_nothing_is_printed_unless_all_is_as_promised(tmp_path, form, second):
    with FakeControl(str(tmp_path / "control.sock")) as fake:
        fake.raw["export"] = lambda request: second if "after" in request else page(True, "192.0.2.1/32")
        result = tarpitctl("export", "--format", form, socket=fake.path)
        assert result.out == "" and re.fullmatch(r"tarpitctl: [ -~]+\n", result.err), result
        assert result.status == (1 if "status" in second else 69)


@pytest.mark.parametrize("args", [
    ("export", "now"), ("export", "--format"), ("status", "--format", "nft"), ("list", "--observe"),
    ("show", "--timeout", "5s", BY_COUNTS), ("--format", "nft", "export"), ("export", "-n", "5")], ids=" ".join)
def test_wrong_usage(daemon, args):
    result = ctl(daemon, *args, status=64)
    assert result.out == "" and "\nusage: tarpitctl " in result.err


@pytest.mark.parametrize("args, reason", [
    (("--format", "xml"), "'xml': no format (cidr, nft, ipset, rbldnsd, postscreen, json)"),
    (("--format", ""), "'': no format (cidr, nft, ipset, rbldnsd, postscreen, json)"),
    (("--timeout", "x"), "'x': --timeout takes whole seconds, 1s to 28d"),
    (("--timeout", "0"), "'0': --timeout takes whole seconds, 1s to 28d"),
    (("--timeout", "1500ms"), "'1500ms': --timeout takes whole seconds, 1s to 28d"),
    (("--timeout", "29d"), "'29d': --timeout takes whole seconds, 1s to 28d"),
    (("--json", "--format", "nft"), "export: --json is a format, too"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_wrong_options(daemon, args, reason):
    result = ctl(daemon, "export", *args, status=64)
    assert result.err == f"tarpitctl: {reason}\n"


# Each format and its reader

NFT_COUNT = "nft list set inet tarpit_milter flagged{} | grep -c expires || true"


@as_root
@needs_program("nft")
def test_nft_takes_its_script_again_and_again(daemon, idle, tmp_path):
    """With the table of packaging/nftables and without, and with networks in the place of what is in them."""
    full, empty = export_to(tmp_path / "full", daemon, "nft"), export_to(tmp_path / "empty", idle, "nft")
    counts = f"{NFT_COUNT.format(4)}; {NFT_COUNT.format(6)}"
    assert in_network_of_its_own(
        f"nft -c -f {full}; nft -c -f {empty}; nft -f {empty}; {counts}; nft -f {full}; {counts}; nft -f {RULES}; "
        f"{counts}; sed s,192.0.2.1/32,192.0.2.0/30, {full} | nft -f -; nft -f {full}; nft -f {empty}; {counts}"
    ).split() == ["0", "0", "1", "1", "1", "1", "0", "0"]
    elements = in_network_of_its_own(f"nft -f {full}; nft list set inet tarpit_milter flagged4")
    assert re.search(r"192\.0\.2\.1 timeout \S+ expires \S+, 192\.0\.2\.7 timeout (9m\d+s|10m)\S* expires",
                     elements), elements


@as_root
@needs_program("ipset")
def test_ipset_takes_its_script_again_and_again(daemon, idle, tmp_path):
    tried = subprocess.run(["unshare", "--net", "ipset", "list"], capture_output=True, check=False)
    require(tried.returncode == 0, f"a kernel with sets: {tried.stderr}")
    full = export_to(tmp_path / "full", daemon, "ipset", "--timeout", "1m")
    empty = export_to(tmp_path / "empty", idle, "ipset")
    listed = "ipset list tarpit_milter{} | sed '1,/^Members/d; s/ timeout.*//' | sort"
    script = "; ".join(f"ipset restore <{path}; {listed.format(4)}; {listed.format(6)}; echo ."
                       for path in (empty, full, full, empty))
    members = "192.0.2.1\n192.0.2.7\n2001:db8:1:2::/64\n.\n"
    assert in_network_of_its_own(script) == ".\n" + members + members + ".\n"
    left = in_network_of_its_own(f"ipset restore <{full}; ipset list -n")
    assert left.split() == ["tarpit_milter4", "tarpit_milter6"]


@needs_program("rbldnsd")
def test_rbldnsd_reads_its_zone(daemon, idle, tmp_path):
    def dump(path):
        return re.findall(r"^(\S+)\tA\t(\S+)$", run("rbldnsd", "-d", f"x.example:combined:{path}"), re.M)
    assert dump(export_to(tmp_path / "empty", idle, "rbldnsd")) == []
    for options in (), ("--timeout", "5m"):
        assert dump(export_to(tmp_path / "full", daemon, "rbldnsd", *options)) == [
            ("1.2.0.192", "127.0.0.2"), ("7.2.0.192", "127.0.0.2"), ("*.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2", "127.0.0.2")]


@needs_program("rbldnsd")
def test_rbldnsd_forgets_a_zone_that_nobody_renews(daemon, tmp_path):
    path = export_to(tmp_path / "full", daemon, "rbldnsd", "--timeout", "5m")
    stamp = re.search(r"^\$TIMESTAMP - (.*)$", path.read_text(), re.M)[1]
    expires = datetime.datetime.strptime(stamp, "%Y:%m:%d:%H:%M:%S")
    assert 290 < expires.replace(tzinfo=datetime.timezone.utc).timestamp() - time.time() <= 300
    path.write_text(path.read_text().replace(f"- {expires.year}", f"- {expires.year - 1}"))
    done = subprocess.run(["rbldnsd", "-d", f"x.example:combined:{path}"], capture_output=True, text=True, check=False)
    assert "zone data expired" in done.stderr


@needs_program("postmap")
def test_postfix_reads_its_access_map(daemon, idle, tmp_path):
    (tmp_path / "main.cf").write_text("compatibility_level = 2\n", encoding="utf-8")
    held_off = BY_COUNTS, BY_HAND, IPV6, "2001:db8:1:2:ffff::1"
    others = HARMLESS, "198.51.100.9", "2001:db8:5:5::8", "2001:db8:1:3::1"

    def found(path):
        done = subprocess.run(["postmap", "-c", tmp_path, "-q", "-", f"cidr:{path}"], capture_output=True, text=True,
                              input="".join(f"{address}\n" for address in (*held_off, *others)), check=False)
        assert done.stderr == ""
        return done.stdout
    rejected = "".join(f"{client}\treject\n" for client in held_off)
    assert found(export_to(tmp_path / "full", daemon, "postscreen")) == rejected
    assert found(export_to(tmp_path / "empty", idle, "postscreen")) == ""


# nftables

NEIGHBOUR = "2001:db8:1:2:ffff::4"
HAMMER_SECONDS = 10.7
SLOW_MACHINE_SECONDS = 16


@as_root
@needs_program("nft")
def test_nftables_slows_who_is_flagged_and_nobody_else(daemon):
    """One connection each ten seconds, for all addresses of a /64 together; what was open goes on; all ends by itself."""
    reason = why_not()
    require(reason is None, reason)
    with Network([BY_COUNTS, HARMLESS, IPV6, NEIGHBOUR]) as network, contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(network.listen(family)) for family in (socket.AF_INET, socket.AF_INET6)]
        before = stack.enter_context(network.connect(BY_COUNTS))
        served = stack.enter_context(listeners[0].accept()[0])

        def feed():
            network.server.run("nft", "-f", "-", input=export(daemon, "nft", "--timeout", "3s"))

        def calls(client, seconds=0.1):
            connection = network.connect(client, seconds=seconds)
            if connection is None:
                return 0
            connection.close()
            while waiting := select.select(listeners, [], [], 0)[0]:
                waiting[0].accept()[0].close()
            return 1

        def goes_on():
            before.sendall(b"RCPT")
            assert served.recv(4) == b"RCPT"
            served.sendall(b"250")
            assert before.recv(3) == b"250"

        network.server.run("nft", "-f", str(RULES))
        feed()
        began = fed = time.monotonic()
        got, tries = {BY_COUNTS: 0, IPV6: 0, HARMLESS: 0}, 0
        while (seconds := time.monotonic() - began) < HAMMER_SECONDS or (
                seconds < SLOW_MACHINE_SECONDS and not got[BY_COUNTS] == got[IPV6] == 2):
            if time.monotonic() > fed + 1:
                fed = time.monotonic()
                feed()
            got[BY_COUNTS] += calls(BY_COUNTS)
            got[IPV6] += calls(IPV6 if tries % 2 else NEIGHBOUR)
            got[HARMLESS] += calls(HARMLESS, seconds=2)
            goes_on()
            tries += 1
        assert tries >= 8
        assert got == {BY_COUNTS: 2, IPV6: 2, HARMLESS: tries}
        listed = "nft", "list", "set", "inet", "tarpit_milter", "flagged4"
        wait_until(lambda: "expires" not in network.server.run(*listed), 6)
        assert [calls(BY_COUNTS, seconds=2) for _ in range(5)] == [1] * 5
        goes_on()


def test_units_are_well_formed(tmp_path):
    """Without manual pages that are not there."""
    units = []
    for unit in pathlib.Path(UNIT), *NFTABLES.glob("*.service"), *NFTABLES.glob("*.timer"):
        text = unit.read_text(encoding="utf-8").replace("/usr/local/sbin/tarpit-milter", binary())
        units.append(tmp_path / unit.name)
        units[-1].write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.M), encoding="utf-8")
    assert len(units) == 3
    run("systemd-analyze", "verify", *units)


@as_root
@needs_program("nft")
@pytest.mark.plain
def test_the_timer_feeds_nftables():
    """In a network of the service's own, which the table has to be made in."""
    reason = why_no_machine()
    require(reason is None, reason)
    with Machine() as machine:
        machine.install()
        machine.configure("network_threshold = 0\n")
        machine.run("install", "-D", "-m", "0644", str(RULES), "/etc/tarpit-milter/tarpit-milter.nft")
        for unit in "service", "timer":
            machine.run("install", "-m", "0644", str(NFTABLES / f"tarpit-milter-nftables.{unit}"),
                        "/etc/systemd/system")
        machine.drop_in("tarpit-milter-nftables.service",
                        "[Service]\nPrivateNetwork=yes\nExecStartPost=nft list table inet tarpit_milter\n")
        machine.run("systemctl", "start", "tarpit-milter")
        machine.run("tarpitctl", "flag", BY_HAND)
        machine.run("systemctl", "start", "tarpit-milter-nftables.timer")
        wait_until(lambda: "expires" in machine.journal("-u", "tarpit-milter-nftables"), 20)
        journal = machine.journal("-u", "tarpit-milter-nftables")
        assert re.search(rf"elements = {{ {BY_HAND} timeout 1m expires", journal), journal
        assert "limit rate over 6/minute burst 1 packets" in journal
        assert "Finished" not in journal and "rror" not in journal
        machine.run("systemctl", "stop", "tarpit-milter")
        assert machine.property("ActiveState", "tarpit-milter-nftables.timer") == "inactive"
