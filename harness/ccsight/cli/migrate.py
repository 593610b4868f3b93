"""``ccsight migrate``: VMs that are saved on one kernel and restored on another, both ways."""

import os
from pathlib import Path

import click
from msgspec import structs

from ccsight.campaign.planning import DEFAULT_KERNELS, DEFAULT_MACHINES
from ccsight.cli.options import (
    json_option,
    machines_option,
    native_cap_option,
    out_option,
    rules_option,
    silicon_option,
    verbose_option,
)
from ccsight.evidence.run import MOVES


@click.command()
@click.argument("kernels", nargs=-1, metavar="KERNEL...")
@machines_option("migrate")
@silicon_option
@native_cap_option
@rules_option
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 2, show_default="CPUs")
@click.option("--dry-run", is_flag=True, help="Print the plan and how many boots it takes.")
@out_option
@json_option
@verbose_option
def migrate(
    kernels: tuple[str, ...],
    machines: tuple[str, ...],
    silicon: Path | None,
    native_cap: int | None,
    rules: bool,
    workers: int,
    dry_run: bool,
    results: Path,
    as_json: bool,
    verbose: bool,
) -> int:
    """Save VMs on every KERNEL, restore them on every other one, and say what becomes of them.

    The oldest KERNEL comes first. Of each machine and each pair of kernels, both ways, there are two
    strategies: a VM as KVM launches it, and one to which the VMM gave the values that the first kernel shows.
    Every register that KVM_GET_REG_LIST names is restored, in the ways in which VMMs do it.

    \b
    The outcomes, worst first:
      refused      the VM does not start at the destination
      lossy        it starts, but something did not arrive as the guest had it
      visible      the guest reads other values than it remembers
      transparent  the guest notices nothing

    They are measured, not judged: the exit status is 1 only when a VM is not even what it was
    on the very kernel that saved it (CR-006).

    \b
    Examples:
      ccsight migrate deb:6.1 deb:6.12
      ccsight migrate deb:6.1 deb:6.12 deb:7.2 --on silicon:graviton3 --on silicon:rk3588
    """
    from ccsight.campaign import compare as job
    from ccsight.machines.silicon import load

    kernels = kernels or DEFAULT_KERNELS
    again = ["ccsight", "migrate", *kernels]
    for machine in machines:
        again += ["--on", machine]
    again += ["--silicon", str(silicon)] if silicon else []
    depth = structs.replace(MOVES, native_cap=native_cap or 0, rules=rules)
    again += ["--native-cap", f"{native_cap}"] if native_cap else []
    again += ["--rules"] * rules
    request = job.Request(kernels, machines or DEFAULT_MACHINES, tuple(again), load(silicon), depth)
    if dry_run:
        return job.show_plan(request, as_json=as_json)
    run, found = job.start(results, request)
    return job.carry_out(run, found, job.Manner(workers, as_json, verbose))
