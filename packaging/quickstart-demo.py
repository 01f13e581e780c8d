# SPDX-License-Identifier: BSD-2-Clause
"""What packaging/quickstart shows: a harvester and an honest sender at a Postfix with tarpit-milter, and the same
harvester at the same Postfix without it. Started by packaging/quickstart."""

import argparse
import contextlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

from support.daemon import Daemon  # noqa: E402
from support.postfix import Postfix  # noqa: E402
from support.smtp import Client  # noqa: E402

CONNECTIONS = 4                 # of each harvester
ROUND_TRIP = 0.1                # seconds: how far away from us it is
PROBES_A_SESSION = 9            # then Postfix slows a session by itself: the harvester hangs up and calls again
SECONDS_A_MAIL = 1.5            # of the honest sender
MISTYPED = 6                    # one in so many of its recipients, and it tries the right one next
USERS_IN = 25                   # one in so many guessed addresses exists

# Delays a fifth of the defaults, for a minute is short. Nobody is exempt: --keep lets people try from this machine.
SETTINGS = {"delay_min": "1s", "delay_max": "4s", "exempt_clients": "{}", "user": "nobody"}

# What the private Postfix of the tests switches off, as it is in any Postfix.
POSTFIX = {"smtpd_soft_error_limit": "10", "smtpd_hard_error_limit": "20"}

FIRST = """adam anna bella ben carla clara dario david elena emma felix greta hans ida jonas karin leo maria nils olga
paul rosa simon tina uwe vera walter xenia yann zoe""".split()
LAST = """abbott archer baker bishop carter cole dixon drake ellis evans foster grant hughes irwin jones kelly lewis
morgan nolan owens parker quinn reed stone turner usher vance walsh young zimmer""".split()


def all_guesses():
    guesses = [first + joint + last for first in FIRST for last in LAST for joint in (".", "", "_")]
    random.Random(1).shuffle(guesses)
    return guesses


class Tally:
    """What one client got so far; for many threads."""

    def __init__(self, address, name):
        self.address = address
        self.name = name
        self.found = set()
        self.sent_away = 0
        self.longest = 0.0
        self.last = ""
        self._lock = threading.Lock()
        self._answers = []
        self._waiting = {}

    @contextlib.contextmanager
    def waiting(self):
        """Around whatever waits for a reply."""
        with self._lock:
            self._waiting[threading.get_ident()] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                began = self._waiting.pop(threading.get_ident())
                self.longest = max(self.longest, time.monotonic() - began)

    def answered(self, reply):
        with self._lock:
            self._answers.append(time.monotonic())
            self.last = reply.text.splitlines()[-1]

    def turned_away(self):
        with self._lock:
            self.sent_away += 1

    def count(self, since=0.0):
        with self._lock:
            return sum(at >= since for at in self._answers)

    def waits_now(self):
        """How long each connection has been waiting, if so long that a person would notice."""
        now = time.monotonic()
        with self._lock:
            return [now - began for began in self._waiting.values() if now - began > 0.5]


class Actor:
    """One client of the MTA, played by as many threads as it has connections; they end with the process."""

    def __init__(self, tally, server, connections=1):
        self.tally = tally
        self._server = server
        self._stopped = threading.Event()
        for _ in range(connections):
            threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        self._stopped.set()

    def _run(self):
        while not self._stopped.is_set():
            # The server hangs up, or is being stopped.
            with contextlib.suppress(OSError, ValueError):
                self._session()
            self._pause(ROUND_TRIP)

    def _pause(self, seconds):
        return self._stopped.wait(seconds)

    @contextlib.contextmanager
    def _connected(self):
        """A session under this client's address, greeted; None if it was sent away."""
        with Client(self._server) as client:
            client.ehlo(self.tally.name)
            with self.tally.waiting():
                greeting = client.xclient(self.tally.address, name=self.tally.name)
            if greeting.code == 220:
                client.ehlo(self.tally.name)
                yield client
            else:
                self.tally.turned_away()
                self._pause(1)
                yield None


class Harvester(Actor):
    """Guesses users, and learns from the MTA which of them exist."""

    def __init__(self, tally, server):
        self._guesses = itertools.cycle(all_guesses())
        super().__init__(tally, server, CONNECTIONS)

    def _session(self):
        with self._connected() as client:
            if client and self._ask(client.mail, "offers@harvester.example"):
                for _ in range(PROBES_A_SESSION):
                    if self._pause(ROUND_TRIP) or not self._probe(client, next(self._guesses)):
                        break

    def _probe(self, client, guess):
        reply = self._ask(client.rcpt, f"{guess}@example.test")
        if reply:
            self.tally.answered(reply)
            if reply.code == 250:
                self.tally.found.add(guess)
        return reply

    def _ask(self, command, *arguments):
        with self.tally.waiting():
            reply = command(*arguments)
        if reply.code in (0, 421):
            self.tally.turned_away()
            return None
        return reply


