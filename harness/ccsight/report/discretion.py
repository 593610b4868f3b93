"""What a text for strangers leaves out: names of hosts and users, addresses, and where files lie.

A file keeps its own name: a patch's says what was tested. The suites and fragments of this project, and the
kernel's own /sys, /proc and /dev, are nobody's secret.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ccsight.evidence.plan import Plan
from ccsight.machines.registry import KINDS

Rule = tuple[re.Pattern[str], str]

_PUBLIC = ("suites/", "kconfigs/", "guests/", "/sys/", "/proc/", "/dev/")
#: What stands in a command: ``--silicon=``, ``tree:``, ``patch=``, and then a value.
_VALUE = re.compile(r"((?:--[a-z-]+=)?(?:[a-z-]+[:=](?!//))?)(.*)", re.DOTALL)
#: Options of which the value may hold a slash, and is no path.
_NO_PATHS = ("ref=", "revert=")
_IN_TEXT = re.compile(r"(?<![\w./~-])(?:~[\w.-]*|\.{0,2})/[^\s,;:'\"()\[\]]+")
_HOMES = re.compile(r"/home/([\w.-]+)")
_DOMAINS = "com|net|org|edu|gov|io|local|localdomain|lan|internal|intranet|corp|home|arpa|example|test"
#: Groups of an IPv6 address. Each rule begins where no word goes on, so that a long one is looked at once.
_GROUPS = r"[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*"
_RULES: tuple[Rule, ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\b[a-z][a-z+]*://[^\s,]+", "URL"),
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*", "USER@HOST"),
        (r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])", "ADDRESS"),
        (r"(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])", "ADDRESS"),
        (r"(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])", "ADDRESS"),
        (rf"(?<![\w:])(?:{_GROUPS})?::(?:{_GROUPS})?(?![\w:])", "ADDRESS"),
        (rf"(?<![\w.-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})(?![\w-])", "HOST"),
    )
)


@dataclass(frozen=True)
class Discretion:
    """What to say instead of what; with nothing in it, everything is said."""

    names: tuple[Rule, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, plan: Plan, here: Iterable[str] = ()) -> "Discretion":
        """Return that for a run's texts; ``here`` are names of this host and its user."""
        instead = dict(_instead(plan))
        known = set(re.findall(r"[\w-]+", " ".join((*instead.values(), *KINDS))))
        users = {*here, *(name for text in (*instead, *plan.argv) for name in _HOMES.findall(text))}
        said = [(re.compile(re.escape(text)), name) for text, name in instead.items()]
        private = [re.compile(rf"\b{re.escape(name)}\b") for name in sorted(users - known) if len(name) > 1]
        return cls((*said, *((name, "NAME") for name in private)), _RULES)

    def text(self, said: str) -> str:
        """Return what was said without what is nobody's business."""
        if not self.rules:
            return said
        for pattern, instead in self.names:
            said = pattern.sub(instead.replace("\\", r"\\"), said)
        for pattern, instead in self.rules:
            said = pattern.sub(instead, said)
        return _IN_TEXT.sub(lambda found: file_name(found[0]), said)

    def command(self, argv: Iterable[str]) -> list[str]:
        """Return the words of a command; files have their names, so that who has them can repeat it."""
        return [self.text(_no_folders(word)) if self.rules else word for word in argv]


def _instead(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield what kernels and machines are called, the longest first, and what to call them instead."""
    kernels = {name for kernel in plan.kernels for name in (kernel.spec, kernel.pin, kernel.label)}
    called = {name: _no_folders(name) for name in kernels if name}
    for number, machine in enumerate(plan.machines, 1):
        is_host = re.split("[:,]", machine)[0] not in KINDS
        called[machine] = f"machine-{number}" if is_host else machine
    others = ((name, instead) for name, instead in called.items() if name != instead)
    yield from sorted(others, key=lambda pair: -len(pair[0]))


def _no_folders(word: str) -> str:
    """Return a word of a command, or a spec, with paths cut to their last part."""
    if " " in word and not re.match(r"(--[a-z-]+=)?([a-z-]+:)?[~./]", word):
        return word  # a predicate: a slash in it is no folder, or one that is found in any text
    return ",".join(_cut(part) for part in word.split(","))


def _cut(part: str) -> str:
    key, value = _VALUE.fullmatch(part).groups()  # type: ignore[union-attr]
    if "://" in value or key.endswith(_NO_PATHS) or not ("/" in value or value.startswith("~")):
        return part
    return f"{key}{file_name(value)}"


def file_name(path: str) -> str:
    """Return the last part of a path, but not a user's name for a home; what is public as it is."""
    if path.startswith(_PUBLIC):
        return path
    folders, _, name = path.rstrip("/").rpartition("/")
    is_home = folders == "/home" or (not folders and name.startswith("~")) or path.rstrip("/") == "/root"
    return "HOME" if is_home or not name else name
