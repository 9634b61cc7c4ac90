// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"strings"
	"testing"
)

// An action that is cut short as its turn comes gives the turn back.
func TestWhoIsCutShortLeavesNoTurnBehind(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 1)
	for range 100 {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCanceled)
		r := &run{ctx: ctx, cancel: cancel, slots: slots}
		if outcome := r.toEnd(); outcome.Err == nil {
			t.Fatal("it did not end")
		}
		if len(slots) > 0 {
			t.Fatal("nobody has the turn, and it is taken")
		}
	}
}

// What is cut off a line of Helm's log is cut off after secrets are taken out: a
// part of one is not known for a secret.
func TestNoPartOfASecretIsLogged(t *testing.T) {
	t.Parallel()
	secret := "hunter2hunter2hunter2"
	log := lines{redact: strings.NewReplacer(secret, "***").Replace}
	log.add("%s%s", strings.Repeat("x", maxLine-10), secret)
	for _, line := range log.last() {
		if strings.Contains(line, "hunter2") || len(line) > maxLine+len(" [...]") {
			t.Errorf("logged %d bytes: %q", len(line), line[max(0, len(line)-40):])
		}
	}
}
