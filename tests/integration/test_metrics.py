# SPDX-License-Identifier: BSD-2-Clause
"""Metrics over HTTP: their numbers, their form as Prometheus' own tools see it, and clients that mean no good."""

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import threading
import time

import pytest
from checks import AT_MAIL, assert_at_once, assert_deferred, assert_waited, daemon_with, flag, wait_until
from needs import needs_program

from support.control import Control
from support.daemon import PATIENCE, TOP, Daemon, free_port
from support.milter import ALL_STEPS, RCPT_REJ, SENDMAIL, Session, offend
from support.prometheus import OPENMETRICS, PLAIN, Prometheus, request, scrape

CLIENT = "192.0.2.1"
DASHBOARD = os.path.join(TOP, "packaging", "grafana-dashboard.json")
ALERTS = os.path.join(TOP, "packaging", "prometheus-alerts.yml")
ALERTS_TEST = os.path.join(TOP, "tests", "integration", "prometheus-alerts-test.yml")
CONNECTIONS = 16
CONNECTIONS_PER_ADDRESS = 8
CONNECTION_SECONDS = 10
# libmicrohttpd waits for the end of this second, and a machine may be busy.
SLACK_SECONDS = 5 * PATIENCE


@contextlib.contextmanager
def measured(*options, host="127.0.0.1", **arguments):
    """A daemon with metrics; it, and the address of those."""
    address = (host, free_port(socket.AF_INET6 if ":" in host else socket.AF_INET))
    text = "[%s]:%d" % address if ":" in host else "%s:%d" % address
    with daemon_with({"metrics_listen": text}, *options, **arguments) as daemon:
        yield daemon, address


def scrape_when(address, key, value):
    """The samples once that one is so: a session ends a moment after its client hung up, and clients are not counted
    all the time."""
    samples = {}

    def is_so():
        samples.clear()
        samples.update(scrape(address))
        return samples[key] == value

    wait_until(is_so)
    return samples


def assert_samples(samples, expected):
    assert {key: samples.get(key) for key in expected} == expected


# The numbers

def test_numbers_of_what_sessions_did(store):
    with measured(AT_MAIL, store) as (daemon, address):
        assert_samples(scrape(address), {"tarpit_sessions_total": 0, "tarpit_clients": 0})
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as first:
            assert_waited(first.greet())
            first.rcpt("virtual@example.org", rejected="5.7.1")
            first.rcpt("busy@example.org", rejected="4.2.0")
            with Session(daemon.address, CLIENT) as second:
                assert_waited(second.greet())
                with Session(daemon.address, CLIENT) as third:
                    assert_deferred(third.greeting)
                samples = scrape_when(address, "tarpit_sessions_open", 2)
        offend(daemon.address, "127.0.0.1")
        with Session(daemon.address, "198.51.100.7") as other:
            other.greet()
            other.reject_many(2, code="5.1.10")
        scrape_when(address, "tarpit_sessions_open", 0)
        samples = scrape_when(address, "tarpit_clients", 2)
        assert_samples(samples, {
            "tarpit_sessions_total": 6,
            "tarpit_sessions_exempt_total": 1,
            'tarpit_offences_total{code="5.1.1"}': 5,
            'tarpit_offences_total{code="5.7.1"}': 1,
            'tarpit_offences_total{code="5.1.10"}': 2,
            'tarpit_offences_total{code="4.2.0"}': None,
            "tarpit_flags_total": 1,
            "tarpit_flagged_by_hand_total": 0,
            "tarpit_clients": 2,
            "tarpit_clients_flagged": 1,
            'tarpit_stalls_total{stage="mail"}': 2,
            'tarpit_stalls_total{stage="rcpt"}': 0,
            "tarpit_stalls_active": 0,
            "tarpit_stalls_budget": 40,
            'tarpit_stall_seconds_bucket{le="0.55"}': 0,
            'tarpit_stall_seconds_bucket{le="+Inf"}': 2,
            "tarpit_stall_seconds_count": 2,
            'tarpit_deferred_total{reason="sessions"}': 1,
            'tarpit_deferred_total{reason="budget"}': 0,
        })
        assert 1.2 <= samples["tarpit_stall_seconds_sum"] < 1.2 + 4 * PATIENCE
        assert sum(value for key, value in samples.items() if key.startswith("tarpit_passed_total")) == 0


