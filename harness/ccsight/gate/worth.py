"""Whether evidence counts: from what machine it is, and when it was seen."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ccsight.evidence.decision import Kind
from ccsight.gate.policy import Member, Policy
from ccsight.gate.seen import Seen

#: By how much the clock of the machine that made a run may be ahead.
_AHEAD = timedelta(minutes=5)
_AGAIN = "make the run again"


def moment(created: str) -> datetime | None:
    """Return when a run was made, None where it does not say so."""
    try:
        found = datetime.fromisoformat(created)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def untimely(created: str, policy: Policy, now: datetime) -> str:
    """Say why a run is not of the time that counts, "" where it is."""
    return _impossible(created, now) or _stale(created, policy, now)


def _impossible(created: str, now: datetime) -> str:
    made = moment(created)
    if made is None:
        return "evidence is of no known time"
    return f"evidence is from the future: {created}" if made > now + _AHEAD else ""


def _stale(created: str, policy: Policy, now: datetime) -> str:
    made = moment(created)
    limit = timedelta(days=policy.wanted.max_age)
    if made is None or now - made <= limit:
        return ""
    return f"evidence is {(now - made).days} days old (policy: {policy.wanted.max_age})"


def short_of(seen: Iterable[Seen], member: Member) -> str:
    """Say what is not enough of a member's evidence, all of which is from lesser machines."""
    have = ", ".join(sorted({f"{each.substrate}" for each in seen}))
    return f"no evidence from {member.substrate} (policy: {member.substrate}; have: {have})"


def counts(seen: Seen, member: Member, policy: Policy, now: datetime) -> bool:
    """Tell whether evidence of a member counts."""
    return member.takes(seen.substrate) and not untimely(seen.created, policy, now)


def weaknesses(
    seen: list[Seen], member: Member, policy: Policy, now: datetime
) -> list[tuple[Kind, str, str]]:
    """Return why a member's evidence is not enough, with what to do: "" and nothing where it is."""
    if not seen:
        said = f"no evidence: no run has a machine of it under {policy.new.text}"
        return [(Kind.UNOBSERVED, said, f"ccsight compare {policy.old.text} {policy.new.text} --on MACHINE")]
    timely = [each for each in seen if not untimely(each.created, policy, now)]
    late = [_impossible(each.created, now) for each in seen]
    # What is too old does no harm beside what is not.
    late += [] if timely else [_stale(each.created, policy, now) for each in seen]
    found = [(Kind.AGE, why, _AGAIN) for why in dict.fromkeys(filter(None, late))]
    enough = [each for each in timely if member.takes(each.substrate)]
    if timely and not enough:
        found.append((Kind.SUBSTRATE, short_of(timely, member), "observe it there, or lower the policy"))
    boots = min(len({each.run for each in enough}), len({each.boot for each in enough if each.boot}))
    if enough and boots < policy.wanted.observations:
        said = f"{boots} of {policy.wanted.observations} observations"
        found.append((Kind.OBSERVATIONS, said, "make more runs"))
    return found
