"""Pages of decisions, each made as ``ccsight gate --html`` does: of runs on disk and a policy."""

import json
from pathlib import Path

import msgspec
from gate_samples import A57, N1, NOW, V1, good, lawless, lean, made, of, text
from report_samples import NASTY, NEW, OLD
from test_gate_policy import WAIVER

from ccsight.evidence.model import Capture
from ccsight.gate.decide import decide
from ccsight.gate.exhibits import exhibits
from ccsight.gate.gather import gather
from ccsight.gate.load import load
from ccsight.gate.policy_file import read
from ccsight.report import html
from ccsight.report.decision_page import DecisionPage, decision_page

SPECS = 'specs = ["emulated:neoverse-n1"]'
STRICT = ('accept = "refused"', 'accept = "transparent"')


def page_of(policy: str, *folders: Path) -> DecisionPage:
    """Return the page of what a gate decides."""
    asked = read(policy, "rollout.toml")
    names = list(map(str, folders))
    evidence = gather(load(names, Path("nowhere")), asked, {})
    decision = decide(evidence, asked, NOW)
    shown = exhibits(load(names, Path("nowhere")), evidence, asked, NOW)
    return decision_page(decision, shown, [member.name for member in asked.fleet], policy)


def advance(results: Path) -> DecisionPage:
    """All is met."""
    return page_of(text(), made(results, good()))


def hold(results: Path) -> DecisionPage:
    """A fleet of four: two machines that are not as asked, one partly waived, one that nobody saw."""
    fleet = f'{SPECS}\n[machines.v1]\nspecs = ["{V1}"]\n[machines.x1]\nspecs = ["silicon:graviton3"]'
    fleet += f'\n[machines.a57]\nspecs = ["{A57}"]\nsubstrate = "metal"'
    upgrade = ("[upgrade]", '[upgrade]\nfields = { CLIDR_EL1 = "refused" }')
    strict = ('accept = "differs"', 'accept = "same"')
    policy = text((SPECS, fleet), upgrade, strict) + WAIVER.replace("CR-008", "CR-009").replace(
        "rollback", "launch"
    )
    return page_of(policy, made(results, good(A57, N1, V1)))


def revert(results: Path) -> DecisionPage:
    """A law fails on the new kernel, and no VM may be refused."""
    fleet = f'{SPECS}\n[machines.v1]\nspecs = ["{V1}"]'
    captures = [lean(N1, OLD), lawless(), lean(V1, OLD), lean(V1, NEW)]
    return page_of(text(STRICT, STRICT, (SPECS, fleet)), made(results, of(*captures)))


def hostile(results: Path) -> DecisionPage:
    """Whatever can have a name has one that would like to be markup."""
    machine, name = f"emulated:{NASTY}", json.dumps(NASTY)
    fleet = f"[machines.{name}]\nspecs = [{json.dumps(machine)}]\n"
    waiver = WAIVER.replace('"n1"', name).replace('"nobody goes back"', name).replace('"kvm-team"', name)
    policy = text(("[machines.n1]", fleet), (SPECS, ""), STRICT, STRICT) + waiver
    captures = []
    for seen in (lean(N1, OLD), lawless()):
        kernel = msgspec.structs.replace(seen.kernel, release=NASTY, build_id=f"{NASTY}{seen.cell.kernel}")
        captures.append(msgspec.structs.replace(renamed(seen, machine), kernel=kernel))
    return page_of(policy, made(results, of(*captures), ccsight=NASTY))


def renamed(seen: Capture, machine: str) -> Capture:
    """Return a capture as of another machine."""
    cell = msgspec.structs.replace(seen.cell, machine=machine)
    restored = tuple(
        msgspec.structs.replace(each, source=msgspec.structs.replace(each.source, machine=machine))
        for each in seen.restored
    )
    return msgspec.structs.replace(seen, cell=cell, restored=restored)


SAMPLES = (advance, hold, revert, hostile)


def document(page: DecisionPage) -> str:
    """Return the page as HTML."""
    return html.decided(page).decode()
