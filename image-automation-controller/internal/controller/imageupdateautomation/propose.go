// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/forge"
	"github.com/weir-gitops/weir/image-automation-controller/internal/message"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// forgeTimeout bounds one conversation with a forge.
const forgeTimeout = time.Minute

// superseded stands in the body of a pull request that we closed ourselves.
const superseded = "Superseded: "

// branchModifiedError says that somebody else committed to our branch.
type branchModifiedError struct{ branch, commit, author string }

func (b *branchModifiedError) Error() string {
	return fmt.Sprintf("commit %s by %s on branch '%s' is not of this automation, and would be lost; merge it, move it elsewhere or delete the branch, and ask for a run",
		b.commit, b.author, b.branch)
}

// pullRequest is spec.weir.pullRequest, or nil.
func (s *scope) pullRequest() *imagev1.PullRequest {
	if s.obj.Spec.Weir == nil {
		return nil
	}
	return s.obj.Spec.Weir.PullRequest
}

// leased is the target, with the lease on our own branch.
func (r *run) leased(s *scope) batch.Target {
	target := r.target
	if s.pullRequest() == nil {
		return target
	}
	pushed := ""
	if s.obj.Status.Weir != nil && s.obj.Status.Weir.PullRequest != nil {
		pushed = s.obj.Status.Weir.PullRequest.Head
	}
	target.Lease = func(c *git.Commit) error {
		if c.Hash == pushed || r.wrote(c) {
			return nil
		}
		author := c.Author.String()
		if c.Committer.Email != c.Author.Email {
			author += ", committed by " + c.Committer.String() + ","
		}
		if other := automationOf(c); other != "" && other != r.base.Writer() {
			// Such as one of the same name, of another cluster or from before.
			author += ", for automation '" + other + "',"
		}
		return &branchModifiedError{branch: target.Branch, commit: c.Hash[:min(7, len(c.Hash))], author: author}
	}
	return target
}

// automationOf is the automation that the trailers of a commit name, "" if there
// is none or its name is none that we give.
func automationOf(c *git.Commit) string {
	for _, trailer := range message.ParseTrailers(c.Message) {
		if trailer.Key == plan.AutomationTrailer && len(trailer.Value) <= message.MaxValue {
			return trailer.Value
		}
	}
	return ""
}

// wrote reports whether a commit says that it is of this automation. One that
// somebody amended keeps author and trailers, and has another committer; a merge
// brings what others wrote.
func (r *run) wrote(c *git.Commit) bool {
	email := r.base.Author.Email
	if c.Author.Email != email || c.Committer.Email != email || len(c.Parents) > 1 {
		return false
	}
	ours := message.Trailer{Key: plan.AutomationTrailer, Value: r.base.Writer()}
	return slices.Contains(message.ParseTrailers(c.Message), ours)
}

// review asks the forge for our pull requests before anything is planned:
// what somebody closed is not proposed again.
func (c *Controller) review(ctx context.Context, s *scope) error {
	if s.pullRequest() == nil || s.run.submitted {
		return nil
	}
	if s.run.forge == nil {
		client, err := c.forgeOf(ctx, s)
		if err != nil {
			return err
		}
		s.run.forge = client
	}
	client, branch, id := s.run.forge, s.run.target.Branch, s.id()
	s.run.reviewing.start(s, c.Waker, func(ctx context.Context) ([]forge.PullRequest, error) {
		ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
		defer cancel()
		return client.Find(ctx, branch, id)
	})
	_, err, over := s.run.reviewing.result()
	switch {
	case !over:
		return errWaiting
	case err != nil:
		return forgeFailed("look for pull requests of branch '"+branch+"'", err)
	}
	return nil
}

func forgeFailed(doing string, err error) error {
	return reconcile.Fail(imagev1.PullRequestFailedReason, fmt.Errorf("%s: %w", doing, err))
}

// id is what is hidden in our pull requests.
func (s *scope) id() string { return s.name.String() + "/" + string(s.obj.UID) }

