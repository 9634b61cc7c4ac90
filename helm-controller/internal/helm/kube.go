// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	helmkube "helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/pkg/apply"
)

// kubeClient is what the SDK writes and waits with. Where the API server merges,
// everything goes through package kube; where the client does, the SDK's own
// merge runs over our requests, so that it is Helm 3's.
type kubeClient struct {
	client *kube.Client
	merge  *helmkube.Client
	typed  kubernetes.Interface
	infos  *infoBuilder
}

var (
	_ helmkube.Interface                    = (*kubeClient)(nil)
	_ helmkube.InterfaceExt                 = (*kubeClient)(nil)
	_ helmkube.InterfaceThreeWayMerge       = (*kubeClient)(nil)
	_ helmkube.InterfaceLogs                = (*kubeClient)(nil)
	_ helmkube.InterfaceDeletionPropagation = (*kubeClient)(nil)
	_ helmkube.InterfaceResources           = (*kubeClient)(nil)
)

// newKubeClient returns what an action of the SDK needs of the cluster.
func newKubeClient(client *kube.Client) (helmkube.Interface, error) {
	typed, err := kubernetes.NewForConfigAndClient(client.Config(), client.HTTP())
	if err != nil {
		return nil, fmt.Errorf("make the client of release %s/%s: %w", client.Namespace, client.Name, err)
	}
	log := func(format string, args ...any) { client.Log.V(1).Info(fmt.Sprintf(format, args...)) }
	return &kubeClient{
		client: client,
		merge:  &helmkube.Client{Log: log, Namespace: client.Namespace},
		typed:  typed,
		infos:  newInfoBuilder(client),
	}, nil
}

// IsReachable asks nothing: the first request of the action will tell.
func (k *kubeClient) IsReachable() error { return k.client.Context().Err() }

// Build reads objects and finds their kinds. With validate, a kind that the
// cluster does not have is an error, and so are, when they are written, fields
// that it does not know.
func (k *kubeClient) Build(reader io.Reader, validate bool) (helmkube.ResourceList, error) {
	return k.infos.build(reader, validate)
}

// Create writes objects.
func (k *kubeClient) Create(resources helmkube.ResourceList) (*helmkube.Result, error) {
	if len(resources) == 0 {
		return &helmkube.Result{}, nil
	}
	if !k.client.ServerSide {
		result, err := k.merge.Create(resources)
		return result, merged(err)
	}
	written, err := k.client.Create(objectsOf(resources), strict(resources))
	result := resultOf(written, resources)
	if err != nil {
		return result, err
	}
	result.Created = resources
	result.Updated = nil
	return result, nil
}

// Update writes objects and deletes those that were before. Force replaces
// instead of merging; where the API server merges it has no effect.
func (k *kubeClient) Update(original, target helmkube.ResourceList, force bool) (*helmkube.Result, error) {
	if !k.client.ServerSide {
		result, err := k.merge.Update(original, target, force)
		return result, merged(err)
	}
	return k.update(original, target)
}

// UpdateThreeWayMerge is Update with a three-way merge of custom kinds too.
func (k *kubeClient) UpdateThreeWayMerge(original, target helmkube.ResourceList, force bool) (*helmkube.Result, error) {
	if !k.client.ServerSide {
		result, err := k.merge.UpdateThreeWayMerge(original, target, force)
		return result, merged(err)
	}
	return k.update(original, target)
}

func (k *kubeClient) update(original, target helmkube.ResourceList) (*helmkube.Result, error) {
	all := append(append(helmkube.ResourceList{}, target...), original...)
	written, err := k.client.Update(objectsOf(original), objectsOf(target), strict(target))
	return resultOf(written, all), err
}

// merged adds the way out to an error of the SDK's merge about a change that the
// API server does not allow.
func merged(err error) error {
	if err == nil || !strings.Contains(err.Error(), "immutable") {
		return err
	}
	return fmt.Errorf("%w; delete the object, or set spec.upgrade.force: true for once to have it replaced", err)
}

