#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Lints, or with fmt formats, the modules of the workspace in one run, and then each module outside of it.
# usage: lint.sh run|fmt "<modules>" "<modules outside>"
set -euo pipefail
cd "$(dirname "$0")/.."

verb="$1"
golangci_lint="$(GOWORK=off go -C hack/tools tool -n golangci-lint)"
packages=()
for module in $2; do packages+=("./$module/..."); done

failed=0
"$golangci_lint" "$verb" "${packages[@]}" || failed=1
for module in $3; do
	(cd "$module" && GOWORK=off "$golangci_lint" "$verb" ./...) || failed=1
done
exit "$failed"