// forgeOf makes the client of the forge.
func (c *Controller) forgeOf(ctx context.Context, s *scope) (forge.Client, error) {
	spec := s.pullRequest()
	secret, err := c.secret(ctx, s.obj.Namespace, spec.SecretRef.Name)
	if err != nil {
		return nil, forgeFailed(fmt.Sprintf("read the token in Secret '%s/%s'", s.obj.Namespace, spec.SecretRef.Name), err)
	}
	token := strings.TrimSpace(string(secret["token"]))
	if token == "" {
		return nil, forgeFailed(fmt.Sprintf("read the token in Secret '%s/%s'", s.obj.Namespace, spec.SecretRef.Name), errors.New("it has no key 'token'"))
	}
	client, err := forge.New(forge.Options{
		Provider: spec.Provider, APIURL: spec.APIURL, RepositoryURL: s.source.Spec.URL, Token: token,
		CA: secret["ca.crt"], Dialer: c.Dialer, AllowedHosts: c.Options.ForgeHosts,
	})
	if errors.Is(err, forge.ErrHost) || errors.Is(err, forge.ErrRejected) {
		return nil, reconcile.Stalled(imagev1.InvalidSpecReason, fmt.Errorf("spec.weir.pullRequest: %w", err))
	}
	if err != nil {
		return nil, forgeFailed("set up the client of the forge", err)
	}
	return client, nil
}

// proposed are our pull requests but for those that we closed ourselves, the
// newest first.
func (r *run) proposed() []forge.PullRequest {
	found, _, _ := r.reviewing.result()
	found = slices.DeleteFunc(slices.Clone(found), func(pr forge.PullRequest) bool { return strings.Contains(pr.Body, superseded) })
	slices.SortFunc(found, func(a, b forge.PullRequest) int { return cmp.Compare(b.Number, a.Number) })
	return found
}

// refusals sums up what refuses says.
func (r *run) refusals() string {
	var states []string
	for _, pr := range r.proposed() {
		states = append(states, strconv.FormatInt(pr.Number, 10)+pr.State)
	}
	return strings.Join(states, " ")
}

// refuses tells whether somebody closed, without a merge, the last pull request
// with a reference.
func (r *run) refuses(image string) func(string) bool {
	all := r.proposed()
	if len(all) == 0 {
		return nil
	}
	return func(reference string) bool {
		i := slices.IndexFunc(all, func(pr forge.PullRequest) bool {
			return strings.Contains(strings.ReplaceAll(pr.Body, "\r\n", "\n"), line(image, reference))
		})
		return i >= 0 && all[i].State == forge.StateClosed
	}
}

// line is how a body names what an image gets.
func line(image, reference string) string { return "- `" + image + "`: `" + reference + "`" }

// maxQuote is how much of a commit's message a pull request quotes: forges cut
// off long bodies, and what follows is read again.
const maxQuote = 16 << 10

