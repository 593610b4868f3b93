"""What mends a roll-back that is refused: computed from VMs that were restored, on each page."""

import json
import re

import msgspec
import pytest
from recorded import capture
from report_samples import MACHINES, NEW, OLD, good, placed, result_of

from ccsight.checks.registry import NotObserved
from ccsight.checks.remedies import remedies
from ccsight.evidence.migrations import ARRIVED, AS_LAUNCHED, KNOWN, NATIVE_CAP, PROFILED, Given
from ccsight.evidence.record import Hex
from ccsight.report import as_json, console, html, terminal
from ccsight.report.capability import capability
from ccsight.report.remedies import advice

N1 = MACHINES[1]
NOT_THERE = Given(number=1000, argument=Hex(0), problem="EINVAL")


def pair():
    return [placed(capture("neoverse-n1", series), N1, f"deb:{series}") for series in ("6.1", "6.12")]


def arrived(restored, *strategies, seen=True):
    """Return restored VMs of which those of some strategies arrive whole; unseen by their guests, too."""
    return tuple(
        msgspec.structs.replace(
            each, left=(), listed=9999, views=each.views if seen else tuple(_unnoticed(each.views))
        )
        if each.strategy in strategies
        else each
        for each in restored
    )


def _unnoticed(views):
    known = {(view.vcpu, view.vantage): view.readings for view in views if view.phase == KNOWN}
    for view in views:
        same = known[view.vcpu, view.vantage]
        yield msgspec.structs.replace(view, readings=same) if view.phase == ARRIVED else view


def mended(*strategies, seen=True):
    old, new = pair()
    return msgspec.structs.replace(old, restored=arrived(old.restored, *strategies, seen=seen)), new


def said(*captures):
    return [(each.command, each.said) for each in advice(result_of(list(captures)), N1)]


def test_nothing_is_refused_so_nothing_is_said():
    old, new = mended(AS_LAUNCHED, PROFILED)
    assert remedies(new, old) == ()
    assert said(old, new) == []
    assert capability(result_of([old, new]), N1) == ()


def test_old_values_that_mend_it_in_part():
    (found,) = remedies(*reversed(pair()))
    assert found.strategy == PROFILED
    assert found.mended == ("CCSIDR_EL1[0]", "CCSIDR_EL1[1]", "CCSIDR_EL1[2]", "CLIDR_EL1")
    assert found.refused == {"EINVAL": ("ID_AA64DFR0_EL1",)}
    assert {"CCSIDR_EL1[3]", "TCR2_EL1", "CNTP_CTL_EL0"} <= set(found.unknown)
    assert len(found.unknown) == 17
    assert (found.takes, found.worst) == ({}, "refused")
    ((command, words),) = said(*pair())
    assert command == f"ccsight profile capture {OLD} --on {N1}"
    assert words == (
        "launch guests with it: then only ID_AA64DFR0_EL1 (EINVAL) and 17 registers that deb:6.1 does not "
        "list stand in the way; the guest would notice CTR_EL0, CCSIDR_EL1[3-13]"
    )


def test_a_vmm_that_takes_them_again_is_named():
    (only,) = advice(good(), MACHINES[0])
    assert only.remedy.takes == {"QEMU 11.1": "lossy"}
    assert "they go back with QEMU 11.1 (lossy)" in only.said


@pytest.mark.parametrize(
    ("seen", "ends"),
    [(False, "the guest notices nothing"), (True, "visible: the guest notices CTR_EL0, CCSIDR_EL1[3-13]")],
)
def test_old_values_that_mend_all_of_it(seen, ends):
    ((command, words),) = said(*mended(PROFILED, seen=seen))
    assert command.startswith("ccsight profile capture")
    assert words.startswith("launch guests with it: then every VMM takes them back, ")
    assert words.endswith(ends)


def test_old_values_that_mend_nothing_are_not_asked_for():
    old, new = pair()
    plain = {(each.cpu, each.way): each.left for each in old.restored if each.strategy == AS_LAUNCHED}
    restored = tuple(msgspec.structs.replace(r, left=plain[r.cpu, r.way]) for r in old.restored)
    ((command, words),) = said(msgspec.structs.replace(old, restored=restored), new)
    assert (command, words.split(":")[1].strip()) == ("", "mends nothing")
    assert "CLIDR_EL1" in words


def test_what_was_not_restored_is_not_judged():
    old, new = pair()
    lacks = [each for each in old.restored if (each.strategy, each.way) != (PROFILED, "list")]
    with pytest.raises(NotObserved):
        remedies(new, msgspec.structs.replace(old, restored=tuple(lacks)))
    assert said(msgspec.structs.replace(old, restored=tuple(lacks)), new) == []
    assert said(old, msgspec.structs.replace(new, saved=())) == []


def native(each, *given):
    """Return a capture with a third VM, as the one that just was launched but for what it was given."""
    saved = [state for state in each.saved if state.strategy == AS_LAUNCHED]
    third = [msgspec.structs.replace(state, strategy=NATIVE_CAP, given=given) for state in saved]
    restored = [r for r in each.restored if r.strategy == AS_LAUNCHED]
    moved = [msgspec.structs.replace(r, strategy=NATIVE_CAP) for r in restored]
    return msgspec.structs.replace(each, saved=(*each.saved, *third), restored=(*each.restored, *moved))


def test_a_capability_is_a_remedy_and_a_kernel_may_lack_it():
    old, new = mended(PROFILED)
    taken = (NOT_THERE, Given(number=1000, argument=Hex(0), vcpu=0))
    captures = native(old, NOT_THERE, NOT_THERE), native(new, *taken)
    result = result_of(list(captures))
    assert [each.remedy.strategy for each in advice(result, N1)] == [PROFILED, NATIVE_CAP]
    assert capability(result, N1) == (
        "deb:6.1 has no capability 1000 (EINVAL): its VMs with native caches are launched like any other",
        "deb:6.12 has capability 1000: of each vCPU",
    )
    lacks = result_of([captures[0], native(new, NOT_THERE)])
    assert [each.remedy.strategy for each in advice(lacks, N1)] == [PROFILED]
    assert "FAIL" not in {case.status for case in result.cases if case.check in ("CR-007", "CR-008")}


def test_every_page_has_them(capsys, monkeypatch):
    result = good()
    monkeypatch.setenv("COLUMNS", "80")
    console.output().print(terminal.render(result))
    page = capsys.readouterr().out
    block = page[page.index(f"\n{N1}\n") : page.index(f"\n{MACHINES[2]}\n")]
    command = f"ccsight profile capture {OLD} --on {N1}"
    assert re.search(rf"^  remedy  {re.escape(command)}$", block, re.M)
    assert block.rstrip().endswith("CCSIDR_EL1[3-13]")
    assert max(map(len, page.splitlines())) <= 80
    assert command in html.document(result).decode()
    machine = json.loads(as_json.document(result))["machines"][1]
    assert [each["command"] for each in machine["remedies"]] == [command]
    assert machine["remedies"][0]["remedy"]["refused"] == {"EINVAL": ["ID_AA64DFR0_EL1"]}
    assert machine["remedies"][0]["source"] == NEW
