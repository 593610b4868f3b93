"""``ccsight machines``: list the machines that can be asked for."""

import click

from ccsight.cli.options import json_option


@click.command()
@json_option
def machines(as_json: bool) -> None:
    """List the machines that --on takes: every 64-bit CPU model of the QEMU in use, emulated.

    Options follow after commas: emulated:max,mte=on  emulated:neoverse-n1,cpus=4
    """
    from ccsight.deadline import Deadline
    from ccsight.machines.registry import known
    from ccsight.report import console, listings

    found = known(Deadline(600), console.narrate)
    if as_json:
        console.write_bytes(listings.document(machines=found))
    else:
        console.output().print(listings.machines(found))
