// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package release_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

func TestDecodeReadsWhatHelm4Stores(t *testing.T) {
	t.Parallel()
	r := decode(t, stored(t, "flux-uninstalled-secrets.json")[2])
	if r.Name != "shop" || r.Namespace != "shops" || r.Version != 2 || r.Status != release.Uninstalled || !r.ServerSide() {
		t.Errorf("got %s/%s.v%d %s %q", r.Namespace, r.Name, r.Version, r.Status, r.ApplyMethod)
	}
	if r.Chart.Name != "shop" || r.Chart.Version != "1.1.0" || r.Chart.AppVersion != "7.1" {
		t.Errorf("got chart %+v", r.Chart)
	}
	if r.Deleted.IsZero() || r.LastDeployed.Before(r.FirstDeployed) {
		t.Errorf("got deployed %s and %s, deleted %s", r.FirstDeployed, r.LastDeployed, r.Deleted)
	}
	tests := r.Tests()
	if len(r.Hooks) != 3 || len(tests) != 2 || tests["shop-check"] == nil || tests["shop-old"] == nil {
		t.Errorf("got hooks %+v", r.Hooks)
	}
	want := release.Hook{
		Name: "shop-pre", Kind: "Job", Path: "shop/templates/pre.yaml", Manifest: r.Hooks[2].Manifest, Weight: -5,
		Events: []string{"pre-install", "pre-upgrade"}, DeletePolicies: []string{"before-hook-creation", "hook-succeeded"}, OutputLogPolicies: []string{"hook-failed"},
		LastRun: release.Run{Started: r.Hooks[2].LastRun.Started, Completed: r.Hooks[2].LastRun.Completed, Phase: release.HookSucceeded},
	}
	if diff := cmp.Diff(want, r.Hooks[2]); diff != "" || want.LastRun.Started.IsZero() {
		t.Errorf("hook: (-want +got)\n%s", diff)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	tests := map[string]struct {
		document string
		want     *release.Release
	}{
		"as Helm 3 stores it, with empty times": {
			document: `{"name":"a","version":3,"namespace":"b","info":{"first_deployed":"2026-01-02T03:04:05.000000006Z","last_deployed":"","deleted":"","status":"pending-upgrade"},
				"hooks":[null,{"name":"h","last_run":{"started_at":"","completed_at":"","phase":""}}],"unknown":{"x":1}}`,
			want: &release.Release{Name: "a", Version: 3, Namespace: "b", Status: release.PendingUpgrade, FirstDeployed: at, Hooks: []release.Hook{{Name: "h"}}},
		},
		"no JSON":             {document: `{`},
		"another type":        {document: `{"name":1}`},
		"a list":              {document: `[]`},
		"no name":             {document: `{"version":1,"info":{}}`},
		"no version":          {document: `{"name":"a","info":{}}`},
		"no info":             {document: `{"name":"a","version":1}`},
		"a time that is none": {document: `{"name":"a","version":1,"info":{"deleted":"soon"}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := release.Decode([]byte(test.document))
			if (err == nil) != (test.want != nil) {
				t.Fatalf("got error %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestStatusesThatArePending(t *testing.T) {
	t.Parallel()
	for status, want := range map[release.Status]bool{
		release.PendingInstall: true, release.PendingUpgrade: true, release.PendingRollback: true,
		release.Deployed: false, release.Failed: false, release.Uninstalling: false, release.Uninstalled: false, release.Superseded: false, release.Unknown: false,
	} {
		if got := status.Pending(); got != want {
			t.Errorf("%s: got %v, want %v", status, got, want)
		}
	}
}

func TestOwnLabels(t *testing.T) {
	t.Parallel()
	got := release.OwnLabels(map[string]string{"name": "a", "owner": "helm", "status": "deployed", "version": "1", "createdAt": "1", "modifiedAt": "2", "team": "ml"})
	if diff := cmp.Diff(map[string]string{"team": "ml"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","version":1,"info":{"deleted":"","status":"deployed"},"hooks":[{"events":["test"]}],"config":{"a":[1,{"b":null}]}}`))
	f.Add([]byte(`{"name":"a","version":1,"info":{"first_deployed":"9999-12-31T23:59:59+23:59"},"chart":{"metadata":{"dependencies":[null,{"import-values":["a",{"b":1}]}],"maintainers":[null]}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := release.Decode(document)
		if err != nil {
			return
		}
		s := release.Snapshot(r, "", "")
		if err := release.Verify(s, r); err != nil {
			t.Errorf("a release is not the one that its snapshot was made of: %v", err)
		}
	})
}
