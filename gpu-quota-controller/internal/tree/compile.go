// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// parsed is what a valid spec comes to.
type parsed struct {
	hard     gpu.Amounts
	selector *selector
}

// parse reads a spec. The API server has refused most of what is wrong with
// one, but its definition may have been another then.
func parse(quota *quotav1.GPUQuota) (parsed, error) {
	spec := &quota.Spec
	selector, err := newSelector(spec)
	if err != nil {
		return parsed{}, err
	}
	hard := make(gpu.Amounts, len(spec.Limits))
	for _, limit := range spec.Limits {
		amount, err := gpu.ParseAmount(limit.Hard)
		if err != nil {
			return parsed{}, fmt.Errorf("spec.limits: hard of %s: %w", limit.Device, err)
		}
		hard[limit.Device] = amount
	}
	if bounds := spec.PerWorkload; bounds != nil {
		for field, value := range map[string]string{"maxGPUs": bounds.MaxGPUs, "maxPerPod": bounds.MaxPerPod} {
			if _, err := gpu.ParseAmount(value); value != "" && err != nil {
				return parsed{}, fmt.Errorf("spec.perWorkload.%s: %w", field, err)
			}
		}
	}
	if len(spec.Devices) > 0 && spec.ParentRef != nil {
		return parsed{}, errors.New("spec.devices: devices are declared by the root of a tree: remove devices or parentRef")
	}
	if _, err := gpu.Compile(spec.Devices); err != nil {
		return parsed{}, fmt.Errorf("spec.%w", err)
	}
	return parsed{hard: hard, selector: selector}, nil
}

// compile makes a Quota without its place in a tree. If the spec is not valid,
// what held before holds on, and if nothing did, the result is nil.
func compile(quota *quotav1.GPUQuota, before *Quota) *Quota {
	q := &Quota{Name: quota.Name, UID: quota.UID, Generation: quota.Generation, Created: quota.CreationTimestamp.Time}
	p, err := parse(quota)
	switch {
	case err == nil:
		q.Spec, q.Hard, q.selector = quota.Spec, p.hard, p.selector
	case before != nil && before.UID != "":
		q.Generation = before.Generation
		q.Spec, q.Hard, q.selector = before.Spec, before.Hard, before.selector
		q.Problem = invalid(err, "the last valid spec holds until then")
	default:
		return nil
	}
	return q
}

func invalid(err error, meanwhile string) *Problem {
	return &Problem{Reason: quotav1.InvalidSpecReason, Message: fmt.Sprintf("%v; %s", err, meanwhile)}
}
