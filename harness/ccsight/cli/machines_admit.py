"""``ccsight machines admit``: prove that a machine comes back from whatever its boot comes to."""

from pathlib import Path

import click

from ccsight.cli.options import inventory_option
from ccsight.status import ExitCode

_SECONDS = 4 * 3600.0


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Reboot it though VMs run there, or somebody is logged in.")
@inventory_option
def admit(name: str, force: bool, inventory: Path | None) -> int:
    """Prove that a machine always comes back to its own kernel.

    Before that it is not booted into others, unless somebody looks on (--on NAME,attended=on). It is rebooted
    three to five times, each time into its own kernel once more: to come up, to panic, to be left alone, and,
    where the machine has a watchdog or its entry a power command, to hang. Each takes a boot there and one
    back. What brought it back is its recovery class, which is written down there, in
    /var/lib/ccsight/admitted, and shown by check. Its default is never changed, and nothing else is left.

    \b
    Exit status:
      0  it is admitted
      3  it did not come up, or not come back by itself; or it was left alone

    \b
    Examples:
      ccsight machines admit altra
      ccsight machines admit altra --force
    """
    from ccsight.deadline import Deadline
    from ccsight.machines import inventory as machines
    from ccsight.machines.admit import admit as trials
    from ccsight.machines.way import Way
    from ccsight.report import console

    way = Way(machines.entry(name), force=force, attended=True)
    admitted = trials(way, Deadline(_SECONDS), console.narrate)
    recovery = ", ".join(admitted.recovery)
    console.narrate(f"{name} is admitted to be booted by {admitted.method}; its recovery class: {recovery}")
    return ExitCode.OK
