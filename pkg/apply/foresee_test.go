// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/gate"
)

// foresee says what a release of documents would change whose objects were
// others before.
func (r *rig) foresee(before, after string) gate.Change {
	r.Helper()
	change, err := r.engine.Foresee(r.Context(), r.set, r.objects(before), r.objects(after), Options{Client: r.client})
	r.must(err)
	return change
}

func TestForesee(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sent()
	r.wants(r.foresee("", plain))
	r.wants(r.foresee(plain, strings.Replace(plain, `"1"`, `"2"`, 1)))
	if sent := r.sent(); len(sent) > 0 {
		t.Errorf("objects without devices have cost %v", sent)
	}
	r.wants(r.foresee("", docs(gpus("web", 2, 4), plain)), "web 0→2 grows")

	_, err := r.gated(docs(gpus("web", 2, 4), plain), nil, nil)
	r.must(err)
	r.start() // nothing is watched
	r.sent()
	r.wants(r.foresee(docs(gpus("web", 2, 4), plain), docs(gpus("web", 5, 4), plain)), "web 2→5 grows")
	for _, request := range r.sent() {
		if strings.Contains(request, "plain") || strings.HasPrefix(request, "PATCH") && !strings.Contains(request, "dry-run") {
			t.Errorf("it has sent %s", request)
		}
	}
	r.wants(r.foresee(gpus("web", 2, 4), gpus("other", 1, 4)), "other 0→1 grows", "web 2→0")
	// What the API server refuses counts as it is written.
	bad := strings.Replace(gpus("web", 5, 4), "matchLabels: {app: web}", "matchLabels: {app: none}", 1)
	r.wants(r.foresee(gpus("web", 2, 4), bad), "web 2→5 template grows")
}
