// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"
	"testing/fstest"
)

func TestHeapLimit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":              {map[string]string{"memory.max": "1000\n"}, 900},
		"version 2, no limit":    {map[string]string{"memory.max": "max\n"}, 0},
		"version 1":              {map[string]string{"memory/memory.limit_in_bytes": "1073741824\n"}, 966367641},
		"version 1, no limit":    {map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"something else":         {map[string]string{"memory.max": "-5\n"}, 0},
		"nothing":                {nil, 0},
		"of both the newer one":  {map[string]string{"memory.max": "1000\n", "memory/memory.limit_in_bytes": "10\n"}, 900},
		"no limit is no default": {map[string]string{"memory.max": "max\n", "memory/memory.limit_in_bytes": "10\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, content := range tc.files {
				files[name] = &fstest.MapFile{Data: []byte(content)}
			}
			if got := heapLimit(files); got != tc.want {
				t.Errorf("heap limit %d, want %d", got, tc.want)
			}
		})
	}
}
