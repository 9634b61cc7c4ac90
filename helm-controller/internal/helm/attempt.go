// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	sdk "helm.sh/helm/v3/pkg/release"
	sdkstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/dynamic"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// settleTimeout bounds what is done after an action, canceled or not, to leave
// its release as it should be.
const settleTimeout = 30 * time.Second

// attempt is one action with its own client and its own storage.
type attempt struct {
	run *run
	job *Job

	kube     *kube.Client
	client   *client
	recorder *recorder
	config   *action.Configuration
	// history is what was stored when the action began, and before the last of it,
	// nil if there was none.
	history  []*storage.Record
	before   *release.Release
	rendered *rendering
}

// act does what the step says, and returns when nothing of it goes on any more.
func (a *attempt) act() error {
	records := a.job.Records(a.run.ctx)
	history, err := records.History(a.name())
	if err != nil {
		return err
	}
	a.history = history
	if len(history) > 0 {
		a.before = history[0].Release
	}
	if err := a.connect(records); err != nil {
		return err
	}
	switch a.job.Step.Action {
	case state.Install:
		return a.install()
	case state.Upgrade:
		return a.upgrade()
	case state.Test:
		return a.test()
	case state.Rollback:
		return a.rollback()
	case state.Uninstall, state.UninstallRemediation:
		return a.uninstall()
	case state.Unlock:
		return a.unlock()
	default:
		return fmt.Errorf("there is no Helm action %q", a.job.Step.Action)
	}
}

// name of the release.
func (a *attempt) name() string { return a.job.Step.Target.Name }

// namespace of the release.
func (a *attempt) namespace() string { return a.job.Step.Target.Namespace }

// connect makes the client and the storage of the action.
func (a *attempt) connect(records *storage.Records) error {
	options := a.job.Kube
	options.Owner, options.UID = a.job.Owner, a.job.UID
	options.Name, options.Namespace = a.name(), a.namespace()
	options.ServerSide = serverSide(a.job, a.history)
	options.TakeOwnership = takeOwnership(a.job)
	options.Idle = a.run.idle
	connected, err := kube.New(a.run.ctx, options)
	if err != nil {
		return err
	}
	method := release.ClientSide
	if options.ServerSide {
		method = release.ServerSide
	}
	made, err := newKubeClient(connected)
	if err != nil {
		return err
	}
	all, ok := made.(whole)
	if !ok {
		return errors.New("the Kubernetes client lacks an interface of the SDK")
	}
	a.kube = connected
	a.client = &client{whole: all, name: a.name(), namespace: a.namespace(), get: a.live}
	a.recorder = &recorder{Driver: newDriver(records, method)}
	a.config = &action.Configuration{
		Releases:       sdkstorage.Init(a.recorder),
		KubeClient:     a.client,
		Log:            a.run.log.add,
		HookOutputFunc: func(string, string, string) io.Writer { return io.Discard },
	}
	a.config.Releases.MaxHistory = a.job.Step.MaxHistory
	return nil
}

// recorder is the storage of one action. It puts what was rendered into the
// release that the SDK is about to store, from which the SDK then runs hooks:
// the one point between its preparation and its first write.
type recorder struct {
	driver.Driver

	rendered *rendering
	// made is the revision that the action has stored, or has tried to.
	made int
}

// Create implements driver.Creator.
func (r *recorder) Create(key string, rel *sdk.Release) error {
	if r.rendered != nil {
		r.rendered.enter(rel)
	}
	err := r.Driver.Create(key, rel)
	if !errors.Is(err, driver.ErrReleaseExists) {
		r.made = rel.Version // it may be stored in spite of an error
	}
	return err
}

// settle looks at what is stored after the action, with a client that outlives
// it. A release that the SDK has left pending after an error is failed: it
// forgets that on some paths. One whose action was cut short stays as it is, so
// that everybody knows that it was.
func (a *attempt) settle(outcome *Outcome) {
	if a.recorder == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.run.ctx), settleTimeout)
	defer cancel()
	records := a.job.Records(ctx)
	if outcome.Err != nil && a.run.ctx.Err() == nil {
		if err := a.fail(records, outcome.Err); err != nil {
			a.run.log.add("failed to store what became of the release: %s", err)
		}
	}
	history, err := records.History(a.name())
	if err != nil {
		a.run.log.add("failed to read what became of the release: %s", err)
		outcome.Unknown = a.recorder.made > 0
		return
	}
	outcome.Release = a.result(history)
	if rel := outcome.Release; rel != nil && strings.Contains(rel.Manifest, "kind: CustomResourceDefinition") {
		a.run.capabilities.forget(a.kube.Mapper()) // whoever waits for this release may ask for its kinds
	}
	if outcome.Release != nil && outcome.Release.Status != release.Uninstalled {
		outcome.Objects = a.objects(outcome.Release)
	}
}

// fail marks the revision that the action has made as failed if it is pending.
func (a *attempt) fail(records *storage.Records, cause error) error {
	if a.recorder.made == 0 {
		return nil
	}
	store := sdkstorage.Init(newDriver(records, ""))
	rel, err := store.Get(a.name(), a.recorder.made)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil
	}
	if err != nil || !rel.Info.Status.IsPending() {
		return err
	}
	text := bound(a.run.redact(cause.Error()), maxError)
	rel.SetStatus(sdk.StatusFailed, fmt.Sprintf("%s of release %q failed: %s", a.job.Step.Action, a.name(), text))
	return store.Update(rel)
}

// result picks the release that the action made or was about.
func (a *attempt) result(history []*storage.Record) *release.Release {
	switch a.job.Step.Action {
	case state.Install, state.Upgrade, state.Rollback:
		for _, record := range history {
			if record.Release.Version == a.recorder.made {
				return record.Release
			}
		}
		return nil
	case state.Uninstall, state.UninstallRemediation:
		if a.before == nil {
			return nil
		}
		if len(history) == 0 {
			gone := *a.before
			gone.Status, gone.Description = release.Uninstalled, "Uninstallation complete"
			gone.Deleted = time.Now()
			return &gone
		}
	default: // about the last one
	}
	if len(history) == 0 {
		return nil
	}
	return history[0].Release
}

// objects lists those of a release, and the definitions of its chart.
func (a *attempt) objects(rel *release.Release) inventory.Inventory {
	var definitions []kube.File
	switch {
	case a.rendered != nil:
		definitions = files(a.rendered.chart)
	case a.job.Chart != nil:
		definitions = files(a.job.Chart.parsed)
		if sizeOf(definitions) > a.run.renderer.limits.Output {
			definitions = nil // they were not written: the chart is refused
		}
	}
	inv, warnings, err := kube.Inventory(a.kube.Mapper(), rel.Namespace, rel.Manifest, definitions)
	for _, warning := range warnings {
		a.run.log.add("warning: %s", warning)
	}
	if err != nil {
		a.run.log.add("warning: the objects of the release cannot be listed: %s", err)
	}
	return inv
}

// live reads an object of the cluster.
func (a *attempt) live(info *resource.Info) (*unstructured.Unstructured, error) {
	reader, err := dynamic.NewForConfigAndClient(a.kube.Config(), a.kube.HTTP())
	if err != nil {
		return nil, err
	}
	of := reader.Resource(info.Mapping.Resource)
	if namespaced(info.Mapping) {
		return of.Namespace(info.Namespace).Get(a.run.ctx, info.Name, metav1.GetOptions{})
	}
	return of.Get(a.run.ctx, info.Name, metav1.GetOptions{})
}
