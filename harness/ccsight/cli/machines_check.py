"""``ccsight machines check``: what each machine of the inventory can be used for."""

from pathlib import Path

import click

from ccsight.cli.options import inventory_option, json_option
from ccsight.status import ExitCode


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@inventory_option
@json_option
def check(names: tuple[str, ...], inventory: Path | None, as_json: bool) -> int:
    """Log in to your machines, and say what each can be used for.

    Nothing is changed there. Without a NAME, all of the inventory. A reason stands behind each yes, no or
    unknown, and what to do next below them. What is marked * is needed to capture there what its kernel
    shows; all else is for booting others.

    \b
    Exit status:
      0  something can be captured on each    3  not on one of them
      4  the inventory has none

    \b
    Examples:
      ccsight machines check
      ccsight machines check altra --json
    """
    from ccsight.machines import inventory as machines
    from ccsight.machines.checking import check as look
    from ccsight.report import console
    from ccsight.report import machines as report

    wanted = [machines.entry(name) for name in names] if names else list(machines.entries().values())
    found = look(wanted)
    if as_json:
        console.write_bytes(report.document(found))
    else:
        console.output().print(report.page(found, str(machines.file())))
    if not found:
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK if all(each.usable for each in found) else ExitCode.NOT_OBSERVED
