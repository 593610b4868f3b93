"""CR-019 on every row of boots: blame takes two failures, and a good boot of the base between them."""

import msgspec
import pytest

from ccsight.campaign.planning import cases_of
from ccsight.checks import TRIALS
from ccsight.checks.verdict import judged
from ccsight.evidence.boots import Boot, Boots, End, Role
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.failure import Failure
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.views import Cell
from ccsight.kernels import spec
from ccsight.status import Status

BASE = "deb-src:6.12"
CELL = Cell(machine="emulated:max", kernel=f"{BASE},patch=my.mbox")
PLANNED = PlannedCase(check="CR-019", cells=(CELL.id,))
FAILURE = Failure(status=Status.MISS, fact="the kernel panicked: no", evidence="last words (console.log:7)")
UP, DOWN, UNTRIED = End


def row(*ends: End) -> Boots:
    roles = (Role.PATCHED, Role.BASE, Role.PATCHED)
    boots = [
        Boot(
            role=role,
            kernel=BASE if role is Role.BASE else CELL.kernel,
            end=end,
            console=f"consoles/{number}.log",
            failure=None if end is End.UP else FAILURE,
            release="6.12.107" if end is End.UP else "",
        )
        for number, (role, end) in enumerate(zip(roles, ends, strict=False))
    ]
    return Boots(schema=SCHEMA, cell=CELL, boots=tuple(boots))


def verdict(boots: Boots | None):
    return judged(PLANNED, {}, {CELL.id: FAILURE}, {CELL.id: boots})


def test_two_failures_with_a_good_boot_of_the_base_between_are_the_kernel_s_fault():
    case = verdict(row(DOWN, UP, DOWN))
    assert case.status is Status.FAIL
    first, control, last = (finding.said for finding in case.findings)
    assert first == last == "the kernel panicked: no: last words (console.log:7)"
    assert control.startswith("deb-src:6.12 booted in between: 6.12.107")


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((DOWN,), "could not be tried again"),
        ((DOWN, DOWN), "so did its base"),
        ((DOWN, UNTRIED), "its base could not be tried"),
        ((DOWN, UP), "and then booted"),
        ((DOWN, UP, UP), "failed to boot once, and then booted"),
        ((DOWN, UP, UNTRIED), "could not be tried again"),
    ],
)
def test_anything_less_is_a_miss_that_says_why(ends, words):
    case = verdict(row(*ends))
    assert (case.status, words in case.reason) == (Status.MISS, True), case.reason


def test_a_doubt_has_the_words_of_the_failure():
    died = "the kernel panicked: no: last words (console.log:7)"
    assert verdict(row(DOWN, UP)).reason.endswith(f"it failed to boot once, and then booted: {died}")
    assert verdict(row(DOWN)).reason.endswith(died)
    untold = row(DOWN)
    silent = msgspec.structs.replace(untold.boots[0], failure=None)
    assert verdict(msgspec.structs.replace(untold, boots=(silent,))).reason.endswith(": it did not come up")


def test_without_a_control_the_failure_is_the_reason():
    case = verdict(None)
    assert (case.status, FAILURE.fact in case.reason) == (Status.MISS, True)


def test_the_other_laws_of_a_cell_stay_miss_with_the_failure_as_reason():
    planned = PlannedCase(check="CR-001", cells=(CELL.id,))
    case = judged(planned, {}, {CELL.id: FAILURE}, {CELL.id: row(DOWN, UP, DOWN)})
    assert (case.status, FAILURE.fact in case.reason) == (Status.MISS, True)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("deb:6.1", ""),
        ("deb-src:6.12", ""),
        ("deb-src:6.12,append=nokaslr,toolchain=llvm", ""),
        ("deb-src:6.12,patch=a,,b.mbox", "deb-src:6.12"),
        ("deb-src:6.12=6.12.107-1,kconfig=debug,name=mine", "deb-src:6.12=6.12.107-1"),
        ("git:lin,,ux,ref=v6.12,revert=abc,patch=x", "git:lin,,ux,ref=v6.12"),
        ("tree:linux,append=a=b,patch=x,toolchain=llvm", "tree:linux,append=a=b,toolchain=llvm"),
    ],
)
def test_the_base_of_a_spec(text, base):
    assert spec.base(text) == base


def test_it_is_planned_for_kernels_with_a_base_alone():
    cases = cases_of([BASE, CELL.kernel], ["emulated:max"])
    assert [case.cells for case in cases if case.check in TRIALS] == [(CELL.id,)]
