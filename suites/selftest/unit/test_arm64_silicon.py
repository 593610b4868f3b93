"""The rules for rows of real cores: whatever is legal passes, and each rule refuses what breaks it."""

from dataclasses import replace

import pytest
from core_samples import FULL, SPARSE
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsight.arm64.caches import Geometry, Layout, Side, listed, minimum_line
from ccsight.arm64.registers import CLIDR_EL1, CTR_EL0, Register
from ccsight.arm64.silicon import Base, Core, Override
from ccsight.arm64.silicon_rules import Breach, breaches, machine_breaches


def made(register: Register, **fields: int) -> int:
    """Return a value of a register with these fields, and its RES1 bits."""
    return sum(number << register.field(name).lo for name, number in fields.items()) | register.res1


def altered(register: Register, value: int, **fields: int) -> int:
    for name, number in fields.items():
        field = register.field(name)
        value = value & ~field.mask | number << field.lo
    return value


@st.composite
def bases(draw):
    flag = st.booleans()
    return Base(
        "model",
        aarch32=draw(flag),
        vhe=draw(flag),
        ccidx=draw(flag),
        mte=draw(flag),
        fwb=draw(flag),
        evt=draw(st.integers(0, 2)),
        dczid=draw(st.integers(0, 9)),
    )


@st.composite
def sizes(draw, layout, least):
    """Draw a CCSIDR_EL1 of any shape that set/way operations can name."""
    fields = layout.register
    line = draw(st.integers(next(n for n in range(8) if 16 << n >= least), 7))
    ways = draw(st.integers(1, 1 << (10 if layout is Layout.NARROW else 21)))
    most = min(32 - (line + 4) - (ways - 1).bit_length(), 15 if layout is Layout.NARROW else 24)
    sets = draw(st.integers(1, 1 << most))
    unknown = draw(st.integers(0, 15)) << 28 if layout is Layout.NARROW else 0
    return made(fields, LineSize=line, Associativity=ways - 1, NumSets=sets - 1) | unknown


@st.composite
def legal(draw):
    """Draw a core that may be, and its base."""
    base = draw(bases())
    ccidx = base.ccidx if base.aarch32 else draw(st.booleans())
    ctr = made(
        CTR_EL0,
        IminLine=draw(st.integers(0, 9)),
        DminLine=draw(st.integers(0, 9)),
        L1Ip=draw(st.sampled_from([0, 2, 3])),
        ERG=draw(st.sampled_from([0, *range(2, 10)])),
        CWG=draw(st.integers(0, 9)),
        IDC=draw(st.integers(0, 1)),
        DIC=draw(st.integers(0, 1)),
        TminLine=draw(st.integers(0, 9)) if base.mte else 0,
    )
    ctypes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    loc = draw(st.integers(0, 7))
    below = st.just(0) if base.fwb else st.integers(0, loc)
    clidr = made(
        CLIDR_EL1,
        **{f"Ctype{level}": ctype for level, ctype in enumerate(ctypes, 1)},
        LoC=loc,
        LoUIS=draw(below),
        LoUU=draw(below),
        ICB=draw(st.integers(0, 7)),
        Ttype1=draw(st.integers(0, 3)) if base.mte else 0,
    )
    layout = Layout.CCIDX if ccidx else Layout.NARROW
    core = Core(
        name="core",
        title="a core",
        base=base.name,
        midr=draw(st.integers(1, 255)) << 24 | 0xF << 16 | draw(st.integers(0, 0xFFFF)),
        ctr=ctr,
        clidr=clidr,
        ccsidr={c.selector: draw(sizes(layout, minimum_line(ctr, c.side))) for c in listed(clidr)},
        values="computed",
        source="drawn",
        ccidx=ccidx,
        evt=draw(st.integers(0, base.evt)),
        dczid=draw(st.sampled_from([None, base.dczid])),
    )
    return core, base


@given(legal())
def test_whatever_is_legal_passes(drawn):
    assert breaches(*drawn) == ()


def _ctr(**fields):
    return lambda core, base: (replace(core, ctr=altered(CTR_EL0, core.ctr, **fields)), base)


def _clidr(**fields):
    return lambda core, base: (replace(core, clidr=altered(CLIDR_EL1, core.clidr, **fields)), base)


def _on(change, **facts):
    return lambda core, base: change(core, replace(base, **facts))


def _sizes(value, *, ccidx):
    """Give every cache this value."""
    return lambda core, base: (
        replace(core, ccidx=ccidx, ccsidr=dict.fromkeys(core.ccsidr, value)),
        replace(base, aarch32=False),
    )


def _with(**values):
    return lambda core, base: (replace(core, **values), base)


WIDEST = made(Layout.NARROW.register, LineSize=7, Associativity=1023, NumSets=32767)

