# SPDX-License-Identifier: BSD-2-Clause
"""What the filter asks of an MTA, and what it makes of what the MTA says."""

import itertools

import pytest
from checks import AT_MAIL, OPTIONS, assert_at_once, assert_delivered, assert_waited, daemon_with, flag, wait_until

from support import milter
from support.daemon import Daemon
from support.milter import POSTFIX, SENDMAIL, Session

CLIENT = "192.0.2.1"
both_mtas = pytest.mark.parametrize("mta", [POSTFIX, SENDMAIL], ids=["postfix", "sendmail"])


@pytest.fixture(scope="module")
def observer():
    """A daemon that slows nobody: the tests that share it take a client each."""
    with Daemon({**OPTIONS, "mode": "observe", "network_threshold": "0"}) as daemon:
        yield daemon


numbers = itertools.count(1)


@pytest.fixture
def client():
    """An address that no other test has."""
    number = next(numbers)
    return f"198.51.{number // 250}.{number % 250 + 1}"


def standing(daemon, address, **arguments):
    """(bad, good) of that client, found by one more offence."""
    with Session(daemon.address, address, **arguments) as session:
        session.greet()
        session.rcpt(f"probe{next(numbers)}@example.org", rejected="5.1.1")
        session.quit()
    last = daemon.events("reject", client=address)[-1]
    return float(last["bad"]), float(last["good"])


# Negotiation

def test_asks_for_rejected_recipients_and_for_nothing_that_it_does_not_use(observer):
    with Session(observer.address, CLIENT) as session:
        wanted = session.steps
    assert wanted & milter.RCPT_REJ
    for unused in ("NOHELO", "NOBODY", "NOHDRS", "NOEOH", "NOUNKNOWN"):
        assert wanted & getattr(milter, unused), unused
    for used in ("NOCONNECT", "NOMAIL", "NORCPT", "NODATA"):
        assert not wanted & getattr(milter, used), used
    assert not wanted & milter.NO_REPLY_STEPS, "a stage that may stall must reply"
    assert not session.actions & ~milter.SETSYMLIST, "it changes no message"


def test_asks_for_the_macros_that_it_needs(observer):
    with Session(observer.address, CLIENT) as session:
        lists = {stage: set(names) for stage, names in session.lists.items()}
    assert lists["connect"] == {"j", "v", "{client_name}", "{client_resolve}", "{client_connections}", "{client_rate}",
                                "{daemon_family}"}
    assert lists["mail"] == {"{auth_type}", "{auth_authen}", "{verify}", "{cert_subject}", "{cn_subject}", "{cert_fp}",
                             "{cert_md5}"}
    assert lists["rcpt"] == {"{rcpt_mailer}", "{rcpt_host}", "{nbadrcpts}"}
    assert lists["data"] == {"{nbadrcpts}"}
    assert not lists.get("helo") and not lists.get("eom") and not lists.get("eoh")


def test_asks_for_helo_where_it_stalls_there():
    with Daemon({**OPTIONS, "stall_at": "{helo}"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert not session.steps & milter.NOHELO
            assert_at_once(session.greeting)
            assert_waited(session.helo())
            assert_waited(session.helo())
            assert_at_once(session.mail(), session.rcpt())


def test_mta_that_does_not_offer_rejected_recipients_is_named_in_the_log(observer):
    for number in range(2):
        with Session(observer.address, CLIENT, steps=milter.ALL_STEPS & ~milter.RCPT_REJ) as session:
            assert not session.steps & milter.RCPT_REJ
            assert_at_once(session.greeting, session.mail(), session.rcpt(f"user{number}@example.org"))
            assert_delivered(session)
    warnings = observer.events("mta")
    assert len(warnings) == 1 and warnings[0]["name"] == "mx.example.org"
    assert "rejected recipients" in warnings[0]["warning"]


def test_mta_that_takes_no_lists_of_macros(observer, client):
    with Session(observer.address, client, actions=milter.ALL_ACTIONS & ~milter.SETSYMLIST) as session:
        assert session.lists == {}
        session.greet()
        session.rcpt(rejected="5.1.1")
    assert observer.events("reject", client=client)[0]["code"] == "5.1.1"


def test_mta_of_old_knows_no_data(observer, client):
    with Session(observer.address, client, actions=0x3F, steps=0x7F) as session:
        assert session.steps & ~0x7F == 0
        assert_at_once(session.greeting, session.mail(), session.rcpt())


# Who is let alone

@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "unix", None])
def test_exempt_client_is_accepted_at_connect(observer, address):
    with Session(observer.address, address) as session:
        assert_at_once(session.greeting, action="accept")
        assert {session.helo().action, session.mail().action, session.rcpt().action} == {"unasked"}


