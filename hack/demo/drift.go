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
	took, err := s.scaledBack(ctx, serving, "model-server", 3)
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

// scaledBack scales a Deployment by hand and returns how long it was so.
func (s *story) scaledBack(ctx context.Context, namespace, name string, replicas int64) (time.Duration, error) {
	deployments := s.platform.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(namespace)
	live, err := deployments.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	right, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	events, err := deployments.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return 0, fmt.Errorf("watch the Deployment %s: %w", name, err)
	}
	defer events.Stop()
	if _, err := s.platform.Kubectl(ctx, "scale", "--namespace="+namespace, "deployment/"+name, fmt.Sprintf("--replicas=%d", replicas)); err != nil {
		return 0, err
	}
	return revertedAfter(ctx, events, right, replicas)
}

// revertedAfter is the time from the event that shows the changed number of
// replicas to the one that shows the right number again.
func revertedAfter(ctx context.Context, events watch.Interface, right, changed int64) (time.Duration, error) {
	var begun time.Time
	for {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the Deployment has not got its %d replicas back: %w", right, context.Cause(ctx))
		case event, ok := <-events.ResultChan():
			if !ok {
				return 0, errors.New("the watch of the Deployment ended")
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
	if err := readAll(ctx, s.platform, "events", platform.PlatformNamespace, &list); err != nil {
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
