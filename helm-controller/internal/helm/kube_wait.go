// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"errors"
	"fmt"
	"io"
	"time"

	helmkube "helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
)

// legacyKinds are those that Helm 3 waits for; a Job only if that is asked for.
func legacyKinds() map[string]bool {
	return map[string]bool{
		"Pod": true, "Deployment.apps": true, "PersistentVolumeClaim": true, "Service": true, "DaemonSet.apps": true,
		"StatefulSet.apps": true, "ReplicaSet.apps": true, "ReplicationController": true,
		"CustomResourceDefinition.apiextensions.k8s.io": true,
	}
}

// waitLegacy waits by the rules of Helm 3, which are the SDK's own.
func (k *kubeClient) waitLegacy(resources helmkube.ResourceList, jobs bool, timeout time.Duration) error {
	kinds := legacyKinds()
	kinds["Job.batch"] = jobs
	var objects []*unstructured.Unstructured
	var rules []kube.Judgement
	for _, info := range resources {
		obj, ok := info.Object.(*unstructured.Unstructured)
		if ok && kinds[obj.GroupVersionKind().GroupKind().String()] {
			objects = append(objects, obj)
			rules = append(rules, k.legacyRule(info, jobs))
		}
	}
	return k.client.WaitJudged(objects, rules, timeout)
}

// legacyRule asks the SDK about one object. What it logs is all that it says
// about one that is not ready. An error of a request is no verdict.
func (k *kubeClient) legacyRule(info *resource.Info, jobs bool) kube.Judgement {
	return func(live *unstructured.Unstructured) (bool, string, error) {
		said := "not ready"
		note := func(format string, args ...any) { said = fmt.Sprintf(format, args...) }
		checker := helmkube.NewReadyChecker(k.typed, note, helmkube.PausedAsReady(true), helmkube.CheckJobs(jobs))
		seen := &resource.Info{Client: info.Client, Mapping: info.Mapping, Namespace: info.Namespace, Name: info.Name, Object: live}
		ready, err := checker.IsReady(k.client.Context(), seen)
		if err != nil && failedJob(live) {
			return false, "", err
		}
		if err != nil {
			said = err.Error()
		}
		return ready, said, nil
	}
}

// failedJob reports whether an object is a Job that has failed too often.
func failedJob(live *unstructured.Unstructured) bool {
	failed, _, _ := unstructured.NestedInt64(live.Object, "status", "failed")
	limit, found, _ := unstructured.NestedInt64(live.Object, "spec", "backoffLimit")
	return live.GetKind() == "Job" && found && failed > limit
}

// GetPodList lists pods.
func (k *kubeClient) GetPodList(namespace string, options metav1.ListOptions) (*corev1.PodList, error) {
	pods, err := k.typed.CoreV1().Pods(namespace).List(k.client.Context(), options)
	if err != nil {
		return nil, fmt.Errorf("list the pods of a hook in namespace %s: %w", namespace, err)
	}
	return pods, nil
}

// OutputContainerLogsForPodList copies the logs of all containers of pods.
func (k *kubeClient) OutputContainerLogsForPodList(pods *corev1.PodList, namespace string, writer func(namespace, pod, container string) io.Writer) error {
	for i := range pods.Items {
		pod := &pods.Items[i]
		for _, container := range pod.Spec.Containers {
			request := k.typed.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container.Name})
			if err := k.copyLogs(request, writer(namespace, pod.Name, container.Name)); err != nil {
				return fmt.Errorf("read the log of container %s of Pod/%s/%s: %w", container.Name, namespace, pod.Name, err)
			}
		}
	}
	return nil
}

func (k *kubeClient) copyLogs(request *rest.Request, to io.Writer) error {
	stream, err := request.Stream(k.client.Context())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, stream)
	return errors.Join(err, stream.Close())
}

// Get reads the live objects, by version and kind, and the pods of workloads if
// that is asked for. Objects that cannot be read are left out.
func (k *kubeClient) Get(resources helmkube.ResourceList, related bool) (map[string][]runtime.Object, error) {
	objects := map[string][]runtime.Object{}
	for _, info := range resources {
		client := info.Client
		if own, ok := client.(*objectClient); ok {
			client = own.RESTClient
		}
		live, err := resource.NewHelper(client, info.Mapping).Get(info.Namespace, info.Name)
		if err != nil {
			k.client.Log.V(1).Info("an object of the release cannot be read", "object", info.ObjectName(), "cause", err.Error())
			continue
		}
		gvk := info.Mapping.GroupVersionKind
		key := gvk.Version + "/" + gvk.Kind
		objects[key] = append(objects[key], live)
		if !related {
			continue
		}
		pods, err := k.relatedPods(info)
		if err != nil {
			return nil, err
		}
		objects["v1/Pod(related)"] = append(objects["v1/Pod(related)"], pods...)
	}
	return objects, nil
}

// relatedPods lists the pods that a workload selects.
func (k *kubeClient) relatedPods(info *resource.Info) ([]runtime.Object, error) {
	obj, ok := info.Object.(*unstructured.Unstructured)
	if !ok {
		return nil, nil
	}
	selector, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector", "matchLabels")
	if len(selector) == 0 {
		return nil, nil // it has no pods
	}
	pods, err := k.GetPodList(info.Namespace, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(selector).String()})
	if err != nil {
		return nil, err
	}
	out := make([]runtime.Object, len(pods.Items))
	for i := range pods.Items {
		out[i] = &pods.Items[i]
	}
	return out, nil
}

// BuildTable is Build for objects that are read as tables.
func (k *kubeClient) BuildTable(reader io.Reader, validate bool) (helmkube.ResourceList, error) {
	list, err := k.infos.build(reader, validate)
	for _, info := range list {
		if own, ok := info.Client.(*objectClient); ok {
			info.Client = resource.NewClientWithOptions(own.RESTClient, asTable)
		}
	}
	return list, err
}

func asTable(request *rest.Request) {
	request.SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	request.Param("includeObject", "Object")
}
