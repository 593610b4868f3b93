"""Reading runs: what is left of all of them is what the decision is made of."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from ccsight.gate.load import Loaded
from ccsight.gate.panel import Panel
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


def gather(
    loaded: Iterable[Loaded],
    policy: Policy,
    baselines: Mapping[str, str],
    executor: Executor | None = None,
) -> Evidence:
    """Read and judge runs; ``baselines`` are texts by member of the fleet.

    Where there is an ``executor``, it judges those that come behind the first few. Raises InfraError.
    """
    found = Evidence()
    for each, said in Panel(policy, baselines, executor).hear(loaded):
        if each.run is None:
            found.damaged += [] if each.passed else [each]
            found.notes += [f"{each.folder} is passed over: {each.passed}"] if each.passed else []
            continue
        plan = each.run.plan
        if plan.id in found.runs:
            found.notes.append(f"{each.folder}: run {plan.id} is there twice, and counts once")
        found.runs[plan.id] = None
        found.seen += said.seen
        if not said.seen:
            found.notes.append(f"{each.folder} has nothing of {policy.new.text}")
        if said.unread:
            found.notes.append(f"{each.folder}: its log is cut off or damaged; verdicts are made anew")
        found.controls += said.controls
    strangers = dict.fromkeys(each.machine for each in found.seen if not each.member)
    found.notes += [f"{machine} is of no machine of the policy" for machine in strangers]
    return found
