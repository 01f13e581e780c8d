# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of dishonest clients. Each function writes the sessions of one from `begin` on; its clients' addresses."""

from support.kind import (ALWAYS, DAY, DOMAINS, HOUR, MINUTE, NEVER, addressees, botnet, dead, dishonest, good, harvest,
                          in_messages, one_by_one, ordinary_day, spread, within)
from support.postfix_log import Mail, Rcpt

BAIT = Rcpt("bait@example.test")
TRAP = {"trap_recipients": '{"bait@example.test"}'}

# One client, or a few


@dishonest("harvester", flagged=ALWAYS, own=(5, 5), before=(1, 5, 5, 104))
def harvester(log, begin):
    """Nine names a connection, as one does who knows Postfix."""
    clients = one_by_one(log, 10, begin)
    for client, now in clients:
        for _ in range(10):
            now = harvest(log, now + 5, client, 9)
    return [client for client, _ in clients]


@dishonest("patient harvester", flagged=ALWAYS, own=(5, 5), before=(1, 25, 5, 418))
def patient_harvester(log, begin):
    """One name every ten minutes."""
    clients = [log.address() for _ in range(5)]
    for client in clients:
        for number in range(DAY // (10 * MINUTE)):
            harvest(log, begin + number * 10 * MINUTE, client, 1)
    return clients


@dishonest("harvester in one connection", flagged=ALWAYS, own=(5, 5), before=(1, 5, 5, 37))
def one_connection(log, begin):
    """A mail to postmaster, which is delivered, after every nine errors."""
    client = log.address()
    mails = []
    for number in range(40):
        mails += [Mail([dead(9 * number + n) for n in range(9)]), Mail([Rcpt("postmaster@example.test")])]
    log.session(begin, client, mails)
    return [client]


@dishonest("list, 70 % dead", flagged=ALWAYS, before=(1, 7, 8, 3150))
def dead_list(log, begin):
    """A bought list, which it sends to."""
    clients = one_by_one(log, 10, begin)
    for client, at in clients:
        spread(log, at, 2 * HOUR, client, in_messages(log, addressees(log, 2000, 0.7)), host="offers.example")
    return [client for client, _ in clients]


@dishonest("dictionary spammer", flagged=ALWAYS, own=(5, 30), before=(1, 5, 5, 152))
def dictionary_spammer(log, begin):
    """Nine names in ten are made up; who exists gets the mail."""
    clients = one_by_one(log, 20, begin)
    for client, at in clients:
        spread(log, at, HOUR, client, in_messages(log, addressees(log, 150, 0.9), 20))
    return [client for client, _ in clients]


@dishonest("list checker, many names a transaction", flagged=ALWAYS, own=(5, 7), before=(1, 7, 7, 91.2))
def list_checker(log, begin):
    """Every other name is known, and nothing is ever sent.

    Postfix logs the first known name of a transaction only, so a daemon sees more of them than replay."""
    return _list_checkers(log, begin, 0.5, 20, "rset")


@dishonest("list checker, one name a transaction", flagged=ALWAYS, own=(5, 7), before=(0.7, 47, 7, 39.3))
def list_checker_rset(log, begin):
    return _list_checkers(log, begin, 0.5, 1, "rset")


@dishonest("list checker that hangs up", flagged=ALWAYS, own=(5, 7), before=(1, 7, 7, 91.2))
def list_checker_hangup(log, begin):
    return _list_checkers(log, begin, 0.5, 20, "hangup")


@dishonest("list checker that knows 80 %", flagged=ALWAYS, own=(5, 7), before=(0, None, None, 0))
def fresh_list_checker(log, begin):
    """A good list, which it wants to be better."""
    return _list_checkers(log, begin, 0.2, 1, "rset")


def _list_checkers(log, begin, share, most, end):
    clients = one_by_one(log, 10, begin)
    for client, now in clients:
        for mail in in_messages(log, addressees(log, 130, share), most, end=end):
            now = log.session(now + 2, client, [mail])
    return [client for client, _ in clients]


@dishonest("catch-all farmer", flagged=ALWAYS, own=(5, 25), before=(1, 5, 5, 18))
def farmer(log, begin):
    """Sends mail to many names of a domain that takes all, then probes another one."""
    return _farmers(log, begin, [good(number, "catch-all.example") for number in range(200)])


@dishonest("catch-all farmer over hours", flagged=ALWAYS, own=(5, 45), before=(1, 5, 5, 18))
def lasting_farmer(log, begin):
    """Has farmed in the window before, too."""
    clients = one_by_one(log, 10, begin)
    for client, at in clients:
        recipients = [good(number, "catch-all.example") for number in range(800)]
        spread(log, at, 6 * HOUR, client, in_messages(log, recipients, 20))
        harvest(log, at + 6 * HOUR, client, 100)
    return [client for client, _ in clients]


@dishonest("extension farmer", flagged=ALWAYS, own=(5, 7), before=(1, 5, 5, 18))
def extension_farmer(log, begin):
    """Sends mail to itself in many spellings: one mailbox counts once."""
    return _farmers(log, begin, [Rcpt(f"alice+{number}@example.test") for number in range(200)])


@dishonest("extension farmer, own delimiter", flagged=ALWAYS, own=(5, 7), settings={"recipient_delimiter": '"+-"'})
def dash_farmer(log, begin):
    """The same where extensions stand behind a -."""
    return _farmers(log, begin, [Rcpt(f"alice-{number}@example.test") for number in range(200)])


def _farmers(log, begin, recipients):
    """Mail for all of these within minutes, then a hundred probes."""
    clients = one_by_one(log, 10, begin)
    for client, now in clients:
        for mail in in_messages(log, recipients, 20):
            now = log.session(now + 1, client, [mail])
        harvest(log, now + 60, client, 100)
    return [client for client, _ in clients]


@dishonest("trap", flagged=ALWAYS, own=(0, 0), slowed=(1, 12), settings=TRAP)
def trap(log, begin):
    """Sends to a bought list without a dead name, which begins with an address that is nobody's."""
    return _trapped(log, begin, [BAIT, *(good(number) for number in range(5))])


@dishonest("trap among known names", flagged=NEVER, settings=TRAP)
def late_trap(log, begin):
    """Mail for three users before that makes up for it. A known limit."""
    return _trapped(log, begin, [*(good(number) for number in range(3)), BAIT, good(4)])


def _trapped(log, begin, recipients):
    clients = [log.address() for _ in range(10)]
    for client in clients:
        spread(log, begin, HOUR, client, [Mail([recipient]) for recipient in recipients])
    return clients


@dishonest("relay tester", flagged=NEVER, before=(0, None, None, 0))
def relay_tester(log, begin):
    """Tries three ways to have us relay: too little to tell."""
    clients = [log.address() for _ in range(20)]
    for client in clients:
        log.session(begin + log.random.uniform(0, DAY), client,
                    [Mail([Rcpt(f"check{number}@elsewhere.example", "5.7.1")]) for number in range(3)])
    return clients


# Many addresses


@dishonest("harvester over a /24", flagged=(0.97, 1), first=(20, 21), before=(0.98, 20, 1, 3.9))
def harvester_over_network(log, begin):
    """Four names an address."""
    clients = within(log.network(), 200)
    for number, client in enumerate(clients):
        harvest(log, begin + 30 * number, client, 4)
    return clients


@dishonest("harvester over a /24, null sender", flagged=(0.9, 1), first=(80, 81), own=(1, 1),
           before=(0.905, 80, 4, 0.905))
def null_sender_over_network(log, begin):
    """Four names an address as if it were bounces: each weighs a quarter. In the dirty network the first one counts."""
    clients = within(log.network(), 200)
    for number, client in enumerate(clients):
        mail = Mail([dead(4 * number + n) for n in range(4)], "", "hangup")
        log.session(begin + 30 * number, client, [mail], pause=1)
    return clients


@dishonest("harvester over a /48", flagged=(0.97, 1), first=(20, 21), before=(0.98, 20, 1, 3.9))
def harvester_over_prefix(log, begin):
    """A fresh /64 for each four names."""
    clients = [f"2001:db8:7:{number:x}::1" for number in range(1, 201)]
    for number, client in enumerate(clients):
        harvest(log, begin + 30 * number, client, 4)
    return clients


@dishonest("harvester next to its own mail", flagged=(0.79, 1), first=(20, 120), before=(0.973, 20, 1, 3.87))
def harvester_with_helpers(log, begin):
    """Five addresses of its /24 deliver mail to one catch-all domain; 150 others harvest."""
    network = log.network()
    for client in within(network, 5):
        spread(log, begin, HOUR, client, in_messages(log, [good(n, "catch-all.example") for n in range(100)], 10))
    clients = within(network, 150, first=50)
    for number, client in enumerate(clients):
        harvest(log, begin + HOUR + 30 * number, client, 4)
    return clients


@dishonest("botnet, 2,000 x 1", flagged=(0.975, 1), first=(30, 36), scene=ordinary_day, before=(0, None, None, 0))
def wide_botnet(log, begin):
    """Two thousand unrelated addresses, one name each, in two hours: about 32 make a score of 30."""
    return botnet(log, begin, 2000, 1, 2 * HOUR)


@dishonest("botnet, 500 x 4", flagged=(0.975, 1), first=(30, 36), scene=ordinary_day, before=(0, None, None, 0))
def narrow_botnet(log, begin):
    """Five hundred unrelated addresses, four names each."""
    return botnet(log, begin, 500, 4, 2 * HOUR)


@dishonest("botnet that comes again", flagged=ALWAYS, first=(30, 36), scene=ordinary_day, before=(0, None, None, 0))
def returning_botnet(log, begin):
    """Five hundred addresses, each four times for one name."""
    clients = [log.address() for _ in range(500)]
    for turn in range(4):
        for number, client in enumerate(clients):
            harvest(log, begin + turn * 30 * MINUTE + number * 3.6, client, 1)
    return clients


@dishonest("botnet that mails first", flagged=NEVER, scene=ordinary_day, before=(0, None, None, 0))
def credited_botnet(log, begin):
    """Each address delivers one mail before it asks for four names: no stranger, no siege. A known limit."""
    clients = [log.address() for _ in range(300)]
    for number, client in enumerate(clients):
        at = begin + number * 12
        log.session(at, client, [Mail([good(number, DOMAINS[number % 2])])])
        harvest(log, at + 5, client, 4)
    return clients


@dishonest("slow botnet", flagged=NEVER, scene=ordinary_day, before=(0, None, None, 0))
def slow_botnet(log, begin):
    """One name of an unrelated address every minute makes a score of 14: below the threshold of a siege."""
    return botnet(log, begin, 240, 1, 4 * HOUR)
