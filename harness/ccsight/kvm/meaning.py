"""What a changed view means to a guest, in sentences a person who never saw CLIDR_EL1 understands."""

from collections.abc import Iterator

from ccsight.arm64.caches import Geometry, Layout, effective_idc, geometry, human_size, listed
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, ID_AA64MMFR2_EL1, ccsidr
from ccsight.evidence.views import View


def caches(view: View) -> dict[str, Geometry | None]:
    """Return the caches that a view lists, by name, each with its geometry where it can be read."""
    clidr = view.value("CLIDR_EL1")
    layout = Layout.of(view.value("ID_AA64MMFR2_EL1") or 0)
    found: dict[str, Geometry | None] = {}
    for cache in listed(clidr or 0):
        value = view.value(ccsidr(cache.selector))
        found[cache.name] = None if value is None else geometry(value, layout)
    return found


def describe(view: View) -> str:
    """Return a view's caches in a few words: ``L1I 64K  L1D 64K  L2 1M``."""
    words = [f"{name} {'unified, ' * (name == 'L1')}{_size(shape)}" for name, shape in caches(view).items()]
    return "  ".join(words) or "no caches"


def _size(shape: Geometry | None) -> str:
    if shape is None:
        return "unreadable"
    return "no size" if shape.is_fabricated else human_size(shape.size)


def sentences(old: View, new: View) -> Iterator[str]:
    """Yield what a guest that is launched on the new kernel instead of the old one notices."""
    yield from _topology(old, new)
    yield from _coherence(old, new)
    yield from _layout(old, new)


def _topology(old: View, new: View) -> Iterator[str]:
    before, after = caches(old), caches(new)
    if before.keys() != after.keys():
        gone = [name for name in before if name not in after]
        come = [name for name in after if name not in before]
        parts = [f"{', '.join(gone)} gone"] if gone else []
        parts += [f"{', '.join(come)} new"] if come else []
        verb = "becomes" if len(before) == 1 else "become"
        count = f"{_count(len(before))} {verb} {len(after)}" if len(before) != len(after) else "other caches"
        yield f"new guests find another cache topology: {count} ({'; '.join(parts)})"
    sized = [name for name, shape in before.items() if shape and not shape.is_fabricated]
    if sized and not any(shape and not shape.is_fabricated for shape in after.values()):
        yield "the sizes are gone: every cache reads as one set of one way"
    lines = [{shape.line for shape in found.values() if shape} for found in (before, after)]
    if lines[0] and lines[1] and lines[0] != lines[1]:
        yield f"cache lines change from {_lines(lines[0])} to {_lines(lines[1])}"


def _count(number: int) -> str:
    return f"{number} cache{'' if number == 1 else 's'}"


def _lines(sizes: set[int]) -> str:
    return " and ".join(f"{size} B" for size in sorted(sizes))


def _coherence(old: View, new: View) -> Iterator[str]:
    pairs = [(view.value("CTR_EL0"), view.value("CLIDR_EL1")) for view in (old, new)]
    (old_ctr, old_clidr), (new_ctr, new_clidr) = pairs
    if old_ctr is None or new_ctr is None or old_clidr is None or new_clidr is None:
        return
    effective = [effective_idc(ctr, clidr) for ctr, clidr in ((old_ctr, old_clidr), (new_ctr, new_clidr))]
    for name, duty in (("IDC", "clean the data cache"), ("DIC", "invalidate the instruction cache")):
        before, after = (CTR_EL0.field(name).extract(ctr) for ctr in (old_ctr, new_ctr))
        if before != after:
            verb = "need not" if after else "must"
            same = name == "IDC" and effective[0] == effective[1]
            rest = "; Linux acts the same, by LoC and LoUU" if same else ""
            yield f"CTR_EL0.{name} {before} → {after}: the guest {verb} {duty} before it runs new code{rest}"
    if effective[0] != effective[1]:
        yield (
            f"the IDC that a Linux guest acts upon changes from {effective[0]} to {effective[1]}: "
            "a running guest that moves there uses the wrong cache maintenance"
        )
    loc = [CLIDR_EL1.field("LoC").extract(clidr) for clidr in (old_clidr, new_clidr)]
    if loc[0] != loc[1]:
        yield f"LoC {loc[0]} → {loc[1]}: set/way loops to the point of coherency cover {_levels(loc[1])}"


def _levels(number: int) -> str:
    return f"{number} level{'' if number == 1 else 's'}"


def _layout(old: View, new: View) -> Iterator[str]:
    mmfr2 = [view.value("ID_AA64MMFR2_EL1") for view in (old, new)]
    if mmfr2[0] is None or mmfr2[1] is None:
        return
    ccidx = [ID_AA64MMFR2_EL1.field("CCIDX").extract(value) for value in mmfr2 if value is not None]
    if ccidx[0] != ccidx[1]:
        layouts = [Layout.CCIDX if bit else Layout.NARROW for bit in ccidx]
        names = " to the ".join(layout.value for layout in layouts)
        yield f"CCIDX {ccidx[0]} → {ccidx[1]}: CCSIDR_EL1 changes from the {names} layout"
