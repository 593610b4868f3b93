"""The rows of a silicon table as TOML has them: read strictly, and written to start from.

Whether a row makes sense is asked elsewhere; here it only has the right form.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from ccsight.arm64.caches import listed
from ccsight.arm64.silicon import Core, SiliconMachine
from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.record import Hex
from ccsight.evidence.toml import R, Reader, Row, quoted

#: A name is part of a machine's spec, where a comma begins an option.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
LEARN = "see how a row is written: ccsight machines show cortex-a72 --toml"

#: ID_AA64MMFR2_EL1.EVT: 3 and above are reserved.
_Evt = Annotated[int, msgspec.Meta(ge=0, le=2)]


class CoreRow(Row, frozen=True, kw_only=True):
    """``[core.NAME]``."""

    title: str
    base: str
    midr: Hex
    revidr: Hex | None = None
    shows_midr: bool = True
    ctr: Hex
    clidr: Hex
    ccsidr: dict[str, Hex]
    ccidx: bool = False
    evt: _Evt = 0
    dczid: Hex | None = None
    values: Literal["published", "computed", "partial"]
    source: str


class MachineRow(Row, frozen=True, kw_only=True):
    """``[machine.NAME]``."""

    title: str
    cpus: tuple[str, ...]
    note: str = ""


class BaseRow(Row, frozen=True, kw_only=True):
    """``[base.MODEL]``."""

    aarch32: bool
    vhe: bool
    ccidx: bool
    mte: bool
    fwb: bool
    evt: _Evt
    dczid: Hex = Hex(4)


@dataclass(frozen=True)
class Rows:
    """All rows of one text, by name, and what to call the text."""

    file: str
    core: Mapping[str, CoreRow]
    machine: Mapping[str, MachineRow]
    base: Mapping[str, BaseRow]

    def place(self, kind: str, name: str) -> str:
        """Return where a row stands."""
        return f"{self.file}: [{kind}.{name}]"


_KINDS = ("core", "machine", "base")


def read(text: str, file: str) -> Rows:
    """Return the rows of a text. Raises UsageError naming ``file``, the row, and the nearest key."""
    reader = Reader(file, LEARN)
    document = reader.document(text)
    for kind in document:
        if kind not in _KINDS:
            raise UsageError(
                f"{file}: [{kind}] is no kind of row", evidence=nearest(kind, _KINDS), next_step=LEARN
            )
    return Rows(
        file,
        core=dict(_rows(reader, document, "core", CoreRow)),
        machine=dict(_rows(reader, document, "machine", MachineRow)),
        base=dict(_rows(reader, document, "base", BaseRow)),
    )


def _rows(
    reader: Reader, document: Mapping[str, object], word: str, kind: type[R]
) -> Iterator[tuple[str, R]]:
    rows = document.get(word, {})
    if not isinstance(rows, dict):
        raise UsageError(f"{reader.file}: {word} is not a table of rows", next_step=f"write [{word}.NAME]")
    for name, row in rows.items():
        place = f"{reader.file}: [{word}.{name}]"
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{place} has a name that cannot be part of a spec", next_step="use a-z, 0-9, dots and dashes"
            )
        yield name, reader.row(row, kind, place)


def write(machine: SiliconMachine, prefix: str) -> str:
    """Return a machine's rows as TOML; every name begins with ``prefix``, so that it is a new one."""
    cores = {core.name: core for core in machine.cores}
    parts = [_core(core, prefix) for core in cores.values()]
    if machine.name not in cores:
        names = ", ".join(quoted(prefix + core.name) for core in machine.cores)
        note = [f"note = {quoted(machine.note)}"] if machine.note else []
        head = [f"[machine.{prefix}{machine.name}]", f"title = {quoted(machine.title)}", f"cpus = [{names}]"]
        parts.append("\n".join([*head, *note]))
    return "\n\n".join(parts) + "\n"


def _core(core: Core, prefix: str) -> str:
    sizes = [f"{cache.name} = {_hexed(core.ccsidr[cache.selector])}" for cache in listed(core.clidr)]
    optional = [
        *([f"revidr = {_hexed(core.revidr)}"] if core.revidr is not None else []),
        *(["shows_midr = false"] if not core.shows_midr else []),
        *(["ccidx = true"] if core.ccidx else []),
        *([f"evt = {core.evt}"] if core.evt else []),
        *([f"dczid = {_hexed(core.dczid)}"] if core.dczid is not None else []),
    ]
    return "\n".join(
        [
            f"[core.{prefix}{core.name}]",
            f"title = {quoted(core.title)}",
            f"base = {quoted(core.base)}",
            f"midr = {_hexed(core.midr)}",
            f"ctr = {_hexed(core.ctr)}",
            f"clidr = {_hexed(core.clidr)}",
            f"ccsidr = {{ {', '.join(sizes)} }}",
            *optional,
            f"values = {quoted(core.values)}",
            f"source = {quoted(core.source)}",
        ]
    )


def _hexed(value: int) -> str:
    return f'"{value:#010x}"'
