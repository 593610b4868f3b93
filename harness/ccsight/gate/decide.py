"""The decision: what of the policy is not met, by which evidence. No evidence is no reason to go on."""

from dataclasses import dataclass, field
from datetime import datetime

from msgspec import structs

from ccsight.evidence.decision import (
    DECISION_SCHEMA,
    Decision,
    GatedKernel,
    Kind,
    Tally,
    Verdict,
    exit_code,
)
from ccsight.gate.facts import Fact, in_words
from ccsight.gate.gather import Evidence
from ccsight.gate.ledger import Ledger
from ccsight.gate.policy import Member, Policy
from ccsight.gate.reasons import Reasons, hold
from ccsight.gate.seen import Judged, Seen
from ccsight.gate.standing import about_runs, kernels
from ccsight.gate.worth import counts, weaknesses

#: What a kernel harms by, now: laws that fail, running guests that do not survive.
_HARM = (Kind.LAW, Kind.UPGRADE)
_BASELINE = "look at what changed, then: ccsight gate … --update-baseline, and commit it"


@dataclass(frozen=True)
class _Desk:
    """What a decision is made on: the evidence and the policy, and what was found of them so far."""

    evidence: Evidence
    policy: Policy
    now: datetime
    ledger: Ledger
    reasons: Reasons = field(default_factory=Reasons)


