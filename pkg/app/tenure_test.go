// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A renewal counts from its beginning, and every one begins the time anew.
func TestALeaseThatIsNotRenewedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenure := newTenure(10 * time.Second)
		for range 3 {
			begun := time.Now()
			pauseFor(t, 2*time.Second) // the answer is late
			tenure.extend(begun)
			pauseFor(t, 5*time.Second)
		}
		if len(tenure.lost) > 0 {
			t.Fatalf("lost: %v", <-tenure.lost)
		}
		tenure.fail(errors.New("connection refused"))
		pauseFor(t, 2*time.Second)
		err := <-tenure.lost
		if !errors.Is(err, errAnew) || !strings.Contains(err.Error(), "not renewed for 10s") || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("lost: %v", err)
		}
	})
}

func TestALeaseThatIsGivenBackIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenure := newTenure(10 * time.Second)
		tenure.resign() // It did not even lead.
		tenure.extend(time.Now())
		pauseFor(t, 5*time.Second)
		tenure.resign()
		pauseFor(t, time.Minute)
		if len(tenure.lost) > 0 {
			t.Errorf("lost: %v", <-tenure.lost)
		}
	})
}

// Who says it twice does not wait for anybody.
func TestALeaseIsLostOnce(t *testing.T) {
	tenure := newTenure(0)
	tenure.extend(time.Now())
	for range 2 {
		tenure.lose(errors.New("somebody else has it"))
	}
	if err := <-tenure.lost; !strings.HasSuffix(err.Error(), "somebody else has it") {
		t.Errorf("lost: %v", err)
	}
}
