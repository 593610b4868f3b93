"""The lists that the small verbs print: kernels, machines, needs. As a page, or as JSON."""

from collections.abc import Sequence

from ccsight.evidence.model import to_json
from ccsight.kernels.available import Available
from ccsight.report.blocks import Line, Page, Tone, grid, line, spans
from ccsight.toolbox.doctor import Need
from ccsight.toolbox.tools import megabytes


def document(rows: Sequence[Available] | Sequence[str] | Sequence[Need]) -> bytes:
    """Return a list as JSON: an array, one element a row."""
    return to_json(list(rows))


def kernels(rows: Sequence[Available]) -> Page:
    """Return the page of ``ccsight kernels``."""
    heads = ("kernel spec", "newest version", "suite", "download", "")
    cells = [
        (
            spans((row.spec, Tone.STRONG)),
            spans(row.version),
            spans((row.suite, Tone.DIM)),
            spans(f"{megabytes(row.size):>9}"),
            spans(("in the cache", Tone.GOOD) if row.cached else ""),
        )
        for row in rows
    ]
    pin = next((row for row in rows if len(row.versions) > 1), None)
    hint = [Line(), line(f"pin an older version: {pin.spec}={pin.versions[0]}")] if pin else []
    return (grid([tuple(spans((head, Tone.DIM)) for head in heads), *cells], fixed=5), *hint)


def machines(specs: Sequence[str]) -> Page:
    """Return the page of ``ccsight machines``."""
    return tuple(line("  ", (spec, Tone.STRONG)) for spec in specs)


def needs(rows: Sequence[Need]) -> Page:
    """Return the page of ``ccsight doctor``: what is missing has its mending line right below."""
    page = []
    for row in rows:
        word = spans(("ok     ", Tone.GOOD) if row.met else ("MISSING", Tone.BAD))
        page.append((word, spans((row.name, Tone.STRONG)), spans(row.found), spans((row.why, Tone.DIM))))
        if row.mend:
            page.append((spans(), spans(("mend it:", Tone.DIM)), spans((row.mend, Tone.CAUTION)), spans()))
    missing = sum(not row.met for row in rows)
    verdict = f"{missing} missing" if missing else "all there: ccsight compare"
    return (grid(page, fixed=2), Line(), line((verdict, Tone.BAD if missing else Tone.GOOD)))
