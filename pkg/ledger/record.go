// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Record is the ledger of one tree. Whoever changes one owns it: see Clone.
type Record struct {
	// Serial grows by one with each write, whoever writes. The Store sets it.
	Serial int64 `json:"serial"`
	// Term of the leader that wrote last. What an older one writes is refused.
	Term int64 `json:"term"`
	// CountedTo is the resourceVersion of pods up to which Used was counted.
	CountedTo string `json:"countedTo,omitempty"`
	// Closed says why nothing is admitted until the next count. Empty is open.
	Closed string `json:"closed,omitempty"`
	// Devices are the classes of the tree.
	Devices []quotav1.Device `json:"devices,omitempty"`
	// Quotas of the tree, by name. Exactly one has no parent.
	Quotas map[string]Quota `json:"quotas"`
	// Grants are what revisions were promised, at most one to an owner.
	Grants []Grant `json:"grants,omitempty"`
	// Reservations are of pods that were admitted and not counted yet.
	Reservations []Reservation `json:"reservations,omitempty"`
	// Slots are kept for workloads whose pods are being replaced.
	Slots []Slot `json:"slots,omitempty"`
}

// Quota is one GPUQuota as the ledger enforces it.
type Quota struct {
	// Parent is charged for all that this quota is charged for.
	Parent string `json:"parent,omitempty"`
	// Generation of the spec that this was made from.
	Generation int64 `json:"gen,omitempty"`
	// Hard are the limits by class. A class that is absent is unlimited; 0 allows none.
	Hard gpu.Amounts `json:"hard,omitempty"`
	// Admission is how limits hold for pods. Empty is Enforce.
	Admission quotav1.Enforcement `json:"admission,omitempty"`
	// Gate is how limits hold for revisions. Empty is Enforce.
	Gate quotav1.Enforcement `json:"gate,omitempty"`
	// Suspended turns both off.
	Suspended bool `json:"suspended,omitempty"`
	// PerWorkload bounds single pods and workloads.
	PerWorkload *quotav1.PerWorkload `json:"perWorkload,omitempty"`
	// Used is what pods of this very quota hold, without those of quotas below it.
	Used gpu.Amounts `json:"used,omitempty"`
}

// admission is how limits hold for pods.
func (q Quota) admission() quotav1.Enforcement { return q.mode(q.Admission) }

// gate is how limits hold for revisions.
func (q Quota) gate() quotav1.Enforcement { return q.mode(q.Gate) }

func (q Quota) mode(set quotav1.Enforcement) quotav1.Enforcement {
	switch {
	case q.Suspended:
		return quotav1.Off
	case set == "":
		return quotav1.Enforce
	}
	return set
}

// Reservation is what a pod was admitted for, until a count has seen the pod or
// has shown that there is none.
type Reservation struct {
	Pod       types.UID   `json:"pod"`
	Namespace string      `json:"ns"`
	Name      string      `json:"name"`
	Quota     string      `json:"quota"`
	Amounts   gpu.Amounts `json:"gpus"`
	// Grant is the owner of the grant that the pod draws on, Object the key in it.
	Grant  types.UID `json:"grant,omitempty"`
	Object string    `json:"object,omitempty"`
	// Slot is the owner of the slot that the pod took from.
	Slot types.UID `json:"slot,omitempty"`
}

// Slot is kept for a workload until it has replaced the pods that it lost.
type Slot struct {
	// Owner is the controller of the pods, or the Deployment of its ReplicaSet.
	Owner     types.UID   `json:"owner"`
	Namespace string      `json:"ns"`
	Quota     string      `json:"quota"`
	Amounts   gpu.Amounts `json:"gpus"`
	// Either: of what is in several classes, a pod was to have one, whichever it
	// would get. So who takes from one class takes from all.
	Either bool `json:"either,omitempty"`
}

// Less is what is left of a slot when a pod takes some of it.
func (s Slot) Less(taken gpu.Amounts) gpu.Amounts {
	rest := s.Amounts.Sub(taken)
	if !s.Either {
		return rest
	}
	var most gpu.Amount
	for _, amount := range taken {
		most = gpu.Max(most, amount)
	}
	others := gpu.Amounts{}
	for device := range rest {
		if _, own := taken[device]; !own {
			others[device] = most
		}
	}
	return rest.Sub(others)
}

// Grant is what a revision of a Kustomization or HelmRelease was promised.
type Grant struct {
	// Owner is the UID of the Kustomization or HelmRelease.
	Owner     types.UID `json:"owner"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"ns"`
	Name      string    `json:"name"`
	Revision  string    `json:"revision,omitempty"`
	// Hash of the request that was granted.
	Hash    string        `json:"hash,omitempty"`
	Objects []GrantObject `json:"objects"`
}

// GrantObject is the part of a grant that is for one object.
type GrantObject struct {
	// Key is group/Kind/namespace/name.
	Key   string `json:"key"`
	Quota string `json:"quota"`
	// Envelope is what the pods of the object may hold without free quota. Of an
	// object that shrinks it is what stays.
	Envelope gpu.Amounts `json:"envelope,omitempty"`
	// Held is what counted pods of the object hold.
	Held gpu.Amounts `json:"held,omitempty"`
}

// Clone returns a copy that shares nothing that a change of either would show
// in the other. Amounts are values and are shared.
func (r *Record) Clone() *Record {
	c := *r
	c.Devices = slices.Clone(r.Devices)
	if r.Quotas != nil {
		c.Quotas = make(map[string]Quota, len(r.Quotas))
		for name, q := range r.Quotas {
			q.Hard, q.Used = q.Hard.Clone(), q.Used.Clone()
			q.PerWorkload = q.PerWorkload.DeepCopy()
			c.Quotas[name] = q
		}
	}
	c.Reservations = slices.Clone(r.Reservations)
	for i := range c.Reservations {
		c.Reservations[i].Amounts = c.Reservations[i].Amounts.Clone()
	}
	c.Slots = slices.Clone(r.Slots)
	for i := range c.Slots {
		c.Slots[i].Amounts = c.Slots[i].Amounts.Clone()
	}
	c.Grants = slices.Clone(r.Grants)
	for i, g := range c.Grants {
		c.Grants[i].Objects = cloneObjects(g.Objects)
	}
	return &c
}

func cloneObjects(objects []GrantObject) []GrantObject {
	objects = slices.Clone(objects)
	for i := range objects {
		objects[i].Envelope, objects[i].Held = objects[i].Envelope.Clone(), objects[i].Held.Clone()
	}
	return objects
}
