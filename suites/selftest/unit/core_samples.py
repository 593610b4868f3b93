"""Cores that nobody made: one gives all that can be overridden, one hardly anything."""

from dataclasses import replace

from ccsight.arm64.registers import SELECTORS
from ccsight.arm64.silicon import Core

FULL = Core(
    name="full",
    title="everything that can be overridden",
    base="",
    midr=0x610F1234,
    revidr=0x55,
    ctr=0x9444C005,
    clidr=0x82000024,
    ccsidr={selector: 0x0070_001A | (0x100 + selector) << 32 for selector in SELECTORS},
    ccidx=True,
    evt=2,
    dczid=0x7,
    values="computed",
    source="made up",
)
SPARSE = replace(
    FULL, midr=0x620F1234, ctr=0x9444C006, ccsidr={2: 0x1A}, ccidx=False, evt=0, revidr=None, dczid=None
)
