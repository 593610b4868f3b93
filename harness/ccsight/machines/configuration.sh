# What the kernel that runs here was configured with, and which modules it has loaded: a word and its value a
# line, and then the file with the configuration as it is, with a mark at its end. It changes nothing.
release=$(uname -r)
printf 'release %s\n' "$release"
! grep -q -E '(^| )ccsight\.patience=' /proc/cmdline || echo 'ours yes'
if [ -r /proc/modules ]; then
	printf 'modules %s\n' "$(cut -d ' ' -f 1 /proc/modules | tr '\n' ' ')"
elif [ -e /proc/modules ]; then
	echo 'unread /proc/modules'
fi
config=
for file in /proc/config.gz "/boot/config-$release" "/lib/modules/$release/config"; do
	if [ -z "$config" ] && [ -e "$file" ]; then
		config=$file
	fi
done
printf 'config %s\n' "$config"
echo end
case $config in
'') ;;
*.gz) zcat "$config" && echo '# ccsight: end' ;;
*) cat "$config" && echo '# ccsight: end' ;;
esac
