"""``ccsight capture``: one kernel on machines, and what a guest sees there."""

import click

from ccsight.campaign import depths
from ccsight.cli.orders import Order, on_usual, takes_order
from ccsight.evidence.plan import USUAL


@click.command()
@click.argument("kernel", required=False)
@takes_order(on_usual("boot it"), USUAL, depths.named("fuzz", "linux", "migrate", "across", "pmu"))
def capture(kernel: str | None, order: Order) -> int:
    """Boot one KERNEL, show what a guest sees, and judge the laws; compare captures later.

    KERNEL and MACHINE are what compare takes. MACHINE can be local, too: the arm64 machine that ccsight
    runs on, or the name of one of yours (see ccsight machines add). It is not booted, and the KERNEL is the
    one that it runs, which need not be named.
    The run's folder is one like any other: show reads it, diff compares its captures with those of
    another run, compare --resume finishes it.

    \b
    Examples:
      ccsight capture deb:6.12 --on emulated:neoverse-n1
      ccsight capture tree:linux --on silicon:rk3588 --json
      ccsight capture --on local
      ccsight capture --on altra
      ccsight diff results/RUN-A/captures/CELL/1 results/RUN-B/captures/CELL/1
    """
    kernel = kernel or _running(order.machines)
    return order.carry_out(order.request((kernel,), "capture", kernel))


def _running(machines: tuple[str, ...]) -> str:
    """Return the kernel that nobody has to name: that of the only machine, where that is not booted."""
    from ccsight.machines.registry import parse, running_on

    own = {running_on(parse(machine)) for machine in machines}
    if len(own) != 1 or "" in own:
        raise click.MissingParameter(param_type="argument", param_hint="KERNEL")
    return own.pop()