@both_mtas
def test_clean_session_is_accepted_at_the_end_of_each_message(observer, client, mta):
    with Session(observer.address, client, mta=mta) as session:
        assert_at_once(session.greeting)
        for number in range(3):
            assert_at_once(session.greet(), session.rcpt(f"a{number}@example.org"), session.rcpt("b@example.org"))
            assert_delivered(session)
    assert not observer.events("reject", client=client)


@both_mtas
def test_session_is_accepted_at_data_if_its_message_can_earn_nothing(observer, client, mta):
    """A recipient that is exempt, that has earned credit before, or beyond what one domain may earn."""
    with Session(observer.address, client, mta=mta) as session:
        session.greet()
        for number in range(11):
            assert_at_once(session.rcpt(f"a{number}@example.org"))
        assert_delivered(session)
        for recipients in (["postmaster@example.org"], ["a1@example.org", "A2@Example.ORG"], ["b@example.org"]):
            assert_at_once(session.mail(), *[session.rcpt(recipient) for recipient in recipients])
            assert_at_once(session.data(), action="accept")
            assert session.eom().action == "unasked"
        assert_at_once(session.mail(), session.rcpt("b@other.example.org"))
        assert_delivered(session)


def test_flagged_session_is_accepted_at_the_end_of_its_message_too():
    with daemon_with(AT_MAIL) as daemon:
        flag(daemon, CLIENT, count=8)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())
            assert_at_once(session.rcpt())
            assert_delivered(session)
            assert_waited(session.mail())
            assert_at_once(session.rcpt("nobody@example.org", rejected="5.1.1"))
            assert_at_once(session.data(), action="accept")


@pytest.mark.parametrize(("name", "resolve", "is_exempt"), [
    ("mail.example.com", "OK", True),
    ("MAIL.Example.COM", "OK", True),
    ("mail.example.com", "FAIL", False),
    ("mail.example.com", "FORGED", False),
    ("mail.example.com", "TEMP", False),
    ("mail.example.com", None, False),
    ("notmail.example.com", "OK", False),
    ("a.mail.example.com", "OK", False),
    ("host.below.test", "OK", True),
    ("deep.host.below.test", "OK", True),
    ("below.test", "OK", False),
    ("evilbelow.test", "OK", False),
])
def test_exempt_hosts_are_those_that_the_mta_has_verified(hosts_daemon, name, resolve, is_exempt):
    with Session(hosts_daemon.address, CLIENT, name=name, resolve=resolve) as session:
        assert session.greeting.action == ("accept" if is_exempt else "continue")


@pytest.fixture(scope="module")
def hosts_daemon():
    with Daemon({"exempt_hosts": '{"mail.example.com", ".below.test"}'}) as daemon:
        yield daemon


@pytest.mark.parametrize(("listed", "addresses"), [
    ("192.0.2.0/24", {"192.0.2.255": True, "192.0.3.0": False}),
    ("192.0.2.7", {"192.0.2.7": True, "192.0.2.8": False}),
    ("2001:db8:1::/48", {"2001:db8:1:ffff::1": True, "2001:db8:2::1": False}),
    ("2001:db8::5", {"2001:db8::5": True, "2001:db8::6": False}),
    ("0.0.0.0/0", {"8.8.8.8": True, "2001:db8::1": False}),
])
def test_exempt_clients(listed, addresses):
    with Daemon({"exempt_clients": f'{{"{listed}"}}'}) as daemon:
        for address, is_exempt in addresses.items():
            with Session(daemon.address, address) as session:
                assert session.greeting.action == ("accept" if is_exempt else "continue"), address