class HonestSender(Actor):
    """Has mail for users who exist, and mistypes a recipient now and then."""

    def __init__(self, tally, server, users):
        self._users = users
        self._number = 0
        super().__init__(tally, server)

    def _session(self):
        self._number += 1
        with self._connected() as client:
            if client:
                with self.tally.waiting():
                    if self._number % MISTYPED == 0:
                        client.mail("friend@honest.example")
                        client.rcpt(f"mistyped-{self._number}@example.test")
                        client.rset()
                    reply = client.send_message("friend@honest.example", [f"{random.choice(self._users)}@example.test"])
                if reply.code == 250:
                    self.tally.answered(reply)
        self._pause(SECONDS_A_MAIL)


class Screen:
    """A table redrawn in place on a terminal; elsewhere a line now and then."""

    LINES_EVERY = 5
    LOG_LINES = 8

    def __init__(self, seconds):
        self._seconds = seconds
        self._live = sys.stdout.isatty()
        self._drawn = 0
        self._next = 0

    def bold(self, text):
        return f"\033[1m{text}\033[0m" if self._live and "NO_COLOR" not in os.environ else text

    def show(self, elapsed, honest, harvester, unhindered, log):
        if self._live:
            self._redraw(self._table(elapsed, honest, harvester, unhindered, log))
        elif elapsed >= self._next:
            self._next += self.LINES_EVERY
            print(f"{clock(elapsed)}  honest sender: {honest.count()} mails delivered, longest wait "
                  f"{duration(honest.longest)}\n      harvester: {harvester.count()} probes answered"
                  f"{f' ({waiting})' if (waiting := now(harvester)) else ''}"
                  f", {unhindered.count()} without tarpit-milter", flush=True)

    def _table(self, elapsed, honest, harvester, unhindered, log):
        width = shutil.get_terminal_size().columns - 1
        rows = [self.bold(f"{clock(elapsed)} of {clock(self._seconds)}"),
                "",
                self.bold(f"{'client':<31}{'answered':>12}{'found':>7}{'longest':>9}  now")]
        for who, unit, tally in (("honest sender", "mails", honest), ("harvester", "probes", harvester),
                                 ("same, no tarpit", "probes", unhindered)):
            found = len(tally.found) if unit == "probes" else "-"
            rows.append(f"{who:<16}{tally.address:<14}{tally.count():>6} {unit:<6}{found:>6}"
                        f"{duration(tally.longest):>9}  {now(tally)}"[:width])
        rows += ["", self.bold("the log of tarpit-milter")]
        rows += [line[:width] for line in once_each(log)[-self.LOG_LINES:]]
        return rows + [""] * (6 + 2 + self.LOG_LINES - len(rows))

    def _redraw(self, rows):
        up = f"\033[{self._drawn}F" if self._drawn else ""
        sys.stdout.write(up + "".join(f"\033[2K{row}\n" for row in rows))
        sys.stdout.flush()
        self._drawn = len(rows)


def once_each(lines):
    """Repeated lines as one, with their number."""
    runs = ((len(list(run)), line) for line, run in itertools.groupby(lines))
    return [f"{line} ({count} times)" if count > 1 else line for count, line in runs]


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def duration(seconds):
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def now(tally):
    """What a client is just going through."""
    waits = tally.waits_now()
    stalled = f"{len(waits)} wait {max(waits):.1f} s" if waits else ""
    away = f"{tally.sent_away} x 421" if tally.sent_away else ""
    return ", ".join(filter(None, (stalled, away))) or tally.last[:20]


def perform(seconds, postfix, daemon, users):
    """The show itself. Tells whether it showed what it should."""
    honest = Tally("192.0.2.25", "mail.honest.example")
    harvester = Tally("198.51.100.66", "host66.harvester.example")
    unhindered = Tally("203.0.113.66", "host66.harvester.example")
    screen = Screen(seconds)
    began = time.monotonic()
    actors = [HonestSender(honest, postfix.address(), users),
              Harvester(harvester, postfix.address()), Harvester(unhindered, postfix.address("without"))]
    while (elapsed := time.monotonic() - began) < seconds:
        screen.show(elapsed, honest, harvester, unhindered, daemon.log_lines())
        time.sleep(0.2)
    # Rates count from when its older sessions have ended.
    settled = began + seconds / 2
    rates = {tally: 60 * tally.count(settled) / (time.monotonic() - settled) for tally in (unhindered, harvester)}
    for actor in actors:
        actor.stop()
    print(screen.bold(f"\nWhat happened in {seconds} seconds\n"))
    print_result(honest, harvester, unhindered, rates)
    print(screen.bold("What tarpit-milter logged: the first of each kind, and how many\n"))
    print_log(daemon.log_lines())
    print(screen.bold("To use it with your own mail system\n"))
    print(HOW_TO_USE)
    return rates[harvester] * 5 < rates[unhindered] and honest.count() and honest.longest < 1


