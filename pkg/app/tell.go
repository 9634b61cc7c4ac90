// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"strings"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// teller writes every event to the log, too: with the same keys in every
// controller, a warning as an error.
type teller struct {
	events.Recorder
	log    logr.Logger
	scheme *runtime.Scheme
}

var _ events.Recorder = teller{}

// Eventf implements events.Recorder.
func (t teller) Eventf(obj, related runtime.Object, eventType, reason, action, message string, args ...any) {
	t.tell(obj, nil, eventType, reason, fmt.Sprintf(message, args...))
	t.Recorder.Eventf(obj, related, eventType, reason, action, message, args...)
}

// AnnotatedEventf implements events.Recorder.
func (t teller) AnnotatedEventf(obj, related runtime.Object, annotations map[string]string, eventType, reason, action, message string, args ...any) {
	t.tell(obj, annotations, eventType, reason, fmt.Sprintf(message, args...))
	t.Recorder.AnnotatedEventf(obj, related, annotations, eventType, reason, action, message, args...)
}

func (t teller) tell(obj runtime.Object, annotations map[string]string, eventType, reason, message string) {
	about, ok := obj.(client.Object)
	if !ok {
		return
	}
	keys := []any{"namespace", about.GetNamespace(), "name", about.GetName(), "reason", reason}
	if gvk, err := apiutil.GVKForObject(obj, t.scheme); err == nil {
		keys = append([]any{"controllerGroup", gvk.Group, "controllerKind", gvk.Kind}, keys...)
	}
	if revision := revisionOf(annotations); revision != "" {
		keys = append(keys, "revision", revision)
	}
	switch eventType {
	case corev1.EventTypeWarning:
		t.log.Error(errors.New(message), "warning", keys...)
	case eventv1.EventTypeTrace:
		t.log.V(1).Info(message, keys...)
	default:
		t.log.Info(message, keys...)
	}
}

// revisionOf is the revision that an event is about. Each group has a key of its
// own for it.
func revisionOf(annotations map[string]string) string {
	for key, value := range annotations {
		if strings.HasSuffix(key, "/"+eventv1.MetaRevisionKey) {
			return value
		}
	}
	return ""
}
