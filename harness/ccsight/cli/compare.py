"""``ccsight compare``: the main job."""

import os
from pathlib import Path

import click
from click.core import ParameterSource

from ccsight.campaign.planning import DEFAULT_KERNELS, DEFAULT_MACHINES
from ccsight.cli.options import (
    depth_words,
    fuzz_option,
    json_option,
    linux_option,
    machines_option,
    migrate_option,
    native_cap_option,
    out_option,
    rules_option,
    silicon_option,
    verbose_option,
)
from ccsight.errors import UsageError
from ccsight.evidence.run import Depth


@click.command()
@click.argument("old", default=DEFAULT_KERNELS[0])
@click.argument("new", default=DEFAULT_KERNELS[1])
@machines_option("compare")
@silicon_option
@fuzz_option
@linux_option
@migrate_option
@native_cap_option
@rules_option
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count() or 2, show_default="CPUs")
@click.option("--resume", metavar="RUN", help="Finish an interrupted run instead of starting one.")
@click.option("--dry-run", is_flag=True, help="Print the plan and how many boots it takes.")
@out_option
@json_option
@verbose_option
def compare(
    old: str,
    new: str,
    machines: tuple[str, ...],
    silicon: Path | None,
    fuzz: int,
    linux: bool,
    migrate: bool,
    native_cap: int | None,
    rules: bool,
    workers: int,
    resume: str | None,
    dry_run: bool,
    results: Path,
    as_json: bool,
    verbose: bool,
) -> int:
    """Boot the kernels OLD and NEW and show what a guest sees differently.

    OLD and NEW are kernel specs: deb:6.1 is the newest Debian arm64 kernel of that series,
    deb:6.1=6.1.176-1 pins one, image:FILE is any arm64 Image. Options follow after commas:
    deb:6.12,flavour=cloud  deb:6.12,append=nokaslr  image:Image,name=mine

    A MACHINE is emulated:MODEL, for every 64-bit CPU model that QEMU has, or silicon:NAME: an
    emulated machine whose CPUs read the cache registers of a real one (see: ccsight machines).

    A difference between the kernels is measured, not judged. The exit status is 1 only when a law fails
    on a kernel: when guest and VMM are told different things, a listed cache cannot be read, cache
    lines contradict CTR_EL0, the view depends on the physical CPU, the console shows a splat, or a
    value is none that the reference model knows, beyond what that kernel is known to do.

    \b
    Examples:
      ccsight compare
      ccsight compare deb:6.12 deb:7.2 --on emulated:neoverse-n2 --on emulated:max
      ccsight compare --on silicon:rk3588 --on silicon:graviton2,cpus=4
      ccsight compare --on silicon:mine --silicon mine.toml
      ccsight compare --resume latest
    """
    from ccsight.campaign import compare as job
    from ccsight.machines.silicon import load

    if resume is not None:
        _refuse_other_orders(click.get_current_context())
        run, kernels = job.reopen(results, resume)
    else:
        depth = Depth(fuzz=fuzz, linux=linux, migrate=migrate, native_cap=native_cap or 0, rules=rules)
        again = _again(old, new, machines, silicon) + depth_words(depth)
        request = job.Request((old, new), machines or DEFAULT_MACHINES, again, load(silicon), depth)
        if dry_run:
            return job.show_plan(request, as_json=as_json)
        run, kernels = job.start(results, request)
    return job.carry_out(run, kernels, job.Manner(workers, as_json, verbose))


def _again(old: str, new: str, machines: tuple[str, ...], silicon: Path | None) -> tuple[str, ...]:
    words = ["ccsight", "compare", old, new]
    for machine in machines:
        words += ["--on", machine]
    words += ["--silicon", str(silicon)] if silicon else []
    return tuple(words)


def _refuse_other_orders(context: click.Context) -> None:
    """A run that goes on has its kernels and machines: naming others would be ignored, so it is refused."""
    names = (
        "old",
        "new",
        "machines",
        "silicon",
        "fuzz",
        "linux",
        "migrate",
        "native_cap",
        "rules",
        "dry_run",
    )
    told = [name for name in names if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if told:
        fact = "--resume takes kernels and machines from the run"
        raise UsageError(fact, evidence=f"given as well: {', '.join(told)}")
