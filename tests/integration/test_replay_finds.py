# SPDX-License-Identifier: BSD-2-Clause
"""What tarpitctl replay finds about clients and recipients in a log."""

import re

from replay_logs import delivery_log, harvest_log, line, only, replay, replay_json, write


def test_who_left(tmp_path):
    def ending(client, text, pid):
        lines = harvest_log(client, pid=pid)
        return [*lines[:-1], line(480, f"{text} from unknown[{client}]", pid), lines[-1]]

    lines = sorted([*ending("192.0.2.1", "lost connection after RCPT", 1), *ending("192.0.2.2", "timeout after MAIL", 2),
                    *ending("192.0.2.3", "lost connection after RSET", 3), *harvest_log("192.0.2.4", pid=4)],
                   key=lambda text: text.split(" ")[0])
    log = write(tmp_path / "log", lines)
    document = replay_json(log)
    assert document["lines"]["other"] == document["lines"]["unreadable"] == 0
    found = only(document)
    left = {client["client"]: client["sessions_left"] for client in found["worst"]}
    assert left == {"192.0.2.1/32": 1, "192.0.2.2/32": 1, "192.0.2.3/32": 0, "192.0.2.4/32": 0}
    assert found["sessions_left"] == 2
    text = replay(log).out
    assert re.search("^Left +2 sessions of flagged clients, in a transaction$", text, re.M)
    header, *rows = text.split("Worst clients:\n")[1].splitlines()[:5]
    at = header.index(" left ") + len(" left")
    assert {row.split()[0]: row[:at].split()[-1] for row in rows} == {
        "192.0.2.1": "1", "192.0.2.2": "1", "192.0.2.3": "0", "192.0.2.4": "0"}


def probe(second, recipient, client="192.0.2.1", code="550 5.1.1"):
    pid = int(client.rsplit(".", 1)[1])
    return line(second, f"NOQUEUE: reject: RCPT from unknown[{client}]: {code} <{recipient}>: no; from=<x@client.example> "
                        f"to=<{recipient}> proto=ESMTP helo=<h>", pid)


def flagged(client="192.0.2.1", begin=0):
    """By four addresses of its own, and a fifth that all have in common."""
    return [probe(begin, f"{number}.{client}@example.test", client) for number in range(4)] + [
        probe(begin + 1, "fifth@example.test", client)]


def candidates(document):
    return [tuple(each.values()) for each in only(document)["trap_candidates"]]


def test_trap_candidates(tmp_path):
    lines = delivery_log() + [
        *flagged("192.0.2.1", 10), *flagged("192.0.2.2", 20),
        probe(30, "Dead@Example.Test."), probe(31, "dead@example.test", "192.0.2.2"), probe(32, "dead@example.test"),
        # who has mail, before and afterwards, in a session of the log or not
        probe(33, "b@example.test"), probe(34, "later@example.test"), probe(35, "sent@example.test"),
        # what tells nothing about the recipient, and who is not flagged
        probe(36, "relayed@example.test", code="554 5.7.1"), probe(37, "grey@example.test", code="450 4.2.0"),
        probe(38, "typo@example.test", "198.51.100.3"),
        # exempt, and no address to be copied
        probe(39, "postmaster@example.test"), probe(40, "a\x1b[2J@example.test"), probe(41, '"a b"@example.test'),
        probe(42, "x" * 300 + "@example.test"), probe(43, "\u00e9@example.test"),
        *(text.replace("b@example.test", "later+box@example.test") for text in delivery_log(begin=50, queue_id="5ABCDE")),
        line(60, "6ABCDE: to=<sent@example.test>, relay=local, delay=1, dsn=2.0.0, status=sent (ok)", 8, "local")]
    log = write(tmp_path / "log", lines)
    document = replay_json(log)
    assert [flag["client"] for flag in only(document)["flags"]] == ["192.0.2.1", "192.0.2.2"]
    assert candidates(document) == [("dead@example.test", 2, 2), ("fifth@example.test", 2, 2)]
    assert candidates(replay_json("-n", "1", log)) == [("dead@example.test", 2, 2)]
    # A trap that is there already is no candidate.
    assert candidates(replay_json("--set", "trap_recipients={dead@example.test}", log)) == [("fifth@example.test", 2, 2)]
    # Only what is refused from the flag on counts: with a lower threshold that is all.
    assert len(candidates(replay_json("--set", "threshold=1", "-n", "99", log))) == 11

    text = replay(log).out
    title = "Candidates for trap_recipients (probed by flagged clients, never accepted):"
    assert text.split(title + "\n")[1].splitlines()[:4] == [
        "    probes  clients  address", "         2        2  dead@example.test", "         2        2  fifth@example.test", ""]
    assert replay("--vs", "threshold=6", log).out.count(title) == 2
    assert title not in replay("-n", "0", log).out and title not in replay(write(log, delivery_log())).out


def test_trap_candidates_of_many_clients(tmp_path):
    lines = [text for number in range(1, 13) for text in flagged(f"192.0.2.{number}", number)]
    log = write(tmp_path / "log", sorted(lines, key=lambda text: text.split(" ")[0]))
    assert candidates(replay_json("--set", "network_threshold=0", log))[0] == ("fifth@example.test", 12, 8)
    assert re.search(r"^ +12 +8\+  fifth@example\.test$", replay("--set", "network_threshold=0", log).out, re.M)
