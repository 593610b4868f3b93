"""``ccsight compare``: the main job."""

import click

from ccsight.campaign.depths import DEPTH_OPTIONS
from ccsight.campaign.planning import DEFAULT_KERNELS
from ccsight.cli.options import refuse_others
from ccsight.cli.orders import Order, on_usual, takes_order
from ccsight.evidence.plan import USUAL

#: What a run has been told once and for all.
_ITS_OWN = ("old", "new", "machines", "silicon", "dry_run", *(option.name for option in DEPTH_OPTIONS))


@click.command()
@click.argument("old", default=DEFAULT_KERNELS[0])
@click.argument("new", default=DEFAULT_KERNELS[1])
@click.option("--resume", metavar="RUN", help="Finish an interrupted run instead of starting one.")
@takes_order(on_usual("compare"), USUAL, DEPTH_OPTIONS)
def compare(old: str, new: str, resume: str | None, order: Order) -> int:
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
    if resume is None:
        return order.carry_out(order.request((old, new), "compare", old, new))
    from ccsight.campaign import compare as job

    # A run that goes on has its kernels and machines: naming others would be ignored.
    refuse_others(click.get_current_context(), _ITS_OWN, "run")
    run, kernels = job.reopen(order.results, resume)
    return job.carry_out(run, kernels, job.Manner(order.workers, order.as_json, order.verbose))
