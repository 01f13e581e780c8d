# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of honest senders. Each function writes the sessions of one from `begin` on; its clients' addresses."""

from support.kind import (ALWAYS, DAY, DOMAINS, HOUR, MINUTE, NEVER, addressees, dead, good, harvest, honest, hosts,
                          in_messages, one_by_one, ordinary_day, siege, spread, within)
from support.postfix_log import Mail, Rcpt


@honest("pool", flagged=NEVER, slowed=NEVER, before=(0.396, 20, 1, 1.06))
def pool(log, begin):
    """250 addresses of one provider, two recipients each, a fifth of which are stale."""
    return _pool(log, begin, 2, 1)


@honest("busy pool", flagged=NEVER, slowed=NEVER, before=(0, None, None, 0))
def busy_pool(log, begin):
    """The same with fifteen recipients each."""
    return _pool(log, begin, 15, 3)


def _pool(log, begin, recipients, most):
    clients = within(log.network(), 250)
    for number, client in enumerate(clients):
        spread(log, begin, 4 * HOUR, client, in_messages(log, addressees(log, recipients, 0.2), most),
               host=f"out{number}.provider.example")
    return clients


@honest("pool of an IPv6 /48", flagged=NEVER, slowed=NEVER, before=())
def wide_pool(log, begin):
    """A big sender that comes from another /64 each time: 1,500 messages, 2 % of their recipients unknown."""
    clients = [f"2001:db8:48:{number:x}::1" for number in range(1, 1501)]
    for number, client in enumerate(clients):
        recipient = dead(number) if number % 50 == 0 else good(number)
        log.session(begin + number * 30, client, [Mail([recipient])], host=f"mail-{number}.big.example")
    return clients


@honest("neighbour of harvesters", flagged=(0, 0.1), slowed=(0, 1), before=(1, 20, 1, 1))
def neighbour(log, begin):
    """Has delivered mail; then 30 harvesters use its network, and it mistypes a recipient."""
    return _neighbours(log, begin, 4, [dead(1)])


@honest("new neighbour of harvesters", flagged=NEVER, slowed=NEVER, before=(1, 20, 1, 2))
def new_neighbour(log, begin):
    """Has not been seen before; its first message has a good recipient and a mistyped one."""
    return _neighbours(log, begin, 0, [good(1), dead(1)])


def _neighbours(log, begin, delivered, recipients):
    clients = []
    for _ in range(20):
        network = log.network()
        client = f"{network}.200"
        clients.append(client)
        spread(log, begin, HOUR, client, in_messages(log, addressees(log, delivered, 0), 2), host="mail.small.example")
        for number, harvester in enumerate(within(network, 30)):
            harvest(log, begin + HOUR + 60 * number, harvester, 4)
        log.session(begin + 2 * HOUR, client, [Mail(recipients)], host="mail.small.example")
    return clients


@honest("regular, then 15 dead", flagged=NEVER, before=(1, 5, 5, 11))
def regular(log, begin):
    """300 good recipients in a day in several domains, then 15 dead ones in a row."""
    return _regular(log, begin, DOMAINS)


@honest("regular in one domain, then 15 dead", flagged=NEVER, before=(1, 5, 5, 11))
def regular_in_one_domain(log, begin):
    """The same for a site with one domain, in which no recipient was rejected before."""
    return _regular(log, begin, DOMAINS[:1])


def _regular(log, begin, domains):
    clients = hosts(log, 10, "regular")
    for number, (client, name) in enumerate(clients.items()):
        # The dead ones come at ten different moments of the window.
        first = begin + number * 24 * MINUTE
        spread(log, first, DAY, client, in_messages(log, addressees(log, 300, 0, domains), 2), host=name)
        log.session(first + DAY, client, [Mail([dead(n, domains[0])]) for n in range(15)], host=name)
    return clients


@honest("newsletter, 45 % stale", flagged=(0, 0.2), slowed=(0, 5), before=(0.08, 936, 7, 1.18))
def newsletter(log, begin):
    """A long list that was not used for years, one or several recipients a message."""
    return _lists(log, begin, clients=50, recipients=200, share=0.45, seconds=HOUR)


@honest("provider, 3 % dead", flagged=NEVER, before=(0, None, None, 0))
def provider(log, begin):
    """Ten hosts of one network."""
    clients = within(log.network(), 10)
    for number, client in enumerate(clients):
        spread(log, begin, 8 * HOUR, client, in_messages(log, addressees(log, 150, 0.03), 2),
               host=f"mout{number}.provider.example")
    return clients


