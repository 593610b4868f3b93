"""``ccsight machines add``: a machine of one's own in the inventory, its host key seen and asked about."""

from pathlib import Path

import click

from ccsight.cli.options import inventory_option
from ccsight.errors import UsageError


@click.command()
@click.argument("host", required=False)
@click.option("--name", metavar="NAME", help="What --on shall call it.  [default: the host's first name]")
@click.option("--yes", is_flag=True, help="Do not ask. A new host key is not taken by that.")
@click.option(
    "--host-key-sha256", "fingerprint", metavar="FINGERPRINT", help="The host key that it must have: SHA256:…"
)
@click.option("--example", is_flag=True, help="Print an inventory with every key, and what each is for.")
@inventory_option
def add(
    host: str | None,
    name: str | None,
    yes: bool,
    fingerprint: str | None,
    example: bool,
    inventory: Path | None,
) -> None:
    """Write a machine into the inventory, its host key once you agree.

    HOST is [USER@]HOST[:PORT]; an alias of ~/.ssh/config is one, and what that says of it stays in use.
    Compare a new host key with what ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub says on the machine.
    What stands in the inventory stays as it is.

    \b
    Examples:
      ccsight machines add ann@altra.lab
      ccsight machines add altra.lab --yes --host-key-sha256 SHA256:…
      ccsight machines add --example
    """
    from ccsight.deadline import Deadline
    from ccsight.machines import adding
    from ccsight.machines import inventory as machines
    from ccsight.report import console

    if example:
        console.write_bytes(adding.EXAMPLE.read_bytes())
        return
    if host is None:
        raise click.MissingParameter(param_type="argument", param_hint="HOST")
    found = adding.candidate(host, name, Deadline(60))
    console.narrate(f"{found.name}  {found.where}")
    console.narrate(f"  host key  {found.key.kind} {found.key.fingerprint}")
    console.narrate(f"            {found.key.place or 'new: nobody has said yet that it is this machine'}")
    adding.prove(found, fingerprint)
    if yes and not (found.key.place or fingerprint):
        raise UsageError(
            "--yes does not take a new host key",
            evidence=f"{found.where} shows {found.key.kind} {found.key.fingerprint}",
            next_step="compare that with the machine, then give it: --host-key-sha256 FINGERPRINT",
        )
    if not yes and not fingerprint:
        click.confirm(f"Write it into {machines.file()}?", abort=True, err=True)
    adding.write(found)
    console.narrate(f"written: {machines.file()}; next: ccsight machines check {found.name}")
