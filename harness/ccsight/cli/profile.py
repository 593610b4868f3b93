"""``ccsight profile``: which values a VMM sets before launch, so that a guest can be rolled back."""

from dataclasses import replace
from pathlib import Path

import click
from msgspec import structs

from ccsight.cli.orders import Order, on_machine, on_machines, takes_order
from ccsight.cli.profile_common import common
from ccsight.cli.profile_options import FILE, LAST, core_option, file_option, read, write
from ccsight.cli.profile_values import export, guess
from ccsight.evidence.plan import MOVES, VALUES
from ccsight.evidence.record import Hex


@click.group()
def profile() -> None:
    """Say which cache registers the old kernel showed, so that a VMM can set them on a new one.

    A guest that is launched on Linux 6.3 or newer sees caches that KVM made up, and so cannot go back
    to an older kernel. A VMM may set others before the first KVM_RUN; a profile has those that the old
    kernel showed, for each type of CPU.

    \b
    Examples:
      ccsight profile capture deb:6.1 --on silicon:graviton3 --out graviton3.toml
      ccsight profile check graviton3.toml --kernel deb:6.1 --kernel deb:6.12
      ccsight profile export graviton3.toml --format firecracker
      ccsight profile common graviton3.toml silicon:graviton4
      ccsight profile common a.toml b.toml --prove --kernel deb:6.12
      ccsight profile guess --on silicon:graviton3 --kernel deb:6.12
    """


for _verb in (guess, common, export):
    profile.add_command(_verb)


@profile.command(short_help="Ask the old kernel, and write a profile.")
@click.argument("kernel")
@file_option
@takes_order(on_machine("Machine, as compare takes it."), VALUES, last=LAST)
def capture(kernel: str, out: Path | None, order: Order) -> None:
    """Boot the old KERNEL on a machine, and write down what it shows of the caches.

    That is the only sure source: sysfs lacks what a VMM has to set. KERNEL and MACHINE are what compare
    takes; the run's folder is one like any other. Every type of CPU of the machine is looked at, on
    each of its CPUs.
    """
    from ccsight.campaign import compare as job
    from ccsight.campaign import profiles
    from ccsight.evidence import profile_file
    from ccsight.kvm.profile_rules import require_possible
    from ccsight.report import console
    from ccsight.report import profiles as report

    request = order.request((kernel,), "profile", "capture", kernel)
    if order.dry_run:
        job.show_plan(request, as_json=order.as_json)
        return
    run = profiles.boot(order.results, request, order.workers)
    found = profiles.profile_of(run, run.plan.cells[0])
    require_possible(found, order.machines[0])
    if out or not order.as_json:
        write(out, profile_file.write(found))
    if order.as_json:
        console.write_bytes(report.document(found))
    elif out:
        console.output().print(report.summary(found))


@profile.command(short_help="Prove a profile by booting kernels with it.")
@click.argument("file", type=FILE)
@click.option(
    "--kernel",
    "kernels",
    multiple=True,
    required=True,
    metavar="KERNEL",
    help="Kernel to prove it on; any number of times.",
)
@click.option(
    "--vmm",
    "vmms",
    multiple=True,
    metavar="VMM",
    help="VMM that has to move it; any number of times.  [default: all known]",
)
@core_option
@takes_order(on_machines("Machine; any number of times.  [default: the profile's]"), MOVES, last=LAST)
def check(file: Path, kernels: tuple[str, ...], vmms: tuple[str, ...], core: str, order: Order) -> int:
    """Prove a profile by booting: a guest launched with it sees exactly its values, on each kernel.

    And it is saved on each kernel and restored on each other one, in the ways of all VMMs that are
    known, without noticing. A machine with other cores than the profile's is refused, with its MIDR_EL1:
    a silicon: machine before anything boots, others once they did, behind the proof on those that fit.
    """
    from ccsight.campaign import profiles
    from ccsight.checks.profiled import require_vmms
    from ccsight.kvm.profile_rules import chosen_core
    from ccsight.kvm.profiles import chosen, with_features
    from ccsight.machines.silicon import load
    from ccsight.report import console
    from ccsight.report import profiles as report
    from ccsight.status import exit_code

    proof = profiles.Proof(read(file), core, vmms)
    require_vmms(vmms)
    words = [word for kernel in kernels for word in ("--kernel", kernel)]
    words += [word for vmm in vmms for word in ("--vmm", vmm)] + ["--core", core] * bool(core)
    order = replace(order, machines=order.machines or (proof.profile.machine,))
    for machine in order.machines:
        profiles.refuse_other_silicon(proof, machine, load(order.silicon))
    kind = chosen_core(proof.profile, core)
    shown = kind.userspace
    values = chosen(shown) | {"ID_AA64MMFR2_EL1": with_features(shown, 0)}
    profile = {name: Hex(value) for name, value in values.items()}
    order = replace(order, depth=structs.replace(order.depth, profile=profile, core=kind.midr))
    request = order.request(kernels, "profile", "check", str(file), *words)
    if order.dry_run:
        cells, cases = profiles.planned(request)
        if order.as_json:
            console.write_bytes(report.plan_document(cells, cases))
        else:
            console.output().print(report.plan_page(cells, cases))
        return 0
    run = profiles.boot(order.results, request, order.workers)
    answers = profiles.prove(run, proof)
    if order.as_json:
        console.write_bytes(report.proof_document(answers))
    else:
        console.output().print(report.answers(answers, run.plan.cells))
    for error in profiles.strangers(run, proof).values():
        raise error  # of the others there is a proof, but the call made no sense
    return exit_code(case.status for case in answers)
