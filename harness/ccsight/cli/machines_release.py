"""``ccsight machines release``: who has a machine, and taking it from whoever does not come back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import inventory_option
from ccsight.errors import UsageError

if TYPE_CHECKING:
    from ccsight.deadline import Deadline
    from ccsight.machines.lease import Holder
    from ccsight.machines.lease_model import Leases

_SECONDS = 60.0


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Take it from whoever has it.")
@inventory_option
def release(name: str, force: bool, inventory: Path | None) -> int:
    """Say who has a machine, and free it of somebody who has left it.

    Who asks a machine has it until they are done; their name is written down there, in
    /var/lib/ccsight/lease, which root makes when it first asks. Who is killed has it no more. Who is
    connected, or has rebooted it and is awaited, keeps it but for --force. Of a machine that labgrid lends,
    its place there is told, and released.

    \b
    Examples:
      ccsight machines release altra
      ccsight machines release altra --force
    """
    from ccsight.deadline import Deadline
    from ccsight.machines import inventory as machines
    from ccsight.machines import leasing
    from ccsight.machines.way import connected
    from ccsight.report import console

    deadline = Deadline(_SECONDS)
    entry = machines.entry(name)
    taken = []
    if lender := leasing.outside(entry, console.narrate):  # the machine itself may be down
        taken.append(_freed(name, lender, deadline, force=force))
    with connected(entry, deadline) as host:
        taken.append(_freed(name, leasing.inside(entry, host), deadline, force=force))
    whose = [f": it was taken from {holder}" for holder in taken if holder]
    console.narrate(f"{name} is free{''.join(whose)}")
    return 0


def _freed(name: str, place: "Leases", deadline: "Deadline", *, force: bool) -> "Holder | None":
    """Free a machine of whoever has left it, and return them; None where it was free. Raises Taken."""
    from ccsight.machines.lease import BUSY, NONE, PLACE

    seen = place.look(deadline)
    if seen.word == NONE:
        raise UsageError(
            f"{name}: who has it is written down nowhere",
            evidence=f"{PLACE} is not there, or not for this user; or there is no flock(1)",
            next_step="nobody has it, then; root makes that file when it first asks",
        )
    if seen.holder is None and seen.word != BUSY:
        return None
    if seen.holder is None or (not force and (seen.word == BUSY or seen.awaited)):
        raise place.taken(seen)
    place.take_away(seen.holder, deadline)
    return seen.holder
