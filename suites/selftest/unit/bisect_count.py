"""What a bisection took, counted in its folder."""

from dataclasses import dataclass
from pathlib import Path

from ccsight.evidence.bisection import Bisection, Role, Step

#: Seconds below which nothing was built: the store had it.
_STORED = 1.0
_PROOF = (Role.PARENT, Role.COMMIT, Role.REVERT)


@dataclass(frozen=True)
class Count:
    """How much of what: ``builds`` begun, ``boots`` of all kernels, good ends in between included."""

    steps: int
    skipped: int
    builds: int
    boots: int

    def __str__(self) -> str:
        return f"{self.steps} steps, {self.skipped} of them skipped; {self.builds} builds, {self.boots} boots"


def counted(folder: Path, *, proof: bool = True) -> Count:
    """Count a bisection; without its ``proof`` only what led to the answer."""
    made = Bisection.find(folder.parent, folder.name).steps()
    steps = [step for step in made if proof or step.role not in _PROOF]
    return Count(
        steps=sum(step.role is Role.STEP for step in steps),
        skipped=sum(step.verdict == "skip" for step in steps),
        builds=sum(step.build > _STORED for step in steps),
        boots=sum(_boots(folder, step) for step in steps),
    )


def _boots(folder: Path, step: Step) -> int:
    return len(list(folder.glob(f"steps/{step.name}/consoles/*.log")))