@honest("moved office, 30 % dead", flagged=(0, 0.05), before=(0, None, None, 0))
def moved_office(log, begin):
    """A business whose address book has the names of before a merger."""
    return _lists(log, begin, clients=40, recipients=60, share=0.3, seconds=6 * HOUR)


def _lists(log, begin, clients, recipients, share, seconds):
    named = one_by_one(log, clients, begin, 10 * MINUTE)
    for client, at in named:
        spread(log, at, seconds, client, in_messages(log, addressees(log, recipients, share)), host="news.example")
    return [client for client, _ in named]


@honest("forwarder", flagged=NEVER, before=(0, None, None, 0))
def forwarder(log, begin):
    """Passes on mail from everywhere to former members, some of whom have left their new place too."""
    clients = hosts(log, 5, "alumni")
    for client, name in clients.items():
        mails = [mail._replace(sender=f"someone{number}@elsewhere.example")
                 for number, mail in enumerate(in_messages(log, addressees(log, 200, 0.08), 1))]
        spread(log, begin, 8 * HOUR, client, mails, host=name)
    return clients


@honest("callouts, null sender", flagged=NEVER, before=(0, None, None, 0))
def callouts(log, begin):
    """Asks whether senders exist that spammers have made up, and hangs up before DATA."""
    return _callouts(log, begin, "")


@honest("callouts, double-bounce", flagged=NEVER, before=(1, 33, 9, 35.2))
def double_bounce(log, begin):
    """The same as Postfix does it."""
    return _callouts(log, begin, "double-bounce@mx.sender.example")


def _callouts(log, begin, sender):
    """Twelve dead ones and four good ones in four hours."""
    clients = hosts(log, 20, "mx")
    for client, name in clients.items():
        asked = [dead(number) for number in range(24)] + [good(number) for number in range(8)]
        log.random.shuffle(asked)
        spread(log, begin, 8 * HOUR, client, [Mail([recipient], sender, "rset") for recipient in asked], host=name)
    return clients


@honest("backscatter", flagged=NEVER, before=(0, None, None, 0))
def backscatter(log, begin):
    """Bounces of spam that somebody has sent in our name, a few from each host."""
    clients = hosts(log, 60, "bounces")
    for client, name in clients.items():
        mails = [Mail([dead(log.random.randrange(10**6))], "") for _ in range(log.random.randint(1, 6))]
        spread(log, begin, 4 * HOUR, client, mails, host=name)
    return clients


