"""Fragments: what is read, what contradicts, what is proved; on a tiny tree with real kconfig syntax."""

import re

import pytest

from ccsight.errors import UsageError
from ccsight.kernels import kconfig, kconfig_tree
from ccsight.kernels.kconfig import Contradiction, KconfigDropped
from ccsight.paths import data_dir

TOP = """\
mainmenu "A tree"
source "lib/Kconfig"
source "arch/$(SRCARCH)/Kconfig"
"""
ARM64 = """\
config ARM64
\tdef_bool y
\thelp
\t  config NOT_AN_OPTION
\t  if you read this, it is a text

menuconfig VIRTUALIZATION
\tbool "Virtualization"

if VIRTUALIZATION

config KVM
\tbool "KVM"
\tdepends on OF && \\
\t\t!BIG_ENDIAN
\tdepends on $(cc-option,-mkvm)

endif # VIRTUALIZATION

menu "Features"
\tdepends on KVM

config SVE
\tbool "Vectors"

endmenu

config SELECTED
\tbool
"""


@pytest.fixture
def tree(tmp_path):
    files = {
        "Kconfig": TOP,
        "lib/Kconfig": 'config OF\n\tbool "Device tree"\n\nconfig NR\n\tint "Number"\n\trange 1 9\n',
        "arch/arm64/Kconfig": ARM64,
        "arch/x86/Kconfig": 'config VECTOR_UNIT\n\tbool "Elsewhere"\n',
    }
    for name, text in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def merged(tmp_path):
    def merge(*texts: str) -> kconfig.Merged:
        fragments = []
        for number, text in enumerate(texts):
            path = tmp_path / f"f{number}.config"
            path.write_text(text)
            fragments.append(kconfig.parse(path))
        return kconfig.merge(fragments)

    return merge


def test_a_fragment_is_read_with_values_marks_and_reasons(merged):
    options = {
        option.name: option
        for option in merged(
            "# a comment\n\n"
            "CONFIG_A=y # why\n"
            "CONFIG_B=0x1f\n"
            'CONFIG_C="a # b \\" c"   # optional: said\n'
            "# CONFIG_D is not set\n"
            "CONFIG_E=n # optional, override: twice\n"
        ).options
    }
    assert {name: option.value for name, option in options.items()} == {
        "A": "y",
        "B": "0x1f",
        "C": '"a # b \\" c"',
        "D": "n",
        "E": "n",
    }
    assert options["A"].reason == "why"
    assert options["A"].place.endswith("f0.config:3")
    assert not options["A"].optional
    assert options["C"].optional
    assert options["C"].reason == "said"
    assert options["E"].optional
    assert options["E"].override


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("KVM=y", "not a line of a fragment"),
        ("CONFIG_KVM", "not a line of a fragment"),
        ("CONFIG_KVM = y", "not a line of a fragment"),
        ("CONFIG_KVM=", "not a line of a fragment"),
        ('CONFIG_KVM="open', "not a line of a fragment"),
        ("CONFIG_KVM=y y", "not a line of a fragment"),
        ("CONFIG_KVM=yes", "no value that kconfig knows"),
        ("CONFIG_KVM=m", "no modules"),
    ],
)
def test_a_line_that_is_none_names_its_place(merged, line, said):
    with pytest.raises(UsageError, match=rf"f0\.config:2.*{said}"):
        merged(f"CONFIG_A=y\n{line}\n")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        kconfig.parse(tmp_path / "image")


def test_a_contradiction_names_both_places(merged):
    with pytest.raises(Contradiction, match=r"f1\.config:2 .*A=n, .*f0\.config:1 for =y") as caught:
        merged("CONFIG_A=y # the reason\n", "\n# CONFIG_A is not set\n")
    assert "the reason" in caught.value.evidence
    assert "override" in caught.value.next_step


def test_a_contradiction_within_a_file_cannot_be_overridden(merged):
    with pytest.raises(Contradiction):
        merged("CONFIG_A=y\nCONFIG_A=n # override: no\n")


def test_agreement_is_no_contradiction_and_the_stricter_one_stays(merged):
    both = merged("CONFIG_A=y # optional: perhaps\nCONFIG_B=0x10\n", "CONFIG_A=y\nCONFIG_B=16\n")
    assert [(option.name, option.optional) for option in both.options] == [("A", False), ("B", False)]


def test_an_override_replaces_and_the_text_depends_on_no_order(merged):
    assert (
        kconfig.text(merged("CONFIG_A=y\n", "CONFIG_A=n # override: smaller\n")) == "# CONFIG_A is not set\n"
    )
    one, other = merged("CONFIG_A=1\n", 'CONFIG_B="x"\n'), merged('CONFIG_B="x"\n', "CONFIG_A=1\n")
    assert kconfig.text(one) == kconfig.text(other) == 'CONFIG_A=1\nCONFIG_B="x"\n'


