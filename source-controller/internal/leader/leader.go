// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package leader marks the pod that leads with a label. The artifact Service
// selects it, so that clients reach the one pod that has artifacts while its
// standbys are ready too.
package leader

import (
	"context"
	"encoding/json"
	"errors"
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

// LeaseAnnotation names, on a pod that has been leader, the lease that it held.
// Replicas that reconcile other objects, of another shard, hold another one.
const LeaseAnnotation = "weir.dev/lease"

const (
	// retry is the time between attempts to set the label.
	retry = time.Second
	// farewell bounds the attempt to remove it at the end.
	farewell = 3 * time.Second
	// look is the time between two looks at who has it.
	look = 5 * time.Second
)

// Marker labels one pod, and no other one of those that share its lease. It is
// a runnable of a manager on the leader; Unmark is for before.
type Marker struct {
	client client.Writer
	pods   client.Reader
	pod    types.NamespacedName
	lease  string
	log    logr.Logger
}

// NewMarker returns a Marker for the pod of a replica that competes for the
// lease. It reads pods with the given reader, which should not cache them.
func NewMarker(c client.Writer, pods client.Reader, pod types.NamespacedName, lease string, log logr.Logger) *Marker {
	return &Marker{client: c, pods: pods, pod: pod, lease: lease, log: log}
}

// NeedLeaderElection tells the manager to run this on the leader only.
func (m *Marker) NeedLeaderElection() bool { return true }

// Start sets the label, then takes it off those who led before, tries both
// again until they work, and removes the label when ctx ends.
func (m *Marker) Start(ctx context.Context) error {
	marked := m.persist(ctx, "cannot mark this pod as the leader: the artifact Service does not reach it", func(ctx context.Context) error {
		return m.set(ctx, m.pod.Name, true)
	})
	if !marked {
		return nil // The process ends before the label was set.
	}
	// Labels change under a leader that goes on: a cluster that was restored from a
	// backup has those of its time.
	for ended := false; !ended; {
		m.persist(ctx, "cannot see to it that this pod alone is marked as the leader: the artifact Service may reach another", m.uphold)
		select {
		case <-ctx.Done():
			ended = true
		case <-time.After(look):
		}
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := m.set(after, m.pod.Name, false); err != nil {
		m.log.Error(err, "cannot unmark this pod as the leader")
	}
	return nil
}

// persist tries until that works, or until ctx ends, says once why it does not,
// and reports whether it did.
func (m *Marker) persist(ctx context.Context, complaint string, do func(context.Context) error) bool {
	said := false
	err := wait.PollUntilContextCancel(ctx, retry, true, func(ctx context.Context) (bool, error) {
		err := do(ctx)
		if err != nil && !said {
			m.log.Error(err, complaint)
			said = true
		}
		return err == nil, nil
	})
	return err == nil
}

// uphold sees to it that the pod has the label, and takes it off the other pods
// that have led with this lease. One whose node is lost, or cut off, cannot do
// that itself, and keeps its label until somebody deletes it.
func (m *Marker) uphold(ctx context.Context) error {
	var list corev1.PodList
	if err := m.pods.List(ctx, &list, client.InNamespace(m.pod.Namespace), client.MatchingLabels{Label: "true"}); err != nil {
		return fmt.Errorf("list the pods with the label %s: %w", Label, err)
	}
	var errs []error
	marked := false
	for i := range list.Items {
		name, lease := list.Items[i].Name, list.Items[i].Annotations[LeaseAnnotation]
		switch {
		case name == m.pod.Name:
			marked = lease == m.lease
		case lease == m.lease:
			err := client.IgnoreNotFound(m.set(ctx, name, false))
			if errs = append(errs, err); err == nil {
				m.log.Info("the leader before this one is no longer marked", "pod", name)
			}
		}
	}
	if !marked {
		err := m.set(ctx, m.pod.Name, true)
		if errs = append(errs, err); err == nil {
			m.log.Info("this pod had lost the mark of the leader, and has it again")
		}
	}
	return errors.Join(errs...)
}

// Unmark removes a label that an earlier process of the same pod left when it
// was killed. A pod that does not exist is no error.
func (m *Marker) Unmark(ctx context.Context) error {
	return client.IgnoreNotFound(m.set(ctx, m.pod.Name, false))
}

// set sets or removes the label of a pod. The annotation stays: it says what
// the pod has been.
func (m *Marker) set(ctx context.Context, name string, leads bool) error {
	metadata := map[string]any{"labels": map[string]any{Label: nil}}
	if leads {
		metadata = map[string]any{"labels": map[string]any{Label: "true"}, "annotations": map[string]any{LeaseAnnotation: m.lease}}
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("label Pod %s/%s: %w", m.pod.Namespace, name, err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: m.pod.Namespace, Name: name}}
	if err := m.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("label Pod %s/%s: %w", m.pod.Namespace, name, err)
	}
	return nil
}
