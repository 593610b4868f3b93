"""``ccsight machines release``: who has a machine, and taking it from whoever does not come back."""

from pathlib import Path

import click

from ccsight.cli.options import inventory_option
from ccsight.errors import UsageError

_SECONDS = 60.0


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Take it from whoever has it.")
@inventory_option
def release(name: str, force: bool, inventory: Path | None) -> int:
    """Say who has a machine, and free it of somebody who has left it.

    Who asks a machine has it until they are done; their name is written down there, in
    /var/lib/ccsight/lease, which root makes when it first asks. Who is killed has it no more. Who is
    connected, or has rebooted it and is awaited, keeps it but for --force.

    \b
    Examples:
      ccsight machines release altra
      ccsight machines release altra --force
    """
    from ccsight.deadline import Deadline
    from ccsight.machines import inventory as machines
    from ccsight.machines.lease import BUSY, NONE, Place
    from ccsight.machines.remote import connected
    from ccsight.report import console

    deadline = Deadline(_SECONDS)
    with connected(machines.entry(name), deadline) as host:
        place = Place(name, host)
        seen = place.look(deadline)
        if seen.word == NONE:
            raise UsageError(
                f"{name}: who has it is written down nowhere",
                evidence=f"{place.file} is not there, or not for this user; or there is no flock(1)",
                next_step="nobody has it, then; root makes that file when it first asks",
            )
        if seen.holder is None and seen.word != BUSY:
            console.narrate(f"{name} is free")
            return 0
        if seen.holder is None or (not force and (seen.word == BUSY or seen.awaited)):
            raise place.taken(seen)
        place.take_away(seen.holder, deadline)
    console.narrate(f"{name} is free: it was taken from {seen.holder}")
    return 0
