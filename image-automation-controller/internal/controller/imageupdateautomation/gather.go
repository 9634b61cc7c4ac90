// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const (
	// maxRanked is how many candidates a decision can choose from.
	maxRanked = 200
	// maxRounds is how often one run asks registries for more.
	maxRounds = 8
	// defaultScanTimeout is that of one look at a registry.
	defaultScanTimeout = time.Minute
)

// errMore says that a plan needs to know more of registries.
var errMore = errors.New("more has to be found out about candidates")

// knowledge is what was found out about one image for one decision. It is
// written by one goroutine at a time, and not while a plan reads it.
type knowledge struct {
	ranked []string
	facts  plan.Facts
	err    error
}

// gather finds out, in the background, what tags stand for and what the
// artifacts say.
func (c *Controller) gather(_ context.Context, s *scope) error {
	r := s.run
	if len(r.images) == 0 || r.submitted {
		return nil
	}
	needs := r.needs()
	before := statusOf(s.obj)
	signatures, known := s.entry.signatures, s.entry.known
	if s.requested() {
		known = nil
	}
	r.gathering.start(s, c.Waker, func(ctx context.Context) (struct{}, error) {
		var images sync.WaitGroup
		for _, set := range r.images {
			if set.known == nil {
				set.known = known[set.Name].of(set)
			}
			images.Go(func() { c.find(ctx, set, before[set.Name], needs[set.Name], signatures) })
		}
		images.Wait()
		return struct{}{}, nil
	})
	if _, _, over := r.gathering.result(); !over {
		return errWaiting
	}
	return nil
}

// needs is what the last plan of the run asked for.
func (r *run) needs() plan.Needs {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.result == nil {
		return nil
	}
	return r.result.Needs
}

// statusOf returns the status of images by name.
func statusOf(obj *imagev1.ImageUpdateAutomation) map[string]imagev1.ImageStatus {
	images := map[string]imagev1.ImageStatus{}
	if obj.Status.Weir != nil {
		for _, img := range obj.Status.Weir.Images {
			images[img.Name] = *img.DeepCopy()
		}
	}
	return images
}

// remembered is what was found out about an image by a run that is over.
type remembered struct {
	scanned time.Time
	access  string
	*knowledge
}

// of returns what was found out, if it is about the same scan, by the same
// credentials and keys: between two looks at the registry nothing is asked
// twice.
func (m *remembered) of(set *candidateSet) *knowledge {
	if m == nil || !m.scanned.Equal(set.scan.At) || m.access != set.identity() || m.err != nil {
		return nil
	}
	return &knowledge{ranked: m.ranked, facts: plan.Facts{Tags: maps.Clone(m.facts.Tags), Digests: maps.Clone(m.facts.Digests)}}
}

// identity tells what an image is asked with.
func (set *candidateSet) identity() string {
	keys := ""
	if set.keys != nil {
		keys = set.keys.sum
	}
	return sum(set.access.Key(), keys)
}

