// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Label and LabelValue select the ConfigMaps that hold requests.
const (
	Label      = "quota.weir.dev/gate"
	LabelValue = "request"
)

// Keys of the data of such a ConfigMap. The applier writes the first three, and
// only the leader of gpu-quota-controller the last.
const (
	requestKey = "request"
	hashKey    = "hash"
	removedKey = "removed"

	// VerdictKey is the key of the verdict.
	VerdictKey = "verdict"
)

// MaxBytes is how large an encoded request may be.
const MaxBytes = 256 << 10

// Name is the name of the ConfigMap with the request of an owner.
func Name(owner types.UID) string { return "gpu-request-" + string(owner) }

// Request is what a revision changes of what its objects ask for.
type Request struct {
	// Kind, Namespace, Name and UID of the owner, such as a Kustomization.
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// Remote: the owner is on another cluster than the request, so that only
	// its applier can tell that it is gone.
	Remote bool `json:"remote,omitempty"`
	// Revision that is to be applied.
	Revision string `json:"revision"`
	Change
}

// Change is what an apply would change of what a set of objects asks for.
type Change struct {
	// Objects that ask for something before or after, and not for the same.
	Objects []Object `json:"objects,omitempty"`
	// Quotas that are created or changed, with their new spec.
	Quotas []quotav1.GPUQuota `json:"quotas,omitempty"`
	// RemovedQuotas are the names of those that are deleted.
	RemovedQuotas []string `json:"removedQuotas,omitempty"`
}

// Object is one object of a Change.
type Object struct {
	// Key is group/Kind/namespace/name.
	Key string `json:"key"`
	// Namespace that its pods are in.
	Namespace string `json:"namespace"`
	// Before is what the live object asks for, After what it will.
	Before gpu.Estimate `json:"before,omitzero"`
	After  gpu.Estimate `json:"after,omitzero"`
	// Template: the object exists and its pod template changes.
	Template bool `json:"template,omitempty"`
}

// KeyOf is the key of an object.
func KeyOf(ref inventory.Ref) string {
	return ref.Group + "/" + ref.Kind + "/" + ref.Namespace + "/" + ref.Name
}

// Answer to a request.
type Answer string

// The answers.
const (
	// Granted: it may be applied, and what it adds is kept for it.
	Granted Answer = "Granted"
	// Waiting: there is no room now. It has a place in the queue.
	Waiting Answer = "Waiting"
	// NeverFits: it is more than the limits allow, whatever is free.
	NeverFits Answer = "NeverFits"
)

// Verdict is the answer to one request.
type Verdict struct {
	// Hash of the request that it is about.
	Hash   string `json:"hash"`
	Answer Answer `json:"answer"`
	// ShrinkFirst: what the revision takes away goes first, and what it adds has
	// to wait for a verdict without this.
	ShrinkFirst bool `json:"shrinkFirst,omitempty"`
	// Text says why, with the numbers as of the decision; empty if there is
	// nothing to say.
	Text string `json:"text,omitempty"`
	// Warnings are what stands in the way of nothing and should be known.
	Warnings []string `json:"warnings,omitempty"`
	// Since is the place in the queue.
	Since string `json:"since,omitempty"`
}

// Encode returns a request as JSON, and its hash. Objects and quotas are put in
// order, so that the same change always has the same hash. It fails for one that
// is larger than MaxBytes.
func Encode(r Request) (data []byte, hash string, err error) {
	r.Objects = slices.SortedFunc(slices.Values(r.Objects), func(a, b Object) int { return cmp.Compare(a.Key, b.Key) })
	r.Quotas = slices.SortedFunc(slices.Values(r.Quotas), func(a, b quotav1.GPUQuota) int { return cmp.Compare(a.Name, b.Name) })
	r.RemovedQuotas = slices.Sorted(slices.Values(r.RemovedQuotas))
	if data, err = json.Marshal(r); err != nil {
		return nil, "", fmt.Errorf("encode the request for devices: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, "", fmt.Errorf("the request for devices of %d objects takes %d bytes, and may take %d; split the revision", len(r.Objects), len(data), MaxBytes)
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), nil
}

// Decode reads what Encode has written. Who asks and for what must be there.
func Decode(data []byte) (Request, error) {
	var r Request
	if len(data) > MaxBytes {
		return r, fmt.Errorf("the request has %d bytes, and may have %d", len(data), MaxBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Request{}, fmt.Errorf("decode the request: %w", err)
	}
	if decoder.More() {
		return Request{}, errors.New("decode the request: there is more than one")
	}
	if r.UID == "" || r.Kind == "" || r.Name == "" {
		return Request{}, errors.New("decode the request: it does not say who asks")
	}
	seen := map[string]struct{}{}
	for _, o := range r.Objects {
		if _, twice := seen[o.Key]; twice || o.Key == "" {
			return Request{}, fmt.Errorf("decode the request: it has no or two entries for object %q", o.Key)
		}
		seen[o.Key] = struct{}{}
	}
	return r, nil
}

// Posted is what the data of a ConfigMap say.
type Posted struct {
	Hash    string
	Request Request
	// Verdict that is there, be it about this request or an earlier one; empty
	// if it cannot be read.
	Verdict Verdict
	// Fault is why the request cannot be read.
	Fault error
}

// Parse reads the data of a ConfigMap.
func Parse(data map[string]string) Posted {
	p := Posted{Hash: data[hashKey]}
	p.Request, p.Fault = Decode([]byte(data[requestKey]))
	if text := data[VerdictKey]; text == "" || json.Unmarshal([]byte(text), &p.Verdict) != nil {
		p.Verdict = Verdict{}
	}
	return p
}
