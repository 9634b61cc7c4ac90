#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Fails if two modules require different versions of a library that all of them have to agree on.
# hack/cluster is not asked: it is Kubernetes itself, and has what Kubernetes was released with.
# usage: verify-deps.sh <module>…
set -euo pipefail
cd "$(dirname "$0")/.."

# Kubernetes' released libraries, what talks to the API server, what builds, and what Flux's types come from.
shared='^(k8s\.io/(api|apiextensions-apiserver|apimachinery|apiserver|cli-runtime|client-go|component-base|kubectl)'
shared+='|sigs\.k8s\.io/(controller-runtime|kustomize/api|kustomize/kyaml|yaml)|github\.com/google/cel-go'
shared+='|github\.com/fluxcd/.*)$'

for module in "$@"; do
	awk -v module="$module" '
		$1 == "require" && $2 != "(" { print $2, $3, module }
		$1 == "require" && $2 == "(" { inside = 1; next }
		$1 == ")" { inside = 0 }
		inside { print $1, $2, module }
	' "$module/go.mod"
done | awk -v shared="$shared" '
	$1 !~ shared { next }
	!($1 in version) { version[$1] = $2; module[$1] = $3; next }
	version[$1] != $2 {
		printf "%s: %s in %s, %s in %s\n", $1, version[$1], module[$1], $2, $3
		differ = 1
	}
	END { exit differ }
' || {
	echo "The modules above disagree: set one version with go get, then make tidy." >&2
	exit 1
}
