// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// snapshot is a record as it was at one resourceVersion of its ConfigMap.
type snapshot struct {
	record *Record
	object *corev1.ConfigMap
	// live: it was read for the claims at hand, and not left from earlier ones.
	live bool
}

// read gets a record from the API server.
func (s *Store) read(ctx context.Context, root string) (*snapshot, error) {
	object, err := s.client.ConfigMaps(s.namespace).Get(ctx, Name(root), metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read the ledger of root quota %q: %w: %w", root, ErrUnreadable, err)
	}
	text, ok := object.Data[DataKey]
	if !ok || object.Labels[Label] != root {
		return nil, damaged(root, fmt.Errorf("ConfigMap %s/%s has no %q in its data or not the label %s=%s",
			s.namespace, object.Name, DataKey, Label, root))
	}
	record, err := Decode([]byte(text))
	if err != nil {
		return nil, damaged(root, err)
	}
	return &snapshot{record, object, true}, nil
}

// errDamaged marks what no repetition helps against.
var errDamaged = errors.New("remove its ConfigMap, and it is made and counted again")

func damaged(root string, err error) error {
	return fmt.Errorf("read the ledger of root quota %q: %w: %w: %w", root, ErrUnreadable, err, errDamaged)
}

// write replaces what a snapshot has by next, or creates it if the snapshot has
// no object yet, and returns the new snapshot.
func (s *Store) write(ctx context.Context, root string, from *snapshot, next *Record) (*snapshot, int, error) {
	next.Serial = from.record.Serial + 1
	data, err := next.Encode()
	if err != nil {
		return nil, 0, fmt.Errorf("write the ledger of root quota %q: %w: %w", root, err, errDamaged)
	}
	configMaps := s.client.ConfigMaps(s.namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: Name(root)}}
	if from.object != nil {
		object = from.object.DeepCopy()
	}
	object.Labels, object.Data = maps.Clone(object.Labels), map[string]string{DataKey: string(data)}
	if object.Labels == nil {
		object.Labels = map[string]string{}
	}
	object.Labels[Label] = root
	if from.object == nil {
		object, err = configMaps.Create(ctx, object, metav1.CreateOptions{})
	} else {
		object, err = configMaps.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, 0, fmt.Errorf("write the ledger of root quota %q: %w: %w", root, ErrConflict, err)
	}
	return &snapshot{record: next, object: object}, len(data), nil
}

// podsVersion is the resourceVersion that pods have now, or later.
func (s *Store) podsVersion(ctx context.Context) (string, error) {
	list, err := s.client.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("ask for the resourceVersion of pods: %w", err)
	}
	return list.ResourceVersion, nil
}

// hopeless reports whether trying again within the same second is of no use.
func hopeless(err error) bool {
	return errors.Is(err, errDamaged) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) ||
		apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// lost reports whether a write failed because another came first.
func lost(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// latest is the newest state of a record that a process has seen.
type latest struct {
	serial  int64
	version string
}

// before reports whether a snapshot is older than what was seen, which no read
// of the API server is unless etcd was restored or the record was made anew.
func (l latest) before(s *snapshot) (bool, error) {
	if l.version == "" {
		return false, nil
	}
	order, err := resourceversion.CompareResourceVersion(s.object.ResourceVersion, l.version)
	if err != nil {
		return false, fmt.Errorf("compare resourceVersions of ConfigMap %s: %w: %w", s.object.Name, err, errDamaged)
	}
	return order < 0 || s.record.Serial < l.serial, nil
}

// request runs one request within its time.
func request(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return do(ctx)
}

// sleep waits, and reports whether ctx is still alive. It ends early if wake is
// sent to; wake may be nil.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}
