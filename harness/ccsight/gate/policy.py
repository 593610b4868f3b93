"""What a policy asks for, as values; ``policy_file`` reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ccsight.arm64.parts import core_name
from ccsight.arm64.registers import base_name
from ccsight.checks.predicates import Predicate
from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Capture, Substrate
from ccsight.evidence.plan import Plan
from ccsight.gate.waivers import Waiver

#: From the most that evidence can be worth to nothing; UNKNOWN counts as no evidence whatever is asked.
WORTH = (Substrate.METAL, Substrate.VIRTUAL, Substrate.EMULATED, Substrate.UNKNOWN)


@dataclass(frozen=True)
class KernelName:
    """A kernel by a spec, a label, or its build-id."""

    text: str
    build_id: str = ""

    def among(self, plan: Plan, build_ids: Mapping[str, frozenset[str]]) -> str:
        """Return the spec that it has in a run, "" where it has none.

        ``build_ids`` are those that were observed of each spec; it is enough that one cell showed it.
        """
        for kernel in plan.kernels:
            named = self.text in (kernel.spec, kernel.label, kernel.pin)
            built = self.build_id and any(
                each.startswith(self.build_id) for each in build_ids.get(kernel.spec, ())
            )
            if built or (named and not self.build_id):
                return kernel.spec
        return ""


@dataclass(frozen=True)
class Member:
    """A type of machine of the fleet: which machines of a run are of it.

    Those with one of ``specs``; or those whose CPUs are of exactly these ``cores``, by name or MIDR_EL1.
    ``substrate`` is the least that its evidence has to be from.
    """

    name: str
    specs: tuple[str, ...]
    cores: tuple[str, ...]
    substrate: Substrate

    def has(self, machine: str, captures: Mapping[str, Capture]) -> bool:
        """Tell whether a machine is of it, given its captures."""
        if {machine, _without_leave(machine)} & set(self.specs):
            return True
        return bool(self.cores and captures) and all(self._is(capture) for capture in captures.values())

    def _is(self, capture: Capture) -> bool:
        names = [{core_name(cpu.midr), f"{cpu.midr:#x}"} for cpu in capture.machine.cpus]
        wanted = set(self.cores)
        return all(wanted & each for each in names) and all(
            any(core in each for each in names) for core in wanted
        )

    def takes(self, substrate: Substrate) -> bool:
        """Tell whether evidence from such a machine is enough."""
        known = substrate is not Substrate.UNKNOWN
        return known and WORTH.index(substrate) <= WORTH.index(self.substrate)


def _without_leave(machine: str) -> str:
    """Return the spec of a real machine without its options, which say how it may be had, not what it is."""
    return machine if ":" in machine else machine.partition(",")[0]


@dataclass(frozen=True)
class Demand:
    """Which outcomes are accepted of something; ``fields`` has those that single fields may have instead.

    Where ``vmms`` or ``strategies`` are named, no others count. What is not ``asked`` is not judged.
    """

    accepted: frozenset[str]
    fields: Mapping[str, frozenset[str]]
    vmms: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    asked: bool = True

    def accepts(self, subject: str, word: str) -> bool:
        """Tell whether a field may end so."""
        return word in self.accepted or any(
            word in words for field, words in self.fields.items() if covers(field, subject)
        )


def covers(field: str, subject: str) -> bool:
    """Tell whether what is said of a field is said of a subject, too.

    A register stands for its fields, ``CCSIDR_EL1`` for each of its readings; a field never for all of it.
    """
    register, _, part = subject.partition(".")
    named, _, named_part = field.partition(".")
    return named in (register, base_name(register)) and named_part in ("", part)


@dataclass(frozen=True)
class Wanted:
    """What evidence has to be: from how many boots in runs of their own, how many days old at most.

    ``control`` asks for a run in which a check noticed the fault that was seeded for it.
    """

    observations: int
    max_age: int
    control: bool


@dataclass(frozen=True)
class Policy:
    """All that a policy asks for. No ``laws`` means every one that a usual run judges, and all it planned."""

    file: str
    old: KernelName
    new: KernelName
    fleet: tuple[Member, ...]
    wanted: Wanted
    laws: tuple[str, ...]
    predicates: tuple[Predicate, ...]
    demands: Mapping[Kind, Demand]
    baseline: bool
    waivers: tuple[Waiver, ...]

    def asks(self, kind: Kind) -> bool:
        """Tell whether something is asked for."""
        demand = self.demands.get(kind)
        return demand is not None and demand.asked