def print_result(honest, harvester, unhindered, rates):
    print(f"  {'':<32}{'probes answered':>16}{'a minute*':>11}{'users found':>13}")
    for who, tally in ("without tarpit-milter", unhindered), ("with tarpit-milter", harvester):
        print(f"  harvester {who:<22}{tally.count():>16}{rates[tally]:>11.0f}{len(tally.found):>13}")
    print("  * in the second half of the time", end="")
    print(f": 1 with it for {rates[unhindered] / rates[harvester]:.0f} without" if rates[harvester] else "")
    print(f"""
  The honest sender had {honest.count()} mails delivered. Its longest wait was
  {duration(honest.longest)}, although it mistyped some recipients.

  Of the {CONNECTIONS} connections of the harvester, 2 stay open once it is flagged
  (max_flagged_sessions), and crawl. {harvester.sent_away} times it was sent away with a 421,
  which waits as long.

  The delays here are a fifth of the defaults: 1 s to 4 s, not 5 s to 20 s. With
  the defaults a harvester gets some 6 answers a minute from one address,
  however many connections it opens.
""")


def print_log(log):
    for event in "reject", "flag", "stall", "release", "defer":
        lines = [line for line in log if line.startswith(f"{event}: ")]
        if lines:
            print(textwrap.fill(lines[0], WIDTH, initial_indent=f"  {len(lines):>4} x ", subsequent_indent=" " * 9,
                                break_on_hyphens=False), end="\n\n")


WIDTH = 79

HOW_TO_USE = """\
  Install it as README says, with `mode = observe` in tarpit-milter.conf first:
  it then judges and logs, and slows nobody. `tarpitctl setup postfix --dry-run`
  shows what Postfix needs, `tarpitctl doctor` what is still wrong. By hand:

  main.cf of Postfix, with in tarpit-milter.conf
  socket = unix:/var/spool/postfix/tarpit-milter/milter.sock

      smtpd_milters = { unix:tarpit-milter/milter.sock,
          default_action=accept, connect_timeout=30s, command_timeout=30s }

  sendmail.mc, with mta_timeout = 30s in tarpit-milter.conf

      INPUT_MAIL_FILTER(`tarpit-milter',
          `S=unix:/run/tarpit-milter/milter.sock, T=C:30s;S:30s;R:30s;E:5m')dnl
"""


def keep(postfix, daemon):
    port = postfix.port()
    print(f"""\
It is still running. Postfix with tarpit-milter listens at 127.0.0.1 port {port}, without it at port
{postfix.port("without")}. Be the harvester yourself, in another terminal:

  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & cat >&3'

      EHLO me.example
      MAIL FROM:<me@me.example>
      RCPT TO:<nobody1@example.test>        then nobody2, nobody3 ...: the fifth and all after it wait

Postfix works in {postfix.directory}. The log of tarpit-milter follows.

Press Ctrl-C here to stop and remove it all.
""", flush=True)
    shown = len(daemon.log_lines())
    while True:
        lines = daemon.log_lines()
        for line in lines[shown:]:
            print(line, flush=True)
        shown = len(lines)
        time.sleep(0.3)


def stop_on_signals():
    def stop(*_):
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    for number in signals:
        signal.signal(number, stop)


def main():
    parser = argparse.ArgumentParser(prog="packaging/quickstart")
    parser.add_argument("--seconds", type=int, default=60, choices=range(10, 601), metavar="10..600")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    stop_on_signals()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(tempfile.mkdtemp(prefix="tarpit-quickstart-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.chmod(0o755)
        users = all_guesses()[::USERS_IN]
        (directory / "users").write_text("".join(f"{user} x\n" for user in users))
        print(f"A private Postfix and tarpit-milter on loopback, for {arguments.seconds} seconds.\n", flush=True)
        daemon = stack.enter_context(Daemon(SETTINGS, socket="inet"))
        postfix = stack.enter_context(Postfix(
            directory / "postfix", milter=daemon.socket, services={"without": {"milter": ""}},
            local_recipient_maps=f"texthash:{directory}/users", **POSTFIX))
        well = perform(arguments.seconds, postfix, daemon, users)
        if not well:
            print("This is not what it should show. Something is wrong, or this machine is very slow.")
        if arguments.keep:
            keep(postfix, daemon)
        return 0 if well else 1


def run():
    try:
        return main()
    except KeyboardInterrupt:
        return "Stopped."


if __name__ == "__main__":
    STATUS = run()
    print(os.environ.get("QUICKSTART_STAYS", ""))
    sys.exit(STATUS)
