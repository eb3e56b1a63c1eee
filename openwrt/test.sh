#!/bin/sh
# What the feed runs in a container after installing the package: the program starts, and tells a good file from a bad one.

set -e

[ "$1" = dlan ] || exit 0

dlan --version | grep -F "$2"

good=$(mktemp)
cat > "$good" <<EOF
config mesh 'mesh'
	option host_id '1'
	option name 'r1'
config wan 'wan0'
	option device 'eth0'
EOF
dlan config check "$good"
bad=$(mktemp)
sed 's/host_id/host_di/' "$good" > "$bad"
if dlan config check "$bad"; then
	echo "a file with an error was accepted"
	exit 1
fi
dlan config check "$bad" 2>&1 | grep -F 'did you mean'
