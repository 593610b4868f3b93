"""The memory that ccsight shares with the plugin: what each CPU's registers are to read, how often they were.

It is nowhere on a disk, and stays readable after QEMU has ended, whatever ended it.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any

from ccsight import cdata
from ccsight.arm64.registers import SELECTORS, ccsidr
from ccsight.arm64.silicon import Core
from ccsight.errors import BootError
from ccsight.evidence.model import Declared
from ccsight.evidence.record import Hex, Record, to_json
from ccsight.machines.tcg_plugin import SOURCES, option

_TABLE = "struct silicon_table"
#: What every kernel reads on every CPU as it starts: without a hit, the plugin did not work there.
_ALWAYS_READ = ("CTR_EL0", "MIDR_EL1")


@cache
def places() -> dict[str, int]:
    """Return the place of each reading in the table's arrays, whose order table.h gives."""
    named = ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", "DCZID_EL0", "MIDR_EL1", "REVIDR_EL1")
    rows = {"CCSIDR_EL1": ccsidr, "CCSIDR2_EL1": "CCSIDR2_EL1[{}]".format}
    return {name: _constant(name) for name in named} | {
        title(selector): _constant(name) + selector for name, title in rows.items() for selector in SELECTORS
    }


def _constant(name: str) -> int:
    return cdata.constant(layout(), f"SILICON_{name}")


def layout() -> Any:  # noqa: ANN401 - C's types are not Python's
    """Return what table.h declares; a process that makes no table never reads it."""
    return cdata.declarations(SOURCES / "table.h")


class Site(Record, frozen=True):
    """An MRS instruction that was met: where, what, how often its value was overridden.

    ``ended_block`` is whether it was the last instruction of a block that QEMU translated.
    """

    pc: Hex
    insn: Hex
    hits: int
    ended_block: bool


class Met(Record, frozen=True):
    """All that the plugin reports of one boot; ``strays`` are reads whose end it lost track of."""

    sites_met: int
    strays: int
    sites: tuple[Site, ...]


class Overrides:
    """The shared table of one boot: one core for each CPU, or none at all.

    ``argv`` are QEMU's options for it, ``descriptors`` what QEMU must inherit.
    """

    def __init__(self, cores: Sequence[Core], plugin: Path | None) -> None:
        self._cores = tuple(cores)
        self._fd = os.memfd_create("silicon")
        os.ftruncate(self._fd, cdata.size_of(layout(), _TABLE))
        self.table = cdata.laid_over(layout(), _TABLE, mmap(self._fd, 0))
        self.table.cpus = len(self._cores)
        for core, cpu in zip(self._cores, self.table.cpu, strict=False):
            for name, override in core.overrides().items():
                place = cpu.registers[places()[name]]
                place.value, place.mask = override.value, override.mask
        self.table.magic = _constant("MAGIC")

        self.descriptors = (self._fd,)
        self.argv = ("-plugin", f"{option(plugin)},table=/proc/self/fd/{self._fd}") if plugin else ()

    def __enter__(self) -> "Overrides":
        return self

    def __exit__(self, *what: object) -> None:
        os.close(self._fd)

    def declared(self) -> tuple[Declared, ...]:
        """Return what each CPU is made to say, and how often it has said so."""
        return tuple(self._declared(number, core) for number, core in enumerate(self._cores))

    def _declared(self, number: int, core: Core) -> Declared:
        hits = self.table.cpu[number].hits
        return Declared(
            cpu=number,
            core=core.title,
            values=core.values,
            source=core.source,
            registers={name: Hex(value) for name, value in core.declared().items()},
            hits={name: int(hits[places()[name]]) for name in core.overrides()},
        )

    def papers(self) -> dict[str, bytes]:
        """Return the plugin's report as a file of the run."""
        return {"silicon.json": to_json(self.met())} if self._cores else {}

    def met(self) -> Met:
        """Return every MRS that the plugin met, in the order in which it met them."""
        return Met(
            sites_met=int(self.table.sites_met), strays=int(self.table.strays), sites=tuple(self._sites())
        )

    def _sites(self) -> Iterator[Site]:
        room = _constant("SITES")
        for number in range(min(room, int(self.table.sites_met))):
            site = self.table.sites[number]
            yield Site(
                pc=Hex(site.pc), insn=Hex(site.insn), hits=int(site.hits), ended_block=bool(site.ended_block)
            )

    def prove(self, machine: str) -> None:
        """Raise BootError unless the plugin works on every CPU of a booted machine, and lost no read."""
        if self.table.loaded != len(self._cores) or self.table.strays:
            raise BootError(
                f"{machine}: the plugin that gives the CPUs their registers does not work",
                evidence=f"it found {self.table.loaded} of {len(self._cores)} CPUs and lost "
                f"{self.table.strays} reads",
            )
        for declared in self.declared():
            silent = [name for name in _ALWAYS_READ if declared.hits.get(name) == 0]
            if silent:
                raise BootError(
                    f"{machine}: CPU {declared.cpu} has started without reading its {', '.join(silent)}",
                    evidence=f"overridden reads: {declared.hits}",
                )
