// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "directory", "lock")
	if held, err := Held(path); held || err != nil {
		t.Errorf("Held without a file is %t, %v; want false", held, err)
	}
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("second Try returned %v, want ErrHeld", err)
	}
	if held, err := Held(path); !held || err != nil {
		t.Errorf("Held is %t, %v; want true", held, err)
	}
	first.Release()
	first.Release()
	if held, err := Held(path); held || err != nil {
		t.Errorf("Held after Release is %t, %v; want false", held, err)
	}
	second, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}

// A holder that removes the file while another process waits for it must not let two later processes hold "the" lock,
// each on a file of its own.
func TestAcquireAfterRemoval(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	waiting, acquired := make(chan struct{}), make(chan *Lock)
	go func() {
		second, err := Acquire(t.Context(), path, func() { close(waiting) })
		if err != nil {
			t.Error(err)
		}
		acquired <- second
	}()
	<-waiting
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first.Release()
	second := <-acquired
	if second == nil {
		return
	}
	defer second.Release()
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("third Try returned %v, want ErrHeld", err)
	}
}

func TestAcquireGivesUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	cause := errors.New("the user went home")
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := Acquire(ctx, path, func() { cancel(cause) }); !errors.Is(err, cause) {
		t.Errorf("Acquire returned %v, want the cause of its context's end", err)
	}
}
