// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"

	"github.com/weir-gitops/weir/image-automation-controller/internal/policy"
)

// stands says where a candidate stands to what Git holds. Ready is false if
// something has to be found out before.
func (c *contest) stands(ctx context.Context, tag string) (to relation, ready bool) {
	if c.current == nil {
		return unordered, true
	}
	held := c.current.Value
	if last := c.img.Before.Accepted; held.Tag == "" && last != nil && last.Digest == held.Digest {
		// A field for the digest alone does not say which tag that was.
		held.Tag = last.Tag
	}
	to = c.img.relate(tag, held)
	if to == same || held.Digest == "" || c.img.Policy == nil || !c.img.Policy.ReadsFacts() {
		return to, true
	}
	// The order rests on what artifacts say. The tag that Git holds may be gone,
	// or stand for something else by now: its digest counts.
	candidate, current := c.img.Facts.Tags[tag], c.img.Facts.digest(held.Digest)
	if current == nil {
		c.need("", held.Digest)
		return unordered, false
	}
	if candidate == nil || candidate.Manifest == nil || current.Manifest == nil {
		return to, true
	}
	facts := current.Facts()
	facts.Tag = held.Tag
	if higher, known := c.img.Policy.AboveFacts(ctx, candidate.Facts(), facts); known {
		return order(higher), true
	}
	return to, true
}

// digest returns what is known of a digest, under whatever tag.
func (f *Facts) digest(digest string) *Artifact {
	if artifact := f.Digests[digest]; artifact != nil {
		return artifact
	}
	for _, artifact := range f.Tags {
		if artifact.Digest == digest && artifact.Manifest != nil {
			return artifact
		}
	}
	return nil
}

// Facts are what policies see of an artifact whose manifest was read. Of labels
// with the same key the one of the first platform counts.
func (a *Artifact) Facts() policy.Facts {
	facts := policy.Facts{Tag: a.Tag, Digest: a.Digest, Annotations: a.Manifest.Annotations, Labels: map[string]string{}}
	for _, platform := range a.Manifest.Platforms {
		for key, value := range platform.Labels {
			if _, twice := facts.Labels[key]; !twice {
				facts.Labels[key] = value
			}
		}
	}
	return facts
}
