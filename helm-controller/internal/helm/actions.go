// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	sdk "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
)

// serverSide says who merges the objects: as the spec has it, or as the release
// was made that is replaced or gone back to.
func serverSide(job *Job, history []*storage.Record) bool {
	mode, like := helmv2.ServerSideApplyEnabled, 0
	switch job.Step.Action {
	case state.Install:
		if own := job.Object.GetInstall().ServerSideApply; own != nil && !*own {
			mode = helmv2.ServerSideApplyDisabled
		}
	case state.Rollback:
		mode, like = job.Object.GetRollback().ServerSideApply, job.Step.To
	default:
		mode = job.Object.GetUpgrade().ServerSideApply
	}
	if mode == helmv2.ServerSideApplyEnabled || mode == helmv2.ServerSideApplyDisabled {
		return mode == helmv2.ServerSideApplyEnabled
	}
	for _, record := range history {
		if like == 0 || record.Release.Version == like {
			return record.Release.ServerSide()
		}
	}
	return true
}

func takeOwnership(job *Job) bool {
	switch job.Step.Action {
	case state.Install:
		return !job.Object.GetInstall().DisableTakeOwnership
	case state.Upgrade:
		return !job.Object.GetUpgrade().DisableTakeOwnership
	default:
		return true
	}
}

// handOver gives the SDK's action what was rendered: through its post-renderer
// the manifest, through the storage the rest.
func (a *attempt) handOver(rendered *rendering) {
	a.rendered, a.recorder.rendered = rendered, rendered
	a.config.Capabilities = chartutil.DefaultCapabilities // of what renders nothing
}

// Run implements postrender.PostRenderer.
func (r *rendering) Run(*bytes.Buffer) (*bytes.Buffer, error) {
	return bytes.NewBufferString(r.manifest), nil
}

func (a *attempt) install() error {
	spec := a.job.Object.GetInstall()
	rendered, err := a.prepare(chartutil.ReleaseOptions{
		Name: a.name(), Namespace: a.namespace(), Revision: 1, IsInstall: true,
	}, nil)
	if err != nil {
		return err
	}
	if spec.CreateNamespace && a.job.Object.Spec.TargetNamespace != "" {
		if err := a.createNamespace(); err != nil {
			return err
		}
	}
	if err := a.applyCRDs(rendered, definitionsPolicy(spec)); err != nil {
		return err
	}
	a.handOver(rendered)
	run := action.NewInstall(a.config)
	run.ReleaseName, run.Namespace = a.name(), a.namespace()
	run.Timeout = a.job.Step.Timeout
	run.Wait, run.WaitForJobs = !spec.DisableWait, !spec.DisableWaitForJobs
	run.DisableHooks = spec.DisableHooks
	run.DisableOpenAPIValidation = spec.DisableOpenAPIValidation
	run.SkipSchemaValidation, run.SkipCRDs = true, true // done
	run.TakeOwnership = !spec.DisableTakeOwnership
	run.Replace = a.job.Step.Replace
	run.PostRenderer = rendered
	_, err = run.Run(rendered.shell(), nil)
	return err
}

func (a *attempt) upgrade() error {
	spec := a.job.Object.GetUpgrade()
	if a.before == nil {
		return driver.NewErrNoDeployedReleases(a.name())
	}
	current, err := startsFrom(a.config.Releases, a.before)
	if err != nil {
		return err
	}
	rendered, err := a.prepare(chartutil.ReleaseOptions{
		Name: a.name(), Namespace: current.Namespace, Revision: a.before.Version + 1, IsUpgrade: true,
	}, current)
	if err != nil {
		return err
	}
	if err := a.applyCRDs(rendered, spec.CRDs); err != nil {
		return err
	}
	a.leaveBeside(current.Version)
	a.handOver(rendered)
	run := action.NewUpgrade(a.config)
	run.Namespace = a.namespace()
	run.Timeout = a.job.Step.Timeout
	run.Wait, run.WaitForJobs = !spec.DisableWait, !spec.DisableWaitForJobs
	run.DisableHooks = spec.DisableHooks
	run.DisableOpenAPIValidation = spec.DisableOpenAPIValidation
	run.SkipSchemaValidation, run.SkipCRDs = true, true // done
	run.TakeOwnership = !spec.DisableTakeOwnership
	run.ResetValues = true // values that are preserved are among those rendered
	run.MaxHistory = a.job.Step.MaxHistory
	run.Force = spec.Force && !a.kube.ServerSide
	run.CleanupOnFail = spec.CleanupOnFail
	run.PostRenderer = rendered
	_, err = run.Run(a.name(), rendered.shell(), nil)
	return err
}

