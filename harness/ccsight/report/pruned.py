"""What became of old runs: removed, or kept and why. As a page, or as JSON."""

from collections.abc import Sequence

from ccsight.evidence.model import SCHEMA
from ccsight.evidence.old_runs import OldRun
from ccsight.evidence.record import Record, to_json
from ccsight.report.blocks import Page, Tone, grid, line, spans
from ccsight.toolbox.tools import megabytes


class Gone(Record, frozen=True):
    """A run that was removed, or would be; ``size`` is in bytes."""

    run: str
    created: str
    size: int


class Kept(Record, frozen=True):
    """A run that stays, and why."""

    run: str
    why: str


class Pruned(Record, frozen=True):
    """What ``show --prune --json`` prints."""

    schema: int
    dry_run: bool
    removed: tuple[Gone, ...]
    kept: tuple[Kept, ...]
    size: int


def document(runs: Sequence[OldRun], *, dry_run: bool) -> bytes:
    """Return the same as JSON: a :class:`Pruned`."""
    gone = tuple(Gone(run=run.name, created=run.created, size=run.size) for run in runs if not run.stays)
    return to_json(
        Pruned(
            schema=SCHEMA,
            dry_run=dry_run,
            removed=gone,
            kept=tuple(Kept(run=run.name, why=run.stays) for run in runs if run.stays),
            size=sum(run.size for run in gone),
        )
    )


def render(runs: Sequence[OldRun], *, dry_run: bool) -> Page:
    """Return the page: a row a run, oldest first, and how much it comes to."""
    word = "would go" if dry_run else "removed"
    rows = [
        (
            spans(("stays", Tone.DIM) if run.stays else (word, Tone.STRONG)),
            spans(run.name),
            spans(f"{megabytes(run.size):>9}" if not run.stays else ""),
            spans((run.stays, Tone.DIM)),
        )
        for run in runs
    ]
    gone = [run for run in runs if not run.stays]
    count = f"{len(gone)} run{'s' * (len(gone) != 1)}, {megabytes(sum(run.size for run in gone))}"
    return (grid(rows, fixed=3), line(f"{word} {count}"))
