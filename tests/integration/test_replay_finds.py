# SPDX-License-Identifier: BSD-2-Clause
"""What tarpitctl replay finds about clients and recipients in a log."""

import re

from replay_logs import harvest_log, line, only, replay, replay_json, write


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
