# SPDX-License-Identifier: BSD-2-Clause
"""Honest senders are left alone and dishonest ones are not, kind by kind, as replay finds in their logs."""

import os

import pytest

from support.ctl import tarpitctl
from support.kinds import KINDS, Refused, replay, write_kind, write_site
from support.postfix_log import PostfixLog


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kind(kind, tmp_path):
    try:
        found = replay(kind, tmp_path)
    except Refused as refusal:
        pytest.fail(f"{kind.label}: expected {kind.expected}, found that replay refuses: {refusal}")
    faults = found.faults(kind.expected)
    assert not faults, f"{kind.label}: {'; '.join(faults)}; in all {found}"


def test_same_seed_same_log():
    texts = [write_kind(KINDS["pool"], seed)[0].text() for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_each_kind_has_clients_of_its_own():
    clients = write_site(PostfixLog())
    assert clients.keys() == KINDS.keys()
    everyone = [client for label in clients for client in set(clients[label])]
    assert len(everyone) == len(set(everyone))


def test_site_of_all_kinds(tmp_path):
    """All of its lines are understood, and what is never counted flags nobody whatever others do."""
    log = PostfixLog()
    clients = write_site(log)
    path = log.write(tmp_path / "maillog")
    document = tarpitctl("--json", "replay", "-c", os.devnull, path).json
    assert document["ok"] is True and document["lines"]["unreadable"] == 0, document["lines"]
    configuration, = document["configurations"]
    left_alone = {client for label in ("exempt", "authenticated", "abuse desk") for client in clients[label]}
    assert configuration["rejected"] == sum(rejection.recipient.code.startswith("5") and
                                            rejection.client not in left_alone for rejection in log.rejections)
    flagged = {flag["client"] for flag in configuration["flags"]}
    for label in ("exempt", "authenticated", "mailbox full", "greylisted", "abuse desk"):
        assert not flagged.intersection(clients[label]), f"{label}: expected none flagged, found some"
