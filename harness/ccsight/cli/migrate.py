"""``ccsight migrate``: VMs that are saved on one kernel or machine and restored on another, all ways."""

import click

from ccsight.campaign import depths
from ccsight.campaign.planning import DEFAULT_KERNELS
from ccsight.cli.orders import Order, on_usual, takes_order
from ccsight.errors import UsageError
from ccsight.evidence.plan import MOVES


@click.command()
@click.argument("kernels", nargs=-1, metavar="KERNEL...")
@takes_order(on_usual("migrate"), MOVES, depths.named("native_cap", "rules", "across", "pmu"))
def migrate(kernels: tuple[str, ...], order: Order) -> int:
    """Save VMs on every KERNEL, restore them on every other one, and say what becomes of them.

    The oldest KERNEL comes first. Of each machine and each pair of kernels, both ways, there are two
    strategies: a VM as KVM launches it, and one to which the VMM gave the values that the first kernel shows.
    Every register that KVM_GET_REG_LIST names is restored, in the ways in which VMMs do it.
    With --across every VM goes to every other machine, too, under each of the kernels: can a guest
    of one machine go to the other? The values are then those of the machine that it comes from.

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
      ccsight migrate deb:6.1 deb:6.12 deb:7.2 --on silicon:rk3588
      ccsight migrate deb:6.12 --across --on silicon:rk3588 --on silicon:graviton3
    """
    if order.depth.across and len(set(order.machines)) == 1:
        raise UsageError(
            "--across moves VMs between machines, and there is but one",
            next_step=f"name two: --on {order.machines[0]} --on MACHINE",
        )
    kernels = kernels or DEFAULT_KERNELS
    return order.carry_out(order.request(kernels, "migrate", *kernels))
