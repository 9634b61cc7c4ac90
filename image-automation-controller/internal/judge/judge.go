// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package judge decides whether a candidate may be written to Git: by its
// signature, by gates, by its age and by the time of day. What cannot be
// decided is not passed.
package judge

import (
	"context"
	"fmt"
	"strings"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/oci"
)

// Rules are the compiled rules of one image. They can be used by many at a
// time, and keep nothing between two calls.
type Rules struct {
	image    string
	gates    []gate
	minAge   time.Duration
	windows  windows
	verifies bool
}

// Candidate is an image that may be written, or one that Git holds or has held.
type Candidate struct {
	// Tag of the image; empty if it is not known.
	Tag string
	// Manifest that the digest stands for; nil if it cannot be read.
	Manifest *oci.Manifest
	// FirstSeen is when the digest was first seen; zero counts as now.
	FirstSeen time.Time
	// Signature is what verifying it came to, nil if it verifies or none is
	// asked for.
	Signature error
	// Approved says that somebody approved of this digest although a gate has
	// nothing to compare it with.
	Approved bool
}

// Verdict is what becomes of a candidate.
type Verdict struct {
	// Passed says that it may be written.
	Passed bool
	// Reason is why it is held, one of the reasons of the condition Held.
	Reason string
	// Gate that it failed, if it was one.
	Gate string
	// Message says why it is held, with the values. It does not change while
	// the candidate, what it is compared with and the windows stay the same.
	Message string
	// Results of the gates that it passed.
	Results []Result
	// Recheck is when time alone may change the verdict; zero if it cannot.
	Recheck time.Time
	// NeedsApproval says that a gate has nothing to compare it with, and that
	// somebody may approve it.
	NeedsApproval bool
}

// Result is how a gate was passed.
type Result struct {
	// Gate by its name.
	Gate string
	// Text has the name, and the values of both sides, such as
	// accuracy=0.931>=0.926: one printable line of at most 180 bytes.
	Text string
}

// Compile compiles the rules of an image. Field is its path in the spec;
// errors begin with the path of the field at fault, below it.
func Compile(field string, image *imagev1.Image) (*Rules, error) {
	r := &Rules{image: image.Name, verifies: image.Verify != nil}
	if image.MinAge != nil {
		r.minAge = image.MinAge.Duration
	}
	for i := range image.Gates {
		g, err := compileGate(fmt.Sprintf("%s.gates[%d]", field, i), &image.Gates[i])
		if err != nil {
			return nil, err
		}
		r.gates = append(r.gates, g)
	}
	var err error
	r.windows, err = compileWindows(field+".windows", image.Windows)
	return r, err
}

// NeedsDigest reports whether a candidate is judged by what its digest stands
// for, so that the digest has to be written.
func (r *Rules) NeedsDigest() bool { return len(r.gates) > 0 || r.verifies }

// ReadsManifest reports whether Judge looks at manifests.
func (r *Rules) ReadsManifest() bool { return len(r.gates) > 0 }

// BestGates returns the names of the gates whose baseline is BestAccepted.
func (r *Rules) BestGates() []string {
	var names []string
	for _, g := range r.gates {
		if g.best != nil {
			names = append(names, g.name)
		}
	}
	return names
}

// failure is a check that a candidate does not pass.
type failure struct{ reason, gate, message string }

// Judge looks at everything in the order of signature, gates, age and windows,
// and names the first that fails and how many more do. Current is what Git
// holds, or nil; best has the baseline of each gate that compares with
// BestAccepted. Nothing is read or kept. If ctx has ended, the verdict says
// nothing: look at ctx first.
func (r *Rules) Judge(ctx context.Context, c Candidate, current *Candidate, best map[string]*Candidate, now time.Time) Verdict {
	var v Verdict
	var failed []failure
	if c.Signature != nil {
		failed = append(failed, failure{reason: imagev1.SignatureReason, message: clean(c.Signature.Error(), maxMessage)})
	}
	if len(r.gates) > 0 && c.Manifest == nil {
		failed = append(failed, failure{reason: imagev1.UnreadableReason, message: "the manifest cannot be read, so no gate can look at it"})
	} else {
		for _, g := range r.gates {
			baseline := current
			if g.best != nil {
				baseline = best[g.name]
			}
			text, no := g.judge(ctx, r.image, c, baseline)
			if no != nil {
				failed = append(failed, *no)
				v.NeedsApproval = v.NeedsApproval || no.reason == imagev1.NoBaselineReason
				continue
			}
			v.Results = append(v.Results, Result{Gate: g.name, Text: text})
		}
	}
	if no, until := r.tooYoung(c, now); no != nil {
		failed = append(failed, *no)
		v.Recheck = until
	}
	if no, until := r.windows.closed(now); no != nil {
		failed = append(failed, *no)
		v.Recheck = earliest(v.Recheck, until)
	}
	if len(failed) == 0 {
		v.Passed = true
		return v
	}
	v.Reason, v.Gate, v.Message = failed[0].reason, failed[0].gate, failed[0].message
	switch more := len(failed) - 1; more {
	case 0:
	case 1:
		v.Message += "; 1 more check fails"
	default:
		v.Message += fmt.Sprintf("; %d more checks fail", more)
	}
	return v
}

// tooYoung returns until when a candidate is too young, if it is.
func (r *Rules) tooYoung(c Candidate, now time.Time) (*failure, time.Time) {
	if r.minAge <= 0 {
		return nil, time.Time{}
	}
	text := "it was first seen now"
	until := now.Add(r.minAge)
	if !c.FirstSeen.IsZero() {
		until = c.FirstSeen.Add(r.minAge)
		text = fmt.Sprintf("it was first seen at %s, so it is held until %s", stamp(c.FirstSeen), stamp(until))
	}
	if !now.Before(until) {
		return nil, time.Time{}
	}
	return &failure{reason: imagev1.TooYoungReason, message: text + ": minAge is " + duration(r.minAge)}, until
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// duration writes 24h0m0s as 24h.
func duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