// leaveBeside tells the client of the revisions beside the one that the SDK
// takes for what is there: the deployed one, and those that failed after it. They
// may have objects that no other revision has.
func (a *attempt) leaveBeside(taken int) {
	for _, record := range a.history { // the newest first
		rel := record.Release
		deployed := rel.Status == release.Deployed
		if rel.Version != taken && (deployed || rel.Status == release.Failed) {
			a.client.leftovers = append(a.client.leftovers, rel.Manifest)
		}
		if deployed {
			return
		}
	}
}

func (a *attempt) rollback() error {
	spec := a.job.Object.GetRollback()
	if a.before == nil {
		return driver.NewErrNoDeployedReleases(a.name())
	}
	a.leaveBeside(a.before.Version)
	run := action.NewRollback(a.config)
	run.Version = a.job.Step.To
	run.Timeout = a.job.Step.Timeout
	run.Wait, run.WaitForJobs = !spec.DisableWait, !spec.DisableWaitForJobs
	run.DisableHooks = spec.DisableHooks
	run.Force = spec.Force && !a.kube.ServerSide
	run.CleanupOnFail = spec.CleanupOnFail
	run.MaxHistory = a.job.Step.MaxHistory
	return run.Run(a.name())
}

func (a *attempt) test() error {
	spec := a.job.Object.GetTest()
	run := action.NewReleaseTesting(a.config)
	run.Namespace = a.namespace()
	run.Timeout = a.job.Step.Timeout
	for _, filter := range spec.GetFilters() {
		name := action.IncludeNameFilter
		if filter.Exclude {
			name = action.ExcludeNameFilter
		}
		run.Filters[name] = append(run.Filters[name], filter.Name)
	}
	_, err := run.Run(a.name())
	return err
}

func (a *attempt) uninstall() error {
	if a.before == nil {
		return state.ErrNotFound
	}
	spec := a.job.Object.GetUninstall()
	if a.before.Status == release.Uninstalled && spec.KeepHistory {
		return state.ErrUninstalled
	}
	a.leaveBeside(a.before.Version)
	run := action.NewUninstall(a.config)
	run.Timeout = a.job.Step.Timeout
	run.DisableHooks = spec.DisableHooks
	run.KeepHistory = spec.KeepHistory
	run.Wait = !spec.DisableWait
	run.DeletionPropagation = spec.GetDeletionPropagation()
	_, err := run.Run(a.name())
	if err != nil && len(a.client.undeleted) > 0 {
		err = fmt.Errorf("%w: %w", err, errors.Join(firstFew(a.client.undeleted)...))
	}
	return err
}

// unlock marks a release that nobody works on any more as failed.
func (a *attempt) unlock() error {
	last, err := a.config.Releases.Last(a.name())
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	status := last.Info.Status
	if !status.IsPending() && status != sdk.StatusUninstalling && status != sdk.StatusUnknown {
		return nil
	}
	last.SetStatus(sdk.StatusFailed, state.Unlocked(release.Status(status)))
	return a.config.Releases.Update(last)
}

// maxErrors is how many errors of a list are told.
const maxErrors = 5

func firstFew(errs []error) []error {
	if len(errs) <= maxErrors {
		return errs
	}
	return append(slices.Clone(errs[:maxErrors]), fmt.Errorf("and %d more", len(errs)-maxErrors))
}

// prepare renders the chart, and asks whether the result may be released.
func (a *attempt) prepare(options chartutil.ReleaseOptions, current *sdk.Release) (*rendering, error) {
	p := preparation{job: a.job, kube: a.kube, renderer: a.run.renderer, capabilities: a.run.capabilities, log: &a.run.log}
	end := a.run.cuttable() // nothing is written yet
	rendered, err := p.render(a.run.ctx, options, current)
	end()
	if err != nil || a.job.Gate == nil {
		return rendered, err
	}
	manifest := ""
	if current != nil {
		manifest = current.Manifest
	}
	before, after, err := p.compare(manifest, rendered)
	if err != nil {
		return nil, err
	}
	return rendered, a.job.Gate(a.run.ctx, before, after)
}
