# Has U-Boot boot a kernel once, by its environment, which it shares with fw_setenv(8); and takes that back.
# arm FOLDER MARK COMMAND-LINE | clean
# One at a time: who was told to arm it goes on though nobody waits for it any more.
exec 9>>/run/ccsight-u-boot
flock -w 60 9

# What the environment was before: U-Boot saves all that it has set at its start along with what it was told to.
kept=/var/lib/ccsight/u-boot

# What U-Boot runs at each start while ours is there: it boots ours only once it has forgotten to, for good.
# It never copies the machine's own bootcmd: its shell loses quotes and backslashes on the way.
hook='if test -n "${ccsight_once}"; then setenv ccsight_once; if saveenv; then run ccsight_boot; fi; fi; '
hook=$hook'run ccsight_bootcmd'
# A disk may have another number there than here: the one with the mark is looked for.
find='for ccsight_at in 0 1 2 3 4 5 6 7; do '
find=$find'if test -e ${ccsight_if} ${ccsight_at}:${ccsight_part} ${ccsight_place}/${ccsight_mark}; then '
find=$find'setenv ccsight_on "${ccsight_if} ${ccsight_at}:${ccsight_part}"; run ccsight_load; fi; done'
# A file that cannot be loaded changes nothing. Where booti comes back, the machine's own way begins anew.
load='run ccsight_tree; if test -n "${ccsight_fdt}" && '
load=$load'load ${ccsight_on} ${kernel_addr_r} ${ccsight_place}/Image && '
load=$load'load ${ccsight_on} ${ramdisk_addr_r} ${ccsight_place}/initrd.img; then '
load=$load'setenv bootargs "${ccsight_args}"; '
load=$load'booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${ccsight_fdt}; reset; fi'
# The device tree that it has itself, which is what it takes where a label names none.
given='setenv ccsight_fdt ${fdt_addr}; test -n "${ccsight_fdt}" || setenv ccsight_fdt ${fdtcontroladdr}'

# Print what has U-Boot look for disks of the kind that Linux's name is of.
search() {
	case $1 in
	mmcblk*) echo 'setenv ccsight_if mmc; run ccsight_find' ;;
	nvme*) echo 'pci enum; nvme scan; setenv ccsight_if nvme; run ccsight_find' ;;
	vd*) echo 'virtio scan; setenv ccsight_if virtio; run ccsight_find' ;;
	sd*)
		printf %s 'scsi scan; setenv ccsight_if scsi; run ccsight_find; '
		echo 'usb start; setenv ccsight_if usb; run ccsight_find'
		;;
	*)
		echo "U-Boot has no name for $1" >&2
		return 1
		;;
	esac
}

# Print the line of the machine's own label that says where its device tree is, if it has one.
label() {
	awk '{ word = tolower($1); sub(/^devicetree/, "fdt", word) }
		word == "default" { own = $2 }
		word == "label" { here = $2; if (first == "") first = here }
		word == "fdt" || word == "fdtdir" { said[here] = word " " $2 }
		END { if (own == "") own = first; print said[own] }' /boot/extlinux/extlinux.conf
}

