"""Kernels that are built here: ``deb-src:``, ``git:`` and ``tree:`` specs, and the store they end in.

A kernel is built once for its source, patches, configuration and toolchain, whoever asks.
"""

from dataclasses import dataclass
from pathlib import Path

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.errors import CcsightError, InfraError, UsageError
from ccsight.evidence.model import BuildFacts, PatchFacts
from ccsight.kernels import build, elsewhere, kconfig, lineage, machine_config, own_modules, stored, toolchain
from ccsight.kernels import reads as noted
from ccsight.kernels.build import Order
from ccsight.kernels.model import Kernel
from ccsight.kernels.objects import Source
from ccsight.kernels.source import resolve_source
from ccsight.kernels.toolchain import Toolchain
from ccsight.kernels.watch import CompileError
from ccsight.paths import cache_dir
from ccsight.specs import Spec
from ccsight.status import ExitCode, Status
from ccsight.store import entry
from ccsight.toolbox.tools import Report

#: What every kernel that is built here takes.
OPTIONS = frozenset({"patch", "kconfig", "toolchain", "build-on"})


class BrokenByPatch(CcsightError):
    """The patch under test breaks the build: its base builds with the same toolchain and configuration."""

    status = Status.FAIL
    exit_code = ExitCode.FAIL


@dataclass(frozen=True)
class Recipe:
    """A spec resolved to what is to be built; ``base`` is the same without the patches."""

    order: Order
    base: Order

    @property
    def is_stored(self) -> bool:
        """True when asking for the kernel builds nothing."""
        return (cache_dir() / stored.BUILT / self.order.key).is_dir()


def recipe(spec: Spec, deadline: Deadline, report: Report) -> Recipe:
    """Return what a spec says to build; sources are fetched, nothing is built. Raises UsageError."""
    inputs = resolve_source(spec, deadline, report)
    config = _config(spec.all("kconfig"), deadline, report)
    tools = _tools(spec, deadline)

    def order(of: Source, patches: tuple[PatchFacts, ...]) -> Order:
        title = spec.option("name") or of.title if patches else of.title
        return Order(of, patches, config, tools, title, spec.text)

    return Recipe(order(inputs.source, inputs.patches), order(inputs.base, ()))


def _tools(spec: Spec, deadline: Deadline) -> Toolchain:
    name, machine = spec.option("toolchain") or "gcc", spec.option("build-on")
    if machine is None:
        return toolchain.named(name, deadline)
    if name != "gcc":
        raise UsageError(
            f"on {machine}, kernels are built by its gcc", next_step=f"leave toolchain={name} out"
        )
    return elsewhere.toolchain(machine)


def _config(values: tuple[str, ...], deadline: Deadline, report: Report) -> kconfig.Merged:
    """Return what values of ``kconfig=`` mean: a machine's own configuration is instead of ours."""
    machine = machine_config.named(values)
    fragments = tuple(value for value in values if value != machine)
    if not machine:
        return kconfig.wanted(fragments)
    return kconfig.on_top(machine_config.of(machine, deadline, report), fragments)


def resolve(spec: Spec, deadline: Deadline, report: Report) -> Kernel:
    """Return the kernel that a spec means, built if nobody has built it yet.

    Raises BrokenByPatch when the patches break a base that builds, CompileError when it cannot be said
    whose fault it is, UsageError, KconfigDropped, NoSpace, ToolMissing or InfraError.
    """
    wanted = recipe(spec, deadline, report)
    try:
        folder = _stored(wanted.order, deadline, report)
    except CompileError as error:
        raise _blamed(error, wanted, deadline, report) from error
    if wanted.order.source.changed(deadline):
        report(f"note: {spec.value} changed meanwhile; what was built is the tree as it was at the start")
    kernel = stored.kernel(spec, folder)
    if kernel.hardware_module is None:
        log = folder / build.LOG
        report(f"note: {wanted.order.title} goes without our module; why is in the last line of {log}")
    base = wanted.order.config.base
    if base and kernel.modules and (lacking := own_modules.lacking(kernel.modules, base.modules)):
        report(f"note: loaded on {base.machine}, but not in {wanted.order.title}: {', '.join(lacking)}")
    return kernel


def spread(spec: Spec, count: int, deadline: Deadline, report: Report) -> int:
    """Have so many build folders near a spec's source, by copies; return how many there are.

    So many kernels near it can then be built at once. There may be fewer: see :func:`lineage.spread`.
    """
    order = recipe(spec, deadline, report).order
    if order.toolchain.machine:
        return 1  # the machine builds one at a time
    return lineage.spread(order.lineage, order.source, count, deadline, report)


def reads(kernel: Kernel) -> tuple[str, ...]:
    """Return git's pathspecs of all that can change what a kernel is; none for one that did not keep it.

    A commit outside of them changes nothing that was built. Of two kernels, take both ones' together:
    what the later one alone reads is in its own.
    """
    return noted.pathspecs(kernel.image.parent) if kernel.build else ()


def _stored(order: Order, deadline: Deadline, report: Report) -> Path:
    def fill(folder: Path) -> None:
        build.build(order, folder, deadline, report)

    return entry(stored.BUILT, order.key, fill, deadline)


def _blamed(error: CompileError, wanted: Recipe, deadline: Deadline, report: Report) -> CcsightError:
    """Return whose fault a broken build is: the patches' only when the base builds."""
    if wanted.order.key == wanted.base.key:
        return error
    report("the build is broken: building the base as a control")
    try:
        _stored(wanted.base, deadline, report)
    except InfraError as control:
        return CompileError(
            f"neither {wanted.order.title} nor its base builds, so nothing can be said of the patches",
            evidence=f"{error.fact}; the base: {control.fact}",
            next_step=error.next_step,
        )
    return BrokenByPatch(
        error.fact, evidence=f"{error.evidence}\n            the base builds", next_step=error.next_step
    )


def pin(kernel: Kernel) -> str:
    """Return the spec of the stored kernel itself: no source is needed, and no tree can change under it."""
    kept = tuple(option for option in kernel.spec.options if option[0] in ("append", "name"))
    return specs.render(stored.BUILT, kernel.image.parent.name, kept)


def from_store(spec: Spec, deadline: Deadline, report: Report) -> Kernel:
    """Return a kernel of the store by its key. Raises UsageError when it is not there any more."""
    folder = cache_dir() / stored.BUILT / Path(spec.value).name
    if not (folder / stored.ABOUT).is_file():
        raise UsageError(
            f"the store has no kernel {spec.value}",
            next_step="it was pruned: name its source again, or see ccsight kernels",
        )
    return stored.kernel(spec, folder)


def facts(kernel: Kernel) -> BuildFacts:
    """Return what a kernel was built from. Raises InfraError for one that was not built here."""
    if kernel.build is None:
        raise InfraError(
            f"{kernel.spec.text} was not built here",
            next_step="what is built: deb-src:, git: and tree:",
        )
    return kernel.build
