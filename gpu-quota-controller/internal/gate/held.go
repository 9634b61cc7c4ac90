// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// holders are the pods of objects, by key.
type holders struct {
	pods map[string][]*holdings.Pod
	node func(name string) map[string]string
}

// attribute finds the pods of some objects in some namespaces. Those of which it
// cannot be found out who made them are nobody's: they are charged as any others.
func (s *session) attribute(ctx context.Context, keys, namespaces map[string]struct{}) (holders, error) {
	h := holders{pods: map[string][]*holdings.Pod{}, node: s.Holdings.Node}
	snapshot := s.Holdings.Snapshot(func(namespace string) bool {
		_, wanted := namespaces[namespace]
		return wanted
	})
	chains := map[types.UID][]string{}
	for _, pod := range snapshot.Pods {
		if pod.Phase != holdings.Holding {
			continue
		}
		own := holdings.Owner{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name}
		above, err := s.above(ctx, pod.Controller, chains)
		if err != nil {
			return holders{}, err
		}
		for _, key := range append([]string{own.Key()}, above...) {
			if _, wanted := keys[key]; wanted {
				h.pods[key] = append(h.pods[key], pod)
			}
		}
	}
	return h, nil
}

// above are the keys of a controller and of the controllers above it.
func (s *session) above(ctx context.Context, controller *holdings.Owner, chains map[types.UID][]string) ([]string, error) {
	if controller == nil {
		return nil, nil
	}
	if known, ok := chains[controller.UID]; ok {
		return known, nil
	}
	chain, err := s.Walker.Walk(ctx, controller)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	keys := make([]string, len(chain))
	for i := range chain {
		keys[i] = chain[i].Key()
	}
	chains[controller.UID] = keys
	return keys, nil
}

// of returns what the pods of an object hold, by the classes of a catalogue.
func (h holders) of(catalogue *gpu.Catalogue, key string) gpu.Amounts {
	var sum gpu.Amounts
	for _, pod := range h.pods[key] {
		var node map[string]string
		if pod.Node != "" {
			node = h.node(pod.Node)
		}
		sum = sum.Add(catalogue.Charge(*pod.Shape, node))
	}
	return sum
}