def test_a_tree_is_read_as_kconfig_reads_it(tree):
    known = kconfig_tree.definitions(tree)
    assert set(known) == {"OF", "NR", "ARM64", "VIRTUALIZATION", "KVM", "SVE", "SELECTED"}
    assert known["KVM"].places == ["arch/arm64/Kconfig:12"]
    assert known["KVM"].depends == ["VIRTUALIZATION", "OF && !BIG_ENDIAN", "$(cc-option,-mkvm)"]
    assert known["SVE"].depends == ["KVM"]
    assert known["KVM"].has_prompt
    assert not known["SELECTED"].has_prompt


def test_a_file_that_sources_itself_ends(tree):
    (tree / "lib/Kconfig").write_text('config OF\n\tbool "x"\nsource "lib/Kconfig"\n')
    assert "OF" in kconfig_tree.definitions(tree)


def test_what_has_no_kconfig_is_no_tree(tmp_path):
    with pytest.raises(UsageError, match="not a kernel tree"):
        kconfig_tree.definitions(tmp_path)


def test_what_is_there_is_proved(tree, merged):
    asked = merged('CONFIG_KVM=y\nCONFIG_NR=0x10\nCONFIG_SVE=n\nCONFIG_S="a b"\n')
    kconfig.prove(asked, 'CONFIG_KVM=y\nCONFIG_NR=16\n# CONFIG_SVE is not set\nCONFIG_S="a b"\n', tree)


def test_what_was_dropped_is_told_with_both_values_and_what_it_lacks(tree, merged):
    asked = merged("CONFIG_KVM=y\nCONFIG_NR=12\nCONFIG_SVE=y\nCONFIG_SELECTED=y\nCONFIG_OF=y\n")
    with pytest.raises(KconfigDropped) as caught:
        kconfig.prove(asked, "CONFIG_OF=y\nCONFIG_NR=9\nCONFIG_BIG_ENDIAN=y\nCONFIG_VIRTUALIZATION=y\n", tree)
    assert "KVM (wanted y, got n)" in caught.value.fact
    assert "NR (wanted 12, got 9)" in caught.value.fact
    assert "OF (" not in caught.value.fact
    said = caught.value.evidence
    assert "(BIG_ENDIAN is y) [arch/arm64/Kconfig:12]" in said
    assert "SVE depends on KVM (KVM is n)" in said
    assert "SELECTED cannot be asked for: only other options select it" in said
    assert re.search(r"f0\.config:1: KVM depends on", said)


def test_an_optional_option_may_be_missing_only_where_the_tree_does_not_define_it(tree, merged):
    kconfig.prove(merged("CONFIG_FUTURE=y # optional: newer trees\n"), "", tree)
    kconfig.prove(
        merged("CONFIG_VECTOR_UNIT=y # optional: another architecture's does not count\n"), "", tree
    )
    with pytest.raises(KconfigDropped, match="KVM"):
        kconfig.prove(merged("CONFIG_KVM=y # optional: but it is defined\n"), "", tree)


@pytest.mark.parametrize("value", ["y", "n"])
def test_an_option_that_the_tree_does_not_know_names_the_nearest(tree, merged, value):
    with pytest.raises(UsageError, match="no option VIRTUALISATION") as caught:
        kconfig.prove(merged(f"CONFIG_VIRTUALISATION={value}\n"), "", tree)
    assert "VIRTUALIZATION" in caught.value.evidence
    assert "f0.config:1" in caught.value.fact


def test_a_fragment_is_found_by_name_or_path(tmp_path):
    assert kconfig.find("debug") == data_dir("kconfigs") / "debug.config"
    (tmp_path / "mine").write_text("CONFIG_A=y\n")
    assert kconfig.find(str(tmp_path / "mine")) == tmp_path / "mine"
    with pytest.raises(UsageError, match="neither a file nor a fragment") as caught:
        kconfig.find("debgu")
    assert "'debug'" in caught.value.evidence


@pytest.mark.parametrize("name", kconfig.shipped())
def test_every_option_of_ours_has_its_reason_and_every_fragment_fits_the_others(name):
    fragment = kconfig.parse(kconfig.find(name))
    assert fragment.options
    assert not [option.place for option in fragment.options if not option.reason]
    assert name in kconfig.wanted([name]).names


def test_a_fragment_of_the_users_comes_last_and_once(tmp_path):
    path = tmp_path / "mine.config"
    path.write_text("CONFIG_KVM=n # override: to see what happens\n")
    merged = kconfig.wanted(["debug", str(path), "debug"])
    assert merged.names == (*kconfig.DEFAULT, "debug", str(path))
    assert "# CONFIG_KVM is not set\n" in kconfig.text(merged)


def test_two_page_sizes_are_a_contradiction():
    assert "CONFIG_ARM64_16K_PAGES=y\n" in kconfig.text(kconfig.wanted(["pages-16k"]))
    with pytest.raises(Contradiction, match=r"pages-64k\.config.*pages-16k\.config"):
        kconfig.wanted(["pages-16k", "pages-64k"])
