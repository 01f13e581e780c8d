# SPDX-License-Identifier: BSD-2-Clause
"""A terminal that can be read: tmux with a server of its own."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time

from .daemon import PATIENCE

PROMPT = "shell-is-back$ "
WAIT_SECONDS = 10.0 * PATIENCE


class ScreenFailed(AssertionError):
    pass


class Terminal:
    """with Terminal(80, 24) as terminal: terminal.type("ls\\n"); terminal.wait_for(...)

    A shell runs in it, whose prompt is PROMPT. env: what it has in its environment.
    """

    def __init__(self, columns=80, rows=24, env=None):
        self._directory = tempfile.mkdtemp(prefix="tmux-")
        self._socket = os.path.join(self._directory, "s")
        self._env = {"PS1": PROMPT, "LC_ALL": "C.UTF-8", **(env or {})}
        self._columns, self._rows = columns, rows

    def __enter__(self):
        try:
            settings = [f"{key}={value}" for key, value in self._env.items()]
            self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(self._columns), "-y", str(self._rows),
                       "env", *settings, "sh")
            self._tmux("set-option", "-g", "status", "off")
            self.resize(self._columns, self._rows)
            self.wait_for(PROMPT.strip())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            print("--- the screen", *self.lines(), "---", sep="\n")
        self._end()

    def _end(self):
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _tmux(self, *arguments):
        # In a UTF-8 locale, else tmux shows the screen in ASCII.
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        env.pop("TMUX", None)
        return subprocess.run(["tmux", "-u", "-S", self._socket, *arguments], check=True, capture_output=True,
                              encoding="utf-8", timeout=20, env=env).stdout

    def resize(self, columns, rows):
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def press(self, *keys):
        """Keys by tmux's names: q, Escape, C-c, Enter."""
        self._tmux("send-keys", *keys)

    def run(self, *command):
        """Has the shell run a command, and show the exit status in the end."""
        self._tmux("send-keys", "-l", shlex.join(command) + '; echo "status:$?"')
        self.press("Enter")

    def lines(self, colours=False):
        """The screen, line by line, without blanks at their ends. colours: with escape sequences."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else [])).rstrip("\n").split("\n")

    def text(self):
        return "\n".join(self.lines())

    def ask(self, variable):
        """One of tmux's variables: alternate_on, cursor_flag, ..."""
        return self._tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def wait_until(self, is_so, seconds=WAIT_SECONDS, what="it"):
        """Waits until is_so(screen's text) gives something true; that."""
        end = time.monotonic() + seconds
        while True:
            text = self.text()
            found = is_so(text)
            if found:
                return found
            if time.monotonic() > end:
                raise ScreenFailed(f"{what} is not on the screen within {seconds} s:\n{text}")
            time.sleep(0.05)

    def wait_for(self, part, seconds=WAIT_SECONDS):
        return self.wait_until(lambda text: part in text, seconds, repr(part))
