#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Fails if a source file lacks the two lines that name copyright and licence. Go files are the linter's.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
while IFS= read -r file; do
	[[ -f "$file" ]] || continue
	top="$(head -n 3 "$file")"
	if [[ "$top" != *"# Copyright 2026 The Weir Authors"$'\n'"# SPDX-License-Identifier: Apache-2.0"* ]]; then
		echo "$file: the header is missing" >&2
		failed=1
	fi
done < <(git ls-files -- '*.sh' '*.yaml' '*.yml' '.ci/run' '*Makefile' '*Dockerfile' ':!**/testdata/**')
exit "$failed"
