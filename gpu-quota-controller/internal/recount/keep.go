// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// asking is how many owners are asked at a time.
	asking = 8
	// lookEvery is how often the objects of grants are looked at.
	lookEvery = 10 * time.Second
)

// keep brings the slots up to date with what ended and what their owners want.
func (r *Recounter) keep(ctx context.Context, root *root, c *charger, snapshot holdings.Snapshot, now time.Time) {
	defer func() { root.kept, root.keeping = snapshot.Mark, true }()
	for _, pod := range snapshot.Ended {
		if pod.Controller == nil {
			continue
		}
		owner := r.slotOwner(ctx, pod.Pod)
		if pod.Phase == holdings.Succeeded && owner.Kind != "Job" {
			continue // it has done its work, as far as anyone knows
		}
		if s := root.slots[owner.UID]; s != nil && s.namespace != pod.Namespace {
			continue // that it is of this owner, the pod only says
		}
		root.slots.lose(owner, pod.Namespace, c.replacement(pod.Pod), now)
		root.slots[owner.UID].asked = time.Time{}
	}
	if len(root.slots) == 0 {
		return
	}
	of := r.slotPods(ctx, root, c, snapshot.Pods)
	r.askOwners(ctx, root, now)
	root.slots.settle(of, now)
}

// slotPods returns the pods of the owners of slots.
func (r *Recounter) slotPods(ctx context.Context, root *root, c *charger, all []*holdings.Pod) map[types.UID]pods {
	namespaces := map[string]bool{}
	for _, s := range root.slots {
		namespaces[s.namespace] = true
	}
	of := map[types.UID]pods{}
	for _, pod := range all {
		if !namespaces[pod.Namespace] || pod.Controller == nil {
			continue
		}
		owner := r.slotOwner(ctx, pod)
		s := root.slots[owner.UID]
		if s == nil || s.namespace != pod.Namespace { // that it is of this owner, the pod only says
			continue
		}
		s.owner = owner
		p := of[owner.UID]
		switch pod.Phase {
		case holdings.Holding:
			p.holding++
			if root.keeping && root.kept.Began(pod) {
				p.began = append(p.began, c.charge(pod))
			}
		case holdings.Succeeded:
			p.succeeded++
		case holdings.Failed:
		}
		of[owner.UID] = p
	}
	return of
}

// slotOwner returns whose slots a pod takes. If that cannot be found out it is
// the controller of the pod.
func (r *Recounter) slotOwner(ctx context.Context, pod *holdings.Pod) holdings.Owner {
	if pod.Controller.Kind != "ReplicaSet" {
		return *pod.Controller
	}
	chain, err := r.Walker.Walk(ctx, pod.Controller)
	if err != nil {
		r.Log.V(1).Info("find the Deployment of a pod: "+err.Error(), "namespace", pod.Namespace, "pod", pod.Name)
	}
	return holdings.SlotOwner(chain)
}

// askOwners asks the owners of slots what they want, unless they were asked a
// moment ago. One that cannot be asked keeps its slot.
func (r *Recounter) askOwners(ctx context.Context, root *root, now time.Time) {
	var group errgroup.Group
	group.SetLimit(asking)
	var mu sync.Mutex
	for _, s := range root.slots {
		if s.owner.Kind == "" || !s.asked.IsZero() && now.Sub(s.asked) < askEvery {
			continue
		}
		owner := s.owner
		group.Go(func() error {
			wish, err := r.Walker.Wish(ctx, owner)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Log.V(1).Info("a slot is kept: " + err.Error())
				return nil
			}
			s.wish, s.known, s.asked = wish, true, now
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

// attribute returns what pods hold by the key of the object of a grant that
// they belong to.
func (r *Recounter) attribute(ctx context.Context, root *root, c *charger, snapshot holdings.Snapshot, now time.Time) map[string]gpu.Amounts {
	if len(root.grants) == 0 {
		return nil
	}
	of := map[string]*grant{}
	for _, g := range root.grants {
		for key := range g.objects {
			of[key] = g
		}
	}
	held := map[string]gpu.Amounts{}
	for _, pod := range snapshot.Pods {
		began := root.begun && root.mark.Began(pod)
		if pod.Phase != holdings.Holding && !began {
			continue
		}
		key := r.objectOf(ctx, pod, of)
		if key == "" {
			continue
		}
		if pod.Phase == holdings.Holding {
			held[key] = held[key].Add(c.charge(pod))
		}
		if began {
			of[key].fed, of[key].objects[key].fed = now, true
		}
	}
	r.lookAt(ctx, root, now)
	return held
}

// objectOf returns the key of the object of a grant that a pod belongs to, or
// "". A walk that fails ends in an ordinary charge.
func (r *Recounter) objectOf(ctx context.Context, pod *holdings.Pod, of map[string]*grant) string {
	if key := (holdings.Owner{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name}).Key(); of[key] != nil {
		return key
	}
	chain, _ := r.Walker.Walk(ctx, pod.Controller)
	for _, owner := range chain {
		if key := owner.Key(); of[key] != nil {
			return key
		}
	}
	return ""
}

// lookAt finds out which objects of grants are gone or have finished.
func (r *Recounter) lookAt(ctx context.Context, root *root, now time.Time) {
	if now.Sub(root.looked) < lookEvery {
		return
	}
	root.looked = now
	for _, g := range root.grants {
		for key, o := range g.objects {
			parts := strings.SplitN(key, "/", 4)
			if o.ended || len(parts) != 4 {
				continue
			}
			// Any version will do.
			owner := holdings.Owner{APIVersion: schema.GroupVersion{Group: parts[0]}.String(), Kind: parts[1], Namespace: parts[2], Name: parts[3]}
			wish, err := r.Walker.Wish(ctx, owner)
			if err != nil {
				continue // it is looked at again
			}
			o.look(wish, now)
		}
	}
}

// judge says what the ledger is told of the grants that it has, and which of
// them have lapsed.
func (root *root) judge(record *ledger.Record, held map[string]gpu.Amounts, now time.Time) (map[types.UID]ledger.GrantCount, []ledger.Grant) {
	counts := map[types.UID]ledger.GrantCount{}
	var lapsed []ledger.Grant
	for i := range record.Grants {
		recorded := &record.Grants[i]
		g := root.grants[recorded.Owner]
		if g == nil {
			continue
		}
		landed, over := g.judge(recorded, held, now)
		if over {
			lapsed = append(lapsed, *recorded)
		}
		counts[recorded.Owner] = ledger.GrantCount{Held: held, Landed: landed}
	}
	return counts, lapsed
}

// same reports whether two records say the same.
func same(a, b *ledger.Record) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && bytes.Equal(x, y)
}

// notThere reports whether an error says that there is no such object.
func notThere(err error) bool { return apierrors.IsNotFound(err) }
