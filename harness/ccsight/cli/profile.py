"""``ccsight profile``: which values a VMM sets before launch, so that a guest can be rolled back."""

from dataclasses import replace
from pathlib import Path

import click
from msgspec import structs

from ccsight.cli.options import json_option, silicon_option
from ccsight.cli.profile_shared import (
    FILE,
    core_option,
    dry_run_option,
    file_option,
    machine_option,
    read,
    request_of,
    results_option,
    workers_option,
    write,
)
from ccsight.cli.profile_values import common, export, guess
from ccsight.evidence.record import Hex
from ccsight.evidence.run import MOVES, VALUES


@click.group()
def profile() -> None:
    """Say which cache registers the old kernel showed, so that a VMM can set them on a new one.

    A guest that is launched on Linux 6.3 or newer sees caches that KVM made up, and so cannot go back
    to an older kernel. A VMM may set others before the first KVM_RUN; a profile has those that the old
    kernel showed, for each type of CPU.

    \b
    Examples:
      ccsight profile capture deb:6.1 --on silicon:graviton3 --out graviton3.toml
      ccsight profile check graviton3.toml --kernel deb:6.1 --kernel deb:6.12 --on silicon:graviton3
      ccsight profile export graviton3.toml --format firecracker
      ccsight profile common graviton3.toml silicon:graviton4
      ccsight profile guess --on silicon:graviton3 --kernel deb:6.12
    """


for _verb in (guess, common, export):
    profile.add_command(_verb)


@profile.command()
@click.argument("kernel")
@machine_option
@file_option
@silicon_option
@results_option
@workers_option
@dry_run_option
@json_option
def capture(
    kernel: str,
    machine: str,
    out: Path | None,
    silicon: Path | None,
    results: Path,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> None:
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

    request = request_of((kernel,), (machine,), silicon, VALUES, "capture", kernel)
    if dry_run:
        job.show_plan(request, as_json=as_json)
        return
    run = profiles.boot(results, request, workers)
    found = profiles.profile_of(run, run.plan.cells[0])
    require_possible(found, machine)
    if out or not as_json:
        write(out, profile_file.write(found))
    if as_json:
        console.write_bytes(report.document(found))
    elif out:
        console.output().print(report.summary(found))


@profile.command()
@click.argument("file", type=FILE)
@click.option(
    "--kernel", "kernels", multiple=True, required=True, help="Kernel to prove it on; any number of times."
)
@click.option(
    "--on",
    "machines",
    multiple=True,
    metavar="MACHINE",
    help="Machine; any number of times.  [default: the profile's]",
)
@click.option(
    "--vmm", "vmms", multiple=True, help="VMM that has to move it; any number of times.  [default: all known]"
)
@core_option
@silicon_option
@results_option
@workers_option
@dry_run_option
@json_option
def check(
    file: Path,
    kernels: tuple[str, ...],
    machines: tuple[str, ...],
    vmms: tuple[str, ...],
    core: str,
    silicon: Path | None,
    results: Path,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Prove a profile by booting: a guest launched with it sees exactly its values, on each kernel.

    And it is saved on each kernel and restored on each other one, in the ways of all VMMs that are
    known, without noticing. A machine with other cores than the profile's is refused, with its MIDR_EL1.
    """
    from ccsight.campaign import profiles
    from ccsight.checks.profiled import require_vmms
    from ccsight.kvm.profile_rules import chosen_core
    from ccsight.kvm.profiles import chosen, with_features
    from ccsight.report import console
    from ccsight.report import profiles as report
    from ccsight.status import exit_code

    proof = profiles.Proof(read(file), core, vmms)
    require_vmms(vmms)
    names = machines or (proof.profile.machine,)
    words = [word for kernel in kernels for word in ("--kernel", kernel)]
    request = request_of(kernels, names, silicon, MOVES, "check", str(file), *words)
    for machine in names:
        profiles.refuse_other_silicon(proof, machine, request.table)
    shown = chosen_core(proof.profile, core).userspace
    values = chosen(shown) | {"ID_AA64MMFR2_EL1": with_features(shown, 0)}
    depth = structs.replace(MOVES, profile={name: Hex(value) for name, value in values.items()})
    request = replace(request, depth=depth)
    if dry_run:
        cells, cases = profiles.planned(request)
        if as_json:
            console.write_bytes(report.plan_document(cells, cases))
        else:
            console.output().print(report.plan_page(cells, cases))
        return 0
    run = profiles.boot(results, request, workers)
    answers = profiles.prove(run, proof)
    if as_json:
        console.write_bytes(report.proof_document(answers))
    else:
        console.output().print(report.proof_page(answers))
    return exit_code(case.status for case in answers)
