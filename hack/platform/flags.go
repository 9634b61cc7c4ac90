// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import "strings"

// Flag returns the value that a controller is started with for a flag, or
// nothing if that is the default.
func (c *Controller) Flag(name string) string {
	value := ""
	for _, arg := range c.args {
		if text, found := strings.CutPrefix(arg, "--"+name+"="); found {
			value = text // the last one counts
		}
	}
	return value
}

// SetFlag changes a flag of a controller from its next Start on.
func (c *Controller) SetFlag(name, value string) {
	c.args = append(c.args, "--"+name+"="+value)
}
