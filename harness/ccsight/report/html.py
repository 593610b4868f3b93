"""The one door to Jinja2: a run, or a gate's decision, as one HTML file that needs nothing but itself.

Everything that a machine said is escaped, and the pages forbid scripts and outside resources.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ccsight.arm64.registers import in_short
from ccsight.evidence.decision import Kind
from ccsight.report import drawing, page
from ccsight.report.decision import TALLIES
from ccsight.report.decision_matrix import LETTERS
from ccsight.report.decision_page import DecisionPage
from ccsight.report.filters import Filters
from ccsight.report.glossary import Glossary
from ccsight.report.model import Result
from ccsight.report.printable import printable
from ccsight.report.wording import Counts, failing, gathered, known
from ccsight.status import Status
from ccsight.store import write_atomically

#: What a column of the matrix is headed by, where the kind does not say it.
_HEADS = {
    Kind.LAW: "laws, new",
    Kind.UPGRADE: "upgrade, old → new",
    Kind.ROLLBACK: "roll-back, new → old",
    Kind.CROSSING: "between machines",
    Kind.LAUNCH: "launch, old → new",
    Kind.REGISTERS: "register list, old → new",
    Kind.LAYOUT: "layout of sizes, old → new",
    Kind.BASELINE: "baseline, new",
    Kind.PREDICATE: "predicates, new",
}


def write(result: Result, path: Path) -> None:
    """Write the report of a run, whole or not at all; links in it are relative to the run's folder."""
    write_atomically(path, document(result))


def document(result: Result) -> bytes:
    """Return the report of a run."""
    machines = page.machines(result)
    cases = {machine.name: result.cases_of(machine.name) for machine in machines}
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            plan=result.plan,
            counts=Counts.of(result.cases),
            kernels=page.kernels(result),
            machines=machines,
            heads={
                machine.name: [f"{it.age} {it.capture.cell.kernel}".strip() for it in machine.observed]
                for machine in machines
            },
            statuses={name: [case.status for case in own] for name, own in cases.items()},
            filters=_filters(result),
            crossings=page.crossings(result),
            failing=[page.judged(result, case) for case in failing(result)],
            known=known(result),
            glossary=Glossary(machines),
            registers_of=lambda observed: f"registers-{observed.capture.cell.id}",
            in_short=in_short,
            gathered=gathered,
            width=drawing.WIDTH,
        )
    )
    return text.encode()


def decided(shown: DecisionPage) -> bytes:
    """Return the page of a decision."""
    text = (
        _environment()
        .get_template("decision.html.j2")
        .render(
            page=shown,
            decision=shown.decision,
            heads=_HEADS,
            letters=LETTERS,
            tallies=TALLIES,
            width=drawing.WIDTH,
        )
    )
    return text.encode()


def _filters(result: Result) -> Filters:
    """Return what can be chosen of a run."""
    found = {case.status for case in result.cases}
    checks = {case.check for case in result.cases}
    return Filters.of(result.plan.machines, checks, (status for status in Status if status in found))


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ccsight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )


def _harmless(value: object) -> object:
    """Spell out what cannot be seen, in whatever a template prints; markup is the templates' own."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
