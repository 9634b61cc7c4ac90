// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package leader marks the pod that leads with a label. The artifact Service
// selects it, so that clients reach the one pod that has artifacts while its
// standbys are ready too.
package leader

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Label is what the leading pod carries, with the value "true".
const Label = "weir.dev/leader"

const (
	// retry is the time between attempts to set the label.
	retry = time.Second
	// farewell bounds the attempt to remove it at the end.
	farewell = 3 * time.Second
)

// Marker labels one pod. It is a runnable of a manager on the leader; Unmark
// is for before.
type Marker struct {
	client client.Writer
	pod    types.NamespacedName
	log    logr.Logger
}

// NewMarker returns a Marker for the pod.
func NewMarker(c client.Writer, pod types.NamespacedName, log logr.Logger) *Marker {
	return &Marker{client: c, pod: pod, log: log}
}

// NeedLeaderElection tells the manager to run this on the leader only.
func (m *Marker) NeedLeaderElection() bool { return true }

// Start sets the label, tries again until that works, and removes the label
// when ctx ends.
func (m *Marker) Start(ctx context.Context) error {
	said := false
	err := wait.PollUntilContextCancel(ctx, retry, true, func(ctx context.Context) (bool, error) {
		err := m.set(ctx, true)
		if err != nil && !said {
			m.log.Error(err, "cannot mark this pod as the leader: the artifact Service does not reach it")
			said = true
		}
		return err == nil, nil
	})
	if err != nil {
		return nil // The process ends before the label was set.
	}
	<-ctx.Done()
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := m.set(after, false); err != nil {
		m.log.Error(err, "cannot unmark this pod as the leader")
	}
	return nil
}

// Unmark removes a label that an earlier process of the same pod left when it
// was killed. A pod that does not exist is no error.
func (m *Marker) Unmark(ctx context.Context) error {
	return client.IgnoreNotFound(m.set(ctx, false))
}

func (m *Marker) set(ctx context.Context, leads bool) error {
	var value any
	if leads {
		value = "true"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{Label: value}}})
	if err != nil {
		return fmt.Errorf("label Pod %s: %w", m.pod, err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: m.pod.Namespace, Name: m.pod.Name}}
	if err := m.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("label Pod %s: %w", m.pod, err)
	}
	return nil
}
