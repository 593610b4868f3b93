"""How good guesses are: each core of the silicon table as sysfs would show it, against its registers. Pure.

The truth is what the reference model says that a guest of Linux up to v6.2 read on that CPU.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ccsight.arm64.caches import Side, geometry, listed
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, SELECTORS, base_name, ccsidr
from ccsight.arm64.silicon import Base, Core, SiliconMachine
from ccsight.evidence.views import PINNED, Vantage, View
from ccsight.kvm import model
from ccsight.kvm.guess import guess
from ccsight.kvm.guess_table import fields_of
from ccsight.kvm.guesses import Guess, Leaf, Seen, Sure
from ccsight.kvm.hosts import whole
from ccsight.kvm.physical import Physical, PhysicalCpu

#: From the caches of a CPU to those that firmware tells the kernel of.
Firmware = Callable[[tuple[Leaf, ...]], tuple[Leaf, ...]]

#: Caches that firmware adds to those of CLIDR_EL1, by core: Graviton's system cache is in its PPTT, so that
#: what is made of sysfs has a third level. The sizes are right (32M, 32M, 36M), ways and sets made up.
OUTER = {
    "graviton2": (Leaf(3, Side.UNIFIED, line=64, ways=16, sets=32768),),
    "graviton3": (Leaf(3, Side.UNIFIED, line=64, ways=16, sets=32768),),
    "graviton4": (Leaf(3, Side.UNIFIED, line=64, ways=12, sets=49152),),
}
#: Fields that are one line of the table: seven of each say the same.
_GROUPS = ("Ctype", "Ttype")


@dataclass(frozen=True)
class Trial:
    """A field of a register of a core: what was guessed, and what is true (None: no such register)."""

    core: str
    guess: Guess
    truth: int | None

    @property
    def outcome(self) -> str:
        """``right``, ``wrong`` or ``unknown``."""
        if self.guess.value is None:
            return "unknown"
        return "right" if self.guess.value == self.truth else "wrong"


@dataclass(frozen=True)
class Score:
    """How often a kind of field was guessed right, wrong or not at all, and where it was wrong."""

    field: str
    right: int
    wrong: int
    unknown: int
    wrong_on: tuple[str, ...]
    wrong_but_known: tuple[str, ...]


def trials(
    machine: SiliconMachine, base: Base, *, with_table: bool, firmware: Firmware = tuple
) -> tuple[Trial, ...]:
    """Return the trials of each core of a machine; ``with_table`` lets the guess look into its own row.

    ``firmware`` makes of the caches that there are those that it tells the kernel of.
    """
    host = _host(machine)
    found: list[Trial] = []
    for number, core in enumerate(machine.cores):
        if core.name in {trial.core for trial in found}:
            continue
        truth = _truth(core, host, number)
        seen = seen_of(core, base, host)
        told = replace(seen, leaves=firmware(seen.leaves or ()))
        guesses = guess(told, core if with_table else None)
        # What was not guessed, and is not there, is neither right nor wrong: Graviton's third level.
        asked = [each for each in guesses if each.value is not None or each.place in truth]
        found += [Trial(core.name, each, truth.get(each.place)) for each in asked]
    return tuple(found)


def scores(found: Iterable[Trial]) -> tuple[Score, ...]:
    """Return a score for each kind of field, in the order of the registers."""
    kinds: dict[str, list[Trial]] = {}
    for trial in found:
        kinds.setdefault(_kind(trial.guess), []).append(trial)
    return tuple(_score(kind, rows) for kind, rows in kinds.items())


def _score(kind: str, rows: list[Trial]) -> Score:
    count = {word: sum(row.outcome == word for row in rows) for word in ("right", "wrong", "unknown")}
    wrong = [row for row in rows if row.outcome == "wrong"]
    known = [row for row in wrong if row.guess.sure is Sure.KNOWN]
    names = (tuple(dict.fromkeys(row.core for row in part)) for part in (wrong, known))
    return Score(kind, count["right"], count["wrong"], count["unknown"], *names)


def _kind(each: Guess) -> str:
    name = next((group for group in _GROUPS if each.field.startswith(group)), "")
    return f"{base_name(each.register)}.{f'{name}1-7' if name else each.field}"


def seen_of(core: Core, base: Base, host: Physical) -> Seen:
    """Return what userspace would see of a core under a kernel since v6.11, on a host whose log is known.

    An untrapped guest reads the CPU's own CTR_EL0 where there is FEAT_EVT (c876c3f182a5, v6.5).
    """
    own = tuple(
        Leaf(cache.level, cache.side, shape.line, shape.ways, shape.sets)
        for cache in listed(core.clidr)
        for shape in (geometry(core.ccsidr[cache.selector], core.layout),)
    )
    return Seen(
        midr=core.midr,
        leaves=own + OUTER.get(core.name, ()),
        kept_ctr=host.ctr,
        raw_ctr=core.ctr if core.evt and not host.mismatched else None,
        features=int(base.fwb) << 40,
        mismatched=host.mismatched,
        mte=False,
        alike=len({cpu.midr for cpu in host.cpus}) == 1,
    )


def _host(machine: SiliconMachine) -> Physical:
    cpus = tuple(
        PhysicalCpu(number, core.name, core.midr, core.revidr or 0, "declared", whole(core.declared()))
        for number, core in enumerate(machine.cores)
    )
    return Physical(cpus, told={}, features=None)


def _truth(core: Core, host: Physical, number: int) -> dict[str, int]:
    """Return each field that a guest read on that CPU under Linux up to v6.2, by place."""
    view = View(vantage=Vantage.GUEST, vcpu=0, program="sweep", phase=PINNED, readings={}, cpu=number)
    shown = {name: answers[0].value for name, answers in model.native(host, view).items()}
    registers = {"CTR_EL0": CTR_EL0, "CLIDR_EL1": CLIDR_EL1}
    registers |= {ccsidr(selector): core.layout.register for selector in SELECTORS}
    found = {"ID_AA64MMFR2_EL1.CCIDX": fields_of(core)["ID_AA64MMFR2_EL1.CCIDX"]}
    for name, register in registers.items():
        value = shown.get(name)
        if value is not None:
            found |= {f"{name}.{each.name}": each.extract(value) for each in register.fields}
    return found
