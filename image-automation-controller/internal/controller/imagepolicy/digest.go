// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagepolicy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// lookupTimeout bounds one look at a digest, whatever the timeout of a scan.
const lookupTimeout = time.Minute

var errLookingUp = errors.New("looking up the digest of the latest tag")

// lookUp fills the digest of latest, if the policy asks for one.
func (c *Controller) lookUp(_ context.Context, s *scope) error {
	kept, needed := keptDigest(s.obj.GetDigestReflectionPolicy(), s.before, s.latest)
	if !needed {
		c.lookups.drop(s.req.NamespacedName)
		s.latest.Digest = kept
		return nil
	}
	// Another credential may see another image.
	what := s.latest.String() + " " + s.key.Access.Key()
	found, state := c.lookups.take(s.req.NamespacedName, s.obj.UID, what)
	switch state {
	case lookupNone:
		c.Waker.Go(s.req.NamespacedName, c.look(s, what))
		return s.lookingUp()
	case lookupRunning:
		return s.lookingUp()
	case lookupOver:
	}
	if found.err != nil {
		// What was picked before stays whole: the tag without its digest would
		// be another image.
		reason, _ := scan.ReasonOf(found.err)
		return reconcile.Fail(reason, fmt.Errorf("failed fetching digest of %s: %w", s.latest.String(), found.err))
	}
	s.latest.Digest = found.digest
	return nil
}

// lookingUp says that the lookup is under way. What was waited for before is
// there now.
func (s *scope) lookingUp() error {
	if conditions.GetReason(s.obj, imagev1.ReadyCondition) == imagev1.DependencyNotReadyReason {
		reconcile.MarkProgressing(s.obj, fluxmeta.ProgressingReason, errLookingUp.Error())
	}
	return reconcile.Progress(0, fluxmeta.ProgressingReason, errLookingUp)
}

// keptDigest returns the digest to go on with, or that a new one is needed.
func keptDigest(reflection imagev1.ReflectionPolicy, before *imagev1.ImageRef, latest imagev1.ImageRef) (digest string, needed bool) {
	switch reflection {
	case imagev1.ReflectAlways:
		return "", true
	case imagev1.ReflectIfNotPresent:
		if before != nil && before.Digest != "" && before.Name == latest.Name && before.Tag == latest.Tag {
			return before.Digest, false
		}
		return "", true
	case imagev1.ReflectNever:
	}
	return "", false
}

// look asks the registry in the background.
func (c *Controller) look(s *scope, what string) func(context.Context) {
	name, uid := s.req.NamespacedName, s.obj.UID
	key, tag := s.key, s.latest.Tag
	timeout := min(s.repo.GetTimeout(), lookupTimeout)
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		digest, err := c.Registry.Digest(ctx, key.Repository, key.Access, tag)
		c.lookups.done(name, uid, what, digest, err)
	}
}

// lookups are the looks at digests that are under way, or that nobody has
// taken the outcome of. The zero value is ready.
type lookups struct {
	mu     sync.Mutex
	byName map[types.NamespacedName]*lookup
}

// lookup is one of them, for one thing to look up.
type lookup struct {
	uid    types.UID
	what   string
	over   bool
	digest string
	err    error
}

// States of a lookup.
type lookupState int

const (
	lookupNone lookupState = iota
	lookupRunning
	lookupOver
)

// take returns the outcome, once. If there is no lookup of this, one is
// registered, which the caller has to begin.
func (l *lookups) take(name types.NamespacedName, uid types.UID, what string) (lookup, lookupState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byName[name]
	switch {
	case found == nil || found.uid != uid || found.what != what:
		if l.byName == nil {
			l.byName = map[types.NamespacedName]*lookup{}
		}
		l.byName[name] = &lookup{uid: uid, what: what}
		return lookup{}, lookupNone
	case !found.over:
		return lookup{}, lookupRunning
	}
	delete(l.byName, name)
	return *found, lookupOver
}

// done records an outcome, unless something else is asked for by now.
func (l *lookups) done(name types.NamespacedName, uid types.UID, what, digest string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.byName[name]; found != nil && found.uid == uid && found.what == what {
		found.over, found.digest, found.err = true, digest, err
	}
}

// drop forgets an object.
func (l *lookups) drop(name types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byName, name)
}
