"""``ccsight machines``: list the machines that can be asked for, and show what one of them is."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.machines_add import add
from ccsight.cli.machines_admit import admit
from ccsight.cli.machines_check import check
from ccsight.cli.machines_release import release
from ccsight.cli.options import inventory_option, json_option, silicon_option
from ccsight.errors import UsageError

if TYPE_CHECKING:
    from ccsight.machines.silicon import Table
    from ccsight.specs import Spec


@click.group(invoke_without_command=True)
@silicon_option
@inventory_option
@json_option
@click.pass_context
def machines(context: click.Context, silicon: Path | None, inventory: Path | None, as_json: bool) -> None:
    """List the machines that --on takes.

    Names without a colon are machines of your own, which are reached over SSH: add writes them down, check
    says what each can be used for.

    emulated:MODEL is a machine of QEMU's own, one for every 64-bit CPU model of the QEMU in use.
    silicon:NAME is one of those whose CPUs read the cache registers of a real core: one CPU after the
    other as its row says, or two CPUs of one core. The last column says where the values are from:
    they were published, computed, or some of each.

    Options follow after commas:
    emulated:max,mte=on  emulated:neoverse-n1,cpus=4  silicon:graviton2,cpus=4,base=cortex-a76
    altra,attended=on (boot it though it was not admitted)  altra,force=on (though it is in use)

    \b
    Examples:
      ccsight machines
      ccsight machines show rk3588
      ccsight machines show cortex-a72 --toml > mine.toml
      ccsight machines --silicon mine.toml
      ccsight machines add altra.lab
      ccsight machines check
    """
    if context.invoked_subcommand:
        if silicon or inventory or as_json:
            verb = context.invoked_subcommand
            raise UsageError(
                f"options of {verb} stand after its name",
                next_step=f"ccsight machines {verb} NAME, then the options",
            )
        return
    from ccsight.deadline import Deadline
    from ccsight.machines.registry import known
    from ccsight.machines.silicon import load
    from ccsight.report import console
    from ccsight.report import silicon as report

    table = load(silicon)
    found = known(Deadline(600), console.narrate, table)
    rows = tuple(table.machines.values())
    if as_json:
        console.write_bytes(report.list_document(found, rows))
    else:
        console.output().print(report.list_page(found, rows))


machines.add_command(add)
machines.add_command(admit)
machines.add_command(check)
machines.add_command(release)


@machines.command()
@click.argument("name")
@click.option(
    "--toml", "as_toml", is_flag=True, help="Its rows, under new names: the start of a FILE of your own."
)
@silicon_option
@json_option
def show(name: str, as_toml: bool, silicon: Path | None, as_json: bool) -> None:
    """Draw the caches of a machine, and take its registers apart.

    NAME is a machine as --on takes it; what stands before the colon may be left out for silicon:.

    \b
    Examples:
      ccsight machines show rk3588
      ccsight machines show silicon:graviton2,base=cortex-a76
      ccsight machines show emulated:neoverse-v1
      ccsight machines show mine --silicon mine.toml
    """
    from ccsight.machines import inventory, registry, silicon_rows
    from ccsight.machines.silicon import load
    from ccsight.machines.this_machine import LOCAL
    from ccsight.report import console
    from ccsight.report import silicon as report

    if name == LOCAL:
        raise UsageError(
            "what this machine's registers read is in no table", next_step=f"ccsight capture --on {LOCAL}"
        )
    table = load(silicon)
    if ":" not in name and name not in table.machines and name in inventory.entries():
        raise UsageError(
            f"what the registers of {name} read is in no table", next_step=f"ccsight capture --on {name}"
        )
    spec = registry.parse(name if ":" in name else f"silicon:{name}")
    if spec.kind != "silicon":
        if as_toml:
            raise UsageError(
                f"{spec.text} has no rows in the silicon table",
                next_step="ccsight machines lists those that have",
            )
        _show_model(spec, table, as_json=as_json)
        return
    machine = registry.on_silicon(spec, table)
    if as_toml:
        console.write_bytes(silicon_rows.write(machine, "my-").encode())
    elif as_json:
        console.write_bytes(report.show_document(spec.text, machine))
    else:
        console.output().print(report.show_page(spec.text, machine, table.bases[machine.base]))


def _show_model(spec: "Spec", table: "Table", *, as_json: bool) -> None:
    """Show what is known of one of QEMU's own models. Raises UsageError where QEMU has none of that name."""
    from ccsight.deadline import Deadline
    from ccsight.machines import registry
    from ccsight.report import console
    from ccsight.report import silicon as report

    registry.machine(spec.text, table).prepare(Deadline(600), console.narrate)
    base = table.bases.get(spec.value)
    if as_json:
        console.write_bytes(report.model_document(spec.text, base))
    else:
        console.output().print(report.model_page(spec.text, base))