# Print what has U-Boot take the device tree that such a line names, as it does itself for a label.
tree() {
	case ${2-} in
	'' | /*) at=${2-} ;;
	*) at=${place%/*}/extlinux/$2 ;;
	esac
	taken='setenv ccsight_fdt ${fdt_addr_r}; fi'
	case ${1-} in
	'') echo "$given" ;;
	fdt) echo "setenv ccsight_fdt; if load \${ccsight_on} \${fdt_addr_r} $at; then $taken" ;;
	fdtdir) echo "$given; if load \${ccsight_on} \${fdt_addr_r} ${at%/}/\${fdtfile}; then $taken" ;;
	esac
}

# Set variables, a line each, all or none; and prove that they are what they were to be.
set_all() {
	printf '%s\n' "$1" | fw_setenv -s -
	printf '%s\n' "$1" | while IFS= read -r line; do
		prove "${line%%=*}" "${line#*=}"
	done
}

# ... and one, of any length: in a script, a line is cut after 1 KiB.
set_one() {
	fw_setenv "$1" "$2"
	prove "$1" "$2"
}

prove() {
	[ "$(fw_printenv -n "$1" 2>/dev/null)" = "$2" ] || {
		echo "U-Boot's environment does not keep $1" >&2
		return 1
	}
}

# Read the whole environment. Who cannot read it may be shown a default one, and be told so on stderr only.
read_all() {
	wrong=$(fw_printenv 2>&1 >/dev/null) && [ -z "$wrong" ] || {
		echo "U-Boot's environment cannot be read: $wrong" >&2
		return 1
	}
	said=$(fw_printenv)
}

arm() {
	disk=$(readlink -f "/sys/dev/block/$(findmnt -nro MAJ:MIN -T "$1")")
	top=$(findmnt -nro TARGET -T "$1")
	place=${1#"${top%/}"}
	: >"$1/$2"
	sync
	search=$(search "${disk##*/}")
	tree=$(tree $(label))
	read_all
	own=$(fw_printenv -n bootcmd)
	case $own in
	'' | *ccsight_*)
		echo "bootcmd in U-Boot's environment is not the machine's own: $own" >&2
		return 1
		;;
	esac
	mkdir -p "${kept%/*}"
	printf '%s\n' "$said" >"$kept.whole"
	sync
	mv "$kept.whole" "$kept"
	sync
	set_one ccsight_bootcmd "$own"
	set_one ccsight_args "$3"
	set_all "ccsight_place=$place
ccsight_mark=$2
ccsight_part=$(printf %x "$(cat "$disk/partition")")
ccsight_boot=$search
ccsight_find=$find
ccsight_tree=$tree
ccsight_load=$load"
	# Until here nothing of it is ever run.
	set_all "ccsight_once=1
bootcmd=$hook"
}

clean() {
	[ -e /etc/fw_env.config ] && command -v fw_setenv >/dev/null || return 0
	read_all
	left=$(ours)
	[ "$left" ] || return 0
	case $(printf '%s\n' "$said" | sed -n 's/^bootcmd=//p') in
	"${hook%%;*}"*"${hook##*; }") # ours, or that of another version of ours
		own=$(fw_printenv -n ccsight_bootcmd) && [ "$own" ] || {
			echo "U-Boot's environment has lost the machine's own bootcmd" >&2
			return 1
		}
		set_one bootcmd "$own"
		;;
	*ccsight_*)
		echo "bootcmd in U-Boot's environment has been altered, and still needs what is ours there" >&2
		return 1
		;;
	'')
		echo "U-Boot's environment has no bootcmd any more, and keeps what is ours" >&2
		return 1
		;;
	esac
	printf '%s\n' "$left" | fw_setenv -s -
	read_all
	[ -z "$(ours)" ] || {
		echo "U-Boot's environment keeps what is ours" >&2
		return 1
	}
	restore
}

# Print the lines that have fw_setenv(8) forget what is ours.
ours() {
	printf '%s\n' "$said" | sed -n 's/^\(ccsight_[a-z]*\)=.*/\1=/p'
}

# Take back what U-Boot saved of its own. What is older than two hours may have been altered by others since.
restore() {
	if [ -n "$(find "$kept" -mmin -120 2>/dev/null)" ] && grep -q '^bootcmd=' "$kept"; then
		printf '%s\n' "$said" >"$kept.now"
		names <"$kept" >"$kept.names"
		new=$(names <"$kept.now" | grep -vxFf "$kept.names" | sed 's/$/=/')
		[ -z "$new" ] || set_all "$new"
		grep -vxFf "$kept.now" "$kept" | grep -v '^bootcmd=' | while IFS= read -r line; do
			set_one "${line%%=*}" "${line#*=}"
		done
	fi
	rm -f "$kept" "$kept".*
}

names() {
	sed -n 's/^\([^= ]*\)=.*/\1/p'
}

case $1 in
arm) arm "$2" "$3" "$4" ;;
clean) clean ;;
esac
