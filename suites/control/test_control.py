"""No check is one that cannot fail: for each there is a kernel fault of ours that it must notice."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from command import ccsight
from controls import CONTROLS, N1, PROFILE, WITHOUT, Control
from workbench import Bench, planned

from ccsight.campaign.compare import SET_UP_SECONDS
from ccsight.checks import AGREEMENTS, COMPARISONS, CROSSINGS, LAWS, LAWS_ON_REQUEST, RULES, TRIALS
from ccsight.evidence.cases import Case
from ccsight.evidence.plan import Depth
from ccsight.evidence.views import Cell
from ccsight.status import Status

HERE = Path(__file__).parent
#: No random values: a fault must be noticed every time.
USUAL, MOVES = Depth(fuzz=0), Depth(fuzz=0, migrate=True, rules=True, profile=PROFILE)
ACROSS = Depth(fuzz=0, migrate=True, across=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """Return the folder of all workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="module")
def bench(shared):
    """Plan one run for all rows whose checks need no VMs that move."""
    return planned(shared / "control", [row for row in CONTROLS if not row.moves], USUAL)


@pytest.fixture(scope="module")
def moves(shared):
    """Plan one run for those that do: every kernel saves VMs, and takes those of the others."""
    rows = [row for row in CONTROLS if row.moves and not row.crosses]
    return planned(shared / "control-moves", rows, MOVES)


@pytest.fixture(scope="module")
def crossings(shared):
    """Plan one run for those that change the machine, too."""
    return planned(shared / "control-across", [row for row in CONTROLS if row.crosses], ACROSS)


def _says(case: Case, control: Control) -> bool:
    return any(
        not finding.known and finding.subject == control.subject and control.said in finding.said
        for finding in case.findings
    )


def _told(cases: Mapping[str, Case]) -> str:
    return "\n".join(_lines(cases))


def _lines(cases: Mapping[str, Case]) -> Iterator[str]:
    for check, case in cases.items():
        yield f"{check} {case.status} {case.outcome} {case.reason}"
        for finding in [finding for finding in case.findings if not finding.known][:3]:
            yield f"    {finding.where}: {finding.subject}: {finding.said}"


def _cells(control: Control) -> tuple[Cell, Cell]:
    base, patched = (
        Cell(machine=control.machine, kernel=kernel) for kernel in (control.base, control.patched)
    )
    return base, patched


def _noticed(bench: Bench, control: Control) -> None:
    base, patched = _cells(control)
    cases = bench.laws(base)
    assert {case.status for case in cases.values()} <= {Status.PASS, Status.SKIP}, _told(cases)
    cases = bench.laws(patched)
    assert {case.status for case in cases.values()} <= {Status.PASS, Status.SKIP, Status.FAIL}, _told(cases)
    assert {check for check, case in cases.items() if case.status is Status.FAIL} == control.fails, _told(
        cases
    )
    if control.twin:
        twins = {cell: Cell(machine=control.twin, kernel=cell.kernel) for cell in (base, patched)}
        pairs = {cell.kernel: bench.judge(control.check, twin, cell) for cell, twin in twins.items()}
        assert pairs[control.base].status is Status.PASS, _told(pairs)
        assert pairs[control.patched].status is Status.FAIL, _told(pairs)
        cases[control.check] = pairs[control.patched]
    cases |= {check: bench.judge(check, base, patched) for check in control.outcomes}
    assert {check: cases[check].outcome for check in control.outcomes} == control.outcomes, _told(cases)
    assert _says(cases[control.check], control), _told(cases)


@pytest.mark.emulated
@pytest.mark.long
@pytest.mark.parametrize(
    "control",
    [row for row in CONTROLS if row.check not in TRIALS and not row.moves],
    ids=lambda control: control.patch,
)
def test_a_seeded_fault_is_noticed_by_its_check(bench, control):
    _noticed(bench, control)


@pytest.mark.emulated
@pytest.mark.long
@pytest.mark.parametrize(
    "control", [row for row in CONTROLS if row.moves and not row.crosses], ids=lambda control: control.patch
)
def test_a_seeded_fault_is_noticed_by_vms_that_move(moves, control):
    """And by the rules that it breaks, and by no others."""
    base, patched = _cells(control)
    for cell in (base, patched):
        moves.capture(cell)
    moves.go_back(base)
    _noticed(moves, control)
    rules = {rule: moves.judge(rule, base, patched) for rule in RULES}
    assert {case.status for case in rules.values()} <= {Status.PASS, Status.FAIL}, _told(rules)
    assert {rule for rule, case in rules.items() if case.status is Status.FAIL} == {*control.breaks}, _told(
        rules
    )


