// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
)

// The commits of somebody else's, and of ours, in all orders that matter.
func TestHistory(t *testing.T) {
	t.Parallel()
	type commit struct{ author, tag string }
	ours := func(tag string) commit { return commit{"Weir", tag} }
	ada := func(tag string) commit { return commit{"Ada", tag} }
	for name, tc := range map[string]struct {
		commits  []commit
		before   []imagev1.RejectedImage
		cleared  string
		tags     []string
		want     string // tag that is written
		rejected []string
		conflict bool
	}{
		"nobody was against":        {[]commit{ada("1.0.0")}, nil, "", []string{"1.1.0"}, "1.1.0", nil, false},
		"revert":                    {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.0.0")}, nil, "", []string{"1.1.0"}, "", []string{"1.1.0"}, false},
		"revert, and then a higher": {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.0.0")}, nil, "", []string{"1.1.0", "1.2.0"}, "1.2.0", nil, false},
		"revert, a lower":           {[]commit{ada("1.0.0"), ours("1.2.0"), ada("1.0.0")}, nil, "", []string{"1.1.0"}, "", []string{"1.2.0"}, false},
		"revert, cleared":           {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.0.0")}, nil, "1.1.0", []string{"1.1.0"}, "1.1.0", nil, false},
		"revert of a revert":        {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.0.0"), ada("1.1.0"), ada("1.0.9")}, nil, "", []string{"1.1.0"}, "", []string{"1.1.0"}, false},
		"raised by hand":            {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.2.0")}, nil, "", []string{"1.3.0"}, "1.3.0", nil, false},
		"two reverts":               {[]commit{ada("1.0.0"), ours("1.1.0"), ada("1.0.0"), ours("1.2.0"), ada("1.0.0")}, nil, "", []string{"1.1.0", "1.2.0"}, "", []string{"1.2.0", "1.1.0"}, false},
		"another automation":        {[]commit{ada("1.0.0"), ours("1.1.0"), {"other/auto (2)", "1.0.0"}}, nil, "", []string{"1.1.0"}, "", nil, true},
		"known, history is whole":   {[]commit{ada("1.0.0")}, []imagev1.RejectedImage{{Tag: "1.1.0", Digest: digest("1.1.0"), Commit: "gone"}}, "", []string{"1.1.0"}, "1.1.0", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range tc.commits {
				text := "by hand"
				if by, _, automated := strings.Cut(c.author, " ("); automated {
					text = "Update\n\nAutomation: " + c.author + "\nImage: " + ref(c.tag)
					c.author = by
				} else if c.author == "Weir" {
					text = "Update\n\nAutomation: " + writer + "\nImage: " + ref(c.tag)
				}
				w.commit(c.author, text, map[string]string{"dir/file.yaml": pod(ref(c.tag))})
				w.commit("Ada", "something else", map[string]string{"other.txt": c.tag + text})
			}
			a := automation(t, tc.tags...)
			a.Images[0].Before.Rejected = tc.before
			a.Images[0].Cleared = func(tag, _ string) bool { return tag == tc.cleared }
			result, files, err := w.plan(a)
			if refusal, refused := errors.AsType[*plan.RefusalError](err); refused || tc.conflict {
				if !refused || !tc.conflict || refusal.Reason != imagev1.WriteConflictReason || !strings.Contains(err.Error(), "other/auto (2)") || !strings.Contains(err.Error(), writer) {
					t.Errorf("error %v", err)
				}
				return
			}
			w.must(err)
			want := ""
			if tc.want != "" {
				want = pod(ref(tc.want))
			}
			if diff := cmp.Diff(want, files["dir/file.yaml"]); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
			if tc.want != "" {
				return
			}
			var rejected []string
			for _, r := range result.Images[0].Rejected {
				rejected = append(rejected, r.Tag)
			}
			if diff := cmp.Diff(tc.rejected, rejected); diff != "" {
				t.Errorf("rejected (-want +got):\n%s", diff)
			}
			if len(result.Holds) == 0 || result.Holds[0].Reason != imagev1.RejectedReason {
				t.Errorf("holds %+v", result.Holds)
			}
		})
	}
}

// Merges bring what we proposed, and what people take back.
func TestMerges(t *testing.T) {
	t.Parallel()
	said := func(tag string) string { return "Update\n\nAutomation: " + writer + "\nImage: " + ref(tag) }
	for name, tc := range map[string]struct {
		// merges are what the main branch holds one after the other, and what
		// the merged commit says.
		merges   [][2]string
		moving   bool
		proposes bool
		accepted string
		rejected string
	}{
		"proposals, merged":             {[][2]string{{"1.1.0", said("1.1.0")}, {"1.2.0", said("1.2.0")}}, true, true, "1.2.0", ""},
		"a proposal, taken back":        {[][2]string{{"1.1.0", said("1.1.0")}, {"1.0.0", "Revert"}}, true, true, "1.1.0", "1.1.0"},
		"put and taken back by hand":    {[][2]string{{"1.1.0", said("1.1.0")}, {"1.2.0", "by hand"}, {"1.1.0", "Revert"}}, false, true, "1.1.0", "1.2.0"},
		"the same, an old branch of us": {[][2]string{{"1.1.0", said("1.1.0")}, {"1.2.0", "by hand"}, {"1.1.0", said("1.1.0")}}, false, true, "1.1.0", "1.2.0"},
		"the same, nothing is proposed": {[][2]string{{"1.1.0", "by hand"}, {"1.2.0", "by hand"}, {"1.1.0", "Revert"}}, true, false, "1.1.0", "1.2.01.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			main := w.commit("Ada", "by hand", map[string]string{"file.yaml": pod(ref("1.0.0"))})
			for _, m := range tc.merges {
				side := w.commit("Weir", m[1], map[string]string{"file.yaml": pod(ref(m[0]))})
				merge, err := w.repo.Git(t.Context(), "-c", "author.name=Ada", "-c", "author.email=a@example.com",
					"commit-tree", "-p", main, "-p", side, "-m", "Merge", side+"^{tree}")
				w.must(err)
				_, err = w.repo.Git(t.Context(), "update-ref", "refs/heads/main", merge)
				w.must(err)
				main = merge
			}
			a := automation(t, "1.3.0", "1.2.0", "1.1.0", "1.0.0")
			a.Proposes, a.Images[0].Moving = tc.proposes, tc.moving
			a.Images[0].Before.Accepted = &imagev1.ImageRef{Name: model, Tag: tc.accepted, Digest: digest(tc.accepted)}
			if tc.moving {
				// Nothing is known of the order.
				a.Images[0].Ranked, a.Images[0].Policy = []string{"1.3.0"}, nil
			}
			result, _, err := w.plan(a)
			w.must(err)
			rejected := ""
			for _, r := range result.Images[0].Rejected {
				rejected += r.Tag
			}
			if rejected != tc.rejected {
				t.Errorf("rejected %q, want %q; %+v", rejected, tc.rejected, result.Images[0])
			}
		})
	}
}

// Forges squash a proposal into a commit that says nothing of us.
func TestSquashedProposal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		proposes bool
		accepted string
		rejected int
	}{
		"ours":             {true, "1.1.0", 0},
		"another":          {true, "1.2.0", 1},
		"nothing proposed": {false, "1.1.0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit("Ada", "by hand", map[string]string{"file.yaml": pod(ref("1.0.0"))})
			w.commit("Ada", "New model (#1)", map[string]string{"file.yaml": pod(ref("1.1.0"))})
			a := automation(t, "1.3.0")
			img := a.Images[0]
			// Nothing is known of the order.
			a.Proposes, img.Moving, img.Policy = tc.proposes, true, nil
			img.Before.Accepted = &imagev1.ImageRef{Name: model, Tag: tc.accepted, Digest: digest(tc.accepted)}
			result, _, err := w.plan(a)
			w.must(err)
			if got := result.Images[0].Rejected; len(got) != tc.rejected {
				t.Errorf("rejected %+v", got)
			}
		})
	}
}

