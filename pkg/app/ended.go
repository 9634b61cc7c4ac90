// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/fluxcd/pkg/runtime/logger"
)

// Ended returns the status that the process of a controller ends with. Why it
// could not go on is the last line of its log, in the form of the others.
func (o *Options) Ended(err error) (status int) {
	if err == nil {
		return 0
	}
	logger.NewLogger(o.Log).Error(err, "the controller has ended")
	return 1
}
