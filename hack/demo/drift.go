// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// scaleByHand does what somebody in a hurry does, and sees it undone.
func (s *story) scaleByHand(ctx context.Context) (outcome, error) {
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	events, err := s.platform.Resource(deployments).Namespace(serving).Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=model-server",
	})
	if err != nil {
		return outcome{}, fmt.Errorf("watch the model server: %w", err)
	}
	defer events.Stop()
	if _, err := s.platform.Kubectl(ctx, "scale", "--namespace="+serving, "deployment/model-server", "--replicas=3"); err != nil {
		return outcome{}, err
	}
	took, err := revertedAfter(ctx, events, 1, 3)
	if err != nil {
		return outcome{}, err
	}
	var message string
	err = platform.Await(ctx, func(ctx context.Context) (err error) {
		message, err = s.correction(ctx)
		return err
	})
	if err != nil {
		return outcome{}, err
	}
	return seen(fmt.Sprintf("kubectl scale to 3 replicas, 6 GPUs: put back to 1 after %d ms", took.Milliseconds()),
		"Event "+message), nil
}

// revertedAfter is the time from the event that shows the changed number of
// replicas to the one that shows the right number again.
func revertedAfter(ctx context.Context, events watch.Interface, right, changed int64) (time.Duration, error) {
	var begun time.Time
	for {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the model server has not got its %d replicas back: %w", right, context.Cause(ctx))
		case event, ok := <-events.ResultChan():
			if !ok {
				return 0, errors.New("the watch of the model server ended")
			}
			deployment, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			switch replicas, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); {
			case replicas == changed && begun.IsZero():
				begun = time.Now()
			case replicas == right && !begun.IsZero():
				return time.Since(begun), nil
			}
		}
	}
}

// correction returns the event that tells of a correction of the model server.
func (s *story) correction(ctx context.Context) (string, error) {
	var list corev1.EventList
	if err := s.list(ctx, "events", platform.PlatformNamespace, &list); err != nil {
		return "", err
	}
	for i := range list.Items {
		event := &list.Items[i]
		if event.Reason == kustomizev1.DriftCorrectedReason && strings.Contains(event.Message, "Deployment/"+serving+"/model-server") {
			return event.Reason + ": " + event.Message, nil
		}
	}
	return "", errors.New("no event tells that the model server was put back")
}
