"""What the page of a decision shows of one machine in one run; small, because a page has hundreds of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from ccsight.evidence.decision import Kind
from ccsight.evidence.model import Capture
from ccsight.evidence.views import Vantage, View
from ccsight.kvm.meaning import describe
from ccsight.report.drawing import Drawing, draw
from ccsight.report.rows import Row, machine_rows
from ccsight.report.telling import Telling


@dataclass(frozen=True)
class Side:
    """The machine under one of the kernels: what ran there, and the caches that a guest finds."""

    kernel: str
    release: str
    build_id: str
    caches: str
    drawing: Drawing | None


@dataclass(frozen=True)
class Answer:
    """What became of one thing that the policy asks for.

    ``held`` is what speaks against the kernel, waived or not; ``missed`` why nothing is known, ``skipped``
    why it does not apply, ``word`` the outcome of a comparison.
    """

    kind: Kind
    check: str
    name: str
    word: str = ""
    held: bool = False
    missed: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A machine of a run. ``member`` is that of the fleet, ``counts`` whether its evidence does.

    ``cell`` is the new kernel's, as reasons point at it. ``tellings`` go by check.
    """

    run: str
    created: str
    ccsight: str
    machine: str
    member: str
    substrate: str
    counts: bool
    cell: str
    file: str
    sides: tuple[Side, Side]
    rows: tuple[Row, ...]
    answers: tuple[Answer, ...]
    tellings: Mapping[str, Telling]


def side(kernel: str, capture: Capture | None) -> Side:
    """Return a machine under a kernel, of its first vCPU; nothing of what nobody saw."""
    if capture is None:
        return Side(kernel, "", "", "not observed", None)
    view = guest(capture)
    return Side(
        kernel=kernel,
        release=capture.kernel.release,
        build_id=capture.kernel.build_id,
        caches=describe(view) if view else "no guest looked",
        drawing=draw(view) if view else None,
    )


def rows(old: Capture | None, new: Capture | None) -> tuple[Row, ...]:
    """Return the values that change between both, as a run's own report has them; none where one lacks."""
    return machine_rows([old, new]) if old and new else ()


def guest(capture: Capture) -> View | None:
    """Return what the guest read on the first vCPU; None where none looked."""
    vcpus = capture.vcpus()
    return capture.view(Vantage.GUEST, vcpus[0]) if vcpus else None
