"""Whether the machines of a run can be booted, asked before anything is fetched or built for them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ccsight.campaign import turns
from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines.model import Machine, Report

#: Seconds that a real machine has to answer.
_ANSWER = 90.0


def prepare(machines: Sequence[Machine], deadline: Deadline, report: Report, *, boots: bool) -> None:
    """Get what machines take, and find those that must be left alone; ``boots``: for a kernel of ours.

    A real machine that is in use, was never admitted, or does not answer costs a run its own cells only: it
    is told, and what becomes of it by its turn is seen then. Where no machine would be left, its error is
    raised.
    """
    real = {machine.spec: machine for machine in machines if turns.once(machine.spec)}
    for machine in machines:
        machine.prepare(deadline, report)
    if not (boots and real):
        return
    with ThreadPoolExecutor(len(real)) as pool:
        troubles = [each for each in pool.map(_asker(deadline), real.values()) if each]
    if troubles and len(troubles) == len({machine.spec for machine in machines}):
        raise troubles[0][1]
    for spec, error in troubles:
        why = f"{error.fact}; {error.evidence}" if error.evidence else error.fact
        report(f"{spec} would be MISS: {why}")
        report(f"  to have it: {error.next_step}")


def _asker(deadline: Deadline) -> Callable[[Machine], tuple[str, InfraError] | None]:
    def asked(machine: Machine) -> tuple[str, InfraError] | None:
        try:
            machine.prove_may_boot(deadline.within(_ANSWER))
        except InfraError as error:
            return machine.spec, error
        return None

    return asked
