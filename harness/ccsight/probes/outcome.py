"""What came of the steps of a script: one result for each, strictly from what ``ccprobe script`` sent of it.

Complete or not at all: every register that a step reads, every line that belongs to it, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading
from ccsight.probes.stream import Line
from ccsight.probes.sweep import regs_readings
from ccsight.probes.views import READINGS, guest_body, guest_stream, userspace_reading

#: How a run of a vCPU ends: the guest gives control back, turns the machine off, resets it, or the vCPU is
#: powered off (PSCI CPU_OFF, or KVM_ARM_VCPU_INIT with ``off``), so that KVM does not let it run.
GIVEN_BACK, OFF, RESET, PARKED = "given-back", "off", "reset", "parked"


@dataclass(frozen=True)
class Did:
    """A step that has just to be done: where it cannot be, there are no results at all."""


@dataclass(frozen=True)
class Initialised:
    """KVM_ARM_VCPU_INIT; ``problem`` is the errno's name, "" when it was accepted."""

    problem: str


@dataclass(frozen=True)
class Checked:
    """KVM_CHECK_EXTENSION: 0 for a capability that is not there, else what it says of it."""

    says: Reading


@dataclass(frozen=True)
class Given:
    """KVM_ENABLE_CAP; ``problem`` is the errno's name, "" when the VM, or the vCPU, has it now."""

    problem: str


@dataclass(frozen=True)
class Got:
    """KVM_GET_ONE_REG of each of ``READINGS``, in their order."""

    readings: dict[str, Reading]


@dataclass(frozen=True)
class GotId:
    """KVM_GET_ONE_REG of any id; of one that is longer than 8 bytes the first 8."""

    reading: Reading


@dataclass(frozen=True)
class Listed:
    """KVM_GET_REG_LIST, in KVM's order; nothing where it was refused, for ``problem``."""

    problem: str
    ids: tuple[Hex, ...]


@dataclass(frozen=True)
class Wrote:
    """KVM_SET_ONE_REG, what KVM_GET_ONE_REG of the same id says then, and what else has moved meanwhile.

    ``moved`` has those of ``READINGS``, of all initialised vCPUs of the VM, that are not what they were
    before the write, by ``vCPU 1 CLIDR_EL1``: the same form as in ``Write.moved``.
    """

    problem: str
    after: Reading
    moved: dict[str, Reading]


@dataclass(frozen=True)
class Ran:
    """A run of a vCPU: how it ended, and what the guest said meanwhile.

    ``el1`` and ``el0`` are the readings of a guest that sends them as ``sweep`` does, else empty. ``said``
    are the guest's other lines, without that which names its vCPU; ``values`` what it wrote to BOARD_VALUE.
    """

    end: str
    el1: dict[str, Reading]
    el0: dict[str, Reading]
    values: tuple[Hex, ...]
    said: tuple[Line, ...]


@dataclass(frozen=True)
class Arrived:
    """What did not arrive of a state that was restored, by vCPU and id.

    ``unlisted`` are those that KVM_GET_REG_LIST lacks here, ``refused`` has the errno of KVM_SET_ONE_REG, and
    ``differs`` what KVM_GET_ONE_REG says afterwards of those that do not read as they were saved.
    """

    unlisted: frozenset[tuple[int, int]]
    refused: dict[tuple[int, int], str]
    differs: dict[tuple[int, int], Reading]


@dataclass(frozen=True)
class Block:
    """All that was sent of one step: lines before its result, and the result."""

    before: Sequence[Line]
    result: Line

    def of(self, *kinds: str) -> list[Line]:
        """Return the lines before the result. Raises ProbeError when one is of another kind than these."""
        for line in self.before:
            if line.kind not in kinds:
                line.refuse("does not belong to the step behind it")
        return list(self.before)

    def keys(self, *expected: str) -> None:
        """Raise ProbeError unless the result has exactly these keys behind those that every result has."""
        self.result.keys("step", "what", *expected)

    def problem(self, *otherwise: str) -> str:
        """Return the errno of a result that has either that or the other keys, "" where it has these."""
        if "errno" not in self.result.values:
            self.keys(*otherwise)
            return ""
        self.keys("errno")
        return self.result.errno()


def did(block: Block) -> Did:
    """Read a step that was just done."""
    block.of()
    block.keys()
    return Did()


def initialised(block: Block) -> Initialised:
    """Read ``init``."""
    block.of()
    return Initialised(block.problem())


