// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	ctrl "sigs.k8s.io/controller-runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/forge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

const (
	// upToDate is Flux's message for Ready=True.
	upToDate = "repository up-to-date"
	// lookAgain is when a run that waits is looked at again if nothing wakes
	// it, and atOnce when there is something to do.
	lookAgain = time.Minute
	atOnce    = time.Millisecond
)

// errSuspended ends a reconcile of an object that was suspended during a run.
var errSuspended = errors.New("suspended")

// finish turns the end of the phases into status, events and next run.
func (c *Controller) finish(s *scope, err error) (ctrl.Result, error) {
	switch {
	case errors.Is(err, errSuspended):
		return ctrl.Result{}, nil
	case errors.Is(err, errAgain):
		return ctrl.Result{RequeueAfter: atOnce}, nil
	case errors.Is(err, errWaiting):
		reconcile.Announce(s.obj, s.obj.Status.ObservedGeneration, false)
		return ctrl.Result{RequeueAfter: lookAgain}, nil
	}
	result := s.end()
	if s.run != nil && s.run.token != "" {
		c.Scanner.Drop(owner(s.name, s.run.token))
	}
	if token, ok := fluxmeta.ReconcileAnnotationValue(s.obj.Annotations); ok && (s.run == nil || s.run.token == token) {
		s.obj.Status.LastHandledReconcileAt = token
	}
	wasReady := conditions.IsReady(s.obj)
	outcome, finished := reconcile.Finish(s.obj, err,
		reconcile.Success{Reason: imagev1.SucceededReason, Message: s.message(result), After: c.next(s, result)},
		reconcile.Policy{
			RetryAfter:            c.retryAfter(s, err),
			SetObservedGeneration: func(generation int64) { s.obj.Status.ObservedGeneration = generation },
			Failed: func(reason, message string) {
				c.failed(s, reason, message)
				s.log.Error(errors.New(message), "Run failed", "reason", reason)
			},
		})
	if err == nil && !wasReady {
		c.succeeded(s)
	}
	return c.again(s, outcome, finished)
}

// again says when to look again beside what the outcome of a run says.
func (c *Controller) again(s *scope, outcome ctrl.Result, err error) (ctrl.Result, error) {
	if s.run == nil {
		return outcome, err
	}
	if outcome.RequeueAfter == 0 && s.run.outcome != nil {
		// What stalls a run that reached Git can be mended there, unseen.
		outcome.RequeueAfter = c.Options.Jitter(s.interval())
	}
	if s.run.key == s.key() {
		return outcome, err
	}
	// Something changed while the run was under way.
	if s.run.generation != s.obj.Generation {
		return ctrl.Result{RequeueAfter: atOnce}, nil
	}
	return ctrl.Result{RequeueAfter: max(atOnce, s.obj.GetPolicyChangeDelay())}, nil
}

// end puts the run away and returns its decision, nil if it has none.
func (s *scope) end() *plan.Result {
	if s.run == nil {
		return nil
	}
	s.run.cancel()
	s.entry.run = nil
	if s.run.outcome != nil {
		s.entry.known = map[string]*remembered{}
		for _, set := range s.run.images {
			s.entry.known[set.Name] = &remembered{scanned: set.scan.At, access: set.identity(), knowledge: set.known}
		}
	}
	result, _, _ := s.run.decision()
	return result
}

// message is that of Ready=True. It says what a run cannot fail for and
// somebody would look for.
func (s *scope) message(result *plan.Result) string {
	message := upToDate
	if s.obj.Status.Weir != nil {
		if pr := s.obj.Status.Weir.PullRequest; pr != nil && pr.State == forge.StateOpen {
			message += "; pull request " + pr.URL + " is open"
		}
	}
	if result == nil || s.obj.Spec.Weir == nil {
		return message
	}
	var names []string
	for _, name := range result.Unmarked {
		if _, ofPolicy := s.run.policies[name]; !ofPolicy {
			names = append(names, "'"+name+"'")
		}
	}
	if len(names) > 0 {
		message += fmt.Sprintf("; no field below '%s' is marked for image %s: add the comment # {\"$imagepolicy\": \"%s:%s/<image>\"} or an entry of spec.weir.targets",
			"./"+s.spec.dir, strings.Join(names, ", "), s.obj.Namespace, s.obj.Name)
	}
	return message
}

