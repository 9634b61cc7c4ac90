#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Sees to it that the few programs are there which the tests and the demo run and Go does not bring.
# usage: deps.sh [prometheus] [docker_registry] [node]
set -euo pipefail

missing() {
	command -v git >/dev/null || { echo "git"; return; }
	[[ -x "$(git --exec-path)/git-http-backend" ]] || echo "git-http-backend (in Debian's package git)"
	# It checks the signatures of commits for git.
	command -v ssh-keygen >/dev/null || echo "ssh-keygen (in Debian's package openssh-client)"
}

install_git() {
	local lacking
	lacking="$(missing)"
	[[ -z "$lacking" ]] && return
	if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
		echo "$lacking is missing. On Debian: sudo apt-get install git openssh-client" >&2
		exit 1
	fi
	echo "$lacking is missing: installing Debian's packages git and openssh-client" >&2
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends git openssh-client ca-certificates
	lacking="$(missing)"
	[[ -z "$lacking" ]] || { echo "$lacking is still missing after apt-get install" >&2; exit 1; }
}

# unpack <package> <program> puts the program of Debian's package where the tests look for it. The package is unpacked and
# not installed: an installed one would run a server of its own from now on.
unpack() {
	local package="$1" program="$2" home="${XDG_CACHE_HOME:-$HOME/.cache}/weir/$1" work
	[[ -x "$home/$program" ]] && return
	if ! command -v apt-get >/dev/null; then
		echo "$package is missing: put the program at $home/$program" >&2
		exit 1
	fi
	work="$(mktemp -d)"
	# shellcheck disable=SC2064 # the directory of now
	trap "rm -rf '$work'" EXIT
	echo "unpacking Debian's package $package into $home" >&2
	# The lists of a fresh machine are empty.
	(cd "$work" && { apt-get download -qq "$package" || { apt-get update -qq && apt-get download -qq "$package"; }; } 2>/dev/null)
	mkdir -p "$home"
	dpkg -x "$work/$package"_*.deb "$home"
	rm -rf "$work"
}

unpack_prometheus() { unpack prometheus usr/bin/prometheus; }

unpack_docker_registry() { unpack docker-registry usr/bin/docker-registry; }

# What a node of hack/cluster runs. The program nft starts no server, so it may be installed.
unpack_node() {
	unpack containerd usr/bin/containerd
	unpack runc usr/sbin/runc
	unpack containernetworking-plugins usr/lib/cni/ptp
	local packages=()
	command -v nft >/dev/null || [[ -x /usr/sbin/nft ]] || packages+=(nftables)
	command -v ip >/dev/null || [[ -x /usr/sbin/ip ]] || packages+=(iproute2)
	command -v nsenter >/dev/null || packages+=(util-linux)
	dpkg -s libseccomp2 >/dev/null 2>&1 || packages+=(libseccomp2)
	[[ ${#packages[@]} -eq 0 ]] && return
	if [[ $EUID -ne 0 ]]; then
		echo "a node of hack/cluster lacks programs. On Debian: sudo apt-get install ${packages[*]}" >&2
		exit 1
	fi
	echo "installing Debian's packages ${packages[*]}" >&2
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${packages[@]}" >/dev/null
}

install_git
for program in "$@"; do
	"unpack_$program"
done
