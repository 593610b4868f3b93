"""Runs are judged one after the other, or in parts side by side; either way answers come in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ccsight.errors import InfraError
from ccsight.evidence.bundle import origin
from ccsight.evidence.run import Run
from ccsight.gate.controls import controls
from ccsight.gate.judging import sightings
from ccsight.gate.load import Loaded
from ccsight.gate.log import read_log
from ccsight.gate.policy import Policy
from ccsight.gate.seen import Control, Seen

#: So many machines are judged before others are worth asking; a part of a run has as many at least ...
_ALONE = 50
#: ... and a run so many parts at most: each reads the plan and the log.
_PARTS = 16
#: So many runs are begun before the first of them is needed: what is known of them is kept meanwhile.
_AHEAD = 8


@dataclass(frozen=True)
class Said:
    """What a run says, or a part of it; ``unread`` counts the lines of its log that say nothing."""

    seen: tuple[Seen, ...] = ()
    controls: tuple[Control, ...] = ()
    unread: int = 0


class Panel:
    """Those who judge by one policy: this process, and those of an executor where there is one."""

    def __init__(
        self, policy: Policy, baselines: Mapping[str, str], executor: Executor | None = None
    ) -> None:
        self._policy = policy
        self._baselines = baselines
        self._executor = executor
        self._machines = 0

    def hear(self, loaded: Iterable[Loaded]) -> Iterator[tuple[Loaded, Said]]:
        """Yield what each run says; one that cannot be read says nothing. Raises InfraError."""
        begun: deque[tuple[Loaded, list[Callable[[], Said]]]] = deque()
        for each in loaded:
            begun.append((each, self._begun(each.run) if each.run else []))
            if len(begun) > (_AHEAD if self._executor else 0):
                yield _ended(*begun.popleft())
        yield from (_ended(*each) for each in begun)

    def _begun(self, run: Run) -> list[Callable[[], Said]]:
        """Return what has to be called for all that a run says; others have begun with it already."""
        machines = len(run.plan.machines)
        self._machines += machines
        own = partial(judged, policy=self._policy, baselines=self._baselines)
        if self._executor is None or origin(run.folder) or self._machines <= _ALONE:
            return [partial(own, run, (0, machines))]
        size = max(_ALONE, -(-machines // _PARTS))
        parts = [(first, first + size) for first in range(0, machines, size)]
        return [self._executor.submit(own, run.folder, part).result for part in parts]


def judged(run: Run | Path, part: tuple[int, int], policy: Policy, baselines: Mapping[str, str]) -> Said:
    """Return what a run says of its machines from one number to another; the first part has its controls."""
    run = run if isinstance(run, Run) else Run.open(run)
    log = read_log(run)
    wanted = policy.wanted.control and part[0] == 0
    return Said(
        seen=tuple(sightings(run, policy, baselines, log, run.plan.machines[slice(*part)])),
        controls=tuple(controls(run)) if wanted else (),
        unread=log.unread,
    )


def _ended(loaded: Loaded, parts: list[Callable[[], Said]]) -> tuple[Loaded, Said]:
    try:
        said = [part() for part in parts]
    except BrokenExecutor as error:
        raise InfraError(
            f"a process died that judged {loaded.folder}",
            evidence=f"{error}",
            next_step="give the gate fewer runs at a time, or more memory",
        ) from error
    return loaded, Said(
        seen=tuple(seen for part in said for seen in part.seen),
        controls=tuple(control for part in said for control in part.controls),
        unread=max((part.unread for part in said), default=0),
    )
