"""The verbs of ``ccsight profile`` that prove nothing: guess, export."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.orders import Order, on_machines, takes_order
from ccsight.cli.profile_options import (
    FILE,
    LAST,
    core_option,
    file_option,
    format_option,
    read,
    values_option,
    write,
)
from ccsight.errors import UsageError
from ccsight.evidence.plan import VALUES

if TYPE_CHECKING:
    from ccsight.machines.silicon import Table


@click.command(short_help="Say what can be known without the old kernel.")
@click.option("--kernel", default="deb:6.12", show_default=True, metavar="KERNEL", help="The new kernel.")
@click.option(
    "--sysfs",
    type=click.Path(path_type=Path, file_okay=False),
    help="The machine's /sys/devices/system/cpu, or a copy of it.",
)
@click.option("--table", is_flag=True, help="How good guesses are: on each core of the silicon table.")
@takes_order(on_machines("Machine, as compare takes it."), VALUES, last=LAST)
def guess(kernel: str, sysfs: Path | None, table: bool, order: Order) -> int:
    """Say what can be known of the old values without the old kernel, field by field, and how surely.

    known: read, or follows from what was read. table: the silicon table has a row for this MIDR_EL1.
    inferred: likely, and has been wrong on real machines. unknown: sysfs, CTR_EL0 and the table do not
    tell. A VMM should set nothing that is less than known: capture the old kernel instead.

    With --table, nothing is booted: each core of the silicon table is guessed from what its sysfs
    would say, and compared with what its registers say. Exit status 1: a guess that claims to be known
    is wrong.
    """
    from ccsight.campaign import compare as job
    from ccsight.campaign import profiles
    from ccsight.machines.silicon import load
    from ccsight.probes import sysfs as reader
    from ccsight.report import console
    from ccsight.report import profiles as report

    if table:
        if order.machines or sysfs:
            raise UsageError(
                "--table is about the whole silicon table", next_step="leave out --on and --sysfs"
            )
        return _trial(load(order.silicon), as_json=order.as_json)
    if len(order.machines) != 1:
        raise UsageError(
            "guess is about one machine", next_step="name one with --on MACHINE; or all cores with --table"
        )
    request = order.request((kernel,), "profile", "guess", "--kernel", kernel)
    if order.dry_run:
        return job.show_plan(request, as_json=order.as_json)
    leaves = reader.leaves(sysfs) if sysfs else {}
    run = profiles.boot(order.results, request, order.workers)
    found = profiles.guesses(profiles.need(run, run.plan.cells[0]), leaves, request.table)
    if order.as_json:
        console.write_bytes(report.guesses_document(found))
    else:
        console.output().print(report.guesses(found))
    return 0


def _trial(table: "Table", *, as_json: bool) -> int:
    from ccsight.campaign.profiles import trial
    from ccsight.report import console
    from ccsight.report import profiles as report
    from ccsight.status import ExitCode

    alone, helped, cores = trial(table)
    if as_json:
        console.write_bytes(report.score_document(alone, helped))
    else:
        console.output().print(report.score_page(alone, helped, cores))
    false = any(score.wrong_but_known for score in (*alone, *helped))
    return ExitCode.FAIL if false else ExitCode.OK


@click.command()
@click.argument("file", type=FILE)
@format_option
@values_option
@core_option
@file_option
def export(file: Path, form: str, values: str, core: str, out: Path | None) -> None:
    """Write a profile in a form that VMMs take.

    ids: a line "ID = VALUE" for each KVM_SET_ONE_REG, in order; "ID & MASK = VALUE" where only those bits
    are meant. firecracker: a custom CPU template, for PUT /cpu-config.
    """
    from ccsight.kvm import exports
    from ccsight.kvm.profile_rules import chosen_core

    found = read(file)
    chosen = chosen_core(found, core)
    shown = chosen.userspace if values == "userspace" else chosen.guest
    title = f"{chosen.name} as {found.kernel} ({found.release}) shows it to {values}"
    write(out, exports.FORMATS[form](shown, title))
