"""What a spec adds to a kernel, taken apart: each patch of a series, each option of a fragment, by itself.

The parts lie in the cache under their content, so a spec made of them means the same forever.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ccsight.kernels import kconfig, machine_config, mbox
from ccsight.paths import cache_dir
from ccsight.store import explain, write_atomically

_HEAD = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"


@dataclass(frozen=True)
class Part:
    """One addition: the option of a spec that makes it, and what people call it."""

    option: tuple[str, str]
    title: str


def parts(option: tuple[str, str]) -> tuple[Part, ...]:
    """Return what an option of a spec adds, in its order. Raises UsageError for a file that is none."""
    key, value = option
    split = _SPLIT.get(key)
    return tuple(split(value)) if split else (Part(option, f"{key}={value}"),)


def _patches(value: str) -> Iterator[Part]:
    for patch in mbox.read(Path(value).expanduser()).patches:
        head = f"{_HEAD}Subject: [PATCH] {patch.subject}\n\n---\n"
        yield Part(("patch", _kept(head.encode() + patch.diff, "patch")), patch.subject)


def _options(value: str) -> Iterator[Part]:
    if value.startswith(machine_config.PREFIX):  # it says what all else is on top of: it is one thing
        yield Part(("kconfig", value), f"the configuration of {value.removeprefix(machine_config.PREFIX)}")
        return
    for option in kconfig.parse(kconfig.find(value)).options:
        marks = [word for word in ("optional", "override") if getattr(option, word)]
        said = f"{', '.join(marks)}: {option.reason}" if marks else option.reason
        line = f"CONFIG_{option.name}={option.value}"
        yield Part(("kconfig", _kept(f"{line}{f'  # {said}' if said else ''}\n".encode(), "config")), line)


_SPLIT: dict[str, Callable[[str], Iterator[Part]]] = {"patch": _patches, "kconfig": _options}


def _kept(content: bytes, kind: str) -> str:
    place = cache_dir() / "parts" / f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, place.parent) from error
    if not place.is_file():
        write_atomically(place, content)
    return str(place)
