// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"context"
	"maps"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/watch"
)

func templated(change ...func(*helmv2.HelmRelease)) *helmv2.HelmRelease {
	obj := &helmv2.HelmRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web"},
		Spec: helmv2.HelmReleaseSpec{
			Interval: metav1.Duration{Duration: time.Minute},
			Chart: &helmv2.HelmChartTemplate{
				ObjectMeta: &helmv2.HelmChartTemplateObjectMeta{Labels: map[string]string{"a": "b"}},
				Spec: helmv2.HelmChartTemplateSpec{
					Chart: "app", SourceRef: &helmv2.ChartSourceReference{Kind: "HelmRepository", Name: "repo", Namespace: "sources"},
				},
			},
		},
	}
	for _, f := range change {
		f(obj)
	}
	return obj
}

func TestSourceOf(t *testing.T) {
	labels := map[string]string{"a": "b", helmv2.OwnerNameLabel: "web", helmv2.OwnerNamespaceLabel: "team"}
	for name, tc := range map[string]struct {
		change func(*helmv2.HelmRelease)
		want   client.Object
	}{
		"chart": {func(*helmv2.HelmRelease) {}, &sourcev1.HelmChart{
			ObjectMeta: metav1.ObjectMeta{Namespace: "sources", Name: "team-web", Labels: labels},
			Spec: sourcev1.HelmChartSpec{
				Chart: "app", Version: "*", SourceRef: sourcev1.LocalHelmChartSourceReference{Kind: "HelmRepository", Name: "repo"},
				Interval: metav1.Duration{Duration: time.Minute}, ReconcileStrategy: "ChartVersion",
			},
		}},
		"repository": {func(r *helmv2.HelmRelease) {
			r.Spec.Chart.Kind = "OCIRepository"
			r.Spec.Chart.Spec = helmv2.HelmChartTemplateSpec{OCIRepositorySpec: sourcev1.OCIRepositorySpec{URL: "oci://registry/app", Reference: &sourcev1.OCIRepositoryRef{SemVer: "1.x"}}}
		}, &sourcev1.OCIRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "team-web", Labels: labels},
			Spec: sourcev1.OCIRepositorySpec{
				URL: "oci://registry/app", Reference: &sourcev1.OCIRepositoryRef{SemVer: "1.x"}, Interval: &metav1.Duration{Duration: time.Minute},
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			obj := templated(tc.change)
			if diff := cmp.Diff(tc.want, sourceOf(obj, obj.GetChartReference())); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAsWanted(t *testing.T) {
	obj := templated()
	wanted := sourceOf(obj, obj.GetChartReference())
	for name, tc := range map[string]struct {
		change        func(*sourcev1.HelmChart)
		before, after bool // until and since this process has written it
	}{
		"same":           {func(*sourcev1.HelmChart) {}, true, true},
		"changed":        {func(c *sourcev1.HelmChart) { c.Spec.Chart = "other" }, false, false},
		"more in it":     {func(c *sourcev1.HelmChart) { c.Spec.ValuesFiles = []string{"a.yaml"} }, false, true},
		"label of other": {func(c *sourcev1.HelmChart) { c.Labels["c"] = "d" }, false, true},
		"label is gone":  {func(c *sourcev1.HelmChart) { delete(c.Labels, "a") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			live, ok := wanted.DeepCopyObject().(*sourcev1.HelmChart)
			if !ok {
				t.Fatal("not a HelmChart")
			}
			live.Labels = maps.Clone(live.Labels)
			tc.change(live)
			if before, after := asWanted(live, wanted, false), asWanted(live, wanted, true); before != tc.before || after != tc.after {
				t.Errorf("before %v, after %v", before, after)
			}
		})
	}
}

func TestSourceUnready(t *testing.T) {
	artifact := &fluxmeta.Artifact{Revision: "1.0.0"}
	for name, tc := range map[string]struct {
		change func(*sourcev1.HelmChart)
		want   string
	}{
		"ready":       {func(*sourcev1.HelmChart) {}, ""},
		"no artifact": {func(c *sourcev1.HelmChart) { c.Status.Artifact = nil }, "does not have an artifact"},
		"new spec":    {func(c *sourcev1.HelmChart) { c.Generation = 2 }, "latest generation of object has not been reconciled"},
		"new spec bad": {func(c *sourcev1.HelmChart) {
			c.Generation = 2
			conditions.MarkFalse(c, "Ready", "ChartPullError", "no such chart")
		}, "no such chart"},
		"stalled": {func(c *sourcev1.HelmChart) { conditions.MarkStalled(c, "InvalidChartReference", "bad version") }, "bad version"},
	} {
		t.Run(name, func(t *testing.T) {
			source := &sourcev1.HelmChart{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: sourcev1.HelmChartStatus{ObservedGeneration: 1, Artifact: artifact}}
			tc.change(source)
			if got := unready(source); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSecretsAreTakenOutOfTexts(t *testing.T) {
	n := &secrets{}
	read := n.noting(func(_ context.Context, kind, _ string) (map[string][]byte, string, error) {
		if kind == "ConfigMap" {
			return map[string][]byte{"values.yaml": []byte("open: everybody-knows")}, "1", nil
		}
		return map[string][]byte{"values.yaml": []byte("db:\n  password: hunter2-long\n  list: [hunter2]\n  short: abc\n")}, "1", nil
	})
	for _, kind := range []string{"ConfigMap", "Secret"} {
		if _, _, err := read(t.Context(), kind, "x"); err != nil {
			t.Fatal(err)
		}
	}
	got := n.redact()("hunter2-long and hunter2 and abc and everybody-knows")
	if want := "********** and ********** and abc and everybody-knows"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if (&secrets{}).redact() != nil {
		t.Error("there is something to take out of nothing")
	}
}

func TestReferencesOf(t *testing.T) {
	obj := templated(func(r *helmv2.HelmRelease) {
		r.Spec.ValuesFrom = []helmv2.ValuesReference{{Kind: "Secret", Name: "a"}, {Kind: "ConfigMap", Name: "a"}, {Kind: "Secret", Name: "a", ValuesKey: "x"}}
		r.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "k"}}
	})
	want := []watch.Reference{
		{Kind: "Secret", Namespace: "team", Name: "a"}, {Kind: "ConfigMap", Namespace: "team", Name: "a"}, {Kind: "Secret", Namespace: "team", Name: "k"},
	}
	if diff := cmp.Diff(want, referencesOf(obj)); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if basisText(watch.Watched) != "" || basisText(watch.Labelled) == "" || basisText(watch.Interval) == "" {
		t.Error("only what is not watched is to be mentioned")
	}
}

func TestRevisionOf(t *testing.T) {
	want := state.Desired{Chart: release.Chart{Name: "app", Version: "1.0.0"}, ConfigDigest: "sha256:0123456789abcdef"}
	if got := revisionOf(want); got != "app@1.0.0 (values 01234567)" {
		t.Errorf("got %q", got)
	}
}

// A verdict that wants the shrinking part first cannot be followed.
func TestWholeText(t *testing.T) {
	unknown := gpu.Estimate{Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(1)}}, Min: 1, Max: 1}}}
	got := wholeText(gate.Change{Objects: []gate.Object{{Key: "apps/Deployment/ns/old", Before: unknown}, {Key: "apps/Deployment/ns/new", After: unknown}}})
	if want := "it fits only once the GPUs of Deployment/ns/old are free, and a release cannot give up first and add later; reduce these in a change of their own first"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaultsOfHelm3(t *testing.T) {
	obj := templated()
	c := &Controller{Options: Options{Helm3Defaults: true}}
	got := c.defaulted(obj)
	if *got.Spec.Install.ServerSideApply || got.GetWaitStrategy() != helmv2.WaitStrategyLegacy || got.GetPostRenderStrategy() != helmv2.PostRenderStrategyNoHooks {
		t.Errorf("spec %+v", got.Spec)
	}
	if obj.Spec.Install != nil {
		t.Error("the object itself was changed")
	}
	obj.Spec.Install = &helmv2.Install{ServerSideApply: new(true)}
	if !*c.defaulted(obj).Spec.Install.ServerSideApply {
		t.Error("what the spec says does not count")
	}
}

func TestOutdatedSource(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		written written
		want    bool
	}{
		"never written":         {written{}, false},
		"of before":             {written{"one", 3}, true},
		"as written":            {written{"one", 2}, false},
		"written again since":   {written{"one", 1}, false},
		"made anew by somebody": {written{"another", 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cached := &sourcev1.HelmChart{ObjectMeta: metav1.ObjectMeta{UID: "one", Generation: 2}}
			if got := tc.written.outdated(cached); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