// What an ImagePolicy picked stays back too, once spec.weir is there.
func TestPolicyIsRolledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, tag := range []string{"1", "2", "1"} {
		w.commit("Ada", strings.Repeat("again ", i), map[string]string{"file.yaml": pod(model + ":" + tag)})
	}
	a := automation(t, "1.0.0")
	for tag, want := range map[string]string{"2": "", "3": pod(model + ":3"), "0": pod(model + ":0")} {
		a.Images = []*plan.Image{{Name: "p", Ref: "ns:auto/model", Text: model, Repository: a.Images[0].Repository, Fixed: &imagev1.ImageRef{Name: model, Tag: tag}, Facts: &plan.Facts{}}}
		result, files, err := w.plan(a)
		w.must(err)
		if files["file.yaml"] != want || len(result.Images) != 0 {
			t.Errorf("%s is written as %q, want %q; status %+v", tag, files["file.yaml"], want, result.Images)
		}
		if held := len(result.Holds) == 1 && result.Holds[0].Reason == imagev1.RejectedReason; held != (want == "") {
			t.Errorf("%s: holds %+v", tag, result.Holds)
		}
	}
}

// What was best before counts, and what was taken out does not.
func TestBestAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tag := range []string{"1.0.0", "1.1.0", "1.2.0", "1.0.1"} {
		w.commit("Ada", "by hand", map[string]string{"file.yaml": pod(ref(tag))})
	}
	a := automation(t, "2.0.0")
	img := newImage(t, spec(func(s *imagev1.Image) {
		s.Gates = []imagev1.Gate{{
			Name: "accuracy", Expression: "num(candidate.annotations['accuracy']) >= num(baseline.annotations['accuracy'])",
			Baseline: imagev1.BaselineBestAccepted, Best: "num(candidate.annotations['accuracy'])",
		}}
	}), "2.0.0")
	img.Facts.Tags["2.0.0"] = artifact("2.0.0", "0.93")
	a.Images = []*plan.Image{img}
	// 1.2.0 was taken out for 1.0.1, and is no baseline.
	for tag, accuracy := range map[string]string{"1.0.0": "0.92", "1.1.0": "0.94", "1.2.0": "0.99", "1.0.1": "0.9"} {
		img.Facts.Digests[digest(tag)] = artifact(tag, accuracy)
	}
	result, _, err := w.plan(a)
	w.must(err)
	if len(result.Holds) != 1 || !strings.Contains(result.Holds[0].Message, "0.94") {
		t.Errorf("holds %+v, want one against 0.94", result.Holds)
	}
	if best := result.Images[0].Best; len(best) != 1 || best[0].Tag != "1.1.0" {
		t.Errorf("best %+v", best)
	}
}

