// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	sdk "helm.sh/helm/v3/pkg/release"
	sdkstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// preparation has the chart of a job rendered for its cluster, and writes
// nothing.
type preparation struct {
	job          *Job
	kube         *kube.Client
	renderer     *Renderer
	capabilities *capabilities
	log          *lines
}

// render renders an install, or an upgrade of current.
func (p *preparation) render(ctx context.Context, options chartutil.ReleaseOptions, current *sdk.Release) (*rendering, error) {
	if p.job.Chart == nil {
		return nil, errors.New("there is no chart to render")
	}
	known, err := p.capabilities.get(p.kube.Mapper(), p.kube.Config())
	if err != nil {
		return nil, err
	}
	o := &order{
		Chart: p.job.Chart.number, Version: p.job.Chart.Version, Values: p.job.Values, Release: options,
		Kube: known.KubeVersion, Versions: strings.Join(known.APIVersions, "\n"),
		SkipSchema: p.job.Object.GetInstall().DisableSchemaValidation,
		SkipCRDs:   p.policy(options.IsUpgrade) == helmv2.Skip,
	}
	if o.Post, err = postOf(p.job); err != nil {
		return nil, err
	}
	if options.IsUpgrade {
		spec := p.job.Object.GetUpgrade()
		o.SkipSchema = spec.DisableSchemaValidation
		if spec.PreserveValues && current != nil {
			o.Before = &preserved{Name: current.Name, Version: current.Version, Config: current.Config}
			if o.Before.Chart, err = bare(current.Chart); err != nil {
				return nil, err
			}
		}
	}
	return p.renderer.render(ctx, &request{
		job: p.job, order: o, log: p.log,
		lookups: &lookups{config: p.kube.Config(), http: p.kube.HTTP(), mapper: p.kube.Mapper()},
	})
}

// policy says what becomes of the definitions of the chart.
func (p *preparation) policy(upgrade bool) helmv2.CRDsPolicy {
	if upgrade {
		return p.job.Object.GetUpgrade().CRDs
	}
	return definitionsPolicy(p.job.Object.GetInstall())
}

// objects reads the objects of a manifest, each in the namespace that it is in
// and with the marks of the release.
func (p *preparation) objects(manifest string, rendered *rendering) ([]*unstructured.Unstructured, error) {
	objects, err := kube.Decode(strings.NewReader(manifest))
	if err != nil {
		return nil, err
	}
	for _, obj := range objects {
		if _, err := kube.Locate(p.kube.Mapper(), obj, p.kube.Namespace); err != nil && rendered != nil {
			if mapping := rendered.kinds[obj.GroupVersionKind()]; mapping != nil {
				kube.Place(obj, mapping.Scope, p.kube.Namespace)
			}
		}
		mark(obj, p.kube.Name, p.kube.Namespace)
	}
	return objects, nil
}

// mark puts on an object what the SDK will.
func mark(obj *unstructured.Unstructured, name, namespace string) {
	labels, annotations := maps.Clone(obj.GetLabels()), maps.Clone(obj.GetAnnotations())
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[managedByLabel] = "Helm"
	annotations[nameAnnotation], annotations[namespaceAnnotation] = name, namespace
	obj.SetLabels(labels)
	obj.SetAnnotations(annotations)
}

// compare returns the objects of the release that is there, none without one,
// and those of the one to be. Hooks are among neither: they come and go.
func (p *preparation) compare(current string, rendered *rendering) (before, after []*unstructured.Unstructured, err error) {
	if before, err = p.objects(current, nil); err != nil {
		return nil, nil, fmt.Errorf("read the objects of the release: %w", err)
	}
	if after, err = p.objects(rendered.manifest, rendered); err != nil {
		return nil, nil, fmt.Errorf("read the objects of the chart: %w", err)
	}
	return before, after, nil
}

