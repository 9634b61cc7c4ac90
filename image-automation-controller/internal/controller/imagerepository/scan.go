// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imagerepository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/scan"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// latestTags is how many tags the status shows.
const latestTags = 10

var errScanning = errors.New("scanning the image repository")

// target fills target.
func (c *Controller) target(ctx context.Context, s *scope) (err error) {
	if s.target, err = c.Targets.Of(ctx, s.obj); err == nil {
		return nil
	}
	reason, stalled := scan.ReasonOf(err)
	if stalled {
		return reconcile.Stalled(reason, err)
	}
	return reconcile.Fail(reason, err)
}

// scan fills result, as soon as there is one that is new enough: not older
// than the interval, or than the last request.
func (c *Controller) scan(_ context.Context, s *scope) error {
	name := s.req.NamespacedName
	maxAge := s.obj.Spec.Interval.Duration
	look := c.looks.begin(name, s.obj.UID, s.requested, s.unfinished)
	if look.round > 0 {
		maxAge = 0
	}
	if s.requested {
		c.Scanner.Hurry(s.target.Key)
	}
	result, fresh, err := c.Scanner.Get(s.target.Key, maxAge, owner(s.req, look.round), func() { c.Waker.Wake(name) })
	switch {
	case fresh:
		c.looks.end(name)
		s.result = result
		return nil
	case err == nil, s.requested && oci.RetryAfter(err) == 0:
		// The error of a scan before the request is no answer to it, unless it
		// stands in the way.
		return reconcile.Progress(0, fluxmeta.ProgressingReason, errScanning)
	}
	reason, _ := scan.ReasonOf(err)
	return reconcile.Fail(reason, &scanError{fmt.Errorf("scan failed: %w", err)})
}

// scanError is the failure of a scan, which the scanner tries again.
type scanError struct{ error }

// Unwrap returns the cause.
func (e *scanError) Unwrap() error { return e.error }

// record sets the status to what was found.
func (c *Controller) record(_ context.Context, s *scope) error {
	tags, revision := s.result.Select(s.target.Exclude)
	status := &s.obj.Status
	status.CanonicalImageName = s.target.Repository.String()
	status.ObservedExclusionList = s.obj.GetExclusionList()
	status.LastScanResult = &imagev1.ScanResult{
		Revision: revision, TagCount: len(tags), ScanTime: metav1.NewTime(s.result.At), LatestTags: last(tags),
	}
	return nil
}

// last returns the last of sorted tags, the very last one first.
func last(tags []string) []string {
	latest := slices.Clone(tags[max(len(tags)-latestTags, 0):])
	slices.Reverse(latest)
	return latest
}

// nextScan returns how long a result is good for: no longer than the interval,
// even if the clock was put back since.
func nextScan(interval time.Duration, at, now time.Time) time.Duration {
	if left := interval - now.Sub(at); left > 0 && left < interval {
		return left
	}
	// The scan took longer than the interval.
	return interval
}

// looks are the scans that objects wait for. The zero value is ready.
type looks struct {
	mu     sync.Mutex
	byName map[types.NamespacedName]look
	rounds int
}

// look is what one object waits for.
type look struct {
	uid types.UID
	// round is above 0 if the scan has to begin after the object asked for it,
	// and is another one each time.
	round int
}

// begin notes that an object waits. It begins a round after a request, and
// after a restart in the middle of a scan.
func (l *looks) begin(name types.NamespacedName, uid types.UID, requested, unfinished bool) look {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byName == nil {
		l.byName = map[types.NamespacedName]look{}
	}
	found, known := l.byName[name]
	if !known || found.uid != uid {
		found = look{uid: uid}
		requested = requested || unfinished
	}
	if requested {
		l.rounds++
		found.round = l.rounds
	}
	l.byName[name] = found
	return found
}

// end notes that an object waits no longer, and returns what it waited for.
func (l *looks) end(name types.NamespacedName) look {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byName[name]
	delete(l.byName, name)
	return found
}
