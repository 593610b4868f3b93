"""What ``ccsight profile common --prove`` concludes: of caches alone, with all else told apart."""

import json

import pytest
from msgspec.structs import replace
from profile_samples import TEXT, graviton3, recorded
from recorded import capture
from test_profile_proof import ALL_WELL, saved
from test_profile_verb import _Empty

from ccsight.arm64.kvm_ids import known
from ccsight.campaign import profile_common
from ccsight.campaign.profile_common import Member, machines_of
from ccsight.campaign.profiles import hosts_of_profile, hosts_of_silicon
from ccsight.checks.migration import Moved
from ccsight.checks.profile_common import LAUNCH, MOVE, NOT_CACHES, crossed
from ccsight.cli import run
from ccsight.errors import UsageError
from ccsight.evidence.cases import Finding
from ccsight.evidence.migrations import AS_LAUNCHED, PROFILED, Left
from ccsight.evidence.profile import CoreProfile
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell, Reading
from ccsight.kvm.fleet import common
from ccsight.kvm.vmms import VMMS
from ccsight.machines.silicon import shipped
from ccsight.report import console
from ccsight.report import profile_common as report
from ccsight.status import ExitCode, Status

IDS = known()
CCIDX = 0x10_0000


def left(name, problem="EINVAL", *, saved=2, now=3, unlisted=False):
    values = [Reading(value=Hex(value)) if value is not None else Reading() for value in (saved, now)]
    return Left(0, Hex(IDS[name]), values[0], problem, unlisted, values[1])


def moved(*found, seen=(), strategy=PROFILED):
    outcomes = {vmm.name: (outcome, "") for vmm, outcome in zip(VMMS, ALL_WELL, strict=True)}
    findings = tuple(Finding(subject=subject, said="0 → 1", where="guest") for subject in seen)
    return Moved(strategy, None, outcomes, findings, found)


def test_nothing_left_is_a_pass():
    case = crossed("a", "b", [moved(left("CLIDR_EL1"), strategy=AS_LAUNCHED), moved()])
    assert (case.status, case.outcome, case.findings) == (Status.PASS, "transparent", ())


def test_what_is_not_about_caches_is_told_and_not_held_against_them():
    other = left("ID_AA64MMFR2_EL1", saved=CCIDX | 2, now=CCIDX)
    case = crossed("a", "b", [moved(left("MIDR_EL1"), other, seen=["ID_AA64MMFR2_EL1.NV"])])
    assert (case.status, case.outcome) == (Status.PASS, "transparent")
    assert {finding.subject: finding.known for finding in case.findings} == dict.fromkeys(
        ["MIDR_EL1", "ID_AA64MMFR2_EL1", "ID_AA64MMFR2_EL1.NV"], NOT_CACHES
    )


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (moved(left("CLIDR_EL1")), "refused"),
        (moved(left("CCSIDR_EL1[2]"), left("MIDR_EL1")), "refused"),
        (moved(left("CTR_EL0", "")), "lossy"),
        (moved(left("CCSIDR_EL1[3]", "", unlisted=True)), "refused"),
        (moved(left("ID_AA64MMFR2_EL1", saved=CCIDX, now=0)), "refused"),
        (moved(left("ID_MMFR4_EL1", saved=1 << 24, now=0)), "refused"),
        (moved(left("ID_AA64MMFR2_EL1", now=None)), "refused"),  # nobody can tell
        (moved(seen=["CTR_EL0.IDC"]), "visible"),
        (moved(seen=["ID_AA64MMFR2_EL1.CCIDX"]), "visible"),
    ],
)
def test_what_is_about_caches_fails(state, outcome):
    case = crossed("a", "b", [state])
    assert (case.status, case.outcome) == (Status.FAIL, outcome)
    assert any(not finding.known for finding in case.findings)


def test_a_way_that_no_vm_with_the_values_went_is_a_miss():
    assert crossed("a", "b", [moved(strategy=AS_LAUNCHED)]).status is Status.MISS


def _run(*captures):
    class Plan:
        cells = tuple(each.cell for each in captures)

    class Captured(_Empty):
        def capture(self, cell):
            found = next(each for each in captures if each.cell == cell)
            return found if found.views else None

    return Captured(Plan)


