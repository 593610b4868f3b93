"""``ccsight capture``: one kernel on machines, and what a guest sees there."""

import os
from pathlib import Path

import click

from ccsight.campaign.planning import DEFAULT_MACHINES
from ccsight.cli.options import (
    depth_words,
    fuzz_option,
    json_option,
    linux_option,
    machines_option,
    migrate_option,
    out_option,
    silicon_option,
    verbose_option,
)
from ccsight.evidence.run import Depth


@click.command()
@click.argument("kernel", required=False)
@machines_option("boot it")
@silicon_option
@fuzz_option
@linux_option
@migrate_option
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 2, show_default="CPUs")
@click.option("--dry-run", is_flag=True, help="Print the plan and how many boots it takes.")
@out_option
@json_option
@verbose_option
def capture(
    kernel: str | None,
    machines: tuple[str, ...],
    silicon: Path | None,
    fuzz: int,
    linux: bool,
    migrate: bool,
    workers: int,
    dry_run: bool,
    results: Path,
    as_json: bool,
    verbose: bool,
) -> int:
    """Boot one KERNEL, show what a guest sees, and judge the laws; compare captures later.

    KERNEL and MACHINE are what compare takes. MACHINE can be local, too: the arm64 machine that ccsight
    runs on. It is not booted, and the KERNEL is the running one, which need not be named.
    The run's folder is one like any other: show reads it, diff compares its captures with those of
    another run, compare --resume finishes it.

    \b
    Examples:
      ccsight capture deb:6.12 --on emulated:neoverse-n1
      ccsight capture tree:linux --on silicon:rk3588 --json
      ccsight capture --on local
      ccsight diff results/RUN-A/captures/CELL/1 results/RUN-B/captures/CELL/1
    """
    from ccsight.campaign import compare as job
    from ccsight.machines.silicon import load

    kernel = kernel or _running(machines)
    again = ["ccsight", "capture", kernel]
    for machine in machines:
        again += ["--on", machine]
    again += ["--silicon", str(silicon)] if silicon else []
    depth = Depth(fuzz=fuzz, linux=linux, migrate=migrate)
    request = job.Request(
        (kernel,), machines or DEFAULT_MACHINES, (*again, *depth_words(depth)), load(silicon), depth
    )
    if dry_run:
        return job.show_plan(request, as_json=as_json)
    run, kernels = job.start(results, request)
    return job.carry_out(run, kernels, job.Manner(workers, as_json, verbose))


def _running(machines: tuple[str, ...]) -> str:
    """Return the kernel that nobody has to name: that of this machine, where it is the only one."""
    from ccsight.kernels.running import RUNNING
    from ccsight.machines.this_machine import LOCAL

    if set(machines) != {LOCAL}:
        raise click.MissingParameter(param_type="argument", param_hint="KERNEL")
    return RUNNING
