# SPDX-License-Identifier: BSD-2-Clause
"""tarpitctl setup sendmail: the lines it prints, how they get into a .mc file, and out again."""

import os
import stat
import subprocess

import pytest
from mtas import needs_sendmail
from needs import as_root, needs_program

from support.ctl import tarpitctl
from support.sendmail import SENDMAIL_MC, unpack

OTHER = "INPUT_MAIL_FILTER(`greylist',\n    `S=local:/run/greylist.sock')dnl\n"
LINES = """\
INPUT_MAIL_FILTER(`tarpit-milter',
    `S=unix:/run/tarpit-milter/milter.sock, T=C:30s;S:30s;R:30s;E:5m')dnl
"""
BLOCK = f"dnl # tarpit-milter: begin\n{LINES}dnl # tarpit-milter: end\n"
SMALL = f"OSTYPE(`linux')dnl\n{OTHER}MAILER(`local')dnl\nMAILER(`smtp')dnl\n"


class Place:
    """A .mc file, and our configuration."""

    def __init__(self, directory, text=SMALL):
        self.mc = directory / "sendmail.mc"
        self.mc.write_text(text)
        self.ours = directory / "tarpit-milter.conf"
        self.ours.write_text("")
        self.begun = self.mc.read_bytes()

    def setup(self, *args, status=0):
        result = tarpitctl("setup", "sendmail", "-c", str(self.ours), "--mc", str(self.mc), *args)
        assert result.status == status, result
        assert bool(result.err) == bool(status), result
        return result


@pytest.fixture(name="place")
def small_place(tmp_path):
    return Place(tmp_path)


def test_lines_are_printed(place):
    """The file need not be there for that."""
    place.mc.unlink()
    out = place.setup().out
    assert f"\n{LINES}" in out and "    mta_timeout = 30s\n" in out and "novrfy" in out


@as_root
def test_written_twice_is_once_and_undone(place):
    place.mc.chmod(0o640)
    os.chown(place.mc, 65534, 65534)
    place.setup("--write")
    assert place.mc.read_text() == SMALL.replace("MAILER(`local", BLOCK + "MAILER(`local")
    once = place.mc.read_bytes(), place.mc.stat()
    assert "Nothing to change" in place.setup("--write").out
    assert (place.mc.read_bytes(), place.mc.stat()) == once
    place.setup("--undo")
    assert place.mc.read_bytes() == place.begun
    now = place.mc.stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, 65534, 65534)
    assert "Nothing to change" in place.setup("--undo").out


def test_what_was_changed_beside_it_stays(place):
    place.setup("--write")
    place.mc.write_text("dnl before\n" + place.mc.read_text() + "dnl behind")
    place.setup("--undo")
    assert place.mc.read_text() == f"dnl before\n{SMALL}dnl behind"


def test_dry_run_writes_nothing(place):
    assert "would be changed" in place.setup("--write", "--dry-run").out
    assert place.mc.read_bytes() == place.begun
    place.setup("--write")
    written = place.mc.read_bytes()
    assert "would be changed" in place.setup("--undo", "--dry-run").out
    assert place.mc.read_bytes() == written


@pytest.mark.parametrize("ours, timeout, advice", [
    ("delay_max = 20s", 30, True), ("delay_max = 60s", 62, True), ("mta_timeout = 40s", 40, False),
    ("mta_timeout = 12500ms", 30, False), ("mta_timeout = 31500ms", 32, False),
])
def test_timeouts_fit_and_a_second_write_puts_new_ones_in_place(place, ours, timeout, advice):
    place.setup("--write")
    place.ours.write_text(f"{ours}\nsocket = inet:8895@127.0.0.1\n")
    out = place.setup("--write").out
    text = place.mc.read_text()
    assert f"`S=inet:8895@127.0.0.1, T=C:30s;S:{timeout}s;R:{timeout}s;E:5m')" in text
    assert text.count("tarpit-milter: begin") == 1
    assert (f"    mta_timeout = {timeout}s\n" in out) == advice
    place.setup("--undo")
    assert place.mc.read_bytes() == place.begun