BROKEN = {
    "bits of no field are 0: RES0, but 0x40000000": lambda core, base: (
        replace(core, ctr=core.ctr | 1 << 30),
        base,
    ),
    "bit 31 is 1: RES1": lambda core, base: (replace(core, ctr=core.ctr & ~(1 << 31)), base),
    "L1Ip is not 1: reserved": _ctr(L1Ip=1),
    "ERG is not 1: reserved": _ctr(ERG=1),
    "ERG is not 10: reserved": _ctr(ERG=10),
    "CWG is not 15: reserved": _ctr(CWG=15),
    "TminLine needs FEAT_MTE2": _on(_ctr(TminLine=4), mte=False),
    "RES0, but 0x800000000000": lambda core, base: (replace(core, clidr=core.clidr | 1 << 47), base),
    "Ctype1 is not 5: reserved": _clidr(Ctype1=5),
    "no cache beyond level 1": _clidr(Ctype1=0, Ctype2=4),
    "Ttype needs FEAT_MTE2": _on(_clidr(Ttype2=1), mte=False),
    "LoUIS is not above LoC": _clidr(LoC=1, LoUIS=2),
    "LoUU is not above LoC": _clidr(LoC=0, LoUU=1),
    "LoUIS is 0 with FEAT_S2FWB": _on(_clidr(LoC=1, LoUIS=1), fwb=True),
    "LoUU is 0 with FEAT_S2FWB": _on(_clidr(LoC=1, LoUU=1), fwb=True),
    "L1D lacks one": lambda core, base: (
        replace(core, clidr=altered(CLIDR_EL1, core.clidr, Ctype1=3), ccsidr={1: 0}),
        base,
    ),
    "CCSIDR_EL1[13] is not": lambda core, base: (replace(core, ccsidr={**core.ccsidr, 13: 0}), base),
    "bits above 31 need ccidx": _sizes(1 << 32, ccidx=False),
    "RES0, but 0x1000000 ": _sizes(1 << 24, ccidx=True),
    "set and way fit": _sizes(WIDEST, ccidx=False),
    "no line is below the smallest that ctr promises": _ctr(IminLine=10, DminLine=10),
    "bits above 31 are 0": _with(midr=1 << 32 | 0x410FD083),
    "the implementer, bits 31:24, is not 0": _with(midr=0x000FD083),
    "the architecture, bits 19:16, is 0xf": _with(midr=0x4107D083),
    "evt is at most what the base has": _on(_with(evt=2), evt=1),
    "ccidx is the base's where EL1 has AArch32": _on(_with(ccidx=True), aarch32=True, ccidx=False),
    "dczid is the base's": _on(_with(dczid=5), dczid=4),
}


@pytest.mark.parametrize(("words", "change"), BROKEN.items(), ids=BROKEN)
@settings(max_examples=25)  # the breach is always the same; only what stands around it is drawn
@given(drawn=legal())
def test_each_rule_refuses_what_breaks_it(words, change, drawn):
    found = breaches(*change(*drawn))
    assert any(words in f"{breach.rule} " for breach in found), [breach.rule for breach in found]
    assert all(breach.key and breach.value and breach.demanded_by for breach in found)


def test_a_breach_names_the_value_and_what_demands_it():
    core, base = _plain()
    (breach,) = breaches(replace(core, clidr=0x0AE00023), base)
    assert (breach.key, breach.value) == ("clidr", "0xae00023")
    assert breach.rule == "LoUIS is not above LoC: unification is not beyond coherency, 7 > 2"
    assert breach.demanded_by == "DDI 0487 D24.2, CLIDR_EL1"


def _plain():
    """A Cortex-A72, the plainest core."""
    ccsidr = {0: 0x701FE00A, 1: 0x201FE012, 2: 0x707FE07A}
    core = Core("a", "A", "model", 0x410FD083, 0x8444C004, 0x0A200023, ccsidr, "published", "here")
    return core, Base("model", aarch32=True)


def test_loc_may_be_less_and_more_than_there_are_levels():
    core, base = _plain()
    for loc in (1, 7):
        assert (
            breaches(replace(core, clidr=altered(CLIDR_EL1, core.clidr, LoC=loc, LoUIS=0, LoUU=0)), base)
            == ()
        )


def test_a_set_way_operation_is_used_to_its_last_bit():
    assert Geometry(line=2048, ways=2, sets=1 << 20).fits_set_way
    assert not Geometry(line=2048, ways=3, sets=1 << 20).fits_set_way


def test_a_line_is_measured_against_its_own_side():
    core, base = _plain()
    assert minimum_line(core.ctr, Side.INSTRUCTION) == 64
    (one,) = breaches(replace(core, ctr=altered(CTR_EL0, core.ctr, IminLine=5)), base)
    assert (one.key, one.rule) == (
        "ccsidr.L1I",
        "no line is below the smallest that ctr promises: 64 B < 128 B",
    )


