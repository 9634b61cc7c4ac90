#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Fails if generating again changes a file or makes a new one. In a clean checkout that is whatever is not committed.
set -euo pipefail
cd "$(dirname "$0")/.."

generated=('api/**/zz_generated.*.go' 'api/**/testdata/flux_*.yaml' '*/config/crd/*.fluxcd.io_*.yaml')
snapshot() { git ls-files --cached --others --exclude-standard -- "${generated[@]}" | sort | xargs -r sha256sum; }

before="$(snapshot)"
hack/generate.sh
if ! diff <(echo "$before") <(snapshot); then
	git --no-pager diff --stat -- "${generated[@]}"
	echo "The generated files above were out of date. They are current now: commit them." >&2
	exit 1
fi