// find fills what is known of an image: first what is likely to be needed,
// and then what a plan asked for.
func (c *Controller) find(ctx context.Context, set *candidateSet, before imagev1.ImageStatus, need plan.Need, signatures *signatures) {
	limit := defaultScanTimeout
	if set.Timeout != nil {
		limit = max(set.Timeout.Duration, time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	f := &finder{Controller: c, set: set, before: before, signatures: signatures}
	known := set.known
	if known == nil {
		known = &knowledge{facts: plan.Facts{Tags: map[string]*plan.Artifact{}, Digests: map[string]*plan.Artifact{}}}
		set.known = known
		known.ranked, known.err = f.rank(ctx)
		need = f.likely()
	}
	for _, tag := range need.Tags {
		if known.err == nil {
			known.err = f.tag(ctx, tag)
		}
	}
	for _, digest := range need.Digests {
		if known.err == nil && known.facts.Digests[digest] == nil {
			known.err = f.digest(ctx, digest)
		}
	}
}

// finder asks the registry of one image.
type finder struct {
	*Controller

	set        *candidateSet
	before     imagev1.ImageStatus
	signatures *signatures
}

// rank orders the tags.
func (f *finder) rank(ctx context.Context) ([]string, error) {
	tags, _ := f.set.scan.Select(f.set.exclude)
	ranked, err := f.set.policy.Best(ctx, tags, maxRanked, func(ctx context.Context, tag string) (policy.Facts, error) {
		artifact, err := f.inspectTag(ctx, tag)
		if err != nil {
			return policy.Facts{}, err
		}
		if artifact.Err != nil {
			return policy.Facts{}, fmt.Errorf("%w: %w", policy.ErrUnreadable, artifact.Err)
		}
		return artifact.Facts(), nil
	})
	switch {
	case errors.Is(err, policy.ErrNone):
		return nil, reconcile.Wait(f.interval(), imagev1.DependencyNotReadyReason,
			fmt.Errorf("image '%s': %s has no candidate: %w", f.set.Name, f.set.Image.Image, err))
	case errors.Is(err, policy.ErrTooMany):
		return nil, reconcile.Fail(imagev1.UpdateFailedReason, fmt.Errorf("image '%s': %w", f.set.Name, err))
	}
	return ranked, err
}

// interval is when to look again for a first candidate.
func (f *finder) interval() time.Duration {
	if f.set.Interval != nil {
		return f.set.Interval.Duration
	}
	return time.Minute
}

// likely is what the first plan will need: the highest candidate, those that
// were held, and what Git holds.
func (f *finder) likely() plan.Need {
	var need plan.Need
	ranked := f.set.known.ranked
	n := min(len(ranked), 1+len(f.before.Held), plan.MaxCandidates)
	if f.set.MinAge != nil {
		// All that may be too young, or each run would ask again and again.
		n = min(len(ranked), max(n, 1+f.young()), plan.MaxCandidates+plan.MaxYoung)
	}
	need.Tags = slices.Clone(ranked[:n])
	if current := f.before.Current; current != nil && (len(f.set.Gates) > 0 || f.set.policy.ReadsFacts()) && current.Digest != "" {
		need.Digests = []string{current.Digest}
	}
	return need
}

// tag finds out what a tag stands for, and all that has to be known of it.
func (f *finder) tag(ctx context.Context, tag string) error {
	artifact, err := f.resolve(ctx, tag)
	if err != nil || artifact.Err != nil {
		return err
	}
	if len(f.set.Gates) > 0 && artifact.Manifest == nil {
		if err := f.inspect(ctx, artifact); err != nil {
			return err
		}
	}
	if artifact.Err == nil && f.set.keys != nil && artifact.SignedBy == "" && artifact.Signature == nil {
		if err := f.verify(ctx, artifact); err != nil {
			return err
		}
	}
	f.set.known.facts.Tags[tag] = artifact
	return nil
}

// resolve asks for the digest of a tag, once for a decision.
func (f *finder) resolve(ctx context.Context, tag string) (*plan.Artifact, error) {
	if known := f.set.known.facts.Tags[tag]; known != nil {
		own := *known
		return &own, nil
	}
	digest, err := f.Registry.Digest(ctx, f.set.repository, f.set.access, tag)
	artifact := &plan.Artifact{Tag: tag, Digest: digest, FirstSeen: f.firstSeen(digest, time.Now())}
	switch {
	case isUnreadable(err):
		artifact.Err = err
	case err != nil:
		return nil, registryError(f.set.image, err)
	}
	f.set.known.facts.Tags[tag] = artifact
	own := *artifact
	return &own, nil
}

// inspectTag is resolve with the manifest.
func (f *finder) inspectTag(ctx context.Context, tag string) (*plan.Artifact, error) {
	artifact, err := f.resolve(ctx, tag)
	if err != nil || artifact.Err != nil || artifact.Manifest != nil {
		return artifact, err
	}
	if err := f.inspect(ctx, artifact); err != nil {
		return nil, err
	}
	f.set.known.facts.Tags[tag] = artifact
	return artifact, nil
}

// digest finds out what Git holds, or has held.
func (f *finder) digest(ctx context.Context, digest string) error {
	artifact := &plan.Artifact{Digest: digest}
	if err := f.inspect(ctx, artifact); err != nil {
		return err
	}
	f.set.known.facts.Digests[digest] = artifact
	return nil
}

func (f *finder) inspect(ctx context.Context, artifact *plan.Artifact) error {
	manifest, err := f.Registry.Inspect(ctx, f.set.repository, f.set.access, artifact.Digest)
	if isUnreadable(err) {
		artifact.Err = err
		return nil
	}
	if err != nil {
		return registryError(f.set.image, err)
	}
	artifact.Manifest = manifest
	return nil
}

// isUnreadable reports whether a candidate is at fault, and not the way to the
// registry.
func isUnreadable(err error) bool {
	return errors.Is(err, oci.ErrNotFound) || errors.Is(err, oci.ErrMalformed) || errors.Is(err, oci.ErrTooLarge)
}

// young is how many of the highest candidates, above what Git holds, were
// looked at before.
func (f *finder) young() int {
	for i, tag := range f.set.known.ranked {
		held := f.before.Current != nil && f.before.Current.Tag == tag
		if held || !slices.ContainsFunc(f.before.Seen, func(s imagev1.SeenImage) bool { return s.Tag == tag }) {
			return i
		}
	}
	return len(f.set.known.ranked)
}

// firstSeen is when the digest was first seen, now if that was never, or if it was
// at a time that is yet to come: the clock was put back since.
func (f *finder) firstSeen(digest string, now time.Time) time.Time {
	for _, seen := range f.before.Seen {
		if seen.Digest == digest && !seen.FirstSeen.After(now) {
			return seen.FirstSeen.Time
		}
	}
	return now
}

// inputs sums up what a decision rests on, for the comparison with the last
// one.
func (r *run) inputs(prs string) string {
	var facts []any
	for _, set := range r.images {
		known := set.known
		facts = append(facts, set.Name, known.ranked, fmt.Sprint(known.err))
		for _, tag := range slices.Sorted(maps.Keys(known.facts.Tags)) {
			a := known.facts.Tags[tag]
			facts = append(facts, tag, a.Digest, fmt.Sprint(a.Err, a.Signature), a.FirstSeen.Unix())
		}
	}
	return sum(r.key, facts, prs)
}
