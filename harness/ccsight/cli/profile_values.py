"""The verbs of ``ccsight profile`` that prove nothing: guess, common, export."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import json_option, silicon_option
from ccsight.cli.profile_shared import (
    FILE,
    core_option,
    dry_run_option,
    file_option,
    format_option,
    read,
    request_of,
    results_option,
    values_option,
    workers_option,
    write,
)
from ccsight.errors import UsageError
from ccsight.evidence.run import VALUES

if TYPE_CHECKING:
    from ccsight.kvm.fleet import Host
    from ccsight.machines.silicon import Table


@click.command()
@click.option("--on", "machine", metavar="MACHINE", help="Machine, as compare takes it.")
@click.option("--kernel", default="deb:6.12", show_default=True, help="The new kernel.")
@click.option(
    "--sysfs",
    type=click.Path(path_type=Path, file_okay=False),
    help="The machine's /sys/devices/system/cpu, or a copy of it.",
)
@click.option("--table", is_flag=True, help="How good guesses are: on each core of the silicon table.")
@silicon_option
@results_option
@workers_option
@dry_run_option
@json_option
def guess(
    machine: str | None,
    kernel: str,
    sysfs: Path | None,
    table: bool,
    silicon: Path | None,
    results: Path,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
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
        if machine or sysfs:
            raise UsageError(
                "--table is about the whole silicon table", next_step="leave out --on and --sysfs"
            )
        return _trial(load(silicon), as_json=as_json)
    if machine is None:
        raise UsageError("which machine?", next_step="--on MACHINE, or --table")
    request = request_of((kernel,), (machine,), silicon, VALUES, "guess", "--kernel", kernel)
    if dry_run:
        return job.show_plan(request, as_json=as_json)
    leaves = reader.leaves(sysfs) if sysfs else {}
    run = profiles.boot(results, request, workers)
    found = profiles.guesses(profiles.need(run, run.plan.cells[0]), leaves, request.table)
    if as_json:
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
@click.argument("members", nargs=-1, required=True, metavar="PROFILE-OR-MACHINE...")
@click.option("--keep-ccidx", is_flag=True, help="CCIDX stays 1 where all have it: for kernels up to v6.10.")
@click.option("--format", "form", type=click.Choice(["ids", "firecracker"]), help="In a form for a VMM.")
@file_option
@silicon_option
@json_option
def common(
    members: tuple[str, ...],
    keep_ccidx: bool,
    form: str | None,
    out: Path | None,
    silicon: Path | None,
    as_json: bool,
) -> int:
    """Say the largest cache configuration that every machine of a fleet takes, and why it is no larger.

    A member is a profile's file, or a silicon: machine, whose registers are in the table. Kernels since
    v6.11 let a VMM choose it; what a machine refuses all the same is told with the function that
    refuses, and makes the exit status 1. Kernels up to v6.2 take nothing but their own CPU's values.
    """
    from ccsight.kvm import exports, fleet
    from ccsight.machines.silicon import load
    from ccsight.report import console
    from ccsight.report import profiles as report
    from ccsight.status import ExitCode

    hosts = [host for member in members for host in _hosts(member, load(silicon))]
    found = fleet.common(hosts, keep_ccidx=keep_ccidx)
    refused = {host.name: fleet.refusals_of(found.shown, host) for host in hosts}
    native = {host.name: len(fleet.native_refusals(found.shown, host)) for host in hosts}
    if form or out:
        write(out, exports.FORMATS[form or "ids"](found.shown, f"common to {', '.join(members)}"))
    elif as_json:
        console.write_bytes(report.common_document(found, refused, native))
    else:
        console.output().print(report.common_page(found, refused, native))
    return ExitCode.FAIL if any(refused.values()) else ExitCode.OK


def _hosts(member: str, table: "Table") -> "tuple[Host, ...]":
    from ccsight.campaign.profiles import hosts_of_profile, hosts_of_silicon

    if ":" in member and not Path(member).exists():
        return hosts_of_silicon(member, table)
    return hosts_of_profile(Path(member).stem, read(Path(member)))


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
