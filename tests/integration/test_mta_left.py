# SPDX-License-Identifier: BSD-2-Clause
"""Who is still there when its wait is over, and who has hung up: in front of the real MTAs."""

import time

from checks import wait_until
from mtas import both_mtas

from support.site import Site, assert_waited, good, unknown

STAYS, LEAVES = "127.1.1.1", "127.2.2.2"
# Time that no client needs to read an answer, and the MTA to notice that there is none, on a machine that does
# other things too.
READS_SECONDS = 0.5


def outlasted(site):
    status = site.daemon.status()
    return int(status["stalls_stayed"]), int(status["stalls_left"])


def begins_to_wait(site, source, recipient):
    """A client whose RCPT waits."""
    client = site.client(source)
    client.mail()
    before = len(site.daemon.events("stall"))
    client.write([f"RCPT TO:<{recipient}>"])
    wait_until(lambda: len(site.daemon.events("stall")) > before)
    return client


@both_mtas
def test_who_hangs_up_in_a_stall_has_left(mta):
    with Site(mta, {"stall_at": "{rcpt}", "good_credit": "0"}) as site:
        site.flag_all([STAYS, LEAVES])
        wait_until(lambda: sum(outlasted(site)) == 2)
        stayed, left = outlasted(site)

        # Some may look as if they had stayed: the MTA must notice within 20 ms.
        for number in range(1, 16):
            begins_to_wait(site, LEAVES, unknown(10 + number)).close()
            site.settle()
            assert sum(outlasted(site)) == stayed + left + number
            if outlasted(site)[1] == left + 3:
                break
        assert outlasted(site)[1] == left + 3
        stayed, left = outlasted(site)

        # The next command, and QUIT after as long as a distant client takes.
        with site.client(STAYS) as client:
            client.mail()
            assert_waited(client.rcpt(unknown(50)))
            client.rset()
            client.mail()
            assert outlasted(site) == (stayed + 1, left)
            assert_waited(client.rcpt(good()))
            time.sleep(READS_SECONDS)
            client.quit()
        site.settle()
        assert outlasted(site) == (stayed + 2, left)