def test_hidden_rejections_are_offences_with_a_code_of_their_own():
    with measured(AT_MAIL) as (daemon, address):
        with Session(daemon.address, CLIENT, mta=SENDMAIL) as session:
            session.greet()
            session.hide(3)
            session.rcpt()
        assert_samples(scrape(address), {'tarpit_offences_total{code="hidden"}': 3})


def test_stalls_in_progress_and_budget_that_is_used_up():
    options = {**AT_MAIL, "delay_min": "30s", "delay_max": "30s", "max_stalls": "1", "max_flagged_sessions": "0"}
    with measured(options) as (daemon, address):
        flag(daemon, CLIENT, "198.51.100.1")
        with Session(daemon.address, CLIENT) as waiting, Session(daemon.address, "198.51.100.1") as refused:
            waiting.begin_mail()
            daemon.wait_for(r"^stall: ")
            assert_deferred(refused.mail())
            samples = scrape(address)
            assert_samples(samples, {
                "tarpit_stalls_active": 1, "tarpit_stalls_budget": 1, "tarpit_stall_seconds_count": 0,
                'tarpit_stalls_total{stage="mail"}': 1, 'tarpit_deferred_total{reason="budget"}': 1,
                "tarpit_sessions_open": 2})
            assert samples["tarpit_sessions_limit"] > 2
            daemon.stop()


def test_passes_by_reason_and_mode():
    options = {**AT_MAIL, "mode": "observe", "max_flagged_sessions": "1"}
    with measured(options) as (daemon, address):
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as first, Session(daemon.address, CLIENT) as second:
            assert_at_once(first.mail(), second.mail())
        samples = scrape(address)
        assert_samples(samples, {
            'tarpit_configuration_info{mode="observe",store="memory"}': 1,
            'tarpit_deferred_total{reason="sessions"}': 0, "tarpit_stall_seconds_count": 0})
        # Of those that would have been answered 421 a minute has one line.
        assert samples['tarpit_passed_total{reason="observe"}'] >= len(daemon.events("pass")) >= 2
    with measured(AT_MAIL, {"max_stall_per_session": "1s", "delay_max": "1s", "delay_min": "1s"}) as (daemon, address):
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail(), 1)
            assert_at_once(session.mail(), session.mail())
        assert_samples(scrape(address), {'tarpit_passed_total{reason="session-limit"}': 2})


def test_what_the_administrator_does():
    with measured(AT_MAIL, control=True) as (daemon, address), Control(daemon.control_path) as control:
        flag(daemon, CLIENT)
        assert control.ask("flag", client="198.51.100.1")["ok"]
        assert_samples(scrape(address), {
            "tarpit_flagged_by_hand_total": 1, "tarpit_forgiven_total": 0, "tarpit_clients_flagged": 2})
        assert control.ask("forgive", client=CLIENT)["ok"]
        assert not control.ask("forgive", client="203.0.113.1")["ok"]
        assert control.ask("reload")["ok"]
        assert_samples(scrape_when(address, "tarpit_clients_flagged", 1), {
            "tarpit_flagged_by_hand_total": 1, "tarpit_forgiven_total": 1,
            'tarpit_reloads_total{result="ok"}': 1})


def test_reloads_by_result():
    with measured(config_text="threshold = 6") as (daemon, address):
        before = scrape(address)
        assert_samples(before, {
            'tarpit_reloads_total{result="ok"}': 0, 'tarpit_reloads_total{result="failed"}': 0})
        assert abs(before["tarpit_start_time_seconds"] - time.time()) < 60
        daemon.write_config("threshold = 7")
        daemon.reload()
        daemon.write_config("threshold = nonsense")
        daemon.reload()
        daemon.reload()
        after = scrape(address)
        assert_samples(after, {
            'tarpit_reloads_total{result="ok"}': 1, 'tarpit_reloads_total{result="failed"}': 2,
            "tarpit_start_time_seconds": before["tarpit_start_time_seconds"]})
        assert after["tarpit_uptime_seconds"] > before["tarpit_uptime_seconds"]


