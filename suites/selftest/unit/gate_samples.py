"""Runs on disk for a gate, of recorded captures; and what a gate says of them."""

import shutil
from collections.abc import Iterable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec
from recorded import bent
from report_samples import NEW, OLD, result_of, sample

from ccsight.evidence.decision import Decision, Kind, Reason
from ccsight.evidence.model import Capture, Substrate
from ccsight.evidence.record import to_json
from ccsight.evidence.run import Run
from ccsight.evidence.views import LAUNCH, Vantage
from ccsight.gate.decide import decide
from ccsight.gate.gather import gather
from ccsight.gate.load import load
from ccsight.gate.policy_file import read
from ccsight.report.model import Result

A57, N1, V1 = "emulated:cortex-a57", "emulated:neoverse-n1", "emulated:neoverse-v1"
#: Laws that a capture of a launch alone can answer, so that tests need not read millions of bytes.
LAWS = ["CR-001", "CR-002", "CR-006"]
#: When the runs of report_samples were made, and a little later.
MADE = datetime(2026, 11, 22, 8, 12, 1, tzinfo=UTC)
NOW = MADE + timedelta(hours=2)

POLICY = """
schema = 1
[kernels]
old = "deb:6.1"
new = "deb:6.12"
[machines.n1]
specs = ["emulated:neoverse-n1"]
[evidence]
substrate = "emulated"
[laws]
must_pass = [{laws}]
[launch]
accept = "differs"
[upgrade]
accept = "refused"
[rollback]
accept = "refused"
"""


def text(*changes: tuple[str, str], laws: Iterable[str] = LAWS) -> str:
    """Return a policy that a sample meets, in which some lines are others."""
    found = POLICY.format(laws=", ".join(f'"{law}"' for law in laws))
    for line, other in changes:
        assert line in found
        found = found.replace(line, other, 1)
    return found


@cache
def lean(machine: str, kernel: str) -> Capture:
    """Return a recorded capture with what it says of its launch, and of VMs that were moved."""
    found = sample(machine, kernel)
    views = tuple(view for view in found.views if view.phase == LAUNCH)
    boot = f"boot of {kernel} on {machine}"
    return msgspec.structs.replace(
        found, views=views, writes=(), machine=msgspec.structs.replace(found.machine, boot_id=boot)
    )


def lawless(machine: str = N1, kernel: str = NEW) -> Capture:
    """Return a capture that fails CR-001 by one digit of one value."""
    return bent(lean(machine, kernel), Vantage.GUEST, 1, CLIDR_EL1=0x02000023)


def on(capture: Capture, substrate: Substrate) -> Capture:
    """Return a capture as of another kind of machine."""
    return msgspec.structs.replace(
        capture, machine=msgspec.structs.replace(capture.machine, substrate=substrate)
    )


def built(capture: Capture, build_id: str) -> Capture:
    """Return a capture as of another build of its kernel."""
    return msgspec.structs.replace(capture, kernel=msgspec.structs.replace(capture.kernel, build_id=build_id))


def booted(capture: Capture, boot: str) -> Capture:
    """Return a capture as of another boot."""
    return msgspec.structs.replace(capture, machine=msgspec.structs.replace(capture.machine, boot_id=boot))


@cache
def good(*machines: str) -> Result:
    """Return a result in which the policy is met: n1, or these machines."""
    return result_of([lean(machine, kernel) for machine in machines or (N1,) for kernel in (OLD, NEW)])


def of(*captures: Capture) -> Result:
    """Return the result of captures."""
    return result_of(list(captures))


def made(results: Path, result: Result, name: str = "", **plan: object) -> Path:
    """Write a result as a run's folder, its log included; ``plan`` is what is otherwise in its plan."""
    own = {"id": name} if name else {}
    run = Run.create(results, msgspec.structs.replace(result.plan, **own, **plan))
    for cell in result.plan.cells:
        if cell.id in result.captures:
            run.write(cell, "capture.json", to_json(result.captures[cell.id]))
    for case in result.cases:
        run.append(case)
    return run.folder


def gated(
    policy: str,
    *folders: Path,
    now: datetime = NOW,
    baselines: dict[str, str] | None = None,
    executor: Executor | None = None,
) -> Decision:
    """Return what a gate decides."""
    found = read(policy, "rollout.toml")
    loaded = load(map(str, folders), Path("nowhere"))
    return decide(gather(loaded, found, baselines or {}, executor), found, now)


def reasons(decision: Decision, kind: Kind) -> list[Reason]:
    """Return the reasons of a kind."""
    return [reason for reason in decision.reasons if reason.kind is kind]


def copied(folder: Path, to: Path) -> Path:
    """Return a copy of a run's folder."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(folder, to))
