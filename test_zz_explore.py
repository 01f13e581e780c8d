# exploration: run with pytest from tests/integration
import pytest, threading, time, contextlib
from concurrent.futures import ThreadPoolExecutor
from mtas import both_mtas, needs_postfix, needs_sendmail
from test_harvest import *
from support.site import good
from support.control import Control

def credited(harvest, source, **a):
    """one mail to a known user first"""
    with harvest.session(source, **a) as c:
        if c: print("credit", c.send_message("x@client.example", [good(1)]).code)

@both_mtas
@pytest.mark.parametrize("n", [1, 16, 40])
def test_credited(mta, n):
    """credit, then many sessions"""
    with site_of(mta) as site:
        h = Harvest(site, 12)
        credited(h, HARVESTER)
        ways=[patient if i%2 else endless for i in range(n)]
        h.run([lambda way=way: way(h, HARVESTER) for way in ways])
        print("CREDITED", mta, n, h)

@both_mtas
def test_slash24(mta):
    with site_of(mta) as site:
        h = Harvest(site, 12)
        ways=[lambda i=i: (patient if i%2 else endless)(h, f"127.1.1.{i%20+1}") for i in range(40)]
        h.run(ways)
        print("SLASH24", mta, h)

@both_mtas
def test_80_nets(mta):
    with site_of(mta) as site:
        h = Harvest(site, 12)
        ways=[lambda i=i: (patient if i%2 else endless)(h, f"127.1.{i}.1") for i in range(80)]
        h.run(ways)
        print("80NETS", mta, h)
