# SPDX-License-Identifier: BSD-2-Clause
"""Reads the daemon's metrics as a scraper does, and runs a private Prometheus on loopback."""

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from urllib.parse import urlencode

from .daemon import free_port

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
START_SECONDS = 40
POLL_SECONDS = 0.1

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Answer:
    """status, headers (a dictionary with names in small letters), body, and how long that took."""

    def __init__(self, response, began):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read().decode("utf-8")
        self.seconds = time.monotonic() - began


def request(address, path="/metrics", method="GET", source=None, timeout=20.0, **arguments):
    """address: (host, port). source: the address to come from."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(*address, timeout=timeout, source_address=source and (source, 0))
    with contextlib.closing(connection):
        connection.request(method, path, **arguments)
        return Answer(connection.getresponse(), began)


def parse(page):
    """{name{label="value"}: number} of a page, labels in the order of their names."""
    samples = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        pairs = sorted(LABEL.findall(labels or ""))
        key = name + ("{%s}" % ",".join(f'{label}="{text}"' for label, text in pairs) if pairs else "")
        assert key not in samples, line
        samples[key] = float(value)
    return samples


def scrape(address):
    """The samples, once for all: what is flagged may be as old as a second."""
    answer = request(address, headers={"Accept": OPENMETRICS})
    assert answer.status == 200 and answer.headers["content-type"] == OPENMETRICS, answer.headers
    return parse(answer.body)


class Prometheus:
    """with Prometheus(["127.0.0.1:9810"]) as prometheus: prometheus.query("up")"""

    def __init__(self, targets, rule_file=None):
        self._directory = tempfile.mkdtemp(prefix="tarpit-prometheus-")
        self.address = ("127.0.0.1", free_port())
        config = os.path.join(self._directory, "prometheus.yml")
        # JSON is YAML.
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": [rule_file] if rule_file else [],
                "scrape_configs": [{"job_name": "tarpit-milter", "static_configs": [{"targets": targets}]}],
            }, file)
        self._command = [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={self._directory}/data",
            "--web.listen-address=%s:%d" % self.address, "--log.level=warn"]
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def ask(self, path, **arguments):
        """What its HTTP API has as data."""
        answer = request(self.address, f"/api/v1/{path}?{urlencode(arguments)}")
        body = json.loads(answer.body)
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression):
        """[(labels, number)]"""
        return [(row["metric"], float(row["value"][1])) for row in self.ask("query", query=expression)["result"]]

    def wait_for(self, expression, is_so=bool):
        """The result, once is_so says that it is the one."""
        end = time.monotonic() + START_SECONDS
        result = None
        while time.monotonic() < end:
            assert self._process.poll() is None, "Prometheus has ended"
            with contextlib.suppress(OSError, ValueError):  # it is still starting
                result = self.query(expression)
                if is_so(result):
                    return result
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{expression} is {result} after {START_SECONDS} s")