def test_cores_of_one_machine():
    core, _ = _plain()
    assert machine_breaches((core,) * 8) == ()
    for count in (0, 9):
        (wrong,) = machine_breaches((core,) * count)
        assert wrong == Breach("cpus", f"{count} names", "a machine has 1 to 8 CPUs", "the emulated board")
    (mixed,) = machine_breaches((core, replace(core, base="max")))
    rule, demanded = "all cores of a machine have one base", "QEMU: all CPUs of a machine are of one model"
    assert mixed == Breach("cpus", "max, model", rule, demanded)


def test_tags_of_any_level_need_memory_tagging():
    core, base = _plain()
    for level in range(1, 8):
        tagged = replace(core, clidr=altered(CLIDR_EL1, core.clidr, **{f"Ttype{level}": 1}))
        assert [each.key for each in breaches(tagged, base)] == ["clidr"]
        assert breaches(tagged, replace(base, mte=True)) == ()


def test_all_seven_levels_may_have_a_cache():
    core, base = _plain()
    full = made(CLIDR_EL1, **{f"Ctype{level}": 4 for level in range(1, 8)}, LoC=7)
    sizes = dict.fromkeys(range(0, 14, 2), 0x1A)
    assert breaches(replace(core, clidr=full, ccsidr=sizes), base) == ()


def test_a_breach_of_a_size_names_the_cache_or_the_register():
    core, base = _plain()
    wide = replace(core, ccsidr={**core.ccsidr, 0: 1 << 32 | 0x701FE00A})
    (above,) = breaches(wide, base)
    assert (above.key, above.value) == ("ccsidr.L1D", "0x1701fe00a")
    (more,) = breaches(replace(core, ccsidr={**core.ccsidr, 13: 0x1A}), base)
    assert (more.value, more.demanded_by) == ("0x1a", "DDI 0487 D24.2, CCSIDR_EL1")
    assert "CCSIDR_EL1[13] is not" in more.rule


def test_the_upper_half_of_a_wide_size_has_reserved_bits_too():
    core, base = _plain()
    wide = replace(core, ccidx=True, ccsidr=dict.fromkeys(core.ccsidr, 1 << 60 | 0xFF0000001A))
    found = breaches(wide, replace(base, aarch32=False))
    assert [each.key for each in found] == ["ccsidr.L1I", "ccsidr.L1D", "ccsidr.L2"]
    assert all(each.rule.endswith("RES0, but 0x1000000000000000 is set") for each in found)


def test_every_cache_with_a_size_is_judged_behind_one_without():
    core, base = _plain()
    found = breaches(replace(core, ccsidr={1: core.ccsidr[1], 2: 1 << 32 | core.ccsidr[2]}), base)
    assert [each.key for each in found] == ["clidr", "ccsidr.L2"]


def test_a_wrong_midr_is_cited():
    core, base = _plain()
    for midr in (1 << 32 | core.midr, 0x000FD083, 0x4107D083):
        (found,) = breaches(replace(core, midr=midr), base)
        assert (found.key, found.value) == ("midr", f"{midr:#x}")
        assert found.demanded_by == "DDI 0487 D24.2, MIDR_EL1"


def test_what_a_row_gives_is_overridden_and_nothing_else():
    sizes = {f"CCSIDR_EL1[{n}]": Override(value) for n, value in FULL.ccsidr.items()}
    sizes |= {f"CCSIDR2_EL1[{n}]": Override(0x100 + n) for n in FULL.ccsidr}
    both = 0xF << 20 | 0xF << 56
    assert FULL.overrides() == sizes | {
        "CTR_EL0": Override(0x9444C005),
        "CLIDR_EL1": Override(0x82000024),
        "ID_AA64MMFR2_EL1": Override(1 << 20 | 2 << 56, both),
        "DCZID_EL0": Override(7, mask=0xF),
        "MIDR_EL1": Override(0x610F1234, at_el2_only=True),
        "REVIDR_EL1": Override(0x55, at_el2_only=True),
    }
    assert SPARSE.overrides() == {
        "CTR_EL0": Override(0x9444C006),
        "CLIDR_EL1": Override(0x82000024),
        "CCSIDR_EL1[2]": Override(0x1A),
        "ID_AA64MMFR2_EL1": Override(0, both),
        "MIDR_EL1": Override(0x620F1234, at_el2_only=True),
    }
    assert not {"MIDR_EL1", "REVIDR_EL1"} & replace(FULL, shows_midr=False).overrides().keys()


def test_what_a_row_declares_of_a_part_goes_by_the_field():
    parts = {name: value for name, value in FULL.declared().items() if "." in name}
    assert parts == {"ID_AA64MMFR2_EL1.CCIDX": 1, "ID_AA64MMFR2_EL1.EVT": 2, "DCZID_EL0.BS": 7}
    assert SPARSE.declared() == {
        "CTR_EL0": 0x9444C006,
        "CLIDR_EL1": 0x82000024,
        "CCSIDR_EL1[2]": 0x1A,
        "ID_AA64MMFR2_EL1.CCIDX": 0,
        "ID_AA64MMFR2_EL1.EVT": 0,
        "MIDR_EL1": 0x620F1234,
    }
