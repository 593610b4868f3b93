"""The lists that the small verbs print: kernels, needs. As a page, or as JSON."""

from collections.abc import Sequence

from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import to_json
from ccsight.kernels.available import Available
from ccsight.kernels.orders import Built, Ordered
from ccsight.kernels.stock import Stock
from ccsight.report.blocks import Block, Line, Page, Tone, grid, line, spans
from ccsight.toolbox.doctor import Need
from ccsight.toolbox.tools import megabytes


def document(**lists: Sequence[object]) -> bytes:
    """Return lists as one JSON object: ``schema``, and an array by each name."""
    return to_json({"schema": SCHEMA} | {name: list(rows) for name, rows in lists.items()})


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


def stock(rows: Sequence[Stock]) -> Page:
    """Return the page of what the store holds."""
    if not rows:
        return (Line(), line("the store is empty"))
    cells = [
        (
            spans((row.kind, Tone.DIM)),
            spans(f"{megabytes(row.size):>9}"),
            spans((_age(row.days), Tone.DIM)),
            spans((row.what, Tone.STRONG)),
            spans((row.name, Tone.DIM)),
        )
        for row in rows
    ]
    total = megabytes(sum(row.size for row in rows))
    return (Line(), line(f"in the store: {total}    make room: ccsight kernels prune"), grid(cells, fixed=3))


def pruned(rows: Sequence[Stock]) -> Page:
    """Return the page of what was removed from the store."""
    cells = [(spans(row.kind), spans(f"{megabytes(row.size):>9}"), spans(row.what)) for row in rows]
    return (grid(cells, fixed=2), line(f"removed {megabytes(sum(row.size for row in rows))}"))


def _age(days: float) -> str:
    return f"{days:.0f} days ago" if days >= 2 else "today" if days < 1 else "yesterday"


def builds(rows: Sequence[Built]) -> Page:
    """Return the page of kernels that were built."""
    page: list[Block] = []
    for row in rows:
        facts = (
            ("release", row.release),
            ("build-id", row.build_id),
            ("image", row.image),
            ("toolchain", row.toolchain),
            ("took", f"{row.seconds:.1f} s"),
        )
        page += [line((row.spec, Tone.STRONG)), grid([(spans((a, Tone.DIM)), spans(b)) for a, b in facts])]
    same = len(rows) > 1 and len({row.code_sha256 for row in rows}) == 1
    return (*page, line(("all of them run the same code", Tone.CAUTION))) if same else tuple(page)


def orders(rows: Sequence[Ordered]) -> Page:
    """Return the page of kernels that would be built."""
    page: list[Block] = []
    for row in rows:
        facts = [
            ("source", row.source),
            ("tree", row.tree),
            *(("patch", subject) for subject in row.patches),
            ("fragments", ", ".join(row.fragments)),
            ("toolchain", row.toolchain),
            ("store", f"{row.key}: {'has it' if row.stored else 'would be built'}"),
        ]
        page += [line((row.spec, Tone.STRONG)), grid([(spans((a, Tone.DIM)), spans(b)) for a, b in facts])]
    return tuple(page)


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
