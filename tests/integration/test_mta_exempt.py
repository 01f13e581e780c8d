# SPDX-License-Identifier: BSD-2-Clause
"""Who is left alone, in front of the real Postfix and the real Sendmail."""

import pathlib
import subprocess

import pytest
from mtas import both_mtas, needs_postfix, needs_sendmail
from needs import needs

from support.accounts import Certificates, Saslauthd
from support.site import Site, assert_at_once, assert_waited, good, harvest, open_directory, unknown

HARVESTER = "127.1.1.1"

needs_sasl = needs(list(pathlib.Path("/usr/lib").glob("*/sasl2/libplain.so")), "libsasl2-modules")


@pytest.fixture
def sasl():
    with open_directory() as directory, Saslauthd(directory, {"alice": "secret"}) as server:
        yield server


@pytest.fixture
def certificates():
    with open_directory() as directory:
        yield Certificates(directory)


def assert_served_at_once(client, unknown_from):
    """A message, unknown recipients in it or not."""
    replies = [client.mail(), *harvest(client, 7, first=unknown_from),
               client.rcpt(good()), client.data(), client.body()]
    assert [reply.code for reply in replies] == [250] + [550] * 7 + [250, 354, 250]
    assert_at_once(*replies)


@needs_sasl
@both_mtas
def test_the_same_client_once_authenticated_never_waits(mta, sasl):
    with Site(mta, sasl_conf=sasl.conf) as site:
        site.flag(HARVESTER)
        before = len(site.daemon.log_lines())
        with site.client(HARVESTER) as client:
            assert_waited(client.greeting)
            assert client.auth_plain("alice", "secret").code == 235
            assert_served_at_once(client, 10)
            assert_served_at_once(client, 20)
        assert not [line for line in site.daemon.log_lines()[before:] if line.startswith("reject:")]


@needs_sasl
@both_mtas
def test_who_fails_to_authenticate_waits(mta, sasl):
    with Site(mta, sasl_conf=sasl.conf) as site:
        site.flag(HARVESTER)
        with site.client(HARVESTER) as client:
            assert client.auth_plain("alice", "wrong").code == 535
            assert_waited(client.mail())
            assert_waited(client.rcpt(unknown(1)))


@needs_sasl
@both_mtas
def test_authentication_does_not_help_where_it_is_not_exempt(mta, sasl):
    with Site(mta, {"exempt_authenticated": "no"}, sasl_conf=sasl.conf) as site:
        with site.client(HARVESTER) as client:
            assert client.auth_plain("alice", "secret").code == 235
            client.mail()
            assert_at_once(*harvest(client, 4))
            assert_waited(client.rcpt(unknown(5)))


SUBJECT = "client.example.test"


def mail_with_certificate(mta, certificates, who="client", listed=None, **arguments):
    """A flagged client's MAIL with that certificate, its replies to unknown recipients, and the daemon's lines since."""
    options = {"exempt_certificates": listed} if listed else {}
    with Site(mta, options, certificates=certificates.directory, **arguments) as site:
        site.flag(HARVESTER)
        before = len(site.daemon.log_lines())
        with site.client(HARVESTER) as client:
            assert_waited(client.greeting)
            assert client.starttls(*(certificates.client(who) if who else ())).code == 220
            assert client.ehlo().code == 250
            replies = [client.mail(), *harvest(client, 2, first=10)]
        assert [reply.code for reply in replies] == [250, 550, 550]
        return replies, site.daemon.log_lines()[before:]


def assert_exempt(outcome):
    replies, lines = outcome
    assert_at_once(*replies)
    assert not [line for line in lines if line.startswith("reject:")]


def assert_not_exempt(outcome):
    replies, lines = outcome
    for reply in replies:
        assert_waited(reply)
    assert len([line for line in lines if line.startswith("reject:")]) == 2


@both_mtas
@pytest.mark.parametrize("listed", [None, "no", "{}", "{mx.example.test, another.example}"])
def test_certificate_is_no_login(mta, certificates, listed):
    """Anyone may have one of a CA that the MTA trusts."""
    assert_not_exempt(mail_with_certificate(mta, certificates, listed=listed))


@both_mtas
@pytest.mark.parametrize("listed", ["verified", f"{{mx.example, {SUBJECT}}}", f'{{"/CN={SUBJECT}"}}'])
def test_certificate_that_is_exempt(mta, certificates, listed):
    assert_exempt(mail_with_certificate(mta, certificates, listed=listed))


@both_mtas
@pytest.mark.parametrize("who", ["stranger", None])
@pytest.mark.parametrize("listed", ["verified", f"{{stranger.example, {SUBJECT}}}"])
def test_certificate_that_is_not_verified(mta, certificates, who, listed):
    assert_not_exempt(mail_with_certificate(mta, certificates, who, listed))


