"""``ccsight profile common``: what a fleet has in common, and the proof that its machines take it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.orders import Order, on_machines, takes_order
from ccsight.cli.profile_options import LAST, file_option, read, write
from ccsight.errors import UsageError
from ccsight.evidence.plan import MOVES

if TYPE_CHECKING:
    from ccsight.campaign.compare import Request
    from ccsight.campaign.profile_common import Member
    from ccsight.evidence.profile import Shown
    from ccsight.machines.silicon import Table


@click.command(short_help="Say the largest configuration that a fleet takes.")
@click.argument("members", nargs=-1, required=True, metavar="PROFILE-OR-MACHINE...")
@click.option("--keep-ccidx", is_flag=True, help="CCIDX stays 1 where all have it: for kernels up to v6.10.")
@click.option("--format", "form", type=click.Choice(["ids", "firecracker"]), help="In a form for a VMM.")
@click.option("--prove", is_flag=True, help="Boot the machines, launch VMs with it, move them to each other.")
@click.option(
    "--kernel",
    "kernels",
    multiple=True,
    metavar="KERNEL",
    help="Kernel to prove it on; any number of times.",
)
@file_option
@takes_order(
    on_machines("Machine to prove it on for members that are profiles.  [default: those that they are from]"),
    MOVES,
    last=LAST,
)
def common(
    members: tuple[str, ...],
    keep_ccidx: bool,
    form: str | None,
    prove: bool,
    kernels: tuple[str, ...],
    out: Path | None,
    order: Order,
) -> int:
    """Say the largest cache configuration that every machine of a fleet takes, and why it is no larger.

    A member is a profile's file, or a silicon: machine, whose registers are in the table. Kernels since
    v6.11 let a VMM choose it; what a machine refuses all the same is told with the function that
    refuses, and makes the exit status 1. Kernels up to v6.2 take nothing but their own CPU's values.

    With --prove each machine is booted with each --kernel: a VM is launched with these values, has to show
    exactly them, and is moved to each other machine and kernel. The exit status then follows from what was
    seen of the caches; what else is refused between unlike cores, as MIDR_EL1 is, is told apart.
    """
    from ccsight.campaign import compare as job
    from ccsight.campaign import profile_common, profiles
    from ccsight.kvm import exports, fleet
    from ccsight.machines.silicon import load
    from ccsight.report import console
    from ccsight.report import profile_common as report

    found = [_member(word, load(order.silicon)) for word in members]
    hosts = [host for member in found for host in member.hosts]
    answer = fleet.common(hosts, keep_ccidx=keep_ccidx)
    if not prove and (kernels or order.machines or order.dry_run):
        raise UsageError("--kernel, --on and --dry-run are for a proof", next_step="add --prove")
    again = (*members, *["--keep-ccidx"] * keep_ccidx, "--prove")
    request = _request(found, again, answer.shown, kernels, order) if prove else None
    if request and order.dry_run:
        return job.show_plan(request, as_json=order.as_json)
    if form or out:
        write(out, exports.FORMATS[form or "ids"](answer.shown, f"common to {', '.join(members)}"))
    taken = report.taken(answer.shown, hosts)
    said = prove or not (form or out)
    if said and not order.as_json:
        console.output().print(report.page(answer, taken))
    run = profiles.boot(order.results, request, order.workers) if request else None
    cases = profile_common.prove(run, answer.shown) if run else ()
    if said and order.as_json:
        console.write_bytes(report.document(answer, taken, cases))
    elif run:
        console.output().print(report.proof_page(cases, run.plan.cells))
    if run:
        profile_common.require_known(run, found)
    return report.code(taken, cases)


def _request(
    found: "list[Member]", words: tuple[str, ...], shown: "Shown", kernels: tuple[str, ...], order: Order
) -> "Request":
    """Return what a proof boots: each kernel that was asked for, on each machine of the fleet."""
    from ccsight.campaign import profile_common

    if not kernels:
        raise UsageError("a proof needs a kernel", next_step="add --kernel KERNEL")
    named = (word for kernel in kernels for word in ("--kernel", kernel))
    request = order.request(kernels, "profile", "common", *words, *named)
    machines = profile_common.machines_of(found, order.machines, request.table)
    return replace(request, machines=machines, depth=profile_common.depth(shown, machines))


def _member(word: str, table: "Table") -> "Member":
    from ccsight.campaign.profile_common import Member
    from ccsight.campaign.profiles import hosts_of_profile, hosts_of_silicon

    if ":" in word and not Path(word).exists():
        return Member(hosts_of_silicon(word, table), word)
    profile = read(Path(word))
    return Member(hosts_of_profile(Path(word).stem, profile), profile.machine, profile)
