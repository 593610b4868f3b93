"""``ccsight doctor``: say what is missing on this system, and the line that mends it."""

import click

from ccsight.cli.options import json_option
from ccsight.status import ExitCode


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Say what ccsight needs on this system, what is missing, and the line that mends it.

    Changes nothing and downloads nothing. Exits 0 when all that the main job needs is there.
    """
    from ccsight.report import console, listings
    from ccsight.toolbox.doctor import examine

    found = examine()
    if as_json:
        console.write_bytes(listings.document(needs=found))
    else:
        console.output().print(listings.needs(found))
    return ExitCode.OK if all(need.met for need in found) else ExitCode.NOT_OBSERVED
