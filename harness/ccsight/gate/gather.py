"""Reading runs, one after the other: what is left of all of them is what the decision is made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ccsight.gate.controls import controls
from ccsight.gate.judging import sightings
from ccsight.gate.load import Loaded
from ccsight.gate.log import read_log
from ccsight.gate.policy import Policy
from ccsight.gate.seen import Control, Seen


@dataclass
class Evidence:
    """What all runs say, and which of them say nothing."""

    seen: list[Seen] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    damaged: list[Loaded] = field(default_factory=list)
    runs: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, member: str) -> list[Seen]:
        """Return what there is of a member of the fleet."""
        return [seen for seen in self.seen if seen.member == member]


def gather(loaded: Iterable[Loaded], policy: Policy, baselines: Mapping[str, str]) -> Evidence:
    """Read and judge runs, one after the other; ``baselines`` are texts by member of the fleet."""
    found = Evidence()
    for each in loaded:
        if each.run is None:
            found.damaged.append(each)
            continue
        run, log = each.run, read_log(each.run)
        if run.plan.id in found.runs:
            found.notes.append(f"{each.folder}: run {run.plan.id} is there twice, and counts once")
        found.runs[run.plan.id] = None
        before = len(found.seen)
        found.seen += sightings(run, policy, baselines, log)
        if len(found.seen) == before:
            found.notes.append(f"{each.folder} has nothing of {policy.new.text}")
        if log.unread:
            found.notes.append(f"{each.folder}: its log is cut off or damaged; verdicts are made anew")
        found.controls += controls(run) if policy.wanted.control else ()
    strangers = dict.fromkeys(each.machine for each in found.seen if not each.member)
    found.notes += [f"{machine} is of no machine of the policy" for machine in strangers]
    return found
