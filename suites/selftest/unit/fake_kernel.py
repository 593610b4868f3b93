"""A kernel tree of a few files that real make builds with the real cross compiler, in a second."""

from pathlib import Path

KCONFIG = """\
config SMP
\tbool "SMP"

config KVM
\tbool "KVM"
\tdepends on SMP

config MODULES
	bool "modules"

config BUILD_SALT
\tstring "salt"
"""

#: What kbuild does, as far as a build here looks at it. A file that changed is compiled, others are not.
MAKEFILE = """\
CC = $(CROSS_COMPILE)gcc
# As in a kernel, a change of the salt reaches a file that is data to the rest.
FILES = init/main.o arch/arm64/vdso.o arch/arm64/kvm/sys_regs.o

allnoconfig:
\tgrep '^CONFIG_' $(KCONFIG_ALLCONFIG) | grep -v '^CONFIG_DROPPED' > .config

Image: vmlinux
\tmkdir -p arch/arm64/boot
\t{ head -c 56 /dev/zero; printf 'ARM\\144'; head -c 64 /dev/zero; cat vmlinux; } > arch/arm64/boot/Image

# As those of the real tree: what is there is taken over, and then what is not loaded is switched off.
olddefconfig:
	grep '^CONFIG_' .config | grep -v '^CONFIG_GONE' > .config.new && mv .config.new .config

localmodconfig:
	for option in $$(sed -n 's/^CONFIG_\\(.*\\)=m$$/\\1/p' .config); do \\
		grep -qi "^$$option " $(LSMOD) || sed -i "/^CONFIG_$$option=/d" .config; done

modules_install:
	mkdir -p $(INSTALL_MOD_PATH)/lib/modules/6.99.0-fake$(LOCALVERSION)/kernel
	cd $(INSTALL_MOD_PATH)/lib/modules/6.99.0-fake$(LOCALVERSION) && ln -s $(CURDIR) build && \\
		for name in $$(sed -n 's/^CONFIG_\\(.*\\)=m$$/\\1/p' $(CURDIR)/.config | tr A-Z a-z); do \\
		echo $$name $(LOCALVERSION) > kernel/$$name.ko && echo kernel/$$name.ko >> modules.order; done
	echo kernel/fs/built-in.ko > $(INSTALL_MOD_PATH)/lib/modules/6.99.0-fake$(LOCALVERSION)/modules.builtin

modules_prepare:
	touch prepared

# Run for a folder of its own, M: what is made there is of this kernel, and of what was put there.
ifdef M
modules: prepared
	@echo '  LD [M]  $(M)/ccsight_hardware.ko'
	cat .config $(M)/ccsight_hardware.c $(M)/../include/wire.h > $(M)/ccsight_hardware.ko
else
modules: modules_prepare
endif

vmlinux: $(FILES) salt.o
\t@echo '  LD      vmlinux'
\t$(CC) -nostdlib -static -Wl,--build-id=sha1 -Wl,-e,start -o $@ $^

arch/arm64/vdso.o: salted.h

salted.h: .config
	grep BUILD_SALT .config | sed 's/.*=/#define SALT /' > $@

salt.o: .config
\tgrep BUILD_SALT .config | sed 's/.*="/.section .note.salt,"a",%note\\n.word 0,16,1\\n.ascii "/' > salt.S
\t$(CC) -c -o $@ salt.S

%.o: %.c
\t@echo '  CC      $@'
\t$(CC) -O2 -ffreestanding -c -o $@ $<
"""

MAIN = """\
const char banner[] = "Linux version 6.99.0-fake (ccsight@ccsight) (gcc) #1 SMP";
int sys_regs(int);
int start(void)
{
\treturn sys_regs(banner[0]);
}
"""

SYS_REGS = """\
int sys_regs(int value)
{
\treturn value + 1;
}
"""

NO_OP = """\
--- a/arch/arm64/kvm/sys_regs.c
+++ b/arch/arm64/kvm/sys_regs.c
@@ -1,4 +1,5 @@
 int sys_regs(int value)
 {
+\t/* nothing */
 \treturn value + 1;
 }
"""
CHANGE = NO_OP.replace("+\t/* nothing */", "+\tvalue += 41;")
BROKEN = NO_OP.replace("+\t/* nothing */", "+\tvalue = no_such_name;")


def make_tree(folder: Path) -> Path:
    """Write the tree, and return its folder."""
    for name, text in {
        "Kconfig": KCONFIG,
        "Makefile": MAKEFILE,
        "init/main.c": MAIN,
        "arch/arm64/vdso.c": '#include "../../salted.h"\nconst char vdso[] = SALT;\n',
        "arch/arm64/Kconfig": "",
        "arch/arm64/Makefile": "",
        "arch/arm64/kvm/sys_regs.c": SYS_REGS,
        ".gitignore": "*.o\n/vmlinux\n/prepared\n.config\nsalt.S\nsalted.h\nImage\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
