#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Lints, or with fmt formats, the modules of the workspace in one run, and then each module outside of it.
# usage: lint.sh run|fmt "<modules>" "<modules outside>"
set -euo pipefail
cd "$(dirname "$0")/.."

verb="$1"
read -ra inside <<<"$2"
read -ra outside <<<"$3"
golangci_lint="$(GOWORK=off go -C hack/tools tool -n golangci-lint)"

if [[ "$verb" == fmt ]]; then
	exec "$golangci_lint" fmt "${inside[@]}" "${outside[@]}"
fi

failed=0
packages=()
for module in "${inside[@]}"; do packages+=("./$module/..."); done
"$golangci_lint" run "${packages[@]}" || failed=1

export GOWORK=off
for module in "${outside[@]}"; do
	cd "$module"
	"$golangci_lint" run || failed=1
	cd - >/dev/null
done

# Two packages import all of Kubernetes, behind build tags of their own. Linters that follow types through them would take
# minutes for their few lines.
cd hack/cluster
for program in weirkube weirnode; do
	"$golangci_lint" run --build-tags "$program" --fast-only "./internal/$program" || failed=1
done
exit "$failed"
