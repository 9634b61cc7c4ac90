// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"io"
	"log"
)

// Guard keeps values out of the standard library's log, where the SDK writes
// warnings about values that do not fit together, values included. It is for the
// start of a process; a second call changes nothing.
func Guard() {
	if _, guarded := log.Writer().(*censor); !guarded {
		log.SetOutput(&censor{next: log.Writer()})
	}
}

// censor passes messages on, without what stands in brackets in a warning.
type censor struct{ next io.Writer }

// Write implements io.Writer. The log writes each message at once.
func (c *censor) Write(message []byte) (int, error) {
	shown := message
	if at := bytes.Index(message, []byte("arning: ")); at >= 0 {
		if cut := bytes.Index(message[at:], []byte(" (")); cut >= 0 {
			shown = append(bytes.Clone(message[:at+cut]), '\n')
		}
	}
	if _, err := c.next.Write(shown); err != nil {
		return 0, err
	}
	return len(message), nil
}