def test_mta_that_loses_patience_and_one_that_hides_rejections():
    timeout, rejects = ('tarpit_mta_warnings_total{warning="%s"}' % kind
                        for kind in ("timeout-too-short", "rejects-not-offered"))
    with measured({**AT_MAIL, "delay_min": "200ms", "delay_max": "200ms"}) as (daemon, address):
        assert_samples(scrape(address), {timeout: 0, rejects: 0})
        flag(daemon, CLIENT)
        for number in range(1, 7):
            with Session(daemon.address, CLIENT) as session:
                session.begin_mail()
                daemon.wait_for(r"^stall: ", count=number)
            daemon.wait_for(r"^release: ", count=number)
        scrape_when(address, timeout, 1)
        with Session(daemon.address, "198.51.100.1", steps=ALL_STEPS & ~RCPT_REJ):
            assert_samples(scrape(address), {timeout: 1, rejects: 1})


def test_store_that_goes_and_comes_back(memcached):
    up = 'tarpit_store_up{server="%s"}' % memcached.server
    options = {**AT_MAIL, **memcached.options, "memcached_timeout": "1s", "memcached_retry": "1100ms"}
    with measured(options) as (daemon, address):
        flag(daemon, CLIENT)
        samples = scrape(address)
        assert_samples(samples, {up: 1, "tarpit_store_errors_total": 0})
        calls = samples["tarpit_store_calls_total"]
        assert calls > 0
        assert 0 < samples["tarpit_store_call_seconds_count"] <= calls
        assert 0 < samples["tarpit_store_call_seconds_sum"] < samples["tarpit_store_call_seconds_count"]
        memcached.kill()
        offend(daemon.address, "198.51.100.1", count=1)
        samples = scrape_when(address, up, 0)
        assert samples["tarpit_store_errors_total"] > 0
        memcached.start()
        scrape_when(address, up, 1)


# HTTP

def test_form_is_what_the_client_accepts():
    with measured() as (_, address):
        answer = request(address, headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
        assert (answer.status, answer.headers["content-type"]) == (200, OPENMETRICS)
        assert answer.body.endswith("\n# EOF\n") and "# TYPE tarpit_sessions counter\n" in answer.body
        for accept in ({}, {"Accept": "*/*"}, {"Accept": "text/plain"}):
            answer = request(address, headers=accept)
            assert (answer.status, answer.headers["content-type"]) == (200, PLAIN)
            assert "# EOF" not in answer.body and "# TYPE tarpit_sessions_total counter\n" in answer.body
        assert int(answer.headers["content-length"]) == len(answer.body)


def test_only_the_page_and_only_to_be_read():
    with measured(host="::1") as (_, address):
        for path, method, status in (
                ("/metrics", "GET", 200), ("/metrics?x=y", "GET", 200), ("/metrics", "HEAD", 200), ("/", "GET", 200),
                ("/metrics/", "GET", 404), ("/../etc/passwd", "GET", 404), ("*", "GET", 404),
                ("/metrics", "POST", 405), ("/metrics", "PUT", 405), ("/", "DELETE", 405),
                ("http://[::1]:9810/metrics", "GET", 200), ("HTTP://x/metrics?x=y", "GET", 200), ("http://x", "GET", 200),
                ("http://x/metrics", "POST", 405), ("http:///metrics", "GET", 404), ("http://x/y/metrics", "GET", 404),
                ("/metrics", "X" * 1000, 405),
                ("/" + "x" * 100000, "GET", 414)):
            answer = request(address, path, method)
            assert answer.status == status, (path, method, answer.status)
            assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)
            assert ("tarpit_sessions" in answer.body) == ("/metrics" in path and
                                                          method == "GET" and status == 200)
            assert answer.headers["connection"] == "close"
        assert "/metrics" in request(address, "/").body
        assert request(address, "/metrics", "POST", body="x" * 1000000).status == 405


def test_only_that_address():
    with measured(host="127.0.0.3") as (_, (_, port)):
        assert request(("127.0.0.3", port)).status == 200
        with pytest.raises(ConnectionRefusedError):
            request(("127.0.0.1", port))


def test_address_that_is_taken_is_named_and_mail_flows():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = "127.0.0.1:%d" % other.getsockname()[1]
        with Daemon({"metrics_listen": address}) as daemon:
            assert f"{address}: Address already in use" in daemon.wait_for(r"^start: warning=.*metrics.*")[0]
            with Session(daemon.address, CLIENT) as session:
                assert_at_once(session.greet())


