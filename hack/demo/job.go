// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// evaluation is a Job that somebody starts by hand; no Kustomization has it.
const evaluation = `apiVersion: batch/v1
kind: Job
metadata:
  name: evaluate
spec:
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: evaluate
          image: ghcr.io/acme-ml/evaluate
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
            limits:
              memory: 128Mi
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
`

// awaitJob commits a rollout that depends on a Job which does not exist yet,
// starts the Job, and sees the one come after the other.
func (s *story) awaitJob(ctx context.Context) (outcome, error) {
	commit, err := s.platform.Repository.Push(ctx, platform.Change{
		Author: bruno, Message: "Roll the chat app out only after the evaluation",
		Edits: []platform.Edit{{Path: servingWeir, Old: "  dependsOn:\n    - name: model-server\n",
			New: "  dependsOn:\n    - name: model-server\n  weir:\n    dependsOn:\n" +
				"      - apiVersion: batch/v1\n        kind: Job\n        name: evaluate\n        namespace: " + serving + "\n"}},
	})
	if err != nil {
		return outcome{}, err
	}
	var waits string
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		waits, err = s.waitsForJob(ctx)
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	job := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(evaluation), &job.Object); err != nil {
		return outcome{}, fmt.Errorf("read the manifest of the Job: %w", err)
	}
	jobs := schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	if _, err := s.platform.Resource(jobs).Namespace(serving).Create(ctx, job, metav1.CreateOptions{}); err != nil {
		return outcome{}, fmt.Errorf("start the evaluation: %w", err)
	}
	if err := platform.Await(ctx, s.serves(commit, 1)); err != nil {
		return outcome{}, err
	}
	done := moment{"Job/evaluate", complete}
	if err := platform.Await(ctx, func(context.Context) error { return s.chronicle.inOrder([]moment{done}) }); err != nil {
		return outcome{}, err
	}
	return seen("Commit "+short(commit)+" waited for the Job evaluate, and was applied when somebody had run it", waits), nil
}

// waitsForJob returns the message with which the chat app waits for the Job.
func (s *story) waitsForJob(ctx context.Context) (string, error) {
	k, err := s.platform.Kustomization(ctx, "chat")
	if err != nil {
		return "", err
	}
	condition := meta.FindStatusCondition(k.Status.Conditions, kustomizev1.ReadyCondition)
	if condition == nil || condition.Reason != kustomizev1.DependencyNotReadyReason || !strings.Contains(condition.Message, "evaluate") {
		return "", errors.New("the Kustomization chat does not wait for the Job evaluate")
	}
	return condition.Reason + ": " + condition.Message, nil
}