// next is when to look again without an event.
func (c *Controller) next(s *scope, result *plan.Result) time.Duration {
	after := s.interval()
	after = c.Options.Jitter(after)
	if result != nil && !result.Recheck.IsZero() {
		after = min(after, max(time.Until(result.Recheck), 0)+atOnce)
	}
	return after
}

// interval is the shortest of those that the spec asks for.
func (s *scope) interval() time.Duration {
	after := s.obj.GetRequeueAfter()
	if s.spec == nil {
		return after
	}
	for _, img := range s.spec.images {
		if img.Interval != nil {
			after = min(after, img.Interval.Duration)
		}
	}
	return after
}

// retryAfter is the time until a failed run is repeated: longer each time, as
// long as a registry or forge asks for, and no longer than the interval.
func (c *Controller) retryAfter(s *scope, err error) time.Duration {
	if err == nil {
		s.entry.failures = 0
		return c.Options.MinRetry
	}
	after := c.Options.MaxRetry
	if s.entry.failures < 20 {
		after = min(after, c.Options.MinRetry<<s.entry.failures)
	}
	s.entry.failures++
	after = min(after, max(s.interval(), c.Options.MinRetry))
	return max(c.Options.Jitter(after), oci.RetryAfter(err), forge.RetryAfter(err), atOnce)
}

// hold shows what is kept out of Git, and tells of what was not before.
func (c *Controller) hold(s *scope, result *plan.Result) {
	known := map[string]bool{}
	if s.obj.Status.Weir != nil {
		for _, img := range s.obj.Status.Weir.Images {
			for i := range img.Held {
				known[holdKey(img.Name, &img.Held[i])] = true
			}
		}
	}
	holds := append(slices.Clone(result.Holds), s.undecided()...)
	c.Figures.hold(s.name, holds)
	if len(holds) == 0 {
		conditions.Delete(s.obj, imagev1.HeldCondition)
		return
	}
	const most = 5
	var texts []string
	listed := map[string]int{}
	for i := range holds {
		text := describeHold(&holds[i])
		if len(texts) < most {
			texts = append(texts, text)
		}
		// What the status does not list is not known to be told.
		listed[holds[i].Image]++
		if listed[holds[i].Image] <= imagev1.MaxHeld && !known[holdKey(holds[i].Image, &holds[i].HeldImage)] && !s.told(text) {
			c.held(s, &holds[i], text)
		}
	}
	if rest := len(holds) - most; rest > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", rest))
	}
	conditions.MarkTrue(s.obj, imagev1.HeldCondition, holds[0].Reason, "%s", strings.Join(texts, "; "))
}

// undecided are the holds of images that this run could not look at.
func (s *scope) undecided() []plan.Hold {
	var holds []plan.Hold
	before := statusOf(s.obj)
	for _, img := range s.spec.images {
		if !s.run.unknown(img.Name) {
			continue
		}
		for _, held := range before[img.Name].Held {
			holds = append(holds, plan.Hold{Image: img.Name, HeldImage: held})
		}
	}
	return holds
}

// unknown reports whether the registry of an image failed.
func (r *run) unknown(image string) bool {
	i := slices.IndexFunc(r.images, func(set *candidateSet) bool { return set.Name == image })
	return i < 0 || r.images[i].known.err != nil
}

// told reports whether the condition already says so, for images that have no
// status of their own.
func (s *scope) told(text string) bool {
	return strings.Contains(conditions.GetMessage(s.obj, imagev1.HeldCondition), text)
}

// holdKey tells holds apart. The message counts not: a time in it is no news.
func holdKey(image string, held *imagev1.HeldImage) string {
	return strings.Join([]string{image, held.Tag, held.Digest, held.Reason, held.Gate}, " ")
}

// describeHold names image, candidate, gate and value.
func describeHold(h *plan.Hold) string {
	return h.Image + " " + cmp.Or(h.Tag, h.Digest) + " is held: " + h.Message
}