@pytest.mark.parametrize(("mta", "macros", "is_exempt"), [
    (POSTFIX, {"auth_type": "PLAIN", "auth_authen": "bob@example.org"}, True),
    (SENDMAIL, {"auth_type": "LOGIN", "auth_authen": "bob"}, True),
    (POSTFIX, {"auth_type": "XCLIENT", "auth_authen": "alice"}, True),
    (POSTFIX, {"cert_subject": "client.example.test"}, False),
    (SENDMAIL, {"verify": "OK", "cert_subject": "/CN=client.example.test", "cn_subject": "client.example.test"}, False),
    (SENDMAIL, {"verify": "NO", "cert_subject": ""}, False),
    (SENDMAIL, {"verify": "FAIL", "cert_subject": "/CN=client.example.test"}, False),
    (SENDMAIL, {"verify": "NONE"}, False),
    (SENDMAIL, {"cert_subject": "/CN=client.example.test"}, False),
    (POSTFIX, {"cert_subject": ""}, False),
    (POSTFIX, {"auth_type": ""}, False),
    (POSTFIX, {}, False),
])
def test_authenticated_client_is_never_slowed(slow_daemon, mta, macros, is_exempt):
    with Session(slow_daemon.address, CLIENT, mta=mta) as session:
        assert_at_once(session.greeting)
        reply = session.mail(**macros)
        if is_exempt:
            assert_at_once(reply, action="accept")
            assert session.rcpt(rejected="5.1.1").action == "unasked"
        else:
            assert_waited(reply)


@pytest.fixture(scope="module")
def slow_daemon():
    """Has CLIENT flagged."""
    with daemon_with(AT_MAIL, {"max_flagged_sessions": "0"}) as daemon:
        flag(daemon, CLIENT)
        yield daemon


def test_authenticated_client_is_slowed_if_so_configured():
    with daemon_with(AT_MAIL, {"exempt_authenticated": "no"}) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail(auth_type="PLAIN", auth_authen="bob"))


def test_exempt_recipients_are_neither_counted_nor_stalled():
    options = {"exempt_recipients": '{postmaster, "info@example.org"}', "stall_at": "{rcpt}"}
    with daemon_with(options) as daemon, Session(daemon.address, CLIENT) as session:
        session.greet()
        exempt = ["postmaster@a.test", "POSTMASTER@b.test", "postmaster", "info@example.org", "Info@Example.Org"]
        assert_at_once(*[session.rcpt(name, rejected="5.1.1") for name in exempt * 2])
        assert not daemon.events("reject")
        assert_at_once(*session.reject_many(4))
        assert_waited(session.rcpt("info@example.com", rejected="5.1.1"))
        assert_at_once(*[session.rcpt(name) for name in exempt])
        assert_waited(session.rcpt("anybody@example.org"))
        assert not [found for found in daemon.events("reject") if "postmaster" in found["rcpt"]]


# Sessions

def test_xclient_is_a_fresh_session_of_another_client():
    with daemon_with(AT_MAIL) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, "127.0.0.1") as session:
            assert session.greeting.action == "accept"
            session.quit()
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.greet())


def test_next_session_on_the_same_connection_does_no_harm():
    """SMFIC_QUIT_NC, which no known MTA sends: no second negotiation comes before the next connect."""
    with daemon_with(AT_MAIL) as daemon:
        flag(daemon, CLIENT)
        with Session(daemon.address, "192.0.2.99") as session:
            assert_at_once(session.mail(), session.rcpt())
            session.abort()
            session.quit_nc()
            session.client = CLIENT
            assert session.connect().action in ("continue", "accept")
        with Session(daemon.address, CLIENT) as session:
            assert_waited(session.mail())


@pytest.mark.parametrize("ending", ["close", "quit"])
def test_sessions_that_end_at_any_point_leave_nothing_behind(ending):
    with Daemon({**OPTIONS, "mode": "observe"}) as daemon:
        flag(daemon, CLIENT)
        before = daemon.descriptors()
        for steps in range(5):
            with Session(daemon.address, CLIENT, negotiate=steps > 0, connect=steps > 1) as session:
                if steps > 2:
                    session.greet()
                if steps > 3:
                    session.rcpt(rejected="5.1.1")
                getattr(session, ending)()
        with Session(daemon.address, CLIENT) as session:
            assert_at_once(session.greet())
        wait_until(lambda: daemon.descriptors() <= before)


