"""From random writes that went wrong to the smallest values that do, on the machine that is still there.

The reference model tells which went wrong; it is asked again about every value that is tried.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from ccsight.deadline import Deadline
from ccsight.evidence.views import FUZZED, SHRUNK, Evidence, Write
from ccsight.kvm.behaviour import Behaviour, observed
from ccsight.kvm.deviations import Deviation, counter_examples, deviations
from ccsight.kvm.written import Written, written
from ccsight.probes import fuzz
from ccsight.probes.runner import Probe
from ccsight.probes.writes import Attempt, Trial
from ccsight.probes.writing import Writing

#: From how many values it is tried at most: one for each way in which some of a register go wrong.
_EXAMPLES = 8


@dataclass
class _Shrinking:
    """What it takes to try values, and all writes that were made by it."""

    probe: Probe
    deadline: Deadline
    behaviour: Behaviour
    host: Written
    writes: list[Write] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def shrink(self, example: Deviation) -> None:
        write = example.write
        base = self.host.told(write) or 0

        def fails(values: Sequence[int]) -> list[bool]:
            attempts = tuple(Attempt(write.name, value, write.vcpu, back=base) for value in values)
            return [self._goes_as(example, each) for each in self._try(write.cpu or 0, attempts)]

        fuzz.shrunk(write.value, base, fails)

    def _try(self, cpu: int, attempts: tuple[Attempt, ...]) -> list[Write]:
        """Return what came of each attempt; behind each the register is as it was."""
        writing = Writing.of([Trial(SHRUNK, cpu, attempts, cpu)])
        stream = f"shrink-{next(self._numbers)}"
        writes = writing.writes(self.probe.script(stream, writing.script, self.deadline))
        self.writes += writes
        return list(writes[::2])  # every other one puts back: no value that is tried is the register's own

    def _goes_as(self, example: Deviation, write: Write) -> bool:
        return example.way in {each.way for each in deviations(self.behaviour, self.host, write)}


def is_due(seen: Evidence) -> bool:
    """Tell whether a random write went wrong."""
    return bool(_examples(seen, observed(seen), written(seen)))


def observe(probe: Probe, seen: Evidence, deadline: Deadline) -> tuple[Write, ...]:
    """Look for the smallest values that go wrong as random ones did; return all writes that it took.

    The last that goes wrong of each kind is one of which no changed bit can be left as it was. Raises as
    ``Probe.script`` does.
    """
    behaviour, host = observed(seen), written(seen)
    shrinking = _Shrinking(probe, deadline, behaviour, host)
    for example in _examples(seen, behaviour, host)[:_EXAMPLES]:
        shrinking.shrink(example)
    return tuple(shrinking.writes)


def _examples(seen: Evidence, behaviour: Behaviour, host: Written) -> list[Deviation]:
    random = [write for write in seen.writes if write.phase == FUZZED]
    return counter_examples(behaviour, host, random)