@pytest.mark.parametrize("text, reason", [
    (SMALL.replace("greylist", "tarpit"), "a filter for this milter already"),
    (SMALL.replace("/run/greylist", "/run/tarpit-milter/milter").replace("local:/", "unix:/"),
     "a filter for this milter already"),
    (SMALL + OTHER, "it has filters behind a MAILER line"),
    ("OSTYPE(`linux')dnl\n", "it has no MAILER line"),
    ("", "it has no MAILER line"),
    (SMALL + "dnl # tarpit-milter: end\n", "the marks of its lines"),
    ("dnl # tarpit-milter: begin\n" + SMALL, "the marks of its lines"),
])
def test_files_that_are_left_alone(tmp_path, text, reason):
    place = Place(tmp_path, text)
    result = place.setup("--write", status=1)
    assert reason in result.err and LINES in result.out
    assert place.mc.read_bytes() == place.begun


def test_link_stays_a_link(place, tmp_path):
    real = tmp_path / "elsewhere"
    place.mc.rename(real)
    place.mc.symlink_to(real)
    place.setup("--write")
    assert place.mc.is_symlink() and BLOCK in real.read_text()


def test_what_is_no_such_file(place):
    place.mc.write_bytes(b"MAILER(`smtp')\n\0\n")
    assert "not a text" in place.setup("--write", status=1).err
    place.mc.unlink()
    assert "No such file" in place.setup("--write", status=1).err
    assert "No such file" in place.setup("--undo", status=1).err
    place.mc.mkdir()
    assert "not a regular file" in place.setup("--write", status=1).err


@pytest.mark.parametrize("path", ["/run/it's/x", "/run/a b", "/run/a,b", "/run/a`b", "/run/a;b"])
def test_socket_that_sendmail_could_not_read(place, path):
    place.ours.write_text(f'socket = "unix:{path}"\n')
    assert "Sendmail can't read a socket" in place.setup("--write", status=1).err
    assert place.mc.read_bytes() == place.begun


def test_faulty_configuration_of_ours(place):
    place.ours.write_text("delay_max = soon\n")
    assert f"{place.ours}:1: delay_max: " in place.setup("--write", status=78).err
    assert place.mc.read_bytes() == place.begun


@needs_program("make")
def test_rebuilt_by_make(place):
    """Where there is no Makefile, make says so."""
    assert "make" in place.setup("--write", "--rebuild", status=1).err
    cf = place.mc.with_suffix(".cf")
    (place.mc.parent / "Makefile").write_text("sendmail.cf: sendmail.mc\n\tcp $< $@\n")
    place.setup("--write", "--rebuild")
    assert cf.read_bytes() == place.mc.read_bytes() != place.begun
    os.utime(cf, (0, 0))
    place.setup("--undo", "--rebuild")
    assert cf.read_bytes() == place.begun


def compiled(place):
    unpacked = unpack()
    done = subprocess.run(["m4", f"-D_CF_DIR_={unpacked}/usr/share/sendmail/cf/", place.mc], check=True,
                          capture_output=True, text=True, cwd=place.mc.parent)
    assert done.stderr == ""
    return done.stdout


@needs_sendmail
@pytest.mark.parametrize("filters, order", [
    ("", "tarpit-milter"),
    (OTHER, "greylist, tarpit-milter"),
    (OTHER + "MAIL_FILTER(`b', `S=local:/b')\ndefine(`confINPUT_MAIL_FILTERS', `b, greylist')\n",
     "b, greylist, tarpit-milter"),
])
def test_sendmail_cf_that_m4_makes_of_it(tmp_path, filters, order):
    """The filters are called in this order: ours is the last."""
    text = SENDMAIL_MC.format(unpacked=unpack(), directory=tmp_path, filters=filters, daemons="", options="",
                              environment="")
    place = Place(tmp_path, text)
    place.setup("--write")
    lines = compiled(place).splitlines()
    assert f"O InputMailFilters={order}" in lines
    assert "Xtarpit-milter, S=unix:/run/tarpit-milter/milter.sock, T=C:30s;S:30s;R:30s;E:5m" in lines
    place.setup("--undo")
    assert place.mc.read_bytes() == place.begun