def connect(address, source=None):
    connection = socket.create_connection(address, 20, source and (source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def drip(connection):
    """Sends a header that never ends, a byte at a time; how long that was allowed."""
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        while time.monotonic() - began < CONNECTION_SECONDS + SLACK_SECONDS + 5:
            connection.sendall(b"x")
            time.sleep(0.05)
    return time.monotonic() - began


def test_hostile_clients_hold_up_neither_mail_nor_others():
    with measured() as (daemon, address), contextlib.ExitStack() as stack:
        request(address)
        before = daemon.descriptors()
        taken = []
        slow = stack.enter_context(connect(address, "127.0.0.9"))
        dripper = threading.Thread(target=lambda: taken.append(drip(slow)))
        dripper.start()
        # A hundred that say nothing, from one address: they never take all places.
        crowd = [stack.enter_context(connect(address)) for _ in range(100)]
        wait_until(lambda: sum(map(is_closed, crowd)) >= 100 - CONNECTIONS_PER_ADDRESS)
        assert request(address, source="127.0.0.2").status == 200
        assert daemon.descriptors() <= before + CONNECTIONS
        # Many that take the page but do not read it, and that go away in the middle of a request.
        question = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        for number in range(50):
            with connect(address, f"127.0.1.{number % 8 + 1}") as rude, contextlib.suppress(ConnectionError):
                rude.sendall(question[:number + 5] if number % 2 else b"\0\r\n\xff" * 5000)
        with Session(daemon.address, CLIENT) as session:
            replies = [session.greeting, session.greet()]
            replies += [session.rcpt(f"user{number}@example.org") for number in range(20)]
        assert_at_once(*replies)
        dripper.join()
        assert CONNECTION_SECONDS - 1 <= taken[0] <= CONNECTION_SECONDS + SLACK_SECONDS
        wait_until(lambda: all(map(is_closed, crowd)))
        assert request(address).status == 200
        wait_until(lambda: daemon.descriptors() <= before)


def test_without_descriptors_it_waits_and_goes_on():
    limit = 100

    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    with measured(preexec=few_descriptors) as (daemon, address), contextlib.ExitStack() as stack:
        with Session(daemon.address, CLIENT) as session:  # now libmilter has all that it keeps open
            before = daemon.descriptors() - 1
            session.quit()
        wait_until(lambda: daemon.descriptors() <= before)
        held = [stack.enter_context(Session(daemon.address, CLIENT, negotiate=False)) for _ in range(limit - before)]
        wait_until(lambda: daemon.descriptors() == limit)
        with connect(address) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.1)
            assert not is_closed(scraper)
            held.pop().close()
            scraper.settimeout(5 * PATIENCE)
            assert scraper.recv(15) == b"HTTP/1.1 200 OK"
        assert request(address).status == 200


def test_a_scraper_in_a_hurry_costs_sessions_nothing():
    """Many clients, and scrapes without a pause: the clients are counted once a second, if at all."""
    with measured(AT_MAIL) as (daemon, address):
        with Session(daemon.address, CLIENT) as session:
            session.greet()
        for number in range(200):
            offend(daemon.address, f"198.18.{number // 100}.{number % 100}", count=1)
        scrape_when(address, "tarpit_clients", 200)
        ended = threading.Event()
        counts = []

        def hurry():
            while not ended.is_set():
                counts.append(request(address).status)

        scrapers = [threading.Thread(target=hurry) for _ in range(3)]
        for scraper in scrapers:
            scraper.start()
        try:
            for _ in range(10):
                with Session(daemon.address, CLIENT) as session:
                    assert_at_once(session.greeting, session.greet(), session.rcpt())
        finally:
            ended.set()
            for scraper in scrapers:
                scraper.join()
        assert set(counts) == {200}


# What Prometheus and Grafana make of it

def promtool(*arguments, **kwargs):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120, **kwargs)
    assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr
    return done.stdout


@needs_program("promtool")
def test_promtool_has_nothing_to_say_of_the_page(memcached):
    with measured(AT_MAIL, memcached.options) as (daemon, address):
        flag(daemon, CLIENT)
        page = request(address).body
    assert promtool("check", "metrics", input=page) == ""


