"""``ccsight show --prune``: be rid of old runs."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from ccsight.cli.options import Number, T


class _Days(click.FloatRange):
    name = "number of days"


def prune_options(function: T) -> T:
    """Add the options that ask for runs to be removed."""
    for option in reversed(
        (
            click.option("--prune", is_flag=True, help="Remove old runs: by age, number, or both."),
            click.option(
                "--older-than",
                "days",
                type=_Days(0),
                metavar="DAYS",
                help="With --prune: only older ones.",
            ),
            click.option("--keep", type=Number(1), metavar="N", help="With --prune: all but the newest N."),
            click.option("--dry-run", is_flag=True, help="With --prune: say what would go, remove nothing."),
        )
    ):
        function = option(function)
    return function


def show_pruned(results: Path, keep: int | None, days: float | None, *, dry_run: bool, as_json: bool) -> int:
    """Remove old runs and say which. Returns the exit status."""
    from ccsight.evidence.old_runs import Limits, old_runs, remove, remove_remains
    from ccsight.report import console, pruned

    found = list(old_runs(results, Limits(keep, days), datetime.now(UTC)))
    if not dry_run:
        remove_remains(results)
        found = [
            run if run.stays or remove(run) else replace(run, stays="it is being written") for run in found
        ]
    if as_json:
        console.write_bytes(pruned.document(found, dry_run=dry_run))
    else:
        console.output().print(pruned.render(found, dry_run=dry_run))
    return 0
