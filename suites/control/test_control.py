"""No check is one that cannot fail: for each there is a kernel fault of ours that it must notice.

Every kernel boots once on its machine, whatever the number of rows and of xdist workers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
from command import ccsight

from ccsight.campaign.cell import CellTask, capture_cell
from ccsight.campaign.compare import SET_UP_SECONDS, Request, pinned_kernels, start
from ccsight.checks import AGREEMENTS, COMPARISONS, LAWS, TRIALS, judge
from ccsight.checks.verdict import judged
from ccsight.deadline import Deadline
from ccsight.evidence.cases import Case, PlannedCase
from ccsight.evidence.model import Capture
from ccsight.evidence.run import Depth, Run
from ccsight.evidence.views import Cell
from ccsight.machines import silicon
from ccsight.status import Status
from ccsight.store import locked, write_atomically

HERE = Path(__file__).parent
A57, A710, N1, V1, UNLIKE = (
    "emulated:cortex-a57",
    "emulated:cortex-a710",
    "emulated:neoverse-n1",
    "emulated:neoverse-v1",
    "silicon:rk3588",
)


@dataclass(frozen=True)
class Control:
    """A patch, the machine on which its check must notice it, and a part of what the check then says.

    ``also`` are other laws that fail by necessity. A comparison has no law that fails: ``outcomes`` are the
    words of comparisons. An agreement is about two machines, ``twin`` is the other one. Where a trial fails,
    nothing else can be observed.
    """

    patch: str
    machine: str
    subject: str
    said: str
    also: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""

    @property
    def check(self) -> str:
        """The check that must notice it."""
        return self.patch[: len("CR-000")]

    @property
    def base(self) -> str:
        """The kernel spec of the source that the patch is for; native behaviour is that of 6.1."""
        return "deb-src:6.1" if "-native-" in self.patch else "deb-src:6.12"

    @property
    def patched(self) -> str:
        """The kernel spec with the fault in it."""
        return f"{self.base},patch={str(HERE / self.patch).replace(',', ',,')}.patch"

    @property
    def fails(self) -> set[str]:
        """The laws that must fail, and no others."""
        return {self.check, *self.also} & LAWS.keys()

    @property
    def row(self) -> str:
        """The row of the README's table."""
        words = f"{self.subject}: {self.said}"
        if self.check in COMPARISONS:
            words = f"{self.outcomes[self.check]}: {words}"
        machine = f"`{self.machine}`" + (f", against `{self.twin}`" if self.twin else "")
        also = ", ".join(self.also) or "–"
        return f"| `{self.patch}` | {self.check} | {machine} | {words} | {also} |"


CONTROLS = (
    Control(
        "CR-001-clidr-of-the-cpu",
        N1,
        "CLIDR_EL1",
        "userspace gets 0x2000021, the guest 0x82000023",
        ("CR-004", "CR-005", "CR-018"),
    ),
    Control(
        "CR-001-native-wrong-cache",
        N1,
        "CCSIDR_EL1[1]",
        "userspace gets 0x701fe01a, the guest 0x201fe01a",
        ("CR-018",),
    ),
    Control("CR-002-reserved-ctype", N1, "CLIDR_EL1.Ctype1", "5 is a reserved value", ("CR-018",)),
    Control(
        "CR-003-clidr-of-the-first-cpu",
        UNLIKE,
        "CLIDR_EL1",
        "0x9200003 on CPU 0-1, 0x2000021 on CPU 2-3",
        ("CR-018",),
    ),
    Control(
        "CR-003-native-drops-sizes",
        UNLIKE,
        "CCSIDR_EL1[0]",
        "taken on CPU 2, where it then reads 0x701fe01a",
        ("CR-005",),
    ),
    Control(
        "CR-004-reset-wipes-clidr",
        N1,
        "CLIDR_EL1",
        "0x2000021, where the VMM wrote 0xc200923 or 0x4c200923: re-init (vCPU 0)",
    ),
    Control(
        "CR-005-clidr-not-stored",
        N1,
        "CLIDR_EL1",
        "taken, but KVM_GET_ONE_REG says another value",
        ("CR-004",),
    ),
    Control("CR-005-refused-is-stored", N1, "CLIDR_EL1", "refused, and changed all the same"),
    Control("CR-005-sizes-of-the-first-vcpu", N1, "CCSIDR_EL1[0-13]", "other registers moved", ("CR-004",)),
    Control("CR-005-wrong-errno", N1, "CCSIDR_EL1[0-13]", "ENOENT where a normalised kernel says EINVAL"),
    Control(
        "CR-009-hides-uao",
        N1,
        "ID_AA64MMFR2_EL1.UAO",
        "1 → 0",
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "same"},
    ),
    Control(
        "CR-010-short-lines", N1, "L1I", "lines of 32 B; CTR_EL0 promises 64 B or more", ("CR-005", "CR-018")
    ),
    Control(
        "CR-010-lowered-idc-takes-loc",
        N1,
        "CTR_EL0.IDC",
        "the guest reads 0x8444c004 and CLIDR_EL1 0x21, by which Linux acts as if IDC were 1",
    ),
    Control("CR-011-aarch32-ctr", A57, "CTR_EL0", "EL1 reads 0x8444c004, AArch32 0x8440c004"),
    Control("CR-011-el0-ctr-of-the-cpu", N1, "CTR_EL0", "EL1 reads 0x9444c004, EL0 0x8444c004", ("CR-018",)),
    Control("CR-012-ccsidr2-reads-zero", V1, "CCSIDR2_EL1", "ends in 0x0 instead of UNDEF or TRAPPED"),
    Control(
        "CR-012-ccsidr2-is-kept",
        N1,
        "CCSIDR2_EL1",
        "is listed, though guests have no such register",
        outcomes={"CR-009": "same", "CR-014": "grew", "CR-015": "same"},
    ),
    Control(
        "CR-012-csselr-loses-ind",
        N1,
        "CSSELR_EL1<=1",
        "reads 0x0 after 0x1 was written",
        ("CR-004", "CR-005"),
    ),
    Control(
        "CR-013-mte-shift",
        f"{A710},mte=on",
        "CLIDR_EL1",
        "0x2000031 in a VM with MTE, 0x2000021 in one with nothing",
        twin=A710,
    ),
    Control(
        "CR-013-nvhe-shows",
        f"{N1},mode=nvhe",
        "CLIDR_EL1",
        f"0x2000021 on {N1}, 0x42000021 on {N1},mode=nvhe",
        ("CR-018",),
        twin=N1,
    ),
    Control(
        "CR-014-csselr-not-listed",
        N1,
        "1 register lost",
        "CSSELR_EL1; a VMM that restores every saved register, as QEMU does, refuses to go",
        outcomes={"CR-009": "same", "CR-014": "shrank", "CR-015": "same"},
    ),
    Control(
        "CR-015-shows-ccidx",
        V1,
        "ID_AA64MMFR2_EL1.CCIDX",
        "0 → 1: a VMM that carries the register to the other kernel is refused",
        ("CR-018",),
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "changes"},
    ),
    Control(
        "CR-015-wide-sizes",
        N1,
        "ID_AA64MMFR2_EL1.CCIDX",
        "reads 0, but CCSIDR_EL1[0-13] use bits above 31",
        ("CR-001", "CR-002", "CR-004", "CR-005", "CR-018"),
        outcomes={"CR-009": "differs", "CR-014": "same", "CR-015": "contradicts"},
    ),
    Control(
        "CR-017-warns",
        N1,
        "WARN",
        "access_clidr+",
        outcomes={"CR-009": "same", "CR-014": "same", "CR-015": "same"},
    ),
    Control(
        "CR-018-unified-on-level-2", V1, "CLIDR_EL1", "0x2000020; a normalised kernel shows 0x1000004", ()
    ),
    Control("CR-019-panics", N1, "boot 1", "the kernel panicked: no room for the caches of guests"),
)

