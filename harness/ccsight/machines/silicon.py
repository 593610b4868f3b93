"""The silicon table: rows of cores, and of machines made of them; from ``silicon.toml`` and the user's file.

    [core.NAME]      what the cache registers of a real core read, and the QEMU model that it is put on
    [machine.NAME]   cores, one a CPU; every core is also by itself a machine, of two CPUs
    [base.MODEL]     what a QEMU model has, as far as it decides what cores on it may say

The user's file has the same format. It adds rows, and replaces none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import msgspec

from ccsight.arm64.caches import Cache, Side, listed
from ccsight.arm64.silicon import Base, Core, SiliconMachine
from ccsight.arm64.silicon_rules import Breach, breaches, machine_breaches
from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError, reason
from ccsight.machines import silicon_rows
from ccsight.machines.silicon_rows import CoreRow, MachineRow, Rows

_SHIPPED = Path(__file__).with_name("silicon.toml")
#: What a text is called that is not in its file any more.
_KEPT = "the run's silicon table"
#: CPUs of a core that is a machine by itself.
_ALONE = 2
_SELECTORS = {
    cache.name: cache.selector for cache in (Cache(level, side) for level in range(1, 8) for side in Side)
}


@dataclass(frozen=True)
class Table:
    """All rows that there are, proved to obey the rules. ``text`` is the user's part, as it was read.

    ``machines`` has the machine rows, and each core by itself.
    """

    bases: Mapping[str, Base]
    cores: Mapping[str, Core]
    machines: Mapping[str, SiliconMachine]
    text: str = ""

    def machine(self, name: str, *, cpus: int | None = None, base: str | None = None) -> SiliconMachine:
        """Return a machine: with as many CPUs, where it is a core by itself, and on another QEMU model.

        Raises UsageError naming the nearest machine or base, or the rule that the other base breaks.
        """
        if name not in self.machines:
            raise UsageError(
                f"the silicon table has no {name!r}",
                evidence=nearest(name, self.machines),
                next_step="ccsight machines; rows of your own: --silicon FILE",
            )
        found = self.machines[name]
        if cpus is not None and name not in self.cores:
            raise UsageError(
                f"silicon:{name} takes no cpus=: its row names its CPUs",
                evidence=", ".join(core.name for core in found.cores),
                next_step="cpus=N is for a core by itself",
            )
        cores = found.cores if cpus is None else found.cores[:1] * cpus
        if base is not None:
            place = f"silicon:{name},base={base}"
            cores = tuple(self.checked(replace(core, base=base), place) for core in cores)
        return replace(found, cores=cores)

    def checked(self, core: Core, place: str) -> Core:
        """Return a core that breaks no rule. Raises UsageError that says where it stands."""
        if core.base not in self.bases:
            raise UsageError(
                f"{place}: nothing is known of the base {core.base!r}",
                evidence=nearest(core.base, self.bases),
                next_step=f"or say what QEMU's model has in a row [base.{core.base}] of your --silicon FILE",
            )
        _refuse(place, breaches(core, self.bases[core.base]))
        return core


@cache
def shipped() -> Table:
    """Return the table that comes with ccsight."""
    return _extended(Table({}, {}, {}), silicon_rows.read(_SHIPPED.read_text("utf-8"), _SHIPPED.name))


@cache
def table(text: str, file: str = _KEPT) -> Table:
    """Return the shipped table with the rows of a text. Raises UsageError naming ``file`` and the row."""
    return replace(_extended(shipped(), silicon_rows.read(text, file)), text=text)


def load(file: Path | None) -> Table:
    """Return the shipped table with the rows of the user's file, if any. Raises UsageError."""
    if file is None:
        return shipped()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the silicon table {file} cannot be read",
            evidence=reason(error),
            next_step="--silicon takes a file of rows; start from: ccsight machines show NAME --toml",
        ) from error
    return table(text, str(file))


def _extended(known: Table, rows: Rows) -> Table:
    _refuse_taken(known, rows)
    bases = {name: Base(name, **msgspec.structs.asdict(row)) for name, row in rows.base.items()}
    draft = replace(known, bases={**known.bases, **bases})
    new = {name: _core(draft, name, row, rows.place("core", name)) for name, row in rows.core.items()}
    cores = {**known.cores, **new}
    made = {
        name: _machine(cores, name, row, rows.place("machine", name)) for name, row in rows.machine.items()
    }
    alone = {name: SiliconMachine(name, core.title, (core,) * _ALONE) for name, core in new.items()}
    return replace(draft, cores=cores, machines={**known.machines, **made, **alone})


def _refuse_taken(known: Table, rows: Rows) -> None:
    """Refuse a name that means something already: ``silicon:NAME`` must mean one thing."""
    taken = known.machines.keys()
    clashes = {
        "core": rows.core.keys() & taken,
        "machine": rows.machine.keys() & (taken | rows.core.keys()),
        "base": rows.base.keys() & known.bases.keys(),
    }
    for kind, names in clashes.items():
        for name in sorted(names):
            raise UsageError(
                f"{rows.place(kind, name)} has the name of another row",
                evidence="" if kind == "base" else "a core is by itself a machine of its name",
                next_step="give it a name of its own",
            )


def _core(known: Table, name: str, row: CoreRow, place: str) -> Core:
    for given in row.ccsidr:
        if given not in _SELECTORS:
            raise UsageError(
                f"{place}: ccsidr has no cache {given!r}",
                evidence=nearest(given, _SELECTORS),
                next_step=silicon_rows.LEARN,
            )
    values = msgspec.structs.asdict(row)
    values["ccsidr"] = {_SELECTORS[given]: value for given, value in row.ccsidr.items()}
    core = known.checked(Core(name, **values), place)
    names = {each.name for each in listed(core.clidr)}
    for given in sorted(row.ccsidr.keys() - names):  # a selector has two names, such as L2 and L2D
        raise UsageError(
            f"{place}: clidr lists no {given}",
            evidence=f"clidr = {core.clidr:#x}: {nearest(given, sorted(names))}",
            next_step="take that size out, or look at clidr again: ccsight decode CLIDR_EL1 VALUE",
        )
    return core


def _machine(cores: Mapping[str, Core], name: str, row: MachineRow, place: str) -> SiliconMachine:
    for cpu in row.cpus:
        if cpu not in cores:
            raise UsageError(
                f"{place}: there is no core {cpu!r}",
                evidence=nearest(cpu, cores),
                next_step=silicon_rows.LEARN,
            )
    members = tuple(cores[cpu] for cpu in row.cpus)
    _refuse(place, machine_breaches(members))
    return SiliconMachine(name, row.title, members, row.note)


def _refuse(place: str, found: tuple[Breach, ...]) -> None:
    if found:
        rules = [f"{breach.key} = {breach.value}: {breach.rule} ({breach.demanded_by})" for breach in found]
        raise UsageError(
            f"{place} cannot be",
            evidence="\n".join(rules),
            next_step="no CPU has such registers: take the row from a dump of the real machine",
        )
