// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"slices"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/judge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/rollback"
)

// relation says where a candidate stands to what a site holds.
type relation int

const (
	unordered relation = iota
	above
	same
	below
)

// relate compares a tag with what is held. The order of the list counts
// before the policy: it may rest on more than tags.
func (img *Image) relate(tag string, held rollback.Value) relation {
	switch {
	case held.Tag == "" || img.Fixed != nil:
		return unordered
	case held.Tag == tag:
		return same
	}
	i, j := slices.Index(img.Ranked, tag), slices.Index(img.Ranked, held.Tag)
	if i >= 0 && j >= 0 {
		return order(i < j)
	}
	if img.Policy != nil {
		if higher, known := img.Policy.Above(tag, held.Tag); known {
			return order(higher)
		}
	}
	return unordered
}

func order(higher bool) relation {
	if higher {
		return above
	}
	return below
}

// above is relate for rollback.
func (img *Image) above(a, b rollback.Value) (higher, known bool) {
	switch img.relate(a.Tag, b) {
	case above:
		return true, true
	case same, below:
		return false, img.Fixed == nil && !img.Moving
	default:
		return false, false
	}
}

// highest is what counts as current: the highest value of all sites, and
// one that the policy orders before one that it does not.
func (img *Image) highest(sites []*site) *site {
	var best *site
	for _, s := range sites {
		switch {
		case s.Value == (rollback.Value{}):
		case best == nil, img.relate(s.Value.Tag, best.Value) == above:
			best = s
		case img.relate(best.Value.Tag, s.Value) == unordered && slices.Contains(img.Ranked, s.Value.Tag) && !slices.Contains(img.Ranked, best.Value.Tag):
			best = s
		}
	}
	return best
}

// differs reports whether a site would be written for a candidate.
func (img *Image) differs(s *site, tag, digest string) bool {
	switch {
	case s.Foreign, s.Value.Tag != tag && !(s.Value.Tag == "" && s.Value.Digest != "" && s.part(imagev1.PartTag) == nil && s.Value.Digest == digest):
		return true
	case !img.writesDigest(digest) || s.part(imagev1.PartDigest) == nil && s.part(imagev1.PartImage) == nil:
		return false
	case s.Value.Digest == "":
		return true
	}
	return s.Value.Digest != digest && img.Reflection != imagev1.ReflectIfNotPresent
}

func (img *Image) writesDigest(digest string) bool {
	return digest != "" && img.Reflection != imagev1.ReflectNever
}

// choice is a candidate that is written.
type choice struct {
	img      *Image
	artifact *Artifact
	verdict  judge.Verdict
	approved bool
	current  *site
	sites    []*site // those that change
}

// decide finds the candidate for one image and says what becomes of the rest.
func (d *decision) decide(ctx context.Context, img *Image) error {
	sites := d.tree.sites[img.Name]
	status := imagev1.ImageStatus{Name: img.Name, Accepted: img.Before.Accepted, Rejected: img.Before.Rejected, Best: img.Before.Best}
	c := &contest{decision: d, img: img, sites: sites, current: img.highest(sites), status: &status}
	if len(sites) == 0 {
		d.result.Unmarked = append(d.result.Unmarked, img.Name)
	}
	if c.current != nil {
		status.Current = &imagev1.ImageRef{Name: c.current.Name, Tag: c.current.Value.Tag, Digest: c.current.Value.Digest}
		if status.Current.Name == "" {
			status.Current.Name = img.Text
		}
	}
	c.forget()
	if err := c.run(ctx); err != nil {
		return err
	}
	if len(img.Ranked) > 0 {
		status.Latest = c.reference(img.Ranked[0])
	}
	if img.Fixed == nil {
		d.result.Images = append(d.result.Images, status)
	}
	return nil
}

// contest is the search for the candidate of one image.
type contest struct {
	*decision

	img       *Image
	sites     []*site
	current   *site
	status    *imagev1.ImageStatus
	baseline  *judge.Candidate
	inspected int
	young     int
	held      int
	// gone are digests that Git has held and the registry has no more.
	gone map[string]bool
	// taken is what was taken out, once history was asked.
	taken *rollback.Finding
}

