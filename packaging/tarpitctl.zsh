#compdef tarpitctl
# SPDX-License-Identifier: BSD-2-Clause
# Completion of tarpitctl(8) for zsh. The commands are those that --help has.

_tarpitctl_commands() {
	local -a commands
	commands=(${(f)"$(tarpitctl --help 2>/dev/null | sed -nE 's/^  ([a-z]+)( [^ ]+)*  +([^ ].*)$/\1:\3/p')"})
	_describe command commands
}

_tarpitctl_clients() {
	local -a clients
	clients=(${(f)"$(timeout 2 tarpitctl list -n 100 2>/dev/null | sed -n '1d;$d;s/ .*//p')"})
	compadd -a clients
}

_tarpitctl() {
	local line state
	_arguments '(-S --socket)'{-S,--socket=}'[ask there]:socket:_files' '--json[print the answer as one JSON document]' \
		'(- *)'{-V,--version}'[print the version]' '(- *)'{-h,--help}'[print a summary]' \
		':command:_tarpitctl_commands' '*::argument:->argument'
	[[ $state == argument ]] || return
	case $line[1] in
	show | flag | forgive) _tarpitctl_clients ;;
	*) _files ;;
	esac
}

_tarpitctl "$@"