def test_abort_in_the_middle_of_a_message(observer, client):
    with Session(observer.address, client, mta=SENDMAIL) as session:
        for first in (1, 3):
            session.greet()
            session.reject_many(2, first=first)
            session.abort()
        assert_at_once(session.mail())
    rejects = observer.events("reject", client=client)
    assert [found["code"] for found in rejects] == ["5.1.1"] * 4


@pytest.mark.parametrize("socket", ["unix", "inet", "inet6"])
def test_each_kind_of_socket(socket):
    with daemon_with(AT_MAIL, socket=socket) as daemon:
        flag(daemon, CLIENT)
        for client, is_slow in ((CLIENT, True), ("2001:db8::1", False)):
            with Session(daemon.address, client) as session:
                (assert_waited if is_slow else assert_at_once)(session.greet())


# Which recipients are rejected (mta.md 1.3)

VIRTUAL_ALIAS = "5.1.1 User unknown in virtual alias table"
GOOD, BAD, NEITHER, WEIGHTLESS = "good", "bad", "neither", "weightless"


@pytest.mark.parametrize(("mta", "mailer", "host", "addr", "outcome"), [
    # Postfix
    (POSTFIX, "local", "example.test", "user@example.test", GOOD),
    (POSTFIX, "smtp", "relay.test", "user@relay.test", GOOD),
    (POSTFIX, "error", VIRTUAL_ALIAS, "user@virtual.test", GOOD),
    (POSTFIX, "error", "5.1.1", "Recipient address rejected: User unknown in local recipient table", BAD),
    (POSTFIX, "error", "5.7.1", "Relay access denied", BAD),
    (POSTFIX, "error", "5.7.1", "Client host rejected: text", BAD),
    (POSTFIX, "error", "5.7.1", "q@example.test>: Recipient address rejected: text", BAD),
    (POSTFIX, "error", "5.4.4", "Recipient address rejected: x", BAD),
    (POSTFIX, "error", "5.5.2", "Recipient address rejected: need fully-qualified address", BAD),
    (POSTFIX, "error", "4.2.0", "Recipient address rejected: Greylisted", NEITHER),
    (POSTFIX, "error", "4.7.1", "Recipient address rejected: Access denied", NEITHER),
    (POSTFIX, "error", "4.1.8", "Sender address rejected: text", NEITHER),
    (POSTFIX, "error", "5.2.2", "Recipient address rejected: mailbox full", WEIGHTLESS),
    (POSTFIX, "error", "5.3.4", "Recipient address rejected: too big", WEIGHTLESS),
    # Sendmail
    (SENDMAIL, "local", "", "good", GOOD),
    (SENDMAIL, "esmtp", "relay.test.", "ok@relay.test", GOOD),
    (SENDMAIL, "error", "5.1.1", "550 5.1.1 User unknown", BAD),
    (SENDMAIL, "error", "4.1.1", "450 4.1.1 User unknown", NEITHER),
    # What no MTA should say
    (SENDMAIL, None, None, None, NEITHER),
    (POSTFIX, None, None, None, NEITHER),
    (POSTFIX, "", "5.1.1", "x", NEITHER),
    (POSTFIX, "error", None, "x", NEITHER),
    (POSTFIX, "error", "", "x", NEITHER),
    (POSTFIX, "error", "5.1", "x", NEITHER),
    (POSTFIX, "error", "5.1.1.1", "x", NEITHER),
    (POSTFIX, "error", "6.1.1", "x", NEITHER),
    (POSTFIX, "error", "55.1.1", "x", NEITHER),
    (POSTFIX, "error", "-5.1.1", "x", NEITHER),
    (POSTFIX, "error", "5.99999999999.1", "x", NEITHER),
    (POSTFIX, "error", "\x015.1.1", "x", NEITHER),
])
def test_what_counts_as_rejected(observer, client, mta, mailer, host, addr, outcome):
    standing(observer, client)
    with Session(observer.address, client, mta=mta) as session:
        session.greet()
        assert_at_once(session.rcpt("subject@example.org", rcpt_mailer=mailer, rcpt_host=host, rcpt_addr=addr,
                                    nbadrcpts=None))
        # The end of a message is asked for if a recipient of it may earn credit.
        assert (session.data(nbadrcpts=None).action == "continue") == (outcome == GOOD)
        session.eom()
    seen = observer.events("reject", client=client, rcpt="subject@example.org")
    assert [(found["code"], found["weight"]) for found in seen] == {
        BAD: [(host, "1.00")], WEIGHTLESS: [(host, "0.00")]}.get(outcome, [])
    assert standing(observer, client) == {GOOD: (2, 1), BAD: (3, 0)}.get(outcome, (2, 0))