// reference is a tag with the digest that it stands for, if that is known.
func (c *contest) reference(tag string) *imagev1.ImageRef {
	ref := &imagev1.ImageRef{Name: c.img.Text, Tag: tag}
	if artifact := c.img.Facts.Tags[tag]; artifact != nil && c.img.Reflection != imagev1.ReflectNever {
		ref.Digest = artifact.Digest
	}
	return ref
}

// run goes through the candidates from the highest down, until one is written
// or the rest is not above what Git holds.
func (c *contest) run(ctx context.Context) error {
	if len(c.sites) == 0 {
		return nil
	}
	tags := c.img.Ranked
	if c.img.Fixed != nil {
		tags = []string{c.img.Fixed.Tag}
	}
	for _, tag := range tags {
		to, ready := c.stands(ctx, tag)
		if to == below || !ready || c.inspected == MaxCandidates {
			return nil
		}
		done, err := c.consider(ctx, tag)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// consider judges one candidate. Done: no other is looked at.
func (c *contest) consider(ctx context.Context, tag string) (done bool, err error) {
	c.inspected++
	artifact := c.artifact(tag)
	if artifact == nil {
		// Candidates below are asked for at once, if those above are held.
		return c.held == 0, nil
	}
	if why := artifact.unreadable(); why != "" {
		if c.current != nil && c.current.Value.Tag == tag && !c.img.Moving {
			// Git holds it already; that it is gone keeps nothing out.
			return true, nil
		}
		c.hold(artifact, imagev1.UnreadableReason, "", why)
		return false, nil
	}
	sites := slices.DeleteFunc(slices.Clone(c.sites), func(s *site) bool { return !c.img.differs(s, tag, artifact.Digest) })
	if len(sites) == 0 {
		return true, nil
	}
	verdict, approved, ready, err := c.judge(ctx, artifact)
	if err != nil || !ready {
		return true, err
	}
	c.recheck(verdict.Recheck)
	if !verdict.Passed {
		return c.fail(artifact, &verdict), nil
	}
	if c.refused(artifact) {
		return true, nil
	}
	if held, err := c.opposed(ctx, artifact); held || err != nil {
		return false, err
	}
	c.accept(approved)
	c.status.Accepted = &imagev1.ImageRef{Name: c.img.Text, Tag: tag, Digest: artifact.Digest}
	c.choices = append(c.choices, &choice{img: c.img, artifact: artifact, verdict: verdict, approved: approved, current: c.current, sites: sites})
	return true, nil
}

// fail holds a candidate that did not pass. Done: no other would.
func (c *contest) fail(artifact *Artifact, verdict *judge.Verdict) (done bool) {
	c.hold(artifact, verdict.Reason, verdict.Gate, verdict.Message)
	if verdict.Reason == imagev1.TooYoungReason && c.young < MaxYoung {
		c.young++
		c.inspected--
	}
	return verdict.Reason == imagev1.OutsideWindowReason
}

// artifact returns what a candidate is, or notes that it has to be found out.
func (c *contest) artifact(tag string) *Artifact {
	if c.img.Fixed != nil {
		return &Artifact{Tag: c.img.Fixed.Tag, Digest: c.img.Fixed.Digest}
	}
	artifact := c.img.Facts.Tags[tag]
	if artifact == nil {
		c.need(tag, "")
	}
	return artifact
}

func (c *contest) need(tag, digest string) {
	need := c.result.Needs[c.img.Name]
	if tag != "" && !slices.Contains(need.Tags, tag) {
		need.Tags = append(need.Tags, tag)
	}
	if digest != "" && !slices.Contains(need.Digests, digest) {
		need.Digests = append(need.Digests, digest)
	}
	c.result.Needs[c.img.Name] = need
}

// judge asks the rules. Ready is false if something has to be found out
// before.
func (c *contest) judge(ctx context.Context, artifact *Artifact) (verdict judge.Verdict, approved, ready bool, err error) {
	if c.img.Rules == nil {
		return judge.Verdict{Passed: true}, false, true, nil
	}
	if c.img.Inspects && !c.findBaseline() {
		return verdict, false, false, nil
	}
	best, ready, err := c.best(ctx)
	if err != nil || !ready {
		return verdict, false, false, err
	}
	candidate := judge.Candidate{Tag: artifact.Tag, Manifest: artifact.Manifest, FirstSeen: artifact.FirstSeen, Signature: artifact.Signature}
	verdict = c.img.Rules.Judge(ctx, candidate, c.baseline, best, c.now)
	if !verdict.Passed && verdict.NeedsApproval && c.img.Approved(artifact.Digest) {
		candidate.Approved = true
		verdict = c.img.Rules.Judge(ctx, candidate, c.baseline, best, c.now)
		approved = verdict.Passed
	}
	return verdict, approved, true, nil
}

// findBaseline finds what Git holds in the registry. What is gone from there
// is no baseline.
func (c *contest) findBaseline() bool {
	if c.baseline != nil || c.current == nil {
		return true
	}
	held := c.current.Value
	artifact := c.img.Facts.Digests[held.Digest]
	if held.Digest == "" {
		artifact = c.img.Facts.Tags[held.Tag]
	}
	switch {
	case artifact == nil && held.Digest == "":
		c.need(held.Tag, "")
	case artifact == nil:
		c.need("", held.Digest)
	default:
		c.baseline = &judge.Candidate{Tag: held.Tag, Manifest: artifact.Manifest}
	}
	return artifact != nil
}

func (c *contest) recheck(at time.Time) {
	if !at.IsZero() && (c.result.Recheck.IsZero() || at.Before(c.result.Recheck)) {
		c.result.Recheck = at
	}
}

// hold notes why a candidate is kept out.
func (c *contest) hold(artifact *Artifact, reason, gate, message string) {
	c.held++
	held := imagev1.HeldImage{
		ImageRef: imagev1.ImageRef{Name: c.img.Text, Tag: artifact.Tag, Digest: artifact.Digest},
		Reason:   reason, Gate: gate, Message: message,
	}
	c.result.Holds = append(c.result.Holds, Hold{Image: c.img.Name, HeldImage: held})
	if len(c.status.Held) < imagev1.MaxHeld {
		c.status.Held = append(c.status.Held, held)
	}
}

// refused reports whether people have closed the pull request with a candidate.
// Those that it ranks above are not proposed in its place.
func (c *contest) refused(artifact *Artifact) bool {
	value := rollback.Value{Tag: artifact.Tag, Digest: artifact.Digest}
	if c.img.Refused == nil || c.img.cleared(value) || !c.img.Refused(c.img.whole(artifact.Tag, artifact.Digest)) {
		return false
	}
	c.hold(artifact, imagev1.PullRequestClosedReason, "", fmt.Sprintf(
		"the pull request with it was closed without a merge; the next candidate has to rank above it, or reopen it, or set the annotation %s: %s",
		imagev1.UnrejectAnnotation, c.img.Name+marking(value)))
	return true
}

// opposed reports whether people have decided against a candidate: they took
// it, or one that it does not rank above, out of Git.
func (c *contest) opposed(ctx context.Context, artifact *Artifact) (bool, error) {
	if !c.a.Audited {
		return false, nil
	}
	rejected, err := c.rejected(ctx)
	if err != nil {
		return false, err
	}
	r, out := rejected.Rejects(rollback.Value{Tag: artifact.Tag, Digest: artifact.Digest}, c.img.above)
	if out {
		c.hold(artifact, imagev1.RejectedReason, "", fmt.Sprintf(
			"%s took %s out of Git in commit %s; the next candidate has to rank above it, or set the annotation %s: %s",
			author(r.Author), naming(r.Value), short(r.Commit), imagev1.UnrejectAnnotation, c.img.Name+marking(r.Value)))
	}
	return out, nil
}

// naming is a value for people, marking is what follows the name of an image
// in an annotation.
func naming(v rollback.Value) string {
	if v.Tag == "" {
		return v.Digest
	}
	return v.Tag
}

func marking(v rollback.Value) string {
	if v.Digest != "" {
		return "@" + v.Digest
	}
	return ":" + v.Tag
}

func author(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}

func short(hash string) string { return hash[:min(7, len(hash))] }
