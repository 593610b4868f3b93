"""``ccsight show --history``: how one check went in every run that there is."""

from pathlib import Path

import click

from ccsight.cli.options import T


def history_options(function: T) -> T:
    """Add the options that ask for a history."""
    on = click.option(
        "--on", "machines", multiple=True, metavar="MACHINE", help="With --history: only there; repeatable."
    )
    asked = click.option("--history", metavar="CHECK", help="How a check went over all runs, oldest first.")
    return asked(on(function))


def show_history(results: Path, history: str, machines: tuple[str, ...], *, as_json: bool) -> int:
    """Print the history of a check. Returns the exit status that its newest verdicts stand for."""
    from ccsight.report import console
    from ccsight.report import history as courses
    from ccsight.report.history_page import render

    found = courses.history(results, history, machines)
    if as_json:
        console.write_bytes(courses.document(found))
    else:
        console.output().print(render(found))
    return courses.ended(found)