@honest("monitoring host", flagged=NEVER, before=(0, None, None, 0))
def monitoring(log, begin):
    """Asks every five minutes for a user, for one that must be unknown, and for postmaster; sends nothing."""
    client = log.address()
    for number in range(2 * DAY // (5 * MINUTE)):
        asked = [good(1), dead(1), Rcpt("postmaster@example.test")]
        log.session(begin + number * 5 * MINUTE, client, [Mail([one], end="rset") for one in asked],
                    host="monitor.example")
    return [client]


@honest("mailing-list server", flagged=NEVER, before=(0, None, None, 0))
def list_server(log, begin):
    """Fifty recipients a message, some of them dead."""
    clients = hosts(log, 10, "lists")
    for client, name in clients.items():
        members = addressees(log, 150, 0.1)
        mails = [Mail(members[first:first + 50], "list-bounces@lists.sender.example") for first in (0, 50, 100)]
        spread(log, begin, 6 * HOUR, client, mails, host=name)
    return clients


@honest("same dead recipient again", flagged=NEVER, before=(0, None, None, 0))
def retrying(log, begin):
    """A broken program that tries again every ten minutes."""
    client = log.address()
    for number in range(DAY // (10 * MINUTE)):
        log.session(begin + number * 10 * MINUTE, client, [Mail([dead(1)])], host="app.sender.example")
    return [client]


@honest("mailbox full", flagged=NEVER, before=(0, None, None, 0))
def mailbox_full(log, begin):
    client = log.address()
    spread(log, begin, HOUR, client, [Mail([dead(number, code="5.2.2")]) for number in range(40)], host="mail.example")
    return [client]


@honest("greylisted", flagged=NEVER, before=(0, None, None, 0))
def greylisted(log, begin):
    """Is told to come again, and comes."""
    clients = hosts(log, 20, "new")
    for client, name in clients.items():
        for number in range(30):
            at = begin + log.random.uniform(0, 2 * HOUR)
            log.session(at, client, [Mail([dead(number, code="4.2.0")])], host=name)
            log.session(at + 6 * MINUTE, client, [Mail([Rcpt(f"gone{number}@example.test")])], host=name)
    return clients


@honest("mistyped", flagged=NEVER, before=(0, None, None, 0))
def mistyped(log, begin):
    """A few messages a day, and one or two wrong names, which its user tries to mend."""
    clients = hosts(log, 50, "small")
    for client, name in clients.items():
        mails = [Mail([good(log.random.randrange(1000))]) for _ in range(3)]
        mails += [Mail([dead(number)]) for number in range(log.random.randint(1, 3))]
        log.random.shuffle(mails)
        spread(log, begin, 4 * HOUR, client, mails, host=name)
    return clients


@honest("exempt", flagged=NEVER, before=(0, None, None, 0))
def exempt(log, begin):
    """An application on this host."""
    harvest(log, begin, "127.0.0.1", 50, host="localhost")
    return ["127.0.0.1"]


@honest("authenticated", flagged=NEVER, before=(0, None, None, 0))
def authenticated(log, begin):
    """A user of ours with an old list."""
    client = log.address()
    mails = [Mail([good(1), *(dead(number) for number in range(40))]), Mail([dead(number) for number in range(50, 60)])]
    log.session(begin, client, mails, login=True)
    return [client]


@honest("abuse desk", flagged=NEVER, before=(0, None, None, 0))
def abuse_desk(log, begin):
    """Writes to postmaster and abuse of domains that are not ours any more."""
    client = log.address()
    recipients = [Rcpt(f"{name}@former{number}.example", "5.7.1")
                  for number in range(20) for name in ("postmaster", "abuse")]
    log.session(begin, client, in_messages(log, recipients, 2), host="cert.example")
    return [client]


# Strangers and regulars while there is, or is no, siege


@honest("typos of newcomers", flagged=NEVER, scene=ordinary_day, before=(0, None, None, 0))
def newcomers(log, begin):
    """Sixty strangers an hour who mistype are no siege."""
    clients = hosts(log, 120, "first")
    for client, name in clients.items():
        log.session(begin + log.random.uniform(0, 2 * HOUR), client, [Mail([dead(1)]), Mail([good(1)])], host=name)
    return clients


@honest("siege: newcomer, good then dead", flagged=NEVER, scene=siege, before=(0, None, None, 0))
def newcomer_in_siege(log, begin):
    """Its first message has a good recipient and a mistyped one."""
    return _in_siege(log, begin, [Mail([good(1), dead(1), good(2)])])


@honest("siege: newcomer, dead then good", flagged=ALWAYS, slowed=(1, 4), scene=siege, before=(0, None, None, 0))
def unlucky_newcomer_in_siege(log, begin):
    """The mistyped one comes first: it is slowed until its message has been delivered, not longer."""
    return _in_siege(log, begin, [Mail([dead(1), good(1)]), Mail([good(2)]), Mail([good(3), dead(2)])])


@honest("siege: regular with a dead one", flagged=NEVER, scene=siege, before=(0, None, None, 0))
def regular_in_siege(log, begin):
    """Has delivered mail an hour before."""
    clients = hosts(log, 20, "regular")
    for client, name in clients.items():
        log.session(begin - HOUR, client, [Mail([good(1)])], host=name)
        log.session(begin + log.random.uniform(0, 20 * MINUTE), client, [Mail([dead(1)])], host=name)
    return clients


@honest("siege: strangers without offence", flagged=NEVER, slowed=NEVER, scene=siege, before=(0, None, None, 0))
def strangers_in_siege(log, begin):
    return _in_siege(log, begin, [Mail([good(1), good(2)]), Mail([good(3)], end="rset")])


@honest("siege: mailbox full", flagged=NEVER, slowed=NEVER, scene=siege, before=(0, None, None, 0))
def mailbox_full_in_siege(log, begin):
    """What weighs nothing is no offence of a stranger either."""
    return _in_siege(log, begin, [Mail([dead(1, code="5.2.2"), dead(2, code="4.2.0")])])


@honest("siege: pool", flagged=(0, 0.1), scene=siege, before=(0, None, None, 0))
def pool_in_siege(log, begin):
    """A provider whose addresses have all delivered mail, a fifth of whose recipients are stale."""
    clients = within(log.network(), 100)
    for client in clients:
        log.session(begin - HOUR, client, [Mail([good(1)])], host="out.provider.example")
        spread(log, begin, 30 * MINUTE, client, in_messages(log, addressees(log, 8, 0.2), 2),
               host="out.provider.example")
    return clients


def _in_siege(log, begin, mails):
    clients = hosts(log, 20, "first")
    for client, name in clients.items():
        log.session(begin + log.random.uniform(0, 20 * MINUTE), client, mails, host=name)
    return clients
