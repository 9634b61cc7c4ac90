// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Judge has the members of a set judged by the given expressions from now on,
// nil for none. The watch applies them to what it sees; what it has seen
// before is read once more when it is asked for.
func (e *Engine) Judge(set *Set, checks *health.Checks) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.checks != checks {
		checks.Continue(set.checks)
		set.checks = checks
	}
}

// checksOf returns the expressions of an owner, as the watch asks for them.
func (e *Engine) checksOf(owner types.NamespacedName) *health.Checks {
	e.mu.Lock()
	set := e.sets[owner]
	e.mu.Unlock()
	if set == nil {
		return nil
	}
	return set.judgedBy()
}

func (s *Set) judgedBy() *health.Checks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks
}

// upToDate reports whether a record was made under the rules and by the
// expressions that hold for the set now.
func (s *Set) upToDate(d *Desired, record *watch.Record) bool {
	return record.Owned.Rules == s.Rules().Version(d.GVK, keyOf(d.Ref)) && record.Judge == s.judgedBy().ID(d.GVK.GroupKind())
}