def decide(evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Return the decision at a time."""
    desk = _Desk(evidence, policy, now, Ledger(policy.waivers, now.date()))
    for member in policy.fleet:
        _member(desk, member)
    _strangers(desk)
    for reason in about_runs(evidence, policy, now):
        desk.reasons.add(reason)
    for waiver, said, next_step in desk.ledger.findings():
        desk.reasons.add(structs.replace(hold(Kind.WAIVER, said), check=waiver.check, next_step=next_step))
    told = desk.reasons.told()
    verdict = min((each.verdict for each in told), key=list(Verdict).index, default=Verdict.ADVANCE)
    old, new = kernels(evidence, policy, now)
    return Decision(
        schema=DECISION_SCHEMA,
        verdict=verdict,
        now=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        policy=policy.file,
        old=GatedKernel(name=policy.old.text, build_ids=old),
        new=GatedKernel(name=policy.new.text, build_ids=new),
        runs=tuple(evidence.runs),
        reasons=told,
        waived=tuple(desk.ledger.waived()),
        tallies=_tallies(desk),
        notes=tuple(evidence.notes),
        exit_code=exit_code(verdict),
    )


def _member(desk: _Desk, member: Member) -> None:
    """Note what is not as it should be of a member of the fleet."""
    own = desk.evidence.of(member.name)
    for kind, said, next_step in weaknesses(own, member, desk.policy, desk.now):
        reason = hold(kind, said, member.name)
        pointers = tuple(seen.pointer() for seen in own)
        desk.reasons.add(structs.replace(reason, next_step=next_step, evidence=pointers))
    for seen in own:
        if counts(seen, member, desk.policy, desk.now):
            _counted(desk, seen)
        else:
            head = f"in evidence that does not count ({seen.substrate}, {seen.created}): "
            _elsewhere(desk, seen, head)


def _counted(desk: _Desk, seen: Seen) -> None:
    """Note what is not as it should be in evidence that counts."""
    missed: dict[str, list[Judged]] = {}
    for judged in seen.judged:
        held = desk.ledger.held(judged, seen.member)
        if held:
            desk.reasons.add(
                structs.replace(
                    hold(judged.kind, _said(judged, held, desk.policy), seen.member),
                    check=judged.check,
                    next_step=_BASELINE if judged.kind is Kind.BASELINE else "",
                    evidence=(seen.pointer(judged.check),),
                    verdict=Verdict.REVERT if judged.kind in _HARM else Verdict.HOLD,
                )
            )
        if judged.missed:
            missed.setdefault(judged.missed, []).append(judged)
            desk.reasons.lacks(judged.kind, seen.member)
        if judged.denied:
            said = f"the log of {seen.run} has another verdict than its captures give: {judged.denied}"
            next_step = "evidence was altered, or judged by another ccsight: make the run again"
            _of_log(desk, seen, said, next_step)
    for why, lost in missed.items():
        _missed(desk, seen, why, lost)
    unlogged = ", ".join(judged.check for judged in seen.judged if judged.unlogged)
    if unlogged:
        said = f"the log of {seen.run} ends early: verdicts were made anew, but it has none on {unlogged}"
        _of_log(desk, seen, said, f"finish it: ccsight compare --resume {seen.run}")


def _missed(desk: _Desk, seen: Seen, why: str, lost: list[Judged]) -> None:
    """Note what was not observed, with all that was not for the same reason."""
    baseline = lost[0].kind is Kind.BASELINE
    checks = ", ".join(dict.fromkeys(judged.check for judged in lost if judged.check))
    said = f"{checks} not observed: {why}" if checks else why
    desk.reasons.add(
        structs.replace(
            hold(Kind.BASELINE if baseline else Kind.UNOBSERVED, said, seen.member),
            next_step=_BASELINE if baseline else f"ccsight compare --resume {seen.run}",
            evidence=tuple(seen.pointer(judged.check) for judged in lost),
        )
    )


def _of_log(desk: _Desk, seen: Seen, said: str, next_step: str) -> None:
    """Note what is wrong with a run's log."""
    reason = hold(Kind.LOG, said, seen.member)
    desk.reasons.add(structs.replace(reason, next_step=next_step, evidence=(seen.pointer(),)))


def _strangers(desk: _Desk) -> None:
    """Note laws that fail on machines of no fleet, and machines of which nobody can say what they are."""
    by_core = any(member.cores for member in desk.policy.fleet)
    for seen in desk.evidence.of(""):
        _elsewhere(desk, seen, f"on {seen.machine}, which is of no machine of the policy: ")
        lost = [judged for judged in seen.judged if judged.kind is Kind.UNOBSERVED]
        for judged in lost if by_core else ():
            reason = hold(Kind.UNOBSERVED, f"{seen.machine} may be any machine: {judged.missed}")
            desk.reasons.add(structs.replace(reason, evidence=(seen.pointer(),)))


def _elsewhere(desk: _Desk, seen: Seen, head: str) -> None:
    """Note harm in evidence that does not count: enough to wait, not to revert."""
    for judged in seen.judged:
        if judged.facts and judged.kind in _HARM:
            said = head + _said(judged, judged.facts, desk.policy)
            reason = hold(Kind.ELSEWHERE, said, *filter(None, [seen.member]))
            pointers = (seen.pointer(judged.check),)
            desk.reasons.add(structs.replace(reason, check=judged.check, evidence=pointers))


def _said(judged: Judged, held: tuple[Fact, ...], policy: Policy) -> str:
    heads = {
        Kind.LAW: f"{judged.check} fails",
        Kind.UPGRADE: f"upgrade to {policy.new.text} is {held[0].word}",
        Kind.ROLLBACK: f"roll-back to {policy.old.text} is {held[0].word}",
        Kind.CROSSING: f"{judged.name} is {held[0].word}",
        Kind.LAUNCH: "a fresh launch differs",
        Kind.REGISTERS: f"the register list {held[0].word}",
        Kind.LAYOUT: f"the layout of CCSIDR_EL1 {held[0].word}",
        Kind.BASELINE: "a fresh launch is not as in its baseline",
        Kind.PREDICATE: "not so",
    }
    return f"{heads[judged.kind]}: {in_words(held)}"


def _tallies(desk: _Desk) -> tuple[Tally, ...]:
    """Return of how many members each thing is as the policy wants it: seen, in evidence that counts."""
    policy = desk.policy
    asked = [Kind.LAW, *(kind for kind, demand in policy.demands.items() if demand.asked)]
    asked += [Kind.BASELINE] if policy.baseline else []
    own = {
        member.name: [
            seen for seen in desk.evidence.of(member.name) if counts(seen, member, policy, desk.now)
        ]
        for member in policy.fleet
    }
    return tuple(
        Tally(
            kind=kind,
            met=sum(desk.reasons.met(kind, name) and _known(kind, seen) for name, seen in own.items()),
            of=len(policy.fleet),
        )
        for kind in asked
    )


def _known(kind: Kind, found: list[Seen]) -> bool:
    """Tell whether there is anything of a kind at all."""
    return any(judged.kind is kind for seen in found for judged in seen.judged)