def checked(block: Block) -> Checked:
    """Read ``check``."""
    block.of()
    problem = block.problem("says")
    return Checked(Reading(problem=problem) if problem else Reading(value=Hex(block.result.count("says"))))


def given(block: Block) -> Given:
    """Read ``cap`` or ``vcpucap``."""
    block.of()
    return Given(block.problem())


def got(block: Block) -> Got:
    """Read ``get``."""
    block.of()
    block.keys("values")
    readings = [userspace_reading(item, "values") for item in block.result.items("values")]
    if len(readings) != len(READINGS):
        block.result.refuse(f"has {len(readings)} values, not {len(READINGS)}")
    return Got(dict(zip(READINGS, readings, strict=True)))


def got_id(block: Block) -> GotId:
    """Read ``getid``."""
    block.of()
    block.keys("value")
    return GotId(userspace_reading(block.result, "value"))


def listed(block: Block, vcpu: int) -> Listed:
    """Read ``list``."""
    problem = block.problem("count")
    ids: list[Hex] = []
    for line in block.of("ids"):
        line.keys("vcpu", "at", "ids")
        if (line.count("vcpu"), line.count("at")) != (vcpu, len(ids)):
            line.refuse("is not the next piece of its list")
        ids += [item.hex("ids") for item in line.items("ids")]
    count = 0 if problem else block.result.count("count")
    if len(ids) != count or len(set(ids)) != len(ids):
        block.result.refuse(f"stands behind {len(ids)} ids, {len(set(ids))} of them different")
    return Listed(problem, tuple(ids))


def wrote(block: Block) -> Wrote:
    """Read ``set`` or ``setbad``."""
    problem = ("errno",) if "errno" in block.result.values else ()
    block.keys(*problem, "after")
    moved: dict[str, Reading] = {}
    for line in block.of("moved"):
        line.keys("vcpu", "name", "value")
        name = f"vCPU {line.count('vcpu')} {line.values['name']}"
        if line.values["name"] not in READINGS or name in moved:
            line.refuse("is about a register that nobody looks at, or about one twice")
        moved[name] = userspace_reading(line, "value")
    return Wrote(block.result.errno() if problem else "", userspace_reading(block.result, "after"), moved)


def arrived(block: Block) -> Arrived:
    """Read ``restore``."""
    block.keys()
    unlisted: set[tuple[int, int]] = set()
    refused: dict[tuple[int, int], str] = {}
    differs: dict[tuple[int, int], Reading] = {}
    for line in block.of("unlisted", "refused", "differs"):
        place = line.count("vcpu"), line.hex("id")
        if line.kind == "unlisted":
            line.keys("vcpu", "id")
            unlisted.add(place)
        elif line.kind == "refused":
            line.keys("vcpu", "id", "errno")
            refused[place] = line.errno()
        else:
            line.keys("vcpu", "id", "value")
            differs[place] = userspace_reading(line, "value")
    return Arrived(frozenset(unlisted), refused, differs)


def ran(block: Block, vcpu: int, program: str) -> Ran:
    """Read ``run`` of a vCPU with the guest ``program``."""
    block.keys("end")
    if block.result.values["end"] not in (GIVEN_BACK, OFF, RESET, PARKED):
        block.result.refuse("ends in a way that there is not")
    values: list[Hex] = []
    spoken: list[Line] = []
    for line in block.of("guest", "value"):
        if line.values.get("vcpu") != str(vcpu):
            line.refuse(f"is not from vCPU {vcpu}")
        if line.kind == "guest":
            spoken.append(line)
            continue
        line.keys("vcpu", "value")
        values.append(line.hex("value"))
    el1, el0, said = _heard(spoken, vcpu, program, block.result)
    return Ran(block.result.values["end"], el1, el0, tuple(values), said)


def _heard(
    spoken: list[Line], vcpu: int, program: str, result: Line
) -> tuple[dict[str, Reading], dict[str, Reading], tuple[Line, ...]]:
    """Read the guest's own stream, where it sent one."""
    if not spoken:
        return {}, {}, ()
    step = result.values["step"]
    stream = guest_stream(spoken, f"{result.source}, guest on vCPU {vcpu} in step {step}")
    body = guest_body(stream, program, vcpu)
    rounds = [line for line in body if line.kind == "regs"]
    said = tuple(line for line in body if line.kind != "regs")
    if not rounds:
        return {}, {}, said
    return *regs_readings(rounds, stream.source), said
