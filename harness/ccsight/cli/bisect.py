"""``ccsight bisect``: which commit did it."""

import click

from ccsight.cli.options import Number, json_option, out_option, refuse_others
from ccsight.cli.orders import Order, on_machines, takes_order
from ccsight.errors import UsageError
from ccsight.evidence.plan import USUAL

#: A core whose registers differ on either side of the normalization, without FEAT_CCIDX.
_MACHINE = "emulated:neoverse-n1"
#: What a bisection may be told each time that it goes on; all else it was told once and for all.
_ALWAYS = {"resume", "skips", "workers", "verbose", "results", "as_json", "inventory"}
_verbose = click.option("-v", "--verbose", is_flag=True, help="Say what is being built.")


@click.command()
@click.argument("predicate", required=False)
@click.argument("paths", nargs=-1, metavar="[-- PATH...]")
@click.option(
    "--good",
    metavar="KERNEL",
    help="Where all is well: git:PATH,ref=REF, deb:SERIES=VERSION, or any to which --bad adds options.",
)
@click.option("--bad", metavar="KERNEL", help="Where it is not: of the same repository, or flavour.")
@click.option(
    "--confirm", multiple=True, metavar="MACHINE", help="Boot the ends and the proof on this one as well."
)
@click.option(
    "--repeat",
    type=Number(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Boots of each suspect; most of them decide.",
)
@click.option("--skip", "skips", multiple=True, metavar="COMMIT", help="With --resume: leave this one out.")
@click.option("--resume", metavar="ID", help='Go on with a bisection: its id, its folder, or "latest".')
@takes_order(
    on_machines(f"Machine to boot; any number of times. [default: {_MACHINE}]"),
    USUAL,
    last=(out_option, json_option, _verbose),
)
def bisect(
    predicate: str | None,
    paths: tuple[str, ...],
    good: str | None,
    bad: str | None,
    confirm: tuple[str, ...],
    repeat: int,
    skips: tuple[str, ...],
    resume: str | None,
    order: Order,
) -> int:
    """Find the commit with which PREDICATE changed, and prove that it is the one.

    PREDICATE says what is good (or, if it holds at the bad end only, what is wrong): see ccsight explain
    predicate. Both ends are built, booted and asked first; it has to tell them apart on every machine. Then
    git chooses, among the commits that touch the PATHs if there are any; else among those that touch
    what the ends were built from, and among all if it was none of these. Several are tried at once, up to
    --workers, where what earlier ones took says that it is faster. A suspect is bad as soon as one machine
    says so, good only where all do.

    What does not build is skipped; so is what does not boot, twice, with a good boot of the good
    end in between. Where a machine is to blame, or something was not observed, the bisection stops, for
    --resume. Skips may leave a range of commits, which is then the answer.

    At last the parent of what was found is booted again, then it, then the bad end with it reverted.

    \b
    Exit status:
      0  found and proven    1  not found, or not proven
      2  the call makes no sense
      3  something could not be observed    130  interrupted

    \b
    Examples:
      ccsight bisect --good git:linux,ref=v6.12 --bad git:linux,ref=topic \\
                     'guest.CLIDR_EL1.LoC == 1'
      ccsight bisect --good git:linux,ref=v6.12 --bad git:linux,ref=topic \\
                     'check CR-004' -- arch/arm64/kvm
      ccsight bisect --good deb:6.1 --bad deb:6.12 'guest.CLIDR_EL1.LoC == 2'
      ccsight bisect --resume latest
    \b
    Which patch of a series, and which of the options of a file:
      ccsight bisect --good K --bad K,patch=series.mbox 'check CR-004'
      ccsight bisect --good K --bad K,kconfig=my.config 'check CR-004'
    """
    from ccsight.campaign import bisections as job
    from ccsight.evidence.bisection import Bisection
    from ccsight.machines.silicon import load

    manner = job.Manner(order.workers, order.as_json, order.verbose, skips)
    if resume is not None:
        context = click.get_current_context()
        refuse_others(context, context.params.keys() - _ALWAYS, "bisection")
        return job.carry_out(Bisection.find(order.results, resume), manner)
    if not (good and bad and predicate):
        lacking = [
            word for word, given in (("--good", good), ("--bad", bad), ("PREDICATE", predicate)) if not given
        ]
        raise UsageError(f"bisect needs {' and '.join(lacking)}", next_step="ccsight bisect --help")
    if skips:
        raise UsageError(
            "--skip is for a bisection that goes on", next_step="ccsight bisect --resume ID --skip COMMIT"
        )
    again = ["ccsight", "bisect", "--good", good, "--bad", bad, predicate, *order.words]
    again += [word for machine in confirm for word in ("--confirm", machine)]
    again += ["--repeat", f"{repeat}"] * (repeat > 1) + ["--", *paths] * bool(paths)
    on, table = order.machines or (_MACHINE,), load(order.silicon)
    request = job.Request(good, bad, predicate, on, tuple(again), table, confirm, paths, repeat)
    if order.dry_run:
        return job.show_plan(order.results, request, order.workers, as_json=order.as_json)
    return job.carry_out(job.start(order.results, request), manner)
