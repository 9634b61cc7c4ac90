// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// budget is how many GPUs the serving team may hold in dev.
const budget = 8

// denial is how a pod is refused that a budget has no room for.
const denial = "exceeded quota: GPUQuota"

// experiment is what somebody starts by hand beside the model server: one GPU
// per replica.
const experiment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: experiment
  namespace: ` + serving + `
spec:
  replicas: 1
  selector:
    matchLabels:
      app: experiment
  template:
    metadata:
      labels:
        app: experiment
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: experiment
          image: ghcr.io/acme-ml/experiment
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
              nvidia.com/gpu: "1"
            limits:
              memory: 128Mi
              nvidia.com/gpu: "1"
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
`

// neverFits commits what is more than the team's whole budget.
func (s *story) neverFits(ctx context.Context) (outcome, error) {
	commit, message, err := s.refusedForGPUs(ctx, "Serve with nine replicas", "replicas: 9", kustomizev1.GPUQuotaNeverFitsReason)
	if err != nil {
		return outcome{}, err
	}
	reverted, err := s.platform.Repository.Revert(ctx, mei, commit)
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(reverted, 1)); err != nil {
		return outcome{}, err
	}
	return seen("Commit "+short(commit)+" asks for 9 GPUs of a budget of 8: refused before its first write, and reverted", message), nil
}

// refusedForGPUs commits another number of replicas of the model server, and
// sees that it is refused with a reason, and that nothing was written.
func (s *story) refusedForGPUs(ctx context.Context, subject, replicas, reason string) (commit, message string, err error) {
	before, err := s.settled(ctx, "model-server")
	if err != nil {
		return "", "", err
	}
	commit, err = s.platform.Repository.Push(ctx, platform.Change{
		Author: mei, Message: subject,
		Edits: []platform.Edit{{Path: serverGPUs, Old: "replicas: 1", New: replicas}},
	})
	if err != nil {
		return "", "", err
	}
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		if message, err = s.refusal(ctx, "model-server", commit); err == nil && !strings.HasPrefix(message, reason) {
			err = errors.New(message)
		}
		return err
	})
	if err != nil {
		return "", "", err
	}
	after, err := s.versions(ctx, "model-server")
	if err != nil {
		return "", "", err
	}
	if moved := differences(before, after); len(moved) > 0 {
		return "", "", fmt.Errorf("refused, but these objects were written: %s", strings.Join(moved, ", "))
	}
	return commit, message, nil
}

// scaleUp starts an experiment by hand and scales it as an autoscaler does: as
// far as the budget goes, and no further.
func (s *story) scaleUp(ctx context.Context) (outcome, error) {
	if err := s.create(ctx, experiment); err != nil {
		return outcome{}, err
	}
	if _, err := s.platform.Kubectl(ctx, "scale", "--namespace="+serving, "deployment/experiment", "--replicas=20"); err != nil {
		return outcome{}, err
	}
	var message string
	err := platform.Await(ctx, func(ctx context.Context) (err error) {
		if message, err = s.deniedReplicaSet(ctx); err != nil {
			return err
		}
		return s.holds(ctx, budget)
	})
	if err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("kubectl scale of an experiment to 20 GPUs: it got %d, and no pod beyond the budget of %d", budget-1, budget),
		"Event FailedCreate: "+message), nil
}

// createByHand asks for one GPU more.
func (s *story) createByHand(ctx context.Context) (outcome, error) {
	pod, err := oneMore()
	if err != nil {
		return outcome{}, err
	}
	err = s.create(ctx, pod)
	if err == nil {
		return outcome{}, errors.New("kubectl create of a pod beyond the budget went through")
	}
	at := strings.Index(err.Error(), denial)
	if at < 0 {
		return outcome{}, err
	}
	return seen("kubectl create of a pod with one GPU more: denied", err.Error()[at:]), nil
}

// waitForGPUs commits what fits the budget but not what is free of it.
func (s *story) waitForGPUs(ctx context.Context) (outcome, error) {
	var (
		message string
		err     error
	)
	s.waiting, message, err = s.refusedForGPUs(ctx, "Serve with two replicas", "replicas: 2", kustomizev1.GPUQuotaExceededReason)
	if err != nil {
		return outcome{}, err
	}
	return seen("Commit "+short(s.waiting)+" asks for a second GPU while the budget is full: it waits, and nothing was written", message), nil
}

// drain evicts the model server from its node at full quota: its GPU stays its
// own, whoever waits for one.
func (s *story) drain(ctx context.Context) (outcome, error) {
	pod, err := s.serverPod(ctx)
	if err != nil {
		return outcome{}, err
	}
	node := pod.Spec.NodeName
	begun := time.Now()
	if _, err := s.platform.Kubectl(ctx, "drain", node, "--pod-selector=app.kubernetes.io/name=model-server", "--delete-emptydir-data"); err != nil {
		return outcome{}, err
	}
	err = platform.Await(ctx, func(ctx context.Context) error {
		now, err := s.serverPod(ctx)
		if err == nil && now.Spec.NodeName == node {
			err = fmt.Errorf("the model server is still on %s", node)
		}
		if err != nil {
			return err
		}
		return s.holds(ctx, budget)
	})
	if err != nil {
		return outcome{}, err
	}
	took := time.Since(begun)
	if _, err := s.refusal(ctx, "model-server", s.waiting); err != nil {
		return outcome{}, fmt.Errorf("the waiting commit took the GPU of the drained pod: %w", err)
	}
	if _, err := s.platform.Kubectl(ctx, "uncordon", node); err != nil {
		return outcome{}, err
	}
	result := seen(fmt.Sprintf("kubectl drain %s at full quota: the model server runs elsewhere after %.1f s, with its GPU", node, took.Seconds()),
		"13 pods of the experiment and a commit were waiting for that GPU")
	result.table, err = s.showsFull(ctx)
	return result, err
}

// showsFull waits until the status of the quotas, which is at most ten seconds
// old, shows the full budget.
func (s *story) showsFull(ctx context.Context) (table string, err error) {
	err = platform.Await(ctx, func(ctx context.Context) error {
		if table, err = s.platform.Kubectl(ctx, "get", "gpuquotas"); err == nil && !strings.Contains(table, fmt.Sprintf("gpu %d/%d", budget, budget)) {
			err = fmt.Errorf("the status does not show the full budget:\n%s", table)
		}
		return err
	})
	return table, err
}

// free ends the experiment, and sees the waiting commit go through.
func (s *story) free(ctx context.Context) (outcome, error) {
	if _, err := s.platform.Kubectl(ctx, "delete", "--namespace="+serving, "deployment/experiment"); err != nil {
		return outcome{}, err
	}
	begun := time.Now()
	if err := platform.Await(ctx, func(ctx context.Context) error { return s.holds(ctx, 2) }); err != nil {
		return outcome{}, err
	}
	took := time.Since(begun)
	if err := platform.Await(ctx, s.serves(s.waiting, 2)); err != nil {
		return outcome{}, err
	}
	commit, err := s.platform.Repository.Revert(ctx, mei, s.waiting)
	if err != nil {
		return outcome{}, err
	}
	if err := platform.Await(ctx, s.serves(commit, 1)); err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("The experiment is over: commit %s went through by itself, and its pod ran after %.1f s", short(s.waiting), took.Seconds())), nil
}

// oneMore is a pod of the experiment that belongs to nobody, as a manifest.
func oneMore() (string, error) {
	var deployment appsv1.Deployment
	if err := yaml.Unmarshal([]byte(experiment), &deployment); err != nil {
		return "", fmt.Errorf("read the manifest of the experiment: %w", err)
	}
	pod, err := yaml.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: serving, Name: "one-more"},
		Spec:       deployment.Spec.Template.Spec,
	})
	if err != nil {
		return "", fmt.Errorf("write the manifest of a pod: %w", err)
	}
	return string(pod), nil
}

// create applies a manifest as somebody with kubectl does.
func (s *story) create(ctx context.Context, manifest string) error {
	file := filepath.Join(s.platform.Dir(), "by-hand.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	_, err := s.platform.Kubectl(ctx, "create", "-f", file)
	return err
}

// holds returns nil if the running pods of the serving team have a number of
// GPUs.
func (s *story) holds(ctx context.Context, gpus int64) error {
	got, err := s.runningGPUs(ctx, serving)
	if err == nil && got != gpus {
		err = fmt.Errorf("the running pods of %s have %d GPUs, not %d", serving, got, gpus)
	}
	return err
}

// deniedReplicaSet returns what the experiment's ReplicaSet was told.
func (s *story) deniedReplicaSet(ctx context.Context) (string, error) {
	var list corev1.EventList
	if err := readAll(ctx, s.platform, "events", serving, &list); err != nil {
		return "", err
	}
	for i := range list.Items {
		event := &list.Items[i]
		if at := strings.Index(event.Message, denial); at >= 0 && event.InvolvedObject.Kind == "ReplicaSet" && event.Reason == "FailedCreate" {
			return event.Message[at:], nil
		}
	}
	return "", errors.New("no event tells that a pod of the experiment was denied")
}

// serverPod is the one running pod of the model server.
func (s *story) serverPod(ctx context.Context) (*corev1.Pod, error) {
	list, err := s.platform.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(serving).
		List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=model-server"})
	if err != nil {
		return nil, fmt.Errorf("list the model server's pods: %w", err)
	}
	var running []*unstructured.Unstructured
	for i := range list.Items {
		phase, _, _ := unstructured.NestedString(list.Items[i].Object, "status", "phase")
		if phase == string(corev1.PodRunning) && list.Items[i].GetDeletionTimestamp() == nil {
			running = append(running, &list.Items[i])
		}
	}
	if len(running) != 1 {
		return nil, fmt.Errorf("%d pods of the model server are running, not 1", len(running))
	}
	pod := &corev1.Pod{}
	return pod, runtime.DefaultUnstructuredConverter.FromUnstructured(running[0].Object, pod)
}
