"""CR-019: what comes of a kernel that does not come up, with its base booted as the control."""

from collections.abc import Iterator

from ccsight.checks.registry import NotObserved, trial
from ccsight.evidence.boots import Boot, Boots, End, Role
from ccsight.evidence.cases import Finding


@trial(
    "CR-019",
    "the kernel boots where its base does",
    "a patch takes whole hosts down, and with them every guest, as soon as they are updated",
)
def boots_where_its_base_does(row: Boots) -> Iterator[Finding]:
    """Two failures of the patched kernel, with a good boot of its base between them, on one machine."""
    if not row.convicts:
        raise NotObserved(_doubt(row.boots))
    for number, boot in enumerate(row.boots, 1):
        yield Finding(subject=f"boot {number}", said=_say(boot))


def _say(boot: Boot) -> str:
    if boot.end is End.UP:
        return f"{boot.kernel} booted in between: {boot.release}, build-id {boot.build_id} ({boot.console})"
    failure = boot.failure
    return ": ".join(filter(None, (failure.fact, failure.evidence))) if failure else "it did not come up"


def _doubt(boots: tuple[Boot, ...]) -> str:
    """Return why nobody can be blamed."""
    last = boots[-1]
    if last.end is End.UP:
        return f"it failed to boot once, and then booted: {_say(boots[0])}"
    if len(boots) == 1 or (last.role, last.end) == (Role.PATCHED, End.UNTRIED):
        return f"it failed to boot, and could not be tried again: {_say(last)}"
    if last.end is End.UNTRIED:
        return f"it failed to boot, and its base could not be tried as the control: {_say(last)}"
    return f"it failed to boot, and so did its base on this machine: {_say(last)}"
