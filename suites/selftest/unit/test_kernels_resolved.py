"""When Kconfig need not be asked again, and what its last answer is then worth."""

from pathlib import Path

import pytest

from ccsight.kernels import resolved

FILES = {
    "Kconfig": "1",
    "fs/Kconfig.binfmt": "2",
    "scripts/cc-version.sh": "3",
    "Makefile": "4",
    "init/main.c": "5",
}
CONFIG = '# made\nCONFIG_KVM=y\nCONFIG_BUILD_SALT="first"\n# CONFIG_SMP is not set\n'


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"init/main.c": "6"}, True),
        ({"drivers/a.c": "6"}, True),
        ({"fs/Kconfig.binfmt": "6"}, False),
        ({"lib/Kconfig": "6"}, False),
        ({"scripts/cc-version.sh": "6"}, False),
        ({"arch/arm64/Makefile": "6"}, False),
    ],
)
def test_what_kconfig_reads_makes_the_identity(changed: dict[str, str], same: bool) -> None:
    before, after = (resolved.identity("CONFIG_KVM=y\n", files) for files in (FILES, FILES | changed))
    assert (before == after) == same


def test_other_options_are_another_identity() -> None:
    assert resolved.identity("CONFIG_KVM=y\n", FILES) != resolved.identity("CONFIG_KVM=n\n", FILES)


def test_only_the_salt_is_another(tmp_path: Path) -> None:
    assert resolved.known(tmp_path, "a", "second") is None
    resolved.keep(tmp_path, "a", CONFIG)
    assert resolved.known(tmp_path, "b", "second") is None
    assert resolved.known(tmp_path, "a", "second") == CONFIG.replace("first", "second")
    (tmp_path / resolved.NAME).write_text("torn")
    assert resolved.known(tmp_path, "torn", "second") is None
