"""From a random write that goes wrong to the smallest one, on a kernel that is played here."""

from dataclasses import dataclass, field

import msgspec
import pytest
from recorded import capture

from ccsight.arm64.kvm_ids import name, of_reading
from ccsight.checks import judge
from ccsight.deadline import Deadline
from ccsight.errors import HostLost
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.record import Hex
from ccsight.evidence.views import FUZZED, SHRUNK, Reading
from ccsight.kvm.behaviour import observed
from ccsight.kvm.deviations import counter_examples
from ccsight.kvm.written import PROGRAM, written
from ccsight.probes import shrink
from ccsight.probes.outcome import Did, Initialised, Wrote
from ccsight.probes.script import Results
from ccsight.status import Status

CLIDR = of_reading("CLIDR_EL1")


@dataclass
class Kernel:
    """Takes and keeps CLIDR_EL1 as Linux 6.12 does, but for values that it refuses by mistake."""

    refuses: object
    scripts: list[str] = field(default_factory=list)

    def script(self, stream, script, deadline):
        self.scripts.append(stream)
        return Results(tuple(self.step(step.words) for step in script.steps))

    def step(self, words):
        if words[0] != "set":
            return Initialised("") if words[0] == "init" else Did()
        assert name(int(words[3], 0)) == "CLIDR_EL1"
        value = int(words[4], 0)
        if self.refuses(value):
            return Wrote("ENOENT", Reading(value=Hex(0x02000021)), {})
        return Wrote("", Reading(value=Hex(value)), {})


def odd(kernel, *values):
    """Return a real capture in which a kernel was given these values at random, and no others."""
    real = capture("neoverse-n1", "6.12")
    example = next(write for write in real.writes if write.phase == FUZZED and write.name == "CLIDR_EL1")
    kept = tuple(write for write in real.writes if (write.program, write.name) != (PROGRAM, "CLIDR_EL1"))
    writes = []
    for value in values:
        said = kernel.step(("set", "0", "0", f"{CLIDR:#x}", f"{value:#x}"))
        change = {"value": Hex(value), "problem": said.problem, "after": said.after, "moved": {}, "cpu": 0}
        writes.append(msgspec.structs.replace(example, **change))
    return msgspec.structs.replace(real, writes=(*kept, *writes))


def two_fields(value):
    return value >> 24 & 7 == 5 and value >> 30 & 1 == 1


BIG = (1 << 46) - 1 & ~(7 << 24) | 5 << 24
SMALL = 0x02000021 & ~(7 << 24) | 5 << 24 | 1 << 30


@pytest.mark.parametrize("values", [(BIG,), (BIG, 0x03000123), (BIG & ~0xFF, BIG)])
def test_the_smallest_counter_example_is_found_and_named(values):
    kernel = Kernel(two_fields)
    seen = odd(kernel, *values)
    assert shrink.is_due(seen)
    tried = shrink.observe(kernel, seen, Deadline(5))
    assert {write.phase for write in tried} == {SHRUNK}
    assert [each for each in tried if each.value == SMALL and each.problem == "ENOENT"]
    assert kernel.scripts == [f"shrink-{number}" for number in range(1, len(kernel.scripts) + 1)]
    whole = msgspec.structs.replace(seen, writes=seen.writes + tried)
    case = judge(PlannedCase(check="CR-005", cells=(whole.cell.id,)), (whole,))
    (finding,) = case.findings
    assert case.status is Status.FAIL
    assert f"CLIDR_EL1 = {SMALL:#x} (LoC 2 → 5, ICB 0 → 1)" in finding.said
    assert finding.where == "fuzzed, shrunk"


def test_a_kernel_that_does_as_the_model_says_is_not_asked_again():
    assert not shrink.is_due(capture("neoverse-n1", "6.12"))
    assert not shrink.is_due(odd(Kernel(lambda value: False), BIG))


def test_a_way_is_followed_once_from_its_smallest_value():
    seen = odd(Kernel(two_fields), BIG, BIG & ~0xFFF)
    (example,) = counter_examples(observed(seen), written(seen), written(seen).writes)
    sizes = {value: (value ^ 0x02000021).bit_count() for value in (BIG, BIG & ~0xFFF)}
    assert example.write.value == min(sizes, key=sizes.get)


def test_a_machine_that_is_lost_meanwhile_is_said_so():
    class Lost:
        def script(self, *_):
            raise HostLost("gone")

    with pytest.raises(HostLost):
        shrink.observe(Lost(), odd(Kernel(two_fields), BIG), Deadline(5))
