"""What a judgement holds against a kernel, field by field: so policies accept, and waivers waive."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ccsight.arm64.kvm_ids import name
from ccsight.arm64.registers import in_short
from ccsight.checks.migration import Moved
from ccsight.checks.registry import NotObserved
from ccsight.evidence.cases import Case, Finding
from ccsight.evidence.migrations import Restored, Way
from ccsight.evidence.model import Capture
from ccsight.gate.policy import Demand
from ccsight.kvm.vmms import VMMS, Outcome, Vmm

_ORDER = list(Outcome)
_WAYS = {
    Way.LIST: {Way.LIST},
    Way.ALL: {Way.ALL},
    #: What comes behind the first refusal was only tried by the way that goes on.
    Way.STOP: {Way.ALL, Way.STOP},
}
_MOST = 4


@dataclass(frozen=True)
class Fact:
    """One thing: of what, how bad in a word, and what was seen."""

    subject: str
    word: str
    said: str


def in_words(facts: Iterable[Fact]) -> str:
    """Return facts in short: ``CLIDR_EL1, CCSIDR_EL1[0-2] EINVAL; CCSIDR_EL1[3-13] ENOENT``."""
    said: dict[str, list[str]] = {}
    for fact in facts:
        said.setdefault(fact.said, []).append(fact.subject)
    parts = [f"{in_short(dict.fromkeys(subjects))} {words}".strip() for words, subjects in said.items()]
    more = [f"and {len(parts) - _MOST} more"] if len(parts) > _MOST else []
    return "; ".join(parts[:_MOST] + more)


def of_law(case: Case) -> tuple[Fact, ...]:
    """Return what a law that failed says."""
    return tuple(
        Fact(finding.subject, "FAIL", finding.said) for finding in case.findings if not finding.known
    )


def of_case(case: Case, demand: Demand, _ends: tuple[Capture, Capture]) -> tuple[Fact, ...]:
    """Return what a fresh launch shows otherwise, as far as that is not accepted."""
    if case.outcome in demand.accepted:
        return ()
    named = [finding for finding in case.findings if finding.subject != "guest"]
    found = [Fact(finding.subject, case.outcome, finding.said) for finding in named]
    every = found or [Fact("", case.outcome, case.outcome)]
    return _once(fact for fact in every if not demand.accepts(fact.subject, fact.word))


def of_lists(case: Case, demand: Demand, ends: tuple[Capture, Capture]) -> tuple[Fact, ...]:
    """Return which registers KVM_GET_REG_LIST lists with one kernel only, as far as that is not accepted."""
    if case.outcome in demand.accepted:
        return ()
    old, new = (_listed(capture) for capture in ends)
    gone = {each for vcpu, ids in old.items() for each in ids - new.get(vcpu, set())}
    come = {each for vcpu, ids in new.items() for each in ids - old.get(vcpu, set())}
    found = [Fact(name(each), "shrank", "not in the new kernel's list") for each in sorted(gone)]
    found += [Fact(name(each), "grew", "only in the new kernel's list") for each in sorted(come)]
    return _once(fact for fact in found if not demand.accepts(fact.subject, fact.word))


def _listed(capture: Capture) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for each in capture.register_lists:
        found.setdefault(each.vcpu, set()).update(each.ids)
    return found


def of_moves(found: Sequence[Moved], ends: tuple[Capture, Capture], demand: Demand) -> tuple[Fact, ...]:
    """Return what is not accepted of VMs that went from one capture to another. Raises NotObserved."""
    meant = [moved for moved in found if moved.strategy in (demand.strategies or (moved.strategy,))]
    absent = set(demand.strategies) - {moved.strategy for moved in meant}
    if absent or not meant:
        raise NotObserved(f"no VM was moved that was launched {', '.join(sorted(absent)) or 'at all'}")
    vmms = [vmm for vmm in VMMS if vmm.name in (demand.vmms or (vmm.name,))]
    return _once(fact for moved in meant for vmm in vmms for fact in _against(moved, ends, vmm, demand))


def _against(moved: Moved, ends: tuple[Capture, Capture], vmm: Vmm, demand: Demand) -> Iterator[Fact]:
    """Yield what is not accepted with one VMM: all that may have made it end so, not the first alone."""
    outcome, why = moved.outcomes[vmm.name]
    if outcome in demand.accepted:
        return
    found = [_capped(fact, outcome) for fact in (*_refused(moved, ends, vmm), *_noticed(moved))]
    if not any(fact.word == outcome for fact in found):
        found.append(Fact("", outcome, why or str(outcome)))
    yield from (fact for fact in found if not demand.accepts(fact.subject, fact.word))


def _capped(fact: Fact, outcome: Outcome) -> Fact:
    """Return a fact as it is with a VMM that ends better: who ignores a refusal only loses the value."""
    word = max(Outcome(fact.word), outcome, key=_ORDER.index)
    return Fact(fact.subject, word, fact.said)


def _refused(moved: Moved, ends: tuple[Capture, Capture], vmm: Vmm) -> Iterator[Fact]:
    for restored in _restored(moved, ends):
        if restored.way in _WAYS[vmm.way]:
            for left in restored.left:
                if left.problem or left.unlisted:
                    yield Fact(name(left.kvm_id), Outcome.REFUSED, left.problem or "not listed")


def _restored(moved: Moved, ends: tuple[Capture, Capture]) -> Iterator[Restored]:
    source, destination = ends
    for restored in destination.restored:
        same = restored.source == source.cell and restored.strategy == moved.strategy
        if same and moved.cpu in (None, restored.cpu):
            yield restored


def _noticed(moved: Moved) -> Iterator[Fact]:
    """Yield what did not arrive, and what the guest reads otherwise; not what was refused at the launch."""
    for finding in moved.findings:
        if finding.where != "at launch":
            yield Fact(finding.subject, _word(finding), finding.said)


def _word(finding: Finding) -> Outcome:
    """Return how bad a finding is: what a guest reads has a vantage, what did not arrive has none."""
    return Outcome.VISIBLE if finding.where else Outcome.LOSSY


def _once(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return each subject once, as bad as it was anywhere: what is refused is lost, too."""
    worst: dict[str, Fact] = {}
    for fact in facts:
        known = worst.get(fact.subject)
        if known is None or _badness(fact.word) < _badness(known.word):
            worst[fact.subject] = fact
    return tuple(sorted(worst.values(), key=lambda fact: _badness(fact.word)))


def _badness(word: str) -> int:
    return _ORDER.index(Outcome(word)) if word in _ORDER else 0