@pytest.mark.emulated
@pytest.mark.long
@pytest.mark.parametrize("control", [row for row in CONTROLS if row.crosses], ids=lambda row: row.patch)
def test_a_seeded_fault_is_noticed_by_vms_that_change_their_machine(crossings, control):
    found = {}
    for kernel in (control.base, control.patched):
        here, there = (Cell(machine=machine, kernel=kernel) for machine in (control.twin, control.machine))
        for cell in (here, there):
            crossings.capture(cell)
        crossings.go_back(there)
        for cell in (here, there):
            cases = crossings.laws(cell)
            assert {case.status for case in cases.values()} <= {Status.PASS, Status.SKIP}, _told(cases)
        found[kernel] = crossings.judge(control.check, here, there)
    base, patched = found.values()
    assert base.outcome == "transparent", _told(found)
    assert patched.outcome == control.outcomes[control.check], _told(found)
    assert _says(patched, control), _told(found)


@pytest.mark.emulated
@pytest.mark.long
@pytest.mark.parametrize(
    "control", [row for row in CONTROLS if row.check in TRIALS], ids=lambda control: control.patch
)
def test_a_kernel_that_does_not_boot_fails_its_trial_and_nothing_else(bench, control):
    cell = Cell(machine=control.machine, kernel=control.patched)
    case = bench.tried(control.check, cell)
    assert case.status is Status.FAIL
    assert _says(case, control), _told({control.check: case})
    assert f"{control.base} booted in between" in case.findings[1].said
    assert {bench.tried(check, cell).status for check in LAWS} == {Status.MISS}
    assert bench.tried(control.check, Cell(machine=N1, kernel=CONTROLS[0].patched)).status is Status.PASS


@pytest.mark.emulated
@pytest.mark.long
def test_the_command_blames_a_kernel_that_does_not_boot(tmp_path):
    """As its user does it, with a base that the run has, and with one that it has not."""
    (control,) = [row for row in CONTROLS if row.check in TRIALS]
    for words in (("compare", control.base, control.patched), ("capture", control.patched)):
        said = ccsight(*words, "--on", control.machine, cwd=tmp_path, seconds=SET_UP_SECONDS)
        assert said.code == 1, said.stderr
        assert f"FAIL  {control.check}  the kernel boots where its base does" in said.stdout
        text = " ".join(said.stdout.split())
        assert control.said in text
        assert f"{control.base} booted in between" in text
    assert len(list(tmp_path.glob("results/*/consoles/*-1.[12].log"))) == 4
    again = ccsight("compare", "--resume", "latest", "--json", cwd=tmp_path)
    assert again.code == 1
    assert not list(tmp_path.glob("results/*/captures/*/2")), "what is proved was booted again"


@pytest.mark.emulated
@pytest.mark.long
def test_the_command_says_so(tmp_path):
    """As its user does it: exit status 1, FAIL on the side with the fault alone."""
    control = CONTROLS[0]
    said = ccsight(
        *("compare", control.base, control.patched, "--on", control.machine, "--json"),
        cwd=tmp_path,
        seconds=SET_UP_SECONDS,
    )
    assert said.code == 1, said.stderr
    (machine,) = said.json["machines"]
    failed = {
        (case["check"], cell)
        for case in machine["laws"]
        for cell in case["cells"]
        if case["status"] == "FAIL"
    }
    assert failed == {(check, machine["new"]["cell"]) for check in control.fails}


def test_every_check_has_a_control_or_a_reason_to_have_none():
    laws, others = LAWS | LAWS_ON_REQUEST, AGREEMENTS | TRIALS | COMPARISONS | CROSSINGS
    checks = laws.keys() | others.keys()
    assert {control.check for control in CONTROLS} == checks - WITHOUT.keys()
    assert WITHOUT.keys() <= checks


def test_every_rule_is_broken_by_one_control_and_kept_with_another():
    moving = [control for control in CONTROLS if control.moves and not control.crosses]
    assert {rule for control in moving for rule in control.breaks} == RULES.keys()
    assert all(any(rule not in control.breaks for control in moving) for rule in RULES)


def test_every_patch_has_its_row_here_and_in_the_readme():
    patches = {path.stem for path in HERE.glob("*.patch")}
    assert patches == {control.patch for control in CONTROLS}
    rows = {line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| `CR-")}
    assert rows == {control.row for control in CONTROLS}


def test_a_patch_says_what_it_seeds_and_changes_kvm_alone():
    for control in CONTROLS:
        text = (HERE / f"{control.patch}.patch").read_text()
        assert f"A fault seeded on purpose, so that {control.check} is seen to notice it." in text
        files = [line for line in text.splitlines() if line.startswith(("--- ", "+++ "))]
        assert files
        assert all(line[6:].startswith("arch/arm64/kvm/") for line in files)
