// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package depend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/cel"
)

// Rings remembers the objects that are stalled because they depend on
// themselves. The zero value is ready for use.
type Rings struct {
	mu      sync.Mutex
	members map[types.NamespacedName]struct{}
}

// Find returns a way from start back to itself, or nil. Graph is asked when
// start is a member already: from before it looks until it finds none, an edit
// of any object wakes it, since the edit may be the one that breaks the cycle.
// The other members of the cycle that do not know of it yet are woken.
func (r *Rings) Find(start types.NamespacedName, graph func() func(types.NamespacedName) []types.NamespacedName, wake func(types.NamespacedName)) []types.NamespacedName {
	r.join(start)
	cycle := Cycle(start, graph())
	if cycle == nil {
		r.Leave(start)
		return nil
	}
	known := r.Members()
	for _, name := range cycle {
		if !slices.Contains(known, name) {
			wake(name)
		}
	}
	return cycle
}

func (r *Rings) join(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = map[types.NamespacedName]struct{}{}
	}
	r.members[name] = struct{}{}
}

// Leave drops an object that is not in a cycle any more.
func (r *Rings) Leave(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, name)
}

// Members are the objects that wait for a cycle to be broken.
func (r *Rings) Members() []types.NamespacedName {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.members))
}

// maxWaiting is how many dependencies a message spells out.
const maxWaiting = 5

// NotReady is the message about dependencies that are not ready: the first few,
// and how many more there are.
func NotReady(waiting []error) error {
	texts := make([]string, len(waiting))
	for i, err := range waiting {
		texts[i] = err.Error()
	}
	if rest := len(texts) - maxWaiting; rest > 0 {
		texts = append(texts[:maxWaiting], fmt.Sprintf("and %d more", rest))
	}
	return errors.New(strings.Join(texts, "; "))
}

// KeyOf is the object that a dependency of an object in the given namespace
// means.
func KeyOf(namespace string, d meta.DependencyReference) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(d.Namespace, namespace), Name: d.Name}
}

// Unready says, as the end of a sentence, why an object is not ready.
func Unready(dep conditions.Getter) string {
	if reason := conditions.GetReason(dep, fluxmeta.ReadyCondition); reason != "" {
		return ": " + reason
	}
	return ": it has not been reconciled yet"
}

// Compile compiles the expressions of dependencies, in their order; nil for
// those that have none. Field is the path of the list in the spec.
func Compile(field string, count int, expr func(int) string) ([]*cel.Program, error) {
	programs := make([]*cel.Program, count)
	for i := range count {
		if expr(i) == "" {
			continue
		}
		program, err := cel.Compile(fmt.Sprintf("%s[%d].readyExpr", field, i), expr(i), "self", "dep")
		if err != nil {
			return nil, err
		}
		programs[i] = program
	}
	return programs, nil
}

// Evaluate returns why an expression does not count a dependency as ready, as
// the end of a sentence, or nil.
func Evaluate(ctx context.Context, expr *cel.Program, self, dep map[string]any) error {
	ready, err := expr.Eval(ctx, map[string]any{"self": self, "dep": dep})
	switch {
	case err != nil:
		return fmt.Errorf(": %w", err)
	case !ready:
		return errors.New(" according to readyExpr eval")
	}
	return nil
}
