"""``ccsight kernels``: the kernels that can be had, those that the store holds, and how to be rid of them."""

import time

import click

from ccsight.cli.options import json_option


@click.group(invoke_without_command=True)
@click.option("--refresh", is_flag=True, help="Ask the package archive anew; else its last answer is used.")
@json_option
@click.pass_context
def kernels(context: click.Context, refresh: bool, as_json: bool) -> None:
    """List the kernels that can be had, and those that the store holds.

    First the series that the package archive has for arm64, the newest version of each; the spec in
    the first column is what other verbs take. The archive is the one that this system's apt is set up
    for; CCSIGHT_MIRROR, CCSIGHT_SECURITY_MIRROR and CCSIGHT_KEYRING name another.

    Then what is in the cache: kernels that were fetched or built, and build folders, with their sizes
    and how long ago they were used.
    """
    if context.invoked_subcommand:
        return
    from ccsight.deadline import Deadline
    from ccsight.kernels import index, stock
    from ccsight.kernels.available import available
    from ccsight.report import console, listings
    from ccsight.toolbox import source_packages

    deadline = Deadline(600)
    for listing in (index.LISTING, source_packages.LISTING) if refresh else ():
        listing.refresh(time.time(), deadline, console.narrate)
    series = available(index.LISTING.load(deadline, console.narrate))
    held = stock.held()
    if as_json:
        console.write_bytes(listings.document(archive=series, store=held))
    else:
        console.output().print((*listings.kernels(series), *listings.stock(held)))


class _Days(click.FloatRange):
    name = "number of days"


@kernels.command()
@click.option(
    "--older-than",
    "days",
    type=_Days(0),
    default=30.0,
    show_default=True,
    metavar="DAYS",
    help="Remove what was not used for so many days; 0 removes everything.",
)
@json_option
def prune(days: float, as_json: bool) -> None:
    """Remove kernels and build folders that were not used lately.

    Everything removed is fetched or built again when it is asked for. What another process uses stays.
    """
    from ccsight.kernels import stock
    from ccsight.report import console, listings

    gone = stock.prune(days)
    if as_json:
        console.write_bytes(listings.document(removed=gone))
    else:
        console.output().print(listings.pruned(gone))
