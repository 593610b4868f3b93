"""The caches that sysfs shows, from a folder: this machine's /sys/devices/system/cpu, or a copy of another's.

Files that are not there say nothing; one that says what sysfs never says is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ccsight.arm64.caches import Side
from ccsight.errors import UsageError, reason
from ccsight.kvm.guesses import Leaf

_CPU = re.compile(r"cpu([0-9]{1,4})")
_INDEX = re.compile(r"index[0-9]{1,2}")
_TYPES = {"Data": Side.DATA, "Instruction": Side.INSTRUCTION, "Unified": Side.UNIFIED}
_LIMIT = 256
_LEVELS = 7
_WANTED = "give /sys/devices/system/cpu, or a copy of it: cp -rL may complain, and copies enough"


def leaves(folder: Path) -> dict[int, tuple[Leaf, ...]]:
    """Return the caches of each CPU that has a cache folder. Raises UsageError where none has one."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", next_step=_WANTED)
    found = {}
    for cpu in sorted(folder.glob("cpu*")):
        matched = _CPU.fullmatch(cpu.name)
        if matched and (cpu / "cache").is_dir():
            found[int(matched[1])] = tuple(_leaves(cpu / "cache"))
    if not found:
        raise UsageError(
            f"{folder} has no CPU with a cache folder",
            next_step=_WANTED,
        )
    return found


def _leaves(cache: Path) -> Iterator[Leaf]:
    for index in sorted(cache.iterdir()):
        if not _INDEX.fullmatch(index.name):
            continue
        kind, level = _text(index / "type"), _number(index / "level")
        if kind not in _TYPES or level is None or level > _LEVELS:
            raise UsageError(
                f"{index} is no cache as sysfs shows one",
                evidence=f"level {level}, type {kind!r}",
                next_step=_WANTED,
            )
        yield Leaf(
            level=level,
            side=_TYPES[kind],
            line=_number(index / "coherency_line_size"),
            ways=_number(index / "ways_of_associativity"),
            sets=_number(index / "number_of_sets"),
            shared=_text(index / "shared_cpu_list"),
        )


def _number(file: Path) -> int | None:
    """Return a file's number; None where there is no such file, or 0, which stands for: not known."""
    text = _text(file)
    if text and not text.isdecimal():
        raise UsageError(f"{file} has no number", evidence=repr(text), next_step=_WANTED)
    return int(text or 0) or None


def _text(file: Path) -> str:
    try:
        with file.open(encoding="ascii", errors="replace") as content:
            return content.read(_LIMIT).strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"{file} cannot be read", evidence=reason(error), next_step=_WANTED) from error
