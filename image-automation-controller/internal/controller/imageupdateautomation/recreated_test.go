// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"os"
	"path/filepath"
	"testing"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// An automation loses its finalizer and is deleted while it pushes, and another
// one gets its name: that one does not take over what the first had under way.
func TestRecreatedDuringPush(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	dir := t.TempDir()
	begun, held := filepath.Join(dir, "begun"), filepath.Join(dir, "held")
	s.Must(os.WriteFile(held, nil, 0o600))
	s.Must(s.repo.Hook("pre-receive", "touch "+begun+"; while [ -e "+held+" ]; do sleep 0.05; done"))
	s.create(s.automation("auto"))
	s.Start()
	s.Poll("the push has begun", func() bool { _, err := os.Stat(begun); return err == nil }, func() string { return "" })
	first := s.of("auto").Get()
	s.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Finalizers = nil })
	s.Must(s.Kube.Delete(t.Context(), first))
	s.create(s.automation("auto"))
	s.of("auto").Await("is reconciled", func(a *imagev1.ImageUpdateAutomation) bool {
		return a.UID != first.UID && len(a.Status.Conditions) > 0
	})
	s.Must(os.Remove(held))
	s.awaitFile("pod.yaml", ":1.1.0@"+digest)
	a := s.of("auto").Await("is ready", isReady)
	if images := a.Status.Weir.Images; len(images) != 1 || images[0].Current == nil || images[0].Current.Digest != digest || a.Status.LastPushCommit != "" {
		t.Errorf("status %+v", a.Status)
	}
}
