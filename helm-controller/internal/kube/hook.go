// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/health"
)

// WaitHook returns when hooks have done their work: Jobs are complete, Pods have
// succeeded, and what expressions judge is well. Other kinds are done once they
// are written. A hook that fails does not cut others short: it may be a migration
// of data.
func (c *Client) WaitHook(objects []*unstructured.Unstructured, timeout time.Duration) error {
	var working []*unstructured.Unstructured
	for _, obj := range objects {
		kind := obj.GroupVersionKind().GroupKind()
		if kind == job || kind == pod || c.Checks.ID(kind) != "" {
			working = append(working, obj)
		}
	}
	if len(working) == 0 {
		return nil
	}
	defer c.idle()()
	return c.await(request{
		what: "of the hook to complete", timeout: timeout, objects: working,
		judge: func(_, live *unstructured.Unstructured) health.Result { return c.hook(live) },
	})
}

// hook judges a live object of a hook.
func (c *Client) hook(live *unstructured.Unstructured) health.Result {
	kind := live.GroupVersionKind().GroupKind()
	if kind != pod || c.Checks.ID(kind) != "" {
		return c.Checks.Of(live)
	}
	phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
	message, _, _ := unstructured.NestedString(live.Object, "status", "message")
	switch phase {
	case "Succeeded":
		return health.Result{Status: health.Current}
	case "Failed":
		return health.Result{Status: health.Failed, Message: cmp.Or(message, "the pod has failed")}
	}
	return health.Result{Status: health.InProgress, Message: "the pod is " + cmp.Or(phase, "Pending")}
}

// Judgement is a rule of somebody else's for when an object is ready.
type Judgement func(live *unstructured.Unstructured) (ready bool, message string, err error)

// WaitJudged returns when every object passes its rule, which is asked at every
// change of the object and every few seconds, since it may look at others. An
// error of a rule is final. Objects with a nil rule are not waited for.
func (c *Client) WaitJudged(objects []*unstructured.Unstructured, rules []Judgement, timeout time.Duration) error {
	byObject := map[*unstructured.Unstructured]Judgement{}
	var judged []*unstructured.Unstructured
	for i, obj := range objects {
		if rules[i] != nil {
			byObject[obj] = rules[i]
			judged = append(judged, obj)
		}
	}
	defer c.idle()()
	return c.await(request{
		what: ready, timeout: timeout, failFast: true, objects: judged, again: pollInterval,
		judge: func(obj, live *unstructured.Unstructured) health.Result {
			ready, message, err := byObject[obj](live)
			switch {
			case err != nil:
				return health.Result{Status: health.Failed, Message: err.Error()}
			case ready:
				return health.Result{Status: health.Current}
			}
			return health.Result{Status: health.InProgress, Message: message}
		},
	})
}

func quoted(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = strconv.Quote(name)
	}
	return strings.Join(texts, ", ")
}
