# SPDX-License-Identifier: BSD-2-Clause
# Completion of tarpitctl(8) for fish. The commands, and the options of those that have --help, are what that says.

function __tarpitctl_commands
    tarpitctl --help 2>/dev/null | string replace -rf '^  ([a-z]+)(?: \S+)*  +(\S.*)$' '$1\t$2'
end

function __tarpitctl_clients
    timeout 2 tarpitctl list -n 100 2>/dev/null | sed -n '1d;$d;s/ .*//p'
end

complete -c tarpitctl -f
complete -c tarpitctl -n __fish_use_subcommand -a '(__tarpitctl_commands)'
complete -c tarpitctl -n __fish_use_subcommand -s V -l version -d 'print the version'
complete -c tarpitctl -n __fish_use_subcommand -s h -l help -d 'print a summary'
complete -c tarpitctl -s S -l socket -rF -d 'ask there'
complete -c tarpitctl -l json -d 'print the answer as one JSON document'
complete -c tarpitctl -n '__fish_seen_subcommand_from show flag forgive' -a '(__tarpitctl_clients)'
complete -c tarpitctl -n '__fish_seen_subcommand_from replay' -F