def test_sendmail_that_gives_no_code(observer, client):
    """8.18 shows an unknown user as {rcpt_mailer} error with an empty {rcpt_host}."""
    with Session(observer.address, client, mta=SENDMAIL) as session:
        session.greet()
        session.rcpt("nobody@example.org", rejected="5.1.1", rcpt_host="")
    assert [found["code"] for found in observer.events("reject", client=client)] == ["5.1.1"]


def test_offences_first_match_counts(client):
    with Daemon({"offences": '{"5.1.1 2.5", "5.1.* 0.75", "5.*.1 0.1"}'}) as daemon:
        with Session(daemon.address, client) as session:
            session.greet()
            for code in ("5.1.1", "5.1.2", "5.7.1", "5.7.2"):
                session.rcpt(f"u{code}@example.org", rejected=code)
        assert [(found["code"], found["weight"], found["bad"]) for found in daemon.events("reject")] == [
            ("5.1.1", "2.50", "2.50"), ("5.1.2", "0.75", "3.25"), ("5.7.1", "0.10", "3.35"), ("5.7.2", "0.00", "3.35")]


# What Sendmail hides

def hidden(daemon, client):
    return [(found["count"], found["weight"]) for found in daemon.events("reject", client=client, code="hidden")]


def test_hidden_rejections_are_seen_at_the_next_shown_one_and_at_data(observer, client):
    with Session(observer.address, client, mta=SENDMAIL) as session:
        session.greet()
        session.rcpt("one@example.org", rejected="5.1.1")
        assert hidden(observer, client) == []
        session.hide(2)
        session.rcpt("two@example.org", rejected="5.1.1")
        assert hidden(observer, client) == [("2", "1.00")]
        session.rcpt("three@example.org", rejected="5.1.1")
        session.hide(1)
        session.rcpt("good@example.org")
        assert hidden(observer, client) == [("2", "1.00"), ("1", "0.50")]
        session.hide(4)
        assert_delivered(session)
        assert hidden(observer, client) == [("2", "1.00"), ("1", "0.50"), ("4", "2.00")]
        session.greet()
        session.hide(1)
        session.rcpt("good@example.org")
        assert hidden(observer, client)[3:] == [("1", "0.50")]
    assert standing(observer, client)[0] == 3 + 0.5 * 8 + 1


def test_hidden_rejections_have_a_weight_and_the_null_sender_its_factor(client):
    with Daemon({"hidden_weight": "2", "null_sender_weight": "0.25", "mode": "observe"}) as daemon:
        with Session(daemon.address, client, mta=SENDMAIL) as session:
            session.greet(sender="")
            session.hide(4)
            session.rcpt("good@example.org")
        assert hidden(daemon, client) == [("4", "2.00")]


@pytest.mark.parametrize("value", ["", "x", "-3", "1e3", "3 ", "99999999999999999999", "0x10"])
def test_nonsense_for_a_count_of_bad_recipients(observer, client, value):
    with Session(observer.address, client, mta=SENDMAIL) as session:
        session.greet()
        assert_at_once(session.rcpt(nbadrcpts=value))
        assert_delivered(session, nbadrcpts=value)
    assert hidden(observer, client) == []


# Counting