// body says what a pull request changes.
func body(result *plan.Result) string {
	var b strings.Builder
	text := strings.TrimSpace(result.Message)
	if len(text) > maxQuote {
		text = strings.ToValidUTF8(text[:maxQuote], "") + "…"
	}
	if text != "" {
		b.WriteString(text + "\n\n")
	}
	for _, change := range result.Changes {
		b.WriteString(line(change.Image, change.New))
		if change.Old != "" {
			b.WriteString(" (was `" + change.Old + "`)")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// proposes reports whether there is a decision to show in a pull request.
func (s *scope) proposes() bool { return s.pullRequest() != nil && s.run.outcome.Err == nil }

// propose brings the pull request in line with the decision, in the
// background. Its failure does not undo the push.
func (c *Controller) propose(_ context.Context, s *scope) error {
	r := s.run
	if !s.proposes() {
		return nil
	}
	result, _, _ := r.decision()
	p := &proposal{
		Controller: c, client: r.forge, result: result, target: r.target, commit: r.outcome.Commit,
		request:    forge.Request{Head: r.target.Branch, Base: r.target.Base, ID: s.id(), Labels: s.pullRequest().Labels, Title: s.pullRequest().Title},
		incomplete: slices.ContainsFunc(s.spec.images, func(img *image) bool { return r.unknown(img.Name) }),
	}
	if s.obj.Status.Weir != nil && s.obj.Status.Weir.PullRequest != nil {
		p.before = s.obj.Status.Weir.PullRequest.DeepCopy()
	}
	p.found, _, _ = r.reviewing.result()
	r.proposing.start(s, c.Waker, p.run)
	settled, err, over := r.proposing.result()
	if !over {
		return errWaiting
	}
	if err != nil {
		r.proposeErr = forgeFailed("propose branch '"+r.target.Branch+"'", err)
	}
	if settled.status != nil {
		if s.obj.Status.Weir == nil {
			s.obj.Status.Weir = &imagev1.WeirStatus{}
		}
		s.obj.Status.Weir.PullRequest = settled.status
		if settled.what != "" {
			c.proposed(s, settled.what, settled.status)
		}
	}
	return nil
}

// proposal is what a pull request is to be.
type proposal struct {
	*Controller

	client  forge.Client
	found   []forge.PullRequest
	before  *imagev1.PullRequestStatus
	request forge.Request
	result  *plan.Result
	target  batch.Target
	commit  string
	// incomplete: not every image was looked at.
	incomplete bool
}

// settlement is what became of a proposal. What is a verb for people, "" if
// nothing happened.
type settlement struct {
	status *imagev1.PullRequestStatus
	what   string
}

func (p *proposal) run(ctx context.Context) (settlement, error) {
	ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
	defer cancel()
	var open *forge.PullRequest
	if len(p.found) > 0 && p.found[0].State == forge.StateOpen {
		open = &p.found[0]
	}
	switch {
	case p.commit != "":
		return p.show(ctx, open)
	case open != nil && !p.undecided():
		return p.close(ctx, open)
	case open == nil && p.before != nil:
		return p.clean(ctx)
	}
	return settlement{}, nil
}

// undecided reports whether the proposal may come back without a new
// candidate: then its pull request stays.
func (p *proposal) undecided() bool {
	for i := range p.result.Holds {
		if reason := p.result.Holds[i].Reason; reason == imagev1.OutsideWindowReason || reason == imagev1.TooYoungReason {
			return true
		}
	}
	return p.incomplete
}

// show opens the pull request, or updates it in place.
func (p *proposal) show(ctx context.Context, open *forge.PullRequest) (settlement, error) {
	p.request.Body = body(p.result)
	if p.request.Title == "" {
		p.request.Title, _, _ = strings.Cut(strings.TrimSpace(p.result.Message), "\n")
	}
	if open != nil && open.Shows(p.request) {
		return settlement{status: p.status(open, p.commit)}, nil
	}
	what := "updated"
	var pr forge.PullRequest
	var err error
	if open == nil {
		what = "opened"
		pr, err = p.client.Open(ctx, p.request)
	} else {
		pr, err = p.client.Update(ctx, open.Number, p.request)
	}
	if pr.Number == 0 {
		return settlement{}, err
	}
	return settlement{status: p.status(&pr, p.commit), what: what}, err
}

// close closes a pull request that proposes nothing any more, and says in it
// that we did.
func (p *proposal) close(ctx context.Context, open *forge.PullRequest) (settlement, error) {
	why := superseded + "the branch `" + p.request.Base + "` holds what this proposes."
	if len(p.result.Holds) > 0 {
		why = superseded + describeHold(&p.result.Holds[0])
	}
	p.request.Title, p.request.Body = open.Title, why
	if _, err := p.client.Update(ctx, open.Number, p.request); err != nil {
		return settlement{}, err
	}
	if err := p.client.Close(ctx, open.Number, why); err != nil {
		return settlement{}, err
	}
	head := ""
	if p.before != nil {
		head = p.before.Head
	}
	open.State = forge.StateClosed
	return settlement{status: p.status(open, head), what: "closed"}, p.deleteBranch(ctx, head)
}

// clean notes what people did with the last pull request, and deletes the
// branch that it leaves behind.
func (p *proposal) clean(ctx context.Context) (settlement, error) {
	for i := range p.found {
		if pr := &p.found[i]; pr.Number == p.before.Number && pr.State != p.before.State {
			return settlement{status: p.status(pr, p.before.Head), what: pr.State}, p.deleteBranch(ctx, p.before.Head)
		}
	}
	return settlement{}, nil
}

func (p *proposal) status(pr *forge.PullRequest, head string) *imagev1.PullRequestStatus {
	return &imagev1.PullRequestStatus{URL: pr.URL, Number: pr.Number, Branch: p.target.Branch, Head: head, State: pr.State}
}

// deleteBranch removes our branch if it is still at our own last push.
func (p *proposal) deleteBranch(ctx context.Context, head string) error {
	if head == "" {
		return nil
	}
	remote, err := git.NewRemote(p.target.URL, p.target.Auth, p.Dialer, p.Options.Algorithms)
	if err != nil {
		return err
	}
	defer remote.Close()
	ref := "refs/heads/" + p.target.Branch
	at, err := p.Objects.Refs(ctx, remote, ref)
	if err != nil || at[ref] != head {
		return err
	}
	err = p.Objects.Push(ctx, remote, git.Push{Updates: []git.Update{{Ref: ref, Old: head, Delete: true}}})
	if errors.Is(err, git.ErrNonFastForward) {
		// Somebody pushed to it: it is theirs now.
		return nil
	}
	return err
}
