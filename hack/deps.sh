#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Sees to it that the few programs are there which the tests and the demo run and Go does not bring.
set -euo pipefail

missing() {
	command -v git >/dev/null || { echo "git"; return; }
	[[ -x "$(git --exec-path)/git-http-backend" ]] || echo "git-http-backend (in Debian's package git)"
}

lacking="$(missing)"
[[ -z "$lacking" ]] && exit 0
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "$lacking is missing. On Debian: sudo apt-get install git" >&2
	exit 1
fi
echo "$lacking is missing: installing Debian's package git" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends git ca-certificates
lacking="$(missing)"
[[ -z "$lacking" ]] || { echo "$lacking is still missing after apt-get install git" >&2; exit 1; }
