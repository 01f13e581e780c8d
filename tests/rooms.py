# SPDX-License-Identifier: BSD-2-Clause
"""Which room includes headers of which: fails where an arrow runs back, or where a library is let out of its room.

    tests/rooms.py [TOP]    prints each arrow, and each that is not allowed as FILE: what it includes and why not
"""

import collections
import pathlib
import re
import sys

# Each room may include headers of those before it.
ORDER = ("base", "judge", "config", "store", "memcached", "session", "mta", "control", "metrics", "daemon",
         "maillog", "replay", "setup", "doctor", "tarpitctl")
# A library's header, and what alone may include it: a file, or a room.
SHUT_IN = {
    r"libmilter/mfapi\.h": ("milter/mta/filter.c",),
    r"libmemcached.*": ("milter/memcached/",),
    r"confuse\.h": ("milter/config/file.c",),
    r"seccomp\.h": ("milter/memcached/confine.c",),
    r"sasl/.*": ("milter/memcached/",),
    r"microhttpd\.h": ("milter/metrics/http.c",),
    r"sodium\.h": ("milter/base/",),
    r"systemd/.*": ("milter/daemon/process.c",),
    r"zlib\.h": ("milter/maillog/file.c",),
    r"curses\.h|ncurses.*": ("milter/tarpitctl/",),
    r"jansson\.h": ("milter/control/", "milter/tarpitctl/", "milter/replay/", "milter/setup/"),
    r"uthash\.h": ("include/base/table.h",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def room_of(path):
    return path.parts[1]


def included(top, path, name):
    """The room of a header of ours; None for the build's config.h."""
    if (top / path.parent / name).exists():
        return room_of(path)
    return name.split("/")[0] if "/" in name else None


def look(top):
    """Yields (from, to) for each include between rooms, and (FILE, complaint) in a list."""
    arrows, complaints = collections.Counter(), []
    files = sorted(path.relative_to(top) for folder in ("milter", "include") for path in (top / folder).rglob("*.[ch]"))
    for path in files:
        here = room_of(path)
        if here not in ORDER:
            complaints.append((path, f"{here} is no room"))
            continue
        for ours, theirs in INCLUDE.findall((top / path).read_text()):
            there = included(top, path, ours) if ours else None
            if there in ORDER and there != here:
                arrows[here, there] += 1
                if ORDER.index(there) > ORDER.index(here):
                    complaints.append((path, f"{ours}: {here} may not know {there}"))
                elif not (top / "include" / ours).exists():
                    complaints.append((path, f"{ours} is private to {there}"))
            for library, places in SHUT_IN.items():
                if theirs and re.fullmatch(library, theirs) and not str(path).startswith(places):
                    complaints.append((path, f"<{theirs}> belongs to {' and '.join(places)}"))
    return arrows, complaints


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    arrows, complaints = look(top)
    for here in ORDER:
        print(f"{here} -> {' '.join(sorted((there for h, there in arrows if h == here), key=ORDER.index)) or 'nothing'}")
    for path, complaint in complaints:
        print(f"{path}: {complaint}")
    return 1 if complaints or not arrows else 0


if __name__ == "__main__":
    sys.exit(main())
