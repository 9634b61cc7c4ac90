// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !amd64

package clock

import (
	"fmt"
	"runtime"
)

func step(int, int32) error {
	return fmt.Errorf("this takes linux on amd64, whose machine code it writes, and here is %s on %s", runtime.GOOS, runtime.GOARCH)
}
