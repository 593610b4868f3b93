"""Reasons as they are found, a machine and a run at a time, and as they are told: each once."""

from msgspec import structs

from ccsight.evidence.decision import Kind, Reason, Verdict

#: How many places a reason names.
_MOST = 20
_KINDS = list(Kind)
_VERDICTS = list(Verdict)


class Reasons:
    """Collects reasons; what is said of several machines, or by several runs, becomes one."""

    def __init__(self) -> None:
        self._found: dict[tuple[Verdict, Kind, str, str], Reason] = {}
        self._unmet: set[tuple[Kind, str]] = set()

    def add(self, reason: Reason) -> None:
        """Note a reason."""
        key = (reason.verdict, reason.kind, reason.check, reason.said)
        known = self._found.get(key, reason)
        self._found[key] = structs.replace(
            known,
            machines=tuple(dict.fromkeys(known.machines + reason.machines)),
            evidence=tuple(dict.fromkeys(known.evidence + reason.evidence))[:_MOST],
        )
        self._unmet.update((reason.kind, machine) for machine in reason.machines)

    def lacks(self, kind: Kind, machine: str) -> None:
        """Note that something is not as it should be on a machine, which is said under another kind."""
        self._unmet.add((kind, machine))

    def met(self, kind: Kind, machine: str) -> bool:
        """Tell whether nothing was noted against a machine."""
        return (kind, machine) not in self._unmet

    def told(self) -> tuple[Reason, ...]:
        """Return all, most important first."""
        order = sorted(self._found.values(), key=lambda each: _KINDS.index(each.kind))
        return tuple(sorted(order, key=lambda each: _VERDICTS.index(each.verdict)))


def hold(kind: Kind, said: str, *machines: str) -> Reason:
    """Return a reason to wait."""
    return Reason(verdict=Verdict.HOLD, kind=kind, said=said, machines=machines)
