// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/complaint"
)

const (
	// maxExplained is how many objects a message names, and so how many are
	// worth explaining.
	maxExplained = 5
	// explainTimeout is how long all explanations of one failure may take.
	explainTimeout = 10 * time.Second
)

// explanation is what was found out about the objects of a failure. It is kept
// while they ail in the same way, so that events neither cost requests nor
// change the message, and found out anew when it is time to retry.
type explanation struct {
	ailing, explained []apply.Ailing
	at                time.Time
}

// of adds to the objects that a message will name what their pods complain of,
// as far as the tenant may know.
func (e *explanation) of(ctx context.Context, s *scope, ailing []apply.Ailing) []apply.Ailing {
	ailing = slices.SortedFunc(slices.Values(ailing), func(a, b apply.Ailing) int { return cmp.Compare(a.String(), b.String()) })
	if slices.Equal(ailing, e.ailing) && s.now.Before(e.at.Add(s.obj.GetRetryInterval())) {
		return e.explained
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	explained := slices.Clone(ailing)
	for i := range explained[:min(len(explained), maxExplained)] {
		result := &explained[i].Health
		if text := complaint.Of(ctx, s.client.Dynamic, explained[i].Ref); text != "" && result.Message != "" {
			result.Message += "; " + text
		} else if text != "" {
			result.Message = text
		}
	}
	*e = explanation{ailing: ailing, explained: explained, at: s.now}
	return explained
}