def test_each_cell_is_asked_and_each_way_between_them(monkeypatch, capsys):
    shown = common(hosts_of_profile("n1", recorded("neoverse-n1"))).shown
    state = saved(CoreProfile("common", Hex(0), Hex(0), (), shown, shown))
    cells = [
        Cell(machine=machine, kernel="deb:6.12") for machine in ("emulated:a", "emulated:b", "emulated:c")
    ]
    seen = [replace(capture("neoverse-n1", "6.12"), cell=cell, saved=(state,)) for cell in cells]
    seen[2] = replace(seen[2], views=(), saved=())
    monkeypatch.setattr(profile_common, "moves", lambda *captures: (moved(left("MIDR_EL1")),))
    cases = profile_common.prove(_run(*seen), shown)
    assert [case.check for case in cases] == [LAUNCH] * 3 + [MOVE] * 6
    assert [case.status for case in cases[:3]] == ["PASS", "PASS", "MISS"]
    missing = [case for case in cases[3:] if cells[2].id in case.cells]
    assert {case.status for case in missing} == {Status.MISS}
    assert {case.status for case in cases[3:] if case not in missing} == {Status.PASS}
    console.output().print(report.proof_page(cases, cells))
    page = capsys.readouterr().out
    for line in (
        "emulated:a\nPASS  shows the common values  deb:6.12\n",
        "PASS  emulated:a  deb:6.12 → emulated:b  deb:6.12  TRANSPARENT\n",
        "\n      not about caches: MIDR_EL1 EINVAL\n",
        "MISS  emulated:a  deb:6.12 → emulated:c  deb:6.12",
    ):
        assert line in page
    assert report.code({}, cases) is ExitCode.NOT_OBSERVED
    assert report.code({}, cases[:2]) is ExitCode.OK


def test_which_machines_are_booted():
    table = shipped()
    file = Member((), "emulated:neoverse-v1", graviton3())
    row = Member(hosts_of_silicon("silicon:graviton2", table), "silicon:graviton2")
    assert machines_of([file, row], (), table) == ("emulated:neoverse-v1", "silicon:graviton2")
    named = machines_of([file, row], ("silicon:graviton3", "silicon:graviton3,cpus=4"), table)
    assert named == ("silicon:graviton2", "silicon:graviton3", "silicon:graviton3,cpus=4")
    with pytest.raises(UsageError, match="another core"):
        machines_of([file, row], ("silicon:graviton4",), table)
    with pytest.raises(UsageError, match="for which member"):
        machines_of([row], ("silicon:graviton3",), table)


def test_a_machine_that_turns_out_to_be_of_no_profile_is_refused():
    seen = [capture("neoverse-n1", "6.12"), capture("neoverse-v1", "6.12")]
    n1 = Member((), "emulated:neoverse-n1", recorded("neoverse-n1"))
    v1 = Member((), "emulated:neoverse-v1", recorded("neoverse-v1"))
    row = Member((), "emulated:neoverse-v1")
    for members in ([n1, v1], [n1, row]):
        profile_common.require_known(_run(*seen), members)
    with pytest.raises(UsageError, match="another core"):
        profile_common.require_known(_run(*seen), [n1])


@pytest.mark.parametrize(
    ("words", "evidence"),
    [
        (["silicon:graviton2", "--prove"], "a proof needs a kernel"),
        (["silicon:graviton2", "--kernel", "deb:6.12"], "are for a proof"),
        (["silicon:graviton2", "--prove", "--kernel", "dbe:6.12", "--dry-run"], "did you mean 'deb'"),
        (["FILE", "--prove", "--kernel", "deb:6.12", "--on", "silicon:graviton2"], "MIDR_EL1 0x413fd0c1"),
    ],
)
def test_what_cannot_be_proved_is_a_usage_error(words, evidence, tmp_path, capsys):
    file = tmp_path / "g3.toml"
    file.write_text(TEXT)
    assert run(["profile", "common", *(str(file) if word == "FILE" else word for word in words)]) == 2
    assert evidence in capsys.readouterr().err


def test_the_plan_of_a_proof(capsys):
    words = ["profile", "common", "silicon:graviton2", "silicon:graviton3", "--prove", "--kernel", "deb:6.12"]
    assert run([*words, "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["boots"], len(said["cells"])) == (3, 2)
    assert [case["check"] for case in said["cases"]].count("CR-020") == 2
