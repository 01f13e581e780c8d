# SPDX-License-Identifier: BSD-2-Clause
"""IPv4 clients behind a translator are clients of their own, the same as over IPv4, whoever looks."""

import os

import pytest
from checks import AT_MAIL, Daemon, is_slowed, wait_until

from support.control import ask
from support.ctl import tarpitctl
from support.milter import Session, offend

HARVESTER = "203.0.113.9"
OWN = {"nat64_prefixes": '{"2001:db8:64::/96"}'}
# How a harvester's address and an innocent's look, of each kind of translator.
KINDS = {
    "well-known": ("64:ff9b::cb00:7109", "64:ff9b::c633:6405"),
    "local-use": ("64:ff9b:1:2::cb00:7109", "64:ff9b:1:2::c633:6405"),
    "mapped": ("::ffff:203.0.113.9", "::ffff:198.51.100.5"),
    "SIIT": ("::ffff:0:cb00:7109", "::ffff:0:c633:6405"),
    "own": ("2001:db8:64::cb00:7109", "2001:db8:64::c633:6405"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_client_slows_none_of_its_translators_others(kind):
    harvester, innocent = KINDS[kind]
    with Daemon({**AT_MAIL, **OWN}) as daemon:
        offend(daemon.address, harvester)
        assert is_slowed(daemon, HARVESTER), "over IPv4 it is the same one"
        assert not is_slowed(daemon, innocent)
        flag, = daemon.events("flag")
        assert flag["client"] == HARVESTER and flag["network"] == "203.0.113.0/24"
        for event in [flag, *daemon.events("reject")]:
            assert event.get("via") == (None if kind == "mapped" else harvester), event


def test_every_line_says_what_the_mta_knows_it_by():
    via = KINDS["well-known"][0]
    with Daemon({**AT_MAIL, "max_flagged_sessions": "1"}) as daemon:
        offend(daemon.address, via)
        with Session(daemon.address, via) as first, Session(daemon.address, via) as second:
            first.greet()
            assert second.mail().is_deferral
            wait_until(lambda: daemon.events("defer"))
        for kind in ("reject", "flag", "stall", "release", "defer"):
            lines = daemon.log_lines(kind)
            assert lines and all(line.endswith(f" via={via}") for line in lines), kind


def test_an_administrator_may_name_either_address():
    via = KINDS["own"][0]
    with Daemon({**AT_MAIL, **OWN}, control=True) as daemon:
        offend(daemon.address, via)
        for name in (via, HARVESTER):
            shown = ask(daemon, "show", client=name)
            assert shown["client"] == f"{HARVESTER}/32" and shown["flagged"] and shown["address"] == HARVESTER
        assert ask(daemon, "forgive", client=via)["known"]
        assert not is_slowed(daemon, HARVESTER)
        assert ask(daemon, "flag", client=via)["client"] == f"{HARVESTER}/32"
        assert is_slowed(daemon, HARVESTER)


@pytest.mark.parametrize("rule", [HARVESTER, "2001:db8:64::/96"])
def test_show_knows_which_exemption_holds(rule):
    via = KINDS["own"][0]
    with Daemon({**AT_MAIL, **OWN, "exempt_clients": f'{{"{rule}"}}'}, control=True) as daemon:
        shown = ask(daemon, "show", client=via)
        assert shown["exempt"]["rule"] == (rule if "/" in rule else f"{rule}/32")
        assert not ask(daemon, "flag", client=via)["ok"]


def test_a_reload_takes_new_prefixes():
    harvester, innocent = KINDS["own"]
    with Daemon(AT_MAIL, config_text="") as daemon:
        offend(daemon.address, harvester)
        assert is_slowed(daemon, innocent), "one /64"
        daemon.write_config('nat64_prefixes = {"2001:db8:64::/96"}\n')
        daemon.reload()
        assert not is_slowed(daemon, harvester)
        assert not is_slowed(daemon, innocent)


def test_loopback_behind_a_translator_is_a_stranger():
    with Daemon({**AT_MAIL, **OWN}) as daemon:
        for number, client in enumerate(("64:ff9b::7f00:1", "2001:db8:64::7f00:1")):
            offend(daemon.address, client)
            assert is_slowed(daemon, client), number


def test_replay_tells_them_apart(tmp_path):
    """A harvester and an innocent behind one translator."""
    harvester, innocent = KINDS["well-known"]
    stamp = "2026-11-20T10:00:{:02}+00:00 mx postfix/"
    lines = [stamp.format(0) + f"smtpd[101]: connect from unknown[{harvester}]"]
    for probe in range(6):
        lines.append(stamp.format(1 + probe) + f"smtpd[101]: NOQUEUE: reject: RCPT from unknown[{harvester}]: "
                     f"550 5.1.1 <probe{probe}@example.com>: Recipient address rejected: User unknown in local "
                     f"recipient table; from=<a@example.net> to=<probe{probe}@example.com> proto=ESMTP "
                     "helo=<client.example.net>")
    lines += [
        stamp.format(8) + f"smtpd[101]: disconnect from unknown[{harvester}] ehlo=1 mail=1 rcpt=0/6 quit=1 commands=3/9",
        stamp.format(30) + f"smtpd[102]: connect from unknown[{innocent}]",
        stamp.format(31) + f"smtpd[102]: 4ABCDEF012: client=unknown[{innocent}]",
        stamp.format(32) + "qmgr[9]: 4ABCDEF012: from=<honest@example.org>, size=900, nrcpt=1 (queue active)",
        stamp.format(33) + "local[8]: 4ABCDEF012: to=<good@example.com>, relay=local, delay=0.1, delays=0/0/0/0.1, "
                           "dsn=2.0.0, status=sent (delivered to mailbox)",
        stamp.format(33) + "qmgr[9]: 4ABCDEF012: removed",
        stamp.format(34) + f"smtpd[102]: disconnect from unknown[{innocent}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 "
                           "commands=5",
    ]
    log = tmp_path / "mail.log"
    log.write_text("\n".join(lines) + "\n")
    result = tarpitctl("--json", "replay", "-c", os.devnull, str(log))
    assert result.status == 0, result
    configuration, = result.json["configurations"]
    assert configuration["clients"] == 2 and configuration["clients_flagged"] == 1, configuration
    assert HARVESTER in result.out and harvester not in result.out
