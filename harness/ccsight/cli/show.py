"""``ccsight show``: show a run again, from its folder."""

from pathlib import Path

import click

from ccsight.cli.options import json_option, out_option, verbose_option


@click.command()
@click.argument("run", default="latest")
@out_option
@json_option
@verbose_option
def show(run: str, results: Path, as_json: bool, verbose: bool) -> int:
    """Show a RUN again: its id, its folder, or "latest" (the default).

    Nothing is booted. The evidence is judged anew; a planned case without evidence reads MISS, so an
    interrupted run says what it is. Exits as the run itself did.
    """
    from ccsight.campaign.compare import present
    from ccsight.evidence.run import find_run
    from ccsight.report.model import Result

    found = find_run(results, run)
    return present(Result.of(found), as_json=as_json, verbose=verbose)
