"""The one door to Jinja2: a result as one HTML file that needs nothing but itself.

Everything that a machine said is escaped, and the page forbids scripts and outside resources.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ccsight.arm64.registers import in_short
from ccsight.report import drawing, page
from ccsight.report.model import Result
from ccsight.report.printable import printable
from ccsight.report.wording import Counts, failing, gathered, known
from ccsight.store import write_atomically


def write(result: Result, path: Path) -> None:
    """Write the report of a run, whole or not at all; links in it are relative to the run's folder."""
    write_atomically(path, document(result))


def document(result: Result) -> bytes:
    """Return the report of a run."""
    environment = Environment(
        loader=PackageLoader("ccsight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    text = environment.get_template("report.html.j2").render(
        result=result,
        plan=result.plan,
        counts=Counts.of(result.cases),
        kernels=page.kernels(result),
        machines=page.machines(result),
        crossings=page.crossings(result),
        failing=[page.judged(result, case) for case in failing(result)],
        known=known(result),
        in_short=in_short,
        gathered=gathered,
        width=drawing.WIDTH,
    )
    return text.encode()


def _harmless(value: object) -> object:
    """Spell out what cannot be seen, in whatever a template prints; markup is the templates' own."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
