# SPDX-License-Identifier: BSD-2-Clause
"""Completion of tarpitctl in zsh and fish. That of bash is in test_tarpitctl.py."""

import os
import re
import shutil
import subprocess

import pytest
from checks import AT_MAIL, daemon_with, flag
from needs import needs_program

from support.ctl import program, tarpitctl
from support.daemon import PATIENCE, TOP
from support.tmux import Terminal

PACKAGING = os.path.join(TOP, "packaging")
CLIENT = "192.0.2.1"
KEY = "192.0.2.1/32"


@pytest.fixture(name="path", scope="module")
def path_with_tarpitctl(tmp_path_factory):
    """A PATH whose tarpitctl asks a daemon that has flagged CLIENT."""
    directory = tmp_path_factory.mktemp("bin")
    with daemon_with(AT_MAIL, control=True) as daemon:
        flag(daemon, CLIENT)
        script = directory / "tarpitctl"
        script.write_text(f'#!/bin/sh\nexec {program()} -S {daemon.control_path} "$@"\n')
        script.chmod(0o755)
        yield f"{directory}:{os.environ['PATH']}"


def commands():
    return re.findall(r"^  ([a-z]+)(?: \S+)*? {2,}\S", tarpitctl("--help").out, re.M)


def fish_offers(line, path, home):
    script = f'source {PACKAGING}/tarpitctl.fish; complete -C "{line}"'
    done = subprocess.run(["fish", "-c", script], check=True, capture_output=True, text=True, timeout=30 * PATIENCE,
                          env={**os.environ, "PATH": path, "HOME": str(home)})
    assert done.stderr == ""
    return [offer.partition("\t")[0] for offer in done.stdout.splitlines()]


@needs_program("fish")
def test_fish_offers_commands_options_clients_and_files(path, tmp_path):
    assert fish_offers("tarpitctl ", path, tmp_path) == sorted(commands())
    assert {"--socket", "--json", "--version", "--help"} <= set(fish_offers("tarpitctl -", path, tmp_path))
    assert fish_offers("tarpitctl forgive ", path, tmp_path) == [KEY]
    (tmp_path / "mail.log").write_text("")
    assert fish_offers(f"tarpitctl replay {tmp_path}/m", path, tmp_path) == [f"{tmp_path}/mail.log"]


@needs_program("zsh")
def test_zsh_offers_commands_clients_and_files(path, tmp_path):
    shutil.copy(f"{PACKAGING}/tarpitctl.zsh", tmp_path / "_tarpitctl")
    (tmp_path / "mail.log").write_text("")
    (tmp_path / ".zshrc").write_text(f"fpath=({tmp_path} $fpath)\nautoload -U compinit && compinit -u -D\nPS1='$ '\n")
    with Terminal(200, 40) as terminal:
        terminal.run("exec", "env", f"PATH={path}", f"ZDOTDIR={tmp_path}", "zsh", "-d")
        terminal.wait_until(lambda text: text.endswith("\n$"), what="the prompt")
        terminal.press("-l", "tarpitctl \t")
        for command in commands():
            terminal.wait_until(lambda text, command=command: re.search(rf"^{command} +-- ", text, re.M), what=command)
        terminal.press("C-c")
        for typed, completed in (("forgive 192", f"forgive {KEY} "),
                                 (f"--json replay {tmp_path}/m", f"--json replay {tmp_path}/mail.log ")):
            terminal.press("-l", f"tarpitctl {typed}\tx")
            terminal.wait_for(f"$ tarpitctl {completed}x")
            terminal.press("C-c")