@needs_sendmail
@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_certificate_by_its_fingerprint(certificates, algorithm, tmp_path):
    """From a file, as openssl prints it."""
    printed = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", f"-{algorithm}", "-in",
                              certificates.client()[0]], check=True, capture_output=True, text=True).stdout
    listed = tmp_path / "certificates"
    listed.write_text(f"# partners\n{printed.split('=')[1]}")
    options = [] if algorithm == "md5" else [f"define(`confCERT_FINGERPRINT_ALGORITHM', `{algorithm}')dnl"]
    assert_exempt(mail_with_certificate("sendmail", certificates, listed=f'{{"@{listed}"}}', sendmail_options=options))


@both_mtas
def test_exempt_recipients_neither_wait_nor_count(mta):
    """info and trap@ are unknown to the MTA, postmaster is not."""
    with Site(mta, {"exempt_recipients": '{postmaster, INFO, "trap@example.test"}'}) as site:
        with site.client(HARVESTER) as client:
            client.mail()
            assert_at_once(*harvest(client, 4))
            replies = [client.rcpt(f"{user}@example.test") for user in ("info", "Info", "trap")]
            assert [reply.code for reply in replies] == [550] * 3
            assert_at_once(*replies)
            assert_waited(client.rcpt("trap@virtual.test"))
            replies = [client.rcpt(f"{user}@example.test") for user in ("postmaster", "info", "trap")]
            assert [reply.code for reply in replies] == [250, 550, 550]
            assert_at_once(*replies)
            assert_waited(client.rcpt(good()))


@both_mtas
@pytest.mark.parametrize("exempt", [True, False])
def test_exempt_client_gets_no_callback_after_connect(mta, exempt):
    """Its session goes on undisturbed when the daemon has gone; another's does not."""
    with Site(mta, {"exempt_clients": '{"127.1.0.0/16"}' if exempt else "{}"}) as site:
        with site.client(HARVESTER) as client:
            site.daemon.stop()
            assert client.mail().code == (250 if exempt else 451)
            if exempt:
                assert_at_once(*harvest(client, 7))
                assert client.rcpt(good()).code == 250
                assert client.data().code == 354
                assert client.body().code == 250


@both_mtas
def test_exempt_client_never_waits(mta):
    with Site(mta, {"exempt_clients": '{"127.1.1.1", "192.0.2.0/24"}'}) as site:
        with site.client(HARVESTER) as client:
            assert_served_at_once(client, 1)
        assert not [line for line in site.daemon.log_lines() if "client=" in line]
        with site.client("127.1.1.2") as client:
            client.mail()
            harvest(client, 4)
            assert_waited(client.rcpt(unknown(5)))


@both_mtas
def test_no_callback_after_data_if_the_message_can_earn_nothing(mta):
    """It is not shown to us: it is taken although the daemon has gone."""
    with Site(mta, {"exempt_recipients": f'{{"{good()}"}}'}) as site, site.client(HARVESTER) as client:
        client.mail()
        client.rcpt(good())
        assert client.data().code == 354
        site.daemon.stop()
        assert client.body().code == 250


@both_mtas
def test_daemon_that_goes_before_the_end_of_a_message(mta):
    """Whose end it wants to know of. As README has the MTA set up, mail goes on."""
    arguments = {"milter_default_action": "accept"} if mta == "postfix" else {"flags": ""}
    with Site(mta, **arguments) as site, site.client(HARVESTER) as client:
        client.mail()
        client.rcpt(good())
        assert client.data().code == 354
        site.daemon.stop()
        assert client.body().code == 250


@needs_postfix
def test_exempt_host_by_its_verified_name_with_postfix():
    with Site("postfix", {"exempt_hosts": '{".partner.test"}'}) as site:
        names = {"mail.partner.test": True, "mail.partner.test.evil.test": False, "[UNAVAILABLE]": False}
        for number, (name, exempt) in enumerate(names.items()):
            with site.client() as client:
                client.xclient(f"198.51.{number}.7", name=name)
                client.ehlo()
                client.mail()
                replies = harvest(client, 5)
                assert_at_once(*replies[:4])
                (assert_at_once if exempt else assert_waited)(replies[4])


@needs_sendmail
def test_exempt_host_by_its_verified_name_with_sendmail():
    with Site("sendmail", {"exempt_hosts": "{mail.partner.test}"}) as site:
        with site.client("127.9.9.9") as client:
            assert_served_at_once(client, 1)
        with site.client("127.9.8.8") as client:
            client.mail()
            assert_waited(harvest(client, 5)[4])
