"""What waivers take out of the account, and what is to be said of the waivers themselves."""

from collections.abc import Iterable, Iterator
from datetime import date

from ccsight.evidence.decision import Waived
from ccsight.gate.facts import Fact, in_words
from ccsight.gate.policy import covers
from ccsight.gate.seen import Judged
from ccsight.gate.waivers import Waiver

_MEND = "renew it with its owner, or remove it from the policy"


class Ledger:
    """The waivers of a policy on a day, and what each of them was used for."""

    def __init__(self, waivers: Iterable[Waiver], today: date) -> None:
        self._waivers = tuple(waivers)
        self._today = today
        self._used: dict[tuple[str, str, str], tuple[Waiver, list[Fact]]] = {}

    def held(self, judged: Judged, machine: str) -> tuple[Fact, ...]:
        """Return what is held against the kernel once waivers are taken into account."""
        return tuple(fact for fact in judged.facts if not self._waives(judged, machine, fact))

    def _waives(self, judged: Judged, machine: str, fact: Fact) -> bool:
        for waiver in self._waivers:
            if waiver.is_broad or waiver.has_expired(self._today):
                continue
            meant = not waiver.field or covers(waiver.field, fact.subject)
            if meant and waiver.fits(judged.kind, judged.check, machine):
                key = (waiver.id, judged.check, machine)
                self._used.setdefault(key, (waiver, []))[1].append(fact)
                return True
        return False

    def waived(self) -> Iterator[Waived]:
        """Yield what each waiver was used for, by check and machine."""
        for (_, check, machine), (waiver, facts) in self._used.items():
            yield Waived(
                waiver=waiver.id,
                said=in_words(dict.fromkeys(facts)),
                check=check,
                machine=machine,
                owner=waiver.owner,
                expires=f"{waiver.expires}",
                reason=waiver.reason,
            )

    def findings(self) -> Iterator[tuple[Waiver, str, str]]:
        """Yield each waiver with which something is wrong: what, and what to do."""
        used = {waiver for waiver, _, _ in self._used}
        for waiver in self._waivers:
            head = f"waiver {waiver.id} ({waiver.scope})"
            if waiver.has_expired(self._today):
                yield waiver, f"{head} expired on {waiver.expires}, owner {waiver.owner}", _MEND
            elif waiver.is_broad:
                said = f"{head} is too broad: it names no field and no machine"
                yield waiver, said, "name the field or the machine that it is for"
            elif waiver.id not in used:
                yield waiver, f"{head} waives nothing that was seen, owner {waiver.owner}", _MEND
