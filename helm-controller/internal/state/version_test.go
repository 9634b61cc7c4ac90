// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"
	"time"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// What stands in storage from before is not what a dead process has made, though
// chart and values are the same: it died before it stored anything.
func TestResumeTakesNoEarlierRevision(t *testing.T) {
	w := installed(t, nil)
	Begin(w.obj, Step{
		Action: Upgrade, Target: w.want.Target, Version: 2, Chart: w.want.Chart, ConfigDigest: w.want.ConfigDigest,
	}, time.Unix(0, 0))
	if outcome, ok := Resume(w.obj, w.want, Observed{History: w.stored}); ok {
		t.Errorf("resumed %+v", outcome)
	}
}

// A revision that somebody else has added is seen by its number where the digest
// of a former version says nothing.
func TestAnotherRevisionIsUnmanaged(t *testing.T) {
	w := installed(t, nil)
	w.obj.Status.History[0].APIVersion = ""
	added := *w.stored[0]
	added.Version = 2
	replaced := *w.stored[0]
	replaced.Status = release.Superseded
	seen := Observed{History: []*release.Release{&added, &replaced}}
	if got := Of(w.obj, w.want, seen); got.Kind != Unmanaged {
		t.Errorf("the state is %s: %s", got.Kind, got.Reason)
	}
}