@needs_program("promtool")
def test_promtool_accepts_the_alerts():
    assert "SUCCESS: 8 rules" in promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)


@needs_program("promtool")
def test_alerts_come_when_they_should():
    assert "SUCCESS" in promtool("test", "rules", os.path.basename(ALERTS_TEST), cwd=os.path.dirname(ALERTS_TEST))


def dashboard():
    with open(DASHBOARD, encoding="utf-8") as file:
        return json.load(file)


def expressions():
    """{panel: [its expressions]}, with Grafana's variables filled in."""
    filled = {}
    for panel in dashboard()["panels"]:
        texts = [target["expr"] for target in panel.get("targets", [])]
        filled[panel["title"]] = [
            text.replace("$__rate_interval", "1m").replace("$instance", ".*") for text in texts]
    return filled


def test_dashboard_has_a_place_and_a_unit_for_each_panel():
    board = dashboard()
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert board["schemaVersion"] == 38
    assert {variable["name"]: variable["type"] for variable in board["templating"]["list"]} == {
        "datasource": "datasource", "instance": "query"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(panels) >= 15
    taken = set()
    for panel in panels:
        assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        for text in expressions()[panel["title"]]:
            counters = re.findall(r"(\w+)\(tarpit_\w+(?:_total|_bucket|_sum)\b", text)
            assert all(function in ("rate", "increase") for function in counters), text
            assert "$" not in text and text.count("_total") + text.count("_bucket") <= len(counters), text
            assert ("_bucket" in text) == text.startswith("histogram_quantile("), text


def test_dashboard_and_alerts_name_metrics_that_there_are(memcached):
    with measured(memcached.options) as (daemon, address):
        flag(daemon, CLIENT)
        there = {key.partition("{")[0] for key in scrape(address)}
    with open(ALERTS, encoding="utf-8") as file:
        alerts = set(re.findall(r"\btarpit_\w+", file.read()))
    shown = set(re.findall(r"\btarpit_\w+", json.dumps(dashboard())))
    assert alerts - there == set() and shown - there == set()
    # ... and the dashboard shows all of them, but for what is part of a histogram.
    assert {name for name in there - shown if not name.endswith(("_count", "_sum"))} == set()


@pytest.fixture(scope="module")
def scraped():
    """A daemon that has done something, its address, and a Prometheus that scrapes it: once, for that takes time."""
    with measured(AT_MAIL) as (daemon, address):
        flag(daemon, CLIENT)
        with Prometheus(["%s:%d" % address], ALERTS) as prometheus:
            prometheus.wait_for("up", lambda result: result and result[0][1] == 1)
            yield daemon, address, prometheus


@needs_program("prometheus")
def test_prometheus_scrapes(scraped):
    daemon, address, prometheus = scraped
    instance = "%s:%d" % address
    labels = {"__name__": "tarpit_offences_total", "code": "5.1.1", "instance": instance, "job": "tarpit-milter"}
    assert prometheus.query("tarpit_offences_total") == [(labels, 5)]
    flag(daemon, "198.51.100.1", count=3)
    prometheus.wait_for("sum(tarpit_offences_total)", lambda result: result[0][1] == 8)
    targets = prometheus.ask("targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")]
    assert prometheus.query("scrape_samples_scraped")[0][1] == len(scrape(address))


@needs_program("prometheus")
def test_prometheus_understands_types_and_units(scraped):
    """Units are told by OpenMetrics only: that is what it has asked for."""
    known = scraped[2].ask("metadata")
    assert [(row["type"], row["unit"]) for row in known["tarpit_stall_seconds"]] == [("histogram", "seconds")]
    assert known["tarpit_sessions"][0]["type"] == "counter"
    assert known["tarpit_build"][0]["type"] == "info"
    assert known["tarpit_clients_flagged"][0]["type"] == "gauge"


@needs_program("prometheus")
def test_prometheus_can_reckon_every_panel(scraped):
    prometheus = scraped[2]
    for title, texts in expressions().items():
        for text in texts:
            result = prometheus.query(text)
            assert result or "_store_up" in text or "rate(" in text or "increase(" in text, (title, text)
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {rule["name"]: (rule["health"], rule["state"]) for rule in rules} == {
        rule["name"]: ("ok", "inactive") for rule in rules} and len(rules) == 8