// Delete deletes objects in the background.
func (k *kubeClient) Delete(resources helmkube.ResourceList) (*helmkube.Result, []error) {
	return k.DeleteWithPropagationPolicy(resources, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy deletes objects, all that it can.
func (k *kubeClient) DeleteWithPropagationPolicy(resources helmkube.ResourceList, policy metav1.DeletionPropagation) (*helmkube.Result, []error) {
	deleted, err := k.client.Delete(objectsOf(resources), policy)
	if err != nil {
		return nil, []error{err}
	}
	return resultOf(deleted, resources), nil
}

// Wait waits until objects are ready.
func (k *kubeClient) Wait(resources helmkube.ResourceList, timeout time.Duration) error {
	return k.wait(resources, false, timeout)
}

// WaitWithJobs waits until objects are ready, and jobs complete.
func (k *kubeClient) WaitWithJobs(resources helmkube.ResourceList, timeout time.Duration) error {
	return k.wait(resources, true, timeout)
}

func (k *kubeClient) wait(resources helmkube.ResourceList, jobs bool, timeout time.Duration) error {
	if k.client.Legacy {
		return k.waitLegacy(resources, jobs, timeout)
	}
	return k.client.WaitReady(objectsOf(resources), jobs, timeout)
}

// WaitForDelete waits until objects are gone.
func (k *kubeClient) WaitForDelete(resources helmkube.ResourceList, timeout time.Duration) error {
	return k.client.WaitGone(objectsOf(resources), timeout)
}

// WatchUntilReady waits until hooks have done their work.
func (k *kubeClient) WatchUntilReady(resources helmkube.ResourceList, timeout time.Duration) error {
	return k.client.WaitHook(objectsOf(resources), timeout)
}

// WaitAndGetCompletedPodPhase waits until a pod of the release's namespace has
// ended, well or not.
func (k *kubeClient) WaitAndGetCompletedPodPhase(name string, timeout time.Duration) (corev1.PodPhase, error) {
	pod := &unstructured.Unstructured{}
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	pod.SetNamespace(k.client.Namespace)
	pod.SetName(name)
	phase := corev1.PodUnknown
	rule := func(live *unstructured.Unstructured) (bool, string, error) {
		text, _, _ := unstructured.NestedString(live.Object, "status", "phase")
		phase = corev1.PodPhase(text)
		return phase == corev1.PodSucceeded || phase == corev1.PodFailed, "the pod is " + text, nil
	}
	err := k.client.WaitJudged([]*unstructured.Unstructured{pod}, []kube.Judgement{rule}, timeout)
	return phase, err
}

// objectsOf returns the objects of resources.
func objectsOf(resources helmkube.ResourceList) []*unstructured.Unstructured {
	objects := make([]*unstructured.Unstructured, 0, len(resources))
	for _, info := range resources {
		if obj, ok := info.Object.(*unstructured.Unstructured); ok {
			objects = append(objects, obj)
		}
	}
	return objects
}

// resultOf sorts resources by what became of them, and has those that were
// written show the live object.
func resultOf(written []kube.Written, resources helmkube.ResourceList) *helmkube.Result {
	byObject := make(map[*unstructured.Unstructured]*resource.Info, len(resources))
	for _, info := range resources {
		if obj, ok := info.Object.(*unstructured.Unstructured); ok {
			byObject[obj] = info
		}
	}
	result := &helmkube.Result{}
	for _, w := range written {
		info := byObject[w.Object]
		if info == nil {
			continue
		}
		if w.Live != nil {
			_ = info.Refresh(w.Live, true) // told to ignore errors
		}
		switch w.Action {
		case apply.Created:
			result.Created.Append(info)
		case apply.Configured:
			result.Updated.Append(info)
		case apply.Deleted:
			result.Deleted.Append(info)
		default: // left as it is
		}
	}
	return result
}

// strict reports whether resources were built to be checked.
func strict(resources helmkube.ResourceList) bool {
	for _, info := range resources {
		if client, ok := info.Client.(*objectClient); ok && client.strict {
			return true
		}
	}
	return false
}

// errNoKind is for objects whose kind the cluster does not have.
var errNoKind = errors.New("install its CustomResourceDefinition first, or put that into the directory crds of the chart")
