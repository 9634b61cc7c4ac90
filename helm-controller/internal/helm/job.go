// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Job is one action on a release: state.Install, Upgrade, Test, Rollback,
// Uninstall, UninstallRemediation or Unlock.
type Job struct {
	// Owner is the HelmRelease, and UID its.
	Owner types.NamespacedName
	UID   types.UID
	// Step says what to do.
	Step state.Step
	// Object is a copy of the HelmRelease, with the spec that the action is for.
	Object *helmv2.HelmRelease
	// Chart and Values are for an install or an upgrade. They are not changed.
	Chart  *Chart
	Values map[string]any
	// Post changes what was rendered. Nil: nothing does.
	Post *postrender.Chain
	// Gate is asked once the chart is rendered, before anything is written, about
	// the objects of the current release and of the one to be. Its error is that
	// of the action. Nil: nobody is asked.
	Gate func(ctx context.Context, before, after []*unstructured.Unstructured) error
	// Records returns the stored releases of the storage namespace, bound to ctx.
	Records func(ctx context.Context) *storage.Records
	// Kube describes the client of the tenant. The action itself says who the owner
	// is, which release, who merges, what is taken over, and what becomes of its
	// turn while it waits.
	Kube kube.Options
	// Schemas downloads what the schemas of charts refer to. Nil: nothing does.
	Schemas *http.Client
	// Redact takes secrets out of texts. Nil: nothing is taken out.
	Redact func(string) string
	// Notify is called after the outcome is there, before the owner is woken. Nil:
	// nothing is.
	Notify func()
}

// Outcome is how an action ended.
type Outcome struct {
	// Step of the job.
	Step state.Step
	// Release that the action made, or was about, as stored in the end, after a
	// failure too. An uninstalled one that is not stored any more is as it was last,
	// with the status uninstalled. Nil if the action came to none.
	Release *release.Release
	// Unknown is set if it could not be read what the action has stored. Then
	// Release is nil, and says nothing.
	Unknown bool
	// Err says what went wrong, and names the objects. It holds no secrets.
	Err error
	// Logs are the last lines that Helm wrote.
	Logs []string
	// Duration from begin to end, without the time in the queue.
	Duration time.Duration
	// Canceled is why the action was cut short, and empty if it was not.
	Canceled string
	// Objects of the release, the definitions of its chart included. Nil if there
	// is no release.
	Objects inventory.Inventory
}

// State returns the outcome as package state records it.
func (o Outcome) State() state.Outcome {
	return state.Outcome{
		Step: o.Step, Release: o.Release, Err: o.Err, Canceled: o.Canceled, Duration: o.Duration, Logs: o.Logs,
	}
}