def test_same_recipient_counts_once_in_whatever_way_it_is_written(store):
    with daemon_with(store, {"mode": "observe"}) as daemon:
        for _ in range(2):
            with Session(daemon.address, CLIENT) as session:
                session.greet()
                for _ in range(5):
                    session.rcpt("nobody@example.org", rejected="5.1.1")
                session.rcpt("NoBody@Example.ORG", rejected="5.1.1")
        rejects = daemon.events("reject")
        assert [found["weight"] for found in rejects] == ["1.00"] + ["0.00"] * 11
        assert {found["bad"] for found in rejects} == {"1.00"}


def test_same_recipient_counts_each_time_if_so_configured(store):
    with daemon_with(store, {"mode": "observe", "count_distinct": "no"}) as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.greet()
            for _ in range(3):
                session.rcpt("nobody@example.org", rejected="5.1.1")
        assert [found["bad"] for found in daemon.events("reject")] == ["1.00", "2.00", "3.00"]


def test_accepted_recipients_count_once_from_the_first_and_for_mail(store):
    """Whether or not the client has offended, but only once their message has reached its end."""
    with daemon_with(store, {"mode": "observe"}) as daemon:
        with Session(daemon.address, CLIENT) as session:
            session.greet()
            session.rcpt("before@example.org")
            assert_delivered(session)
            session.mail()
            session.rcpt("nobody@example.org", rejected="5.1.1")
            for _ in range(3):
                session.rcpt("after@example.org")
            assert_delivered(session)
            session.mail()
            session.rcpt("asked-for@example.org")
            session.abort()
            session.quit()
        assert standing(daemon, CLIENT) == (2, 2)


def test_null_sender_counts_less(store):
    with daemon_with(store, {"mode": "observe"}) as daemon, Session(daemon.address, CLIENT) as session:
        session.greet(sender="")
        session.reject_many(3)
        session.mail("someone@client.example")
        session.reject_many(1, first=9)
        assert [(found["sender"], found["weight"], found["bad"]) for found in daemon.events("reject")] == [
            ("<>", "0.25", "0.25"), ("<>", "0.25", "0.50"), ("<>", "0.25", "0.75"),
            ("someone@client.example", "1.00", "1.75")]


# The log

def test_events_have_the_keys_of_the_contract():
    with daemon_with({"stall_at": "{rcpt, mail}", "max_flagged_sessions": "1"}) as daemon:
        with Session(daemon.address, CLIENT, name="mail.bad.example", resolve="OK") as session:
            session.greet()
            session.reject_many(5)
            with Session(daemon.address, CLIENT) as second:
                assert second.greeting.is_deferral
        events = {name: daemon.events(name)[-1] for name in ("start", "reject", "flag", "stall", "release", "defer")}
        assert events["start"].items() >= {"socket": daemon.socket, "store": "memory", "mode": "enforce"}.items()
        assert events["reject"].items() >= {
            "client": CLIENT, "host": "mail.bad.example", "stage": "RCPT", "code": "5.1.1",
            "rcpt": "nobody5@example.org", "sender": "someone@client.example", "weight": "1.00", "bad": "5.00",
            "good": "0.00", "score": "5.00", "flagged": "yes"}.items()
        assert events["flag"].items() >= {
            "client": CLIENT, "host": "mail.bad.example", "bad": "5.00", "good": "0.00", "score": "5.00",
            "network": "192.0.2.0/24", "network_score": "5.00", "delay_ms": "600"}.items()
        assert events["stall"].items() >= {
            "client": CLIENT, "host": "mail.bad.example", "stage": "RCPT", "delay_ms": "600", "score": "5.00",
            "active": "1"}.items()
        assert events["release"].items() >= {"client": CLIENT, "stage": "RCPT", "reason": "elapsed"}.items()
        assert 590 <= int(events["release"]["waited_ms"]) < 3000
        assert events["defer"].items() >= {"client": CLIENT, "stage": "CONNECT", "reason": "sessions"}.items()
        assert [found["flagged"] for found in daemon.events("reject")] == ["no"] * 4 + ["yes"]
        assert len(daemon.events("flag")) == 1
        daemon.stop()
        assert daemon.events("stop")[-1].items() >= {"store": "memory", "mode": "enforce"}.items()
