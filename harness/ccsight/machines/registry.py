"""From a machine spec to a machine. A new kind of machine is one row here and one file."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ccsight import specs
from ccsight.arm64.silicon import SiliconMachine
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import elsewhere, machine_config, running
from ccsight.kernels.running import RUNNING
from ccsight.machines import building, configuration, emulated, inventory, remote, silicon, this_machine
from ccsight.machines.emulated import EmulatedMachine
from ccsight.machines.model import Machine, Report
from ccsight.machines.remote import INVENTORY, RemoteMachine
from ccsight.machines.silicon import Table
from ccsight.machines.this_machine import LOCAL, ThisMachine
from ccsight.specs import Spec


def _emulated(spec: Spec, table: Table) -> Machine:
    _refuse_mte(spec, spec.value, table)
    return EmulatedMachine(spec)


def _refuse_mte(spec: Spec, model: str, table: Table) -> None:
    """Refuse mte=on for a model that is known to have none: QEMU would refuse to start, a boot later."""
    base = table.bases.get(model)
    if base and not base.mte and emulated.board(spec).mte:
        raise UsageError(
            f"QEMU's {model} has no MTE: in {spec.text!r}",
            evidence=f"with it: {', '.join(name for name, row in table.bases.items() if row.mte)}",
            next_step="leave mte=on out, or take one of those",
        )


def _known_emulated(table: Table, deadline: Deadline, report: Report) -> list[str]:
    return emulated.known(deadline, report)


def on_silicon(spec: Spec, table: Table) -> SiliconMachine:
    """Return the row that a ``silicon:`` spec names, as its options change it. Raises UsageError."""
    asked = emulated.board(spec)
    cpus = asked.cpus if spec.option("cpus") is not None else None
    return table.machine(spec.value, cpus=cpus, base=spec.option("base"))


def _silicon(spec: Spec, table: Table) -> Machine:
    machine = on_silicon(spec, table)
    _refuse_mte(spec, machine.base, table)
    return EmulatedMachine(spec, silicon=machine)


def _known_silicon(table: Table, deadline: Deadline, report: Report) -> list[str]:
    return [f"silicon:{name}" for name in table.machines]


def _local(spec: Spec, table: Table) -> Machine:
    return ThisMachine(spec)


def _known_local(table: Table, deadline: Deadline, report: Report) -> list[str]:
    return this_machine.known()


def _remote(spec: Spec, table: Table) -> Machine:
    return RemoteMachine(spec, inventory.entry(spec.value))


def _known_remote(table: Table, deadline: Deadline, report: Report) -> list[str]:
    return list(inventory.entries())


@dataclass(frozen=True)
class _Kind:
    """A kind of machine: how its specs are written, what makes one, and which ones there are.

    ``gives`` tells whether one may have something to give to a VM (``kvm.gifts``); unknown is yes.
    """

    form: specs.Form
    make: Callable[[Spec, Table], Machine]
    known: Callable[[Table, Deadline, Report], list[str]]
    gives: Callable[[Spec], bool] = lambda spec: True


KINDS = {
    "emulated": _Kind(specs.Form(emulated.OPTIONS, "MODEL"), _emulated, _known_emulated, emulated.gives),
    "silicon": _Kind(
        specs.Form(emulated.OPTIONS | {"base"}, "NAME"), _silicon, _known_silicon, emulated.gives
    ),
    LOCAL: _Kind(specs.Form(frozenset()), _local, _known_local),
}
#: What stands behind every name that is no kind's.
_NAMED = _Kind(specs.Form(remote.OPTIONS), _remote, _known_remote)

running.others_are_asked_by(remote.stands)
machine_config.machines_are_asked_by(configuration.of_machine)
elsewhere.machines_are_lent_by(building.lend)


def parse(text: str) -> Spec:
    """Parse a machine spec; a name of the inventory is one. Raises UsageError naming the nearest of all."""
    forms = {name: kind.form for name, kind in KINDS.items()}
    if ":" not in text and text.partition(",")[0] not in KINDS:
        forms |= dict.fromkeys(inventory.entries(), _NAMED.form)
    spec = specs.parse(text, forms, "machine")
    return spec if spec.kind in KINDS else replace(spec, kind=INVENTORY, value=spec.kind)


def _kind(spec: Spec) -> _Kind:
    return KINDS.get(spec.kind, _NAMED)


def gives(spec: Spec) -> bool:
    """Tell whether a machine may have something to give to a VM (``kvm.gifts``), as far as its spec says."""
    return _kind(spec).gives(spec)


def prove_fit(kernel: Spec, machine: Spec, *, linux: bool = False) -> None:
    """Raise UsageError for a machine that cannot be given a kernel: some have only the one that they run.

    ``linux`` is whether the kernel shall run as a guest of itself, too.
    """
    own = running_on(machine)
    if not own and kernel.kind != RUNNING:
        return
    if kernel.kind == RUNNING and specs.render(RUNNING, kernel.value, ()) == own:
        if linux:
            raise UsageError(
                "a running kernel cannot be booted as a guest of itself: nothing proves which image it is",
                next_step=f"leave --linux out on {machine.text}",
            )
        return
    if kernel.kind == RUNNING:
        whose = kernel.value or "this machine"
        raise UsageError(
            f"{kernel.text} is the kernel of {whose}, and {machine.text} is another one",
            next_step=f"ccsight capture --on {kernel.value or LOCAL}; or name a kernel that {machine.text} "
            "can boot",
        )
    if machine.kind == INVENTORY:
        remote.prove_boots(machine)
        return
    raise UsageError(
        f"{machine.text} is not booted: it runs the kernel that it runs, not {kernel.text}",
        next_step=f"ccsight capture --on {LOCAL}; or {kernel.text} on another machine",
    )


def running_on(machine: Spec) -> str:
    """Return the spec of the only kernel that a machine can be given, "" where it is booted."""
    return {LOCAL: RUNNING, INVENTORY: f"{RUNNING}:{machine.value}"}.get(machine.kind, "")


def machine(text: str, table: Table | None = None) -> Machine:
    """Return the machine that a spec names; nothing is started. Raises UsageError.

    ``table`` is where ``silicon:`` machines are looked up: without one, what ships.
    """
    spec = parse(text)
    return _kind(spec).make(spec, table or silicon.shipped())


def known(deadline: Deadline, report: Report, table: Table | None = None) -> list[str]:
    """Return the specs of all machines that can be asked for, without options."""
    found = table or silicon.shipped()
    return [spec for kind in (*KINDS.values(), _NAMED) for spec in kind.known(found, deadline, report)]