// Whoever deletes the best from the registry does not lower the bar.
func TestBestAcceptedIsDeleted(t *testing.T) {
	t.Parallel()
	gone := &plan.Artifact{Err: errors.New("the registry has none")}
	known := []imagev1.BestImage{{Gate: "accuracy", Tag: "1.1.0", Digest: digest("1.1.0")}}
	for name, tc := range map[string]struct {
		before   []imagev1.BestImage
		first    *plan.Artifact
		second   *plan.Artifact
		approved bool
		want     string // held for it; "" is written
		best     string
	}{
		"there":                    {known, artifact("1.0.0", "0.92"), artifact("1.1.0", "0.94"), false, "GateFailed", "1.1.0"},
		"the best is deleted":      {known, artifact("1.0.0", "0.92"), gone, false, "NoBaseline", "1.1.0"},
		"it was approved":          {known, artifact("1.0.0", "0.92"), gone, true, "", ""},
		"a lesser one is deleted":  {known, gone, artifact("1.1.0", "0.94"), false, "GateFailed", "1.1.0"},
		"all are, status was lost": {nil, gone, gone, false, "NoBaseline", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, tag := range []string{"1.0.0", "1.1.0"} {
				w.commit("Ada", "by hand", map[string]string{"file.yaml": pod(ref(tag))})
			}
			a := automation(t, "2.0.0")
			img := newImage(t, spec(func(s *imagev1.Image) {
				s.Gates = []imagev1.Gate{{
					Name: "accuracy", Expression: "num(candidate.annotations['accuracy']) >= num(baseline.annotations['accuracy'])",
					Baseline: imagev1.BaselineBestAccepted, Best: "num(candidate.annotations['accuracy'])", OnNoBaseline: imagev1.NoBaselinePass,
				}}
			}), "2.0.0")
			img.Facts.Tags["2.0.0"] = artifact("2.0.0", "0.93")
			img.Facts.Digests[digest("1.0.0")], img.Facts.Digests[digest("1.1.0")] = tc.first, tc.second
			img.Before.Best, img.Approved = tc.before, func(string) bool { return tc.approved }
			a.Images = []*plan.Image{img}
			result, _, err := w.plan(a)
			w.must(err)
			held, best := "", ""
			for _, h := range result.Holds {
				held += h.Reason
			}
			for _, b := range result.Images[0].Best {
				best += b.Tag
			}
			if held != tc.want || best != tc.best || (result.Draft == nil) != (tc.want != "") {
				t.Errorf("held %q, best %q, draft %v", held, best, result.Draft)
			}
		})
	}
}

// The process ended between the push and the status.
func TestPushIsRecovered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("Ada", "first", map[string]string{"file.yaml": pod(ref("1.0.0"))})
	ours := w.commit("Weir", "Update\n\nAutomation: "+writer+"\nImage: "+ref("1.1.0"), map[string]string{"file.yaml": pod(ref("1.1.0"))})
	w.commit("Ada", "something else", map[string]string{"other.txt": "x"})
	for last, want := range map[string]string{"": ours, ours: "", strings.Repeat("0", 40): ""} {
		a := automation(t, "1.1.0")
		a.LastPush = last
		result, _, err := w.plan(a)
		w.must(err)
		if result.LastPush != want || result.Draft != nil {
			t.Errorf("last push %q recovered from %q, want %q", result.LastPush, last, want)
		}
	}
}
