"""What ``ccsight build`` does with a spec: resolve it to a kernel, or say what that would take."""

import time

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import built
from ccsight.kernels import spec as kernel_specs
from ccsight.kernels.orders import Built, Ordered
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


def build(text: str, deadline: Deadline, report: Report) -> Built:
    """Build the kernel of a spec, unless the store has it. Raises what ``built.resolve`` does."""
    began = time.monotonic()
    kernel = built.resolve(_source_spec(text), deadline, report)
    facts = built.facts(kernel)
    return Built(
        spec=text,
        release=kernel.release,
        build_id=next(iter(kernel.build_ids)),
        image=str(kernel.image),
        code_sha256=facts.code_sha256,
        config_sha256=facts.config_sha256,
        toolchain=facts.toolchain,
        seconds=round(time.monotonic() - began, 1),
    )


def planned(text: str, deadline: Deadline, report: Report) -> Ordered:
    """Return what building a spec would take; its source is looked at, and fetched where it is not here."""
    recipe = built.recipe(_source_spec(text), deadline, report)
    order = recipe.order
    return Ordered(
        spec=text,
        source=order.source.title,
        tree=order.source.tree,
        patches=tuple(patch.subject for patch in order.patches),
        fragments=order.config.names,
        toolchain=order.toolchain.name,
        key=order.key,
        stored=recipe.is_stored,
    )


def _source_spec(text: str) -> Spec:
    spec = kernel_specs.parse(text)
    if spec.kind not in kernel_specs.SOURCES:
        forms = ", ".join(f"{kind}:{kernel_specs.KINDS[kind].value}" for kind in kernel_specs.SOURCES)
        raise UsageError(f"{spec.text} is not built from source", next_step=f"what can be built: {forms}")
    return spec
