// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
)

// A policy over annotations never goes back to something worse, whatever
// becomes of the tag that Git holds.
func TestNeverBackwardsByAnnotations(t *testing.T) {
	t.Parallel()
	gone := &plan.Artifact{Err: errors.New("the registry has none")}
	for name, tc := range map[string]struct {
		ranked  []string
		current *plan.Artifact // by its digest
		want    string
		needs   bool
	}{
		"the tag is deleted":                    {[]string{"b", "c"}, artifact("a", "0.95"), "", false},
		"the tag is deleted, a better is there": {[]string{"d", "b"}, artifact("a", "0.95"), "d", false},
		"the tag stands for something worse":    {[]string{"b", "a"}, artifact("a", "0.95"), "", false},
		"it has to be found out":                {[]string{"b"}, nil, "", true},
		"nothing is left to compare with":       {[]string{"b"}, gone, "b", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("a"))})
			a := automation(t, "1.0.0")
			img := a.Images[0]
			var err error
			img.Policy, err = policy.Compile("image", imagev1.ImageChoice{CEL: &imagev1.CELPolicy{Key: "num(annotations['accuracy'])"}}, nil)
			w.must(err)
			img.Ranked = tc.ranked
			for tag, accuracy := range map[string]string{"b": "0.94", "c": "0.93", "d": "0.96"} {
				img.Facts.Tags[tag] = artifact(tag, accuracy)
			}
			moved := artifact("a", "0.1")
			moved.Digest, moved.Manifest.Digest = digest("moved"), digest("moved")
			img.Facts.Tags["a"] = moved
			if tc.current != nil {
				img.Facts.Digests[digest("a")] = tc.current
			}
			result, files, err := w.plan(a)
			w.must(err)
			want := ""
			if tc.want != "" {
				want = pod(ref(tc.want))
			}
			if diff := cmp.Diff(want, files["file.yaml"]); diff != "" || tc.needs != (len(result.Needs) > 0) {
				t.Errorf("needs %v, file (-want +got):\n%s", result.Needs, diff)
			}
		})
	}
}

// A field for the digest alone does not say what it ranks above.
func TestNeverBackwardsByDigest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := "digest: " + digest("1.1.0") + mark("ns:auto/model:digest")
	w.commit("Ada", "first", map[string]string{"file.yaml": held})
	a := automation(t, "1.0.0")
	a.Images[0].Before.Accepted = &imagev1.ImageRef{Name: model, Tag: "1.1.0", Digest: digest("1.1.0")}
	_, files, err := w.plan(a)
	w.must(err)
	if len(files) > 0 {
		t.Errorf("1.1.0 left the registry, and is replaced by %s", files["file.yaml"])
	}
}
