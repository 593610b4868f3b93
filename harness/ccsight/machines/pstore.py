"""What a kernel left in persistent storage when it died: see the kernel's Documentation/ABI/testing/pstore.

systemd-pstore(8) moves it from /sys/fs/pstore to a folder of its own. Nothing is deleted there: its owner may
want it, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import HostRefused
from ccsight.machines.model import Host
from ccsight.store import write_atomically

PLACES = ("/sys/fs/pstore", "/var/lib/systemd/pstore")
#: Files that are looked at, files that are taken, and bytes of each.
_SEEN, _TAKEN, _BYTES = 2000, 32, 1 << 20
#: What lies there: size, time of the last change, and name; a link is nobody's record.
_LIST = """
most=$1
shift
for place; do
	for file in "$place"/* "$place"/*/* "$place"/*/*/*; do
		[ -f "$file" ] && [ ! -L "$file" ] && stat -c '%s %Y %n' "$file"
	done
done | head -n "$most"
"""
_LINE = re.compile(r"(\d{1,12}) (-?\d{1,15}) (/[A-Za-z0-9._/+:-]{1,300})")


@dataclass(frozen=True, order=True)
class Left:
    """A file that lies there. The next crash may write another one of the same name."""

    file: str
    size: int
    changed: int

    @property
    def name(self) -> str:
        """What it is called here: ``pstore-NAME``, with the folder where systemd has put it into one."""
        place = next(place for place in PLACES if self.file.startswith(f"{place}/"))
        return "pstore-" + re.sub(r"[^A-Za-z0-9._-]+", "-", self.file.removeprefix(f"{place}/"))[-150:]


def left(host: Host, deadline: Deadline) -> frozenset[Left]:
    """Return what lies there now, as far as the host's user may see it. Raises HostRefused, HostLost."""
    done = host.run(["sh", "-c", _LIST, "sh", str(_SEEN), *PLACES], deadline, limit=1 << 20)
    if done.returncode:
        raise HostRefused(
            "what lies in persistent storage cannot be listed",
            evidence=done.stderr.decode(errors="replace")[-300:].strip(),
        )
    found = (_LINE.fullmatch(line) for line in done.text.splitlines())
    return frozenset(
        Left(match[3], int(match[1]), int(match[2]))
        for match in found
        if match and match[3].startswith(tuple(f"{place}/" for place in PLACES)) and "/../" not in match[3]
    )


def collected(host: Host, before: frozenset[Left], deadline: Deadline) -> Mapping[str, bytes]:
    """Return what was not there before, by name; of very much the first files, and their beginnings.

    Raises what says why that could not be read.
    """
    new = sorted(left(host, deadline) - before)
    found: dict[str, bytes] = {}
    for each in new[:_TAKEN]:
        done = host.run(["head", "-c", str(_BYTES), each.file], deadline, limit=_BYTES)
        if done.returncode == 0:
            found[each.name] = done.stdout
    if left_out := [each for each in new if each.size > len(found.get(each.name, b""))]:
        lines = (f"{each.size} bytes in {each.file}\n" for each in left_out)
        found["pstore-left-out"] = "".join(lines).encode()
    return found


def keep(found: Mapping[str, bytes], console: Path) -> tuple[Path, ...]:
    """Write what was collected beside a boot's console, and return where."""
    stem = console.name.removesuffix(".log")
    files = {console.with_name(f"{stem}.{name}.log"): content for name, content in found.items()}
    for path, content in files.items():
        write_atomically(path, content)
    return tuple(files)