#: Checks for which no kernel fault is seeded, and why not.
WITHOUT: dict[str, str] = {
    "CR-007": "no VMs are saved here yet; suites/normalisation has kernels that change it",
    "CR-008": "no VMs are saved here yet; suites/rollback has kernels that change it",
}


class Bench:
    """The run that all rows share; a cell boots when it is first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._captures: dict[str, Capture] = {}

    @cached_property
    def _kernels(self):
        return pinned_kernels(self.run.plan)

    def capture(self, cell: Cell) -> Capture:
        """Return what a cell showed, booting it if nobody has yet."""
        if cell.id not in self._captures:
            task = CellTask(self.run.folder, cell, self._kernels[cell.kernel])
            failure = capture_cell(task, lambda stage: None)
            assert failure is None, f"{cell.title}: {failure}"
            found = self.run.capture(cell)
            assert found is not None
            self._captures[cell.id] = found
        return self._captures[cell.id]

    def judge(self, check: str, *cells: Cell) -> Case:
        """Return a check's verdict on cells."""
        planned = PlannedCase(check=check, cells=tuple(cell.id for cell in cells))
        return judge(planned, tuple(self.capture(cell) for cell in cells))

    def tried(self, check: str, cell: Cell) -> Case:
        """Return a check's verdict on a cell whose kernel may not come up."""
        capture_cell(CellTask(self.run.folder, cell, self._kernels[cell.kernel]), lambda stage: None)
        seen = [{cell.id: read(cell)} for read in (self.run.capture, self.run.failure, self.run.boots)]
        return judged(PlannedCase(check=check, cells=(cell.id,)), *seen)

    def laws(self, cell: Cell) -> dict[str, Case]:
        """Return the verdicts of all laws on a cell."""
        return {check: self.judge(check, cell) for check in LAWS}


@pytest.fixture(scope="module")
def bench(tmp_path_factory, request):
    """Plan one run for all rows, however many workers there are."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if hasattr(request.config, "workerinput") else base) / "control"
    shared.mkdir(exist_ok=True)
    pointer = shared / "run"
    with locked(pointer, Deadline(SET_UP_SECONDS)):
        if not pointer.exists():
            kernels = dict.fromkeys(kernel for row in CONTROLS for kernel in (row.base, row.patched))
            machines = dict.fromkeys(name for row in CONTROLS for name in (row.machine, row.twin) if name)
            # no random values: a fault must be noticed every time
            again = ("pytest", "suites/control")
            order = Request(tuple(kernels), tuple(machines), again, silicon.load(None), Depth(fuzz=0))
            run, _ = start(shared / "results", order)
            write_atomically(pointer, str(run.folder).encode())
    return Bench(Run.open(Path(pointer.read_text())))


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


@pytest.mark.emulated
@pytest.mark.long
@pytest.mark.parametrize(
    "control", [row for row in CONTROLS if row.check not in TRIALS], ids=lambda control: control.patch
)
def test_a_seeded_fault_is_noticed_by_its_check(bench, control):
    base, patched = (
        Cell(machine=control.machine, kernel=kernel) for kernel in (control.base, control.patched)
    )
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
    checks = LAWS.keys() | AGREEMENTS.keys() | TRIALS.keys() | COMPARISONS.keys()
    assert {control.check for control in CONTROLS} == checks - WITHOUT.keys()
    assert WITHOUT.keys() <= checks


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