// Render renders the chart of a job as an install or an upgrade would, whichever
// is due, asks the cluster what templates ask, and changes nothing. It returns
// the objects of the release that is there, and those of the one to be with the
// definitions that would be written before them, hooks left out. Of an object that
// the chart declares twice it is the last. The context is the limit.
func (r *Renderer) Render(ctx context.Context, job *Job) (before, after []*unstructured.Unstructured, err error) {
	run := &run{job: *job}
	name, namespace := job.Object.GetReleaseName(), job.Object.GetReleaseNamespace()
	history, err := job.Records(ctx).History(name)
	if err != nil {
		return nil, nil, err
	}
	options := job.Kube
	options.Owner, options.UID = job.Owner, job.UID
	options.Name, options.Namespace = name, namespace
	client, err := kube.New(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	p := preparation{job: job, kube: client, renderer: r, capabilities: newCapabilities(), log: &run.log}
	plan := chartutil.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	var current *sdk.Release
	if len(history) > 0 && history[0].Release.Status != release.Uninstalled {
		plan.IsInstall, plan.IsUpgrade, plan.Revision = false, true, history[0].Release.Version+1
		current, err = startsFrom(sdkstorage.Init(newDriver(job.Records(ctx), "")), history[0].Release)
		if err != nil {
			return nil, nil, err
		}
	}
	err = guarded(func() error {
		rendered, err := p.render(ctx, plan, current)
		if err != nil {
			return err
		}
		manifest := ""
		if current != nil {
			manifest = current.Manifest
		}
		if before, after, err = p.compare(manifest, rendered); err != nil {
			return err
		}
		definitions, err := client.Definitions(ctx, files(rendered.chart), p.policy(plan.IsUpgrade))
		after = kube.Last(append(definitions, after...))
		return err
	})
	return before, after, run.explain(err, "")
}

// startsFrom returns the release that an upgrade starts from, which the SDK
// picks by the same rules: the deployed one, or else the last.
func startsFrom(releases *sdkstorage.Storage, last *release.Release) (*sdk.Release, error) {
	deployed, err := releases.Deployed(last.Name)
	if err == nil || !errors.Is(err, driver.ErrNoDeployedReleases) {
		return deployed, err
	}
	return releases.Get(last.Name, last.Version)
}

// files returns the files of the directories crds of a processed chart.
func files(c *chart.Chart) []kube.File {
	var out []kube.File
	for _, crd := range c.CRDObjects() {
		out = append(out, kube.File{Name: crd.Filename, Data: crd.File.Data})
	}
	return out
}

// sizeOf returns the bytes of files.
func sizeOf(files []kube.File) int64 {
	var size int64
	for _, file := range files {
		size += int64(len(file.Data))
	}
	return size
}

// definitionsPolicy says what becomes of the definitions of a chart that is
// installed.
func definitionsPolicy(spec helmv2.Install) helmv2.CRDsPolicy {
	if spec.CRDs == "" && spec.SkipCRDs {
		return helmv2.Skip
	}
	return spec.CRDs
}

// applyCRDs writes the definitions of the chart.
func (a *attempt) applyCRDs(rendered *rendering, policy helmv2.CRDsPolicy) error {
	definitions := files(rendered.chart)
	if len(definitions) == 0 || policy == helmv2.Skip {
		return nil
	}
	a.run.log.add("applying CustomResourceDefinition(s) with policy %s", policy)
	a.run.capabilities.forget(a.kube.Mapper())
	if _, err := a.kube.CRDs(definitions, policy); err != nil {
		return fmt.Errorf("failed to apply CustomResourceDefinitions: %w", err)
	}
	return nil
}

// createNamespace creates the namespace of the release if there is none, as
// Helm does: with its name as a label, and nobody's.
func (a *attempt) createNamespace() error {
	client, err := corev1client.NewForConfigAndClient(a.kube.Config(), a.kube.HTTP())
	if err != nil {
		return fmt.Errorf("create namespace '%s': %w", a.namespace(), err)
	}
	_, err = client.Namespaces().Get(a.run.ctx, a.namespace(), metav1.GetOptions{})
	if err == nil || !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: a.namespace(), Labels: map[string]string{"name": a.namespace()},
	}}
	_, err = client.Namespaces().Create(a.run.ctx, namespace, metav1.CreateOptions{FieldManager: a.kube.Manager()})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace '%s': %w", a.namespace(), err)
	}
	return nil
}
