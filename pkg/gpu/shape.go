// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxPerContainer is the most that a container may ask for of one resource.
// What is beyond is a mistake or an attempt to make the arithmetic fail.
const maxPerContainer = 1 << 20

// Shape is what one pod asks for in the terms of Kubernetes. Which classes of
// devices that is, a Catalogue knows.
type Shape struct {
	// Resources are the extended resources of any vendor, without shares of
	// memory and cores, by name, and what annotations ask for by the pseudo
	// resources FractionResource and MemoryResource.
	Resources Amounts `json:"resources,omitempty"`
	// Pins are the alternatives that the node selector and the required node
	// affinity leave: label by label, the values that a node may have, sorted.
	// Empty: it may land anywhere, as far as is known. A pod without Resources
	// has none.
	Pins []map[string][]string `json:"pins,omitempty"`
	// Claims is how many claims for devices (DRA) the pod names. They are
	// reported and not charged.
	Claims int `json:"claims,omitempty"`
}

// IsZero reports whether nothing is asked for.
func (s Shape) IsZero() bool { return s.Resources.IsZero() && s.Claims == 0 }

// PodShape says what a pod, or the template of one, asks for: of each resource
// the larger of what its containers and sidecars need together and what each
// init container needs beside the sidecars that were started before it, and the
// overhead. Requests count, and limits where there is no request, since
// templates have not been through the defaults of the API server. Defaults of a
// LimitRange are not applied: they belong to the namespace, can change before
// the pod is made, and are in the pod when it is admitted. Pod-level resources
// cannot be devices, ephemeral containers have no resources.
//
// An error names the container and the resource of which a quantity is
// negative, not whole or beyond reason. The Shape then has all the rest; an
// annotation that cannot be read is a whole GPU in it.
func PodShape(annotations map[string]string, spec *corev1.PodSpec) (Shape, error) {
	shape := Shape{Claims: len(spec.ResourceClaims)}
	resources, err := podResources(spec)
	asked, annotationErr := annotated(annotations)
	if shape.Resources = resources; len(asked) > 0 {
		shape.Resources = resources.Add(asked)
	}
	if len(shape.Resources) > 0 {
		shape.Pins = pins(spec)
	} else {
		shape.Resources = nil
	}
	return shape, errors.Join(err, annotationErr)
}

// podResources follows the order in which the kubelet starts containers.
func podResources(spec *corev1.PodSpec) (Amounts, error) {
	var faults []error
	var running, peak Amounts
	read := func(what string, requests, limits corev1.ResourceList) Amounts {
		amounts, err := containerResources(what, requests, limits)
		if err != nil {
			faults = append(faults, err)
		}
		return amounts
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		amounts := read("init container "+strconv.Quote(c.Name), c.Resources.Requests, c.Resources.Limits)
		switch {
		case len(amounts) == 0:
		case c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways:
			running = running.Add(amounts)
			peak = peak.Max(running)
		default:
			peak = peak.Max(running.Add(amounts))
		}
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if amounts := read("container "+strconv.Quote(c.Name), c.Resources.Requests, c.Resources.Limits); len(amounts) > 0 {
			running = running.Add(amounts)
		}
	}
	overhead := read("overhead", spec.Overhead, nil)
	if len(running)+len(peak)+len(overhead) == 0 {
		return nil, errors.Join(faults...)
	}
	return running.Max(peak).Add(overhead), errors.Join(faults...)
}

func containerResources(what string, requests, limits corev1.ResourceList) (Amounts, error) {
	var amounts Amounts
	var faults []error
	add := func(name string, quantity resource.Quantity) {
		if !extended(name) || table.shares[name] {
			return
		}
		n, err := whole(quantity)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", what, name, err))
			return
		}
		if amounts == nil {
			amounts = Amounts{}
		}
		amounts.set(name, Whole(n))
	}
	for name, quantity := range requests {
		add(string(name), quantity)
	}
	for name, quantity := range limits {
		if _, requested := requests[name]; !requested {
			add(string(name), quantity)
		}
	}
	// The order of a map is not stable, the text of an error is to be.
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return amounts, errors.Join(faults...)
}

// whole is the number that a quantity of a device is.
func whole(quantity resource.Quantity) (int64, error) {
	switch {
	case quantity.Sign() < 0:
		return 0, errors.New("the quantity is negative; devices are counted from 0")
	case quantity.CmpInt64(maxPerContainer) > 0:
		return 0, fmt.Errorf("the quantity is more than %d, which no node has", maxPerContainer)
	}
	// It is rounded up.
	n := quantity.Value()
	if quantity.CmpInt64(n) != 0 {
		return 0, fmt.Errorf("%s is not a whole number; devices are asked for by the piece", quantity.String())
	}
	return n, nil
}

var (
	decimals = regexp.MustCompile(`^[0-9]{0,6}(\.[0-9]{1,9})?$`)
	counts   = regexp.MustCompile(`^[0-9]{1,6}$`)
)

// annotated is what annotations ask for.
func annotated(annotations map[string]string) (Amounts, error) {
	fractionText, isFraction := annotations[FractionResource]
	_, isMemory := annotations[MemoryResource]
	if !isFraction && !isMemory {
		return nil, nil
	}
	var faults []error
	devices := int64(1)
	if text, found := annotations[fractionDevices]; found {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || !counts.MatchString(text) {
			faults = append(faults, fmt.Errorf("annotation %s: %.64q is not a number of GPUs", fractionDevices, text))
		} else {
			devices = max(n, 1)
		}
	}
	amounts := Amounts{}
	if isFraction {
		rat, ok := new(big.Rat), decimals.MatchString(fractionText)
		if ok {
			rat, ok = rat.SetString(fractionText)
		}
		if !ok {
			faults = append(faults, fmt.Errorf("annotation %s: %.64q is not a share of a GPU; write a decimal such as 0.5 with up to 9 places", FractionResource, fractionText))
			rat = big.NewRat(1, 1)
		}
		amounts.set(FractionResource, amountOf(rat).Times(devices))
	}
	if isMemory {
		amounts.set(MemoryResource, Whole(devices))
	}
	return amounts, errors.Join(faults...)
}
