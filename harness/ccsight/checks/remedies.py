"""What would mend a roll-back that is refused: each other way to launch a guest that the run tried. Pure.

Computed from the VMs that were restored, never from what ought to help.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.kvm_ids import name
from ccsight.checks.hurdles import BY_GUESTS
from ccsight.checks.migration import Moved, moves
from ccsight.checks.registry import NotObserved
from ccsight.evidence.migrations import AS_LAUNCHED, Left, Way
from ccsight.evidence.model import Capture
from ccsight.kvm.vmms import Outcome


@dataclass(frozen=True)
class Remedy:
    """A strategy beside the plain launch, and what it does for a VM that shall go back.

    ``mended`` are the registers that arrive now and did not before. Of those that still stand in the way KVM
    refuses ``refused``, by errno, and the destination does not have ``unknown``. ``takes`` are the VMMs that
    take the VM now and did not, with the outcome, ``worst`` is that of all; ``noticed`` is what the guest
    then reads otherwise than it remembers.
    """

    strategy: str
    mended: tuple[str, ...]
    refused: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    takes: dict[str, str]
    worst: str
    noticed: tuple[str, ...]


def remedies(source: Capture, destination: Capture) -> tuple[Remedy, ...]:
    """Return what each strategy mends of a move; nothing where no VMM refuses a VM that just was launched.

    Moves to a CPU of another kind are left out: no launch mends those; and so is a strategy whose capability
    the source does not have. Raises NotObserved.
    """
    found = {moved.strategy: moved for moved in moves(source, destination) if moved.cpu is None}
    plain = found.pop(AS_LAUNCHED, None)
    if plain is None:
        raise NotObserved(f"no VM of {source.cell.title} was moved that just was launched")
    if plain.worst is not Outcome.REFUSED:
        return ()
    before = _left(source, destination, AS_LAUNCHED)
    return tuple(
        _remedy(before, _left(source, destination, strategy), plain, moved)
        for strategy, moved in found.items()
        if strategy not in _in_vain(source)
    )


def _in_vain(source: Capture) -> set[str]:
    """Return the strategies for which a VMM asked for something that KVM did not have."""
    return {state.strategy for state in source.saved if state.given and all(g.problem for g in state.given)}


def _left(source: Capture, destination: Capture, strategy: str) -> tuple[Left, ...]:
    """Return what of a strategy's VM did not arrive, in any way, on the CPU on which it was saved."""
    saved = next(state for state in source.saved if state.strategy == strategy)
    wanted = (source.cell, strategy, saved.sha256, saved.cpu)
    found = [
        each for each in destination.restored if (each.source, each.strategy, each.sha256, each.cpu) == wanted
    ]
    if {each.way for each in found} != set(Way):
        raise NotObserved(f"the VM {strategy} of {source.cell.title} was not restored in every way")
    return tuple(left for each in found for left in each.left)


def _remedy(before: Sequence[Left], after: Sequence[Left], plain: Moved, moved: Moved) -> Remedy:
    unknown = _names(left for left in after if left.unlisted)
    refused: dict[str, dict[str, None]] = {}
    for left in _in_order(after):
        if left.problem and name(left.kvm_id) not in unknown:
            refused.setdefault(left.problem, {})[name(left.kvm_id)] = None
    stays = {left.kvm_id for left in after}
    return Remedy(
        strategy=moved.strategy,
        mended=_names(left for left in before if left.kvm_id not in stays),
        refused={errno: tuple(names) for errno, names in refused.items()},
        unknown=unknown,
        takes=_takes(plain, moved),
        worst=moved.worst,
        noticed=tuple(dict.fromkeys(_noticed(moved))),
    )


def _noticed(moved: Moved) -> Iterator[str]:
    for finding in moved.findings:
        if finding.where in BY_GUESTS:
            yield finding.subject.partition(".")[0]


def _in_order(found: Iterable[Left]) -> list[Left]:
    return sorted(found, key=lambda left: left.kvm_id)


def _names(found: Iterable[Left]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name(left.kvm_id) for left in _in_order(found)))


def _takes(plain: Moved, moved: Moved) -> dict[str, str]:
    return {
        vmm: outcome
        for vmm, (outcome, _) in moved.outcomes.items()
        if plain.outcomes[vmm][0] is Outcome.REFUSED and outcome is not Outcome.REFUSED
    }
