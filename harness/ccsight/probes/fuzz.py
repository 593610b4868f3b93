"""Values that nobody thought of, for KVM's cache registers; and from one that fails to the part that does."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from ccsight.arm64.registers import REGISTERS, SELECTORS, Register, base_name, ccsidr
from ccsight.evidence.views import FUZZ_VALUES, FUZZED, View
from ccsight.probes.writes import Attempt, Trial

#: Every register as often as all sizes together, and one size that no cache has.
_REGISTERS = ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", "CSSELR_EL1", "CCSIDR_EL1")
_BEYOND = ccsidr(14)


def trial(told: Mapping[int, View], seed: str, count: int = FUZZ_VALUES) -> Trial:
    """Return a VM that never runs, and random values for it: the same seed gives the same ones."""
    cpu, view = next(iter(told.items()))
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    return Trial(FUZZED, cpu, tuple(_attempt(dice, view) for _ in range(count)), cpu)


def _attempt(dice: random.Random, told: View) -> Attempt:
    name = dice.choice(_REGISTERS)
    if name == "CCSIDR_EL1":
        name = dice.choice([*map(ccsidr, SELECTORS), _BEYOND])
    before = told.value(name)
    value = dice.choice(_WAYS)(dice, REGISTERS[base_name(name)], before or 0)
    return Attempt(name, value, vcpu=dice.randrange(2), back=before)


def _some_fields(dice: random.Random, register: Register, base: int) -> int:
    for field in dice.sample(register.fields, dice.randint(1, min(3, len(register.fields)))):
        base = base & ~field.mask | dice.getrandbits(64) & field.mask
    return base


def _lower_fields(dice: random.Random, register: Register, base: int) -> int:
    for field in register.fields:
        base = base & ~field.mask | dice.randint(0, field.extract(base)) << field.lo
    return base


def _some_bits(dice: random.Random, register: Register, base: int) -> int:
    for _ in range(dice.randint(1, 4)):
        base ^= 1 << dice.randrange(width(register))
    return base


def _all_fields(dice: random.Random, register: Register, base: int) -> int:
    return dice.getrandbits(64) & register.mask | register.res1


def _any_bits(dice: random.Random, register: Register, base: int) -> int:
    return dice.getrandbits(width(register))


_WAYS: tuple[Callable[[random.Random, Register, int], int], ...] = (
    _some_fields,
    _lower_fields,
    _some_bits,
    _all_fields,
    _any_bits,
)


def width(register: Register) -> int:
    """Return how many bits KVM takes of a register: its ids of CCSIDR_EL1 have 32."""
    return 32 if register.name == "CCSIDR_EL1" else 64


def shrunk(value: int, base: int, fails: Callable[[Sequence[int]], Sequence[bool]]) -> int:
    """Return a value that fails as ``value`` does and of which no changed bit can be left as it was.

    ``base`` is the register's own value. ``fails`` tries values on a machine, all at once, and tells which
    fail; it is asked about once for each bit that goes.
    """
    while candidates := list(_simpler(value, base)):
        failing = [each for each, bad in zip(candidates, fails(candidates), strict=True) if bad]
        if not failing:
            return value
        value = failing[0]
    return value


def _simpler(value: int, base: int) -> Iterator[int]:
    """Yield the value with half of its changed bits as they were, then with one of them."""
    changed = [bit for bit in range(64) if (value ^ base) >> bit & 1]
    half = len(changed) // 2
    for part in (changed[:half], changed[half:], *([bit] for bit in changed)):
        if part and len(part) < len(changed):
            yield value ^ sum(1 << bit for bit in part)
