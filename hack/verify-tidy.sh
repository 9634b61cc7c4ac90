#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Fails, and shows the difference, if a go.mod or go.sum is not tidy. usage: verify-tidy.sh <module>…
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
for module in "$@"; do
	if ! GOWORK=off go -C "$module" mod tidy -diff; then
		echo "$module: not tidy. Run make tidy." >&2
		failed=1
	fi
done
exit "$failed"
