"""``ccsight kernels``: list the kernels that can be had."""

import click

from ccsight.cli.options import json_option


@click.command()
@click.option("--refresh", is_flag=True, help="Ask the package archive anew; else its last answer is used.")
@json_option
def kernels(refresh: bool, as_json: bool) -> None:
    """List the kernel series that the package archive has for arm64, the newest version of each.

    The spec in the first column is what other verbs take. The archive is the one that this system's
    apt is set up for; CCSIGHT_MIRROR, CCSIGHT_SECURITY_MIRROR and CCSIGHT_KEYRING name another.
    """
    from ccsight.deadline import Deadline
    from ccsight.kernels.available import available
    from ccsight.report import console, listings

    found = available(Deadline(600), console.narrate, refresh=refresh)
    if as_json:
        console.write_bytes(listings.document(found))
    else:
        console.output().print(listings.kernels(found))
