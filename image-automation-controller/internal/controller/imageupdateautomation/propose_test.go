// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/forge/forgetest"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const project = "team/repo"

// proposing is a suite with a forge, in which an automation with a pull
// request runs. The branch holds version 1.0.0.
type proposing struct {
	*suite
	forge  *forgetest.Server
	branch string
}

func newProposing(t *testing.T, provider imagev1.Forge, api string, change ...func(*imagev1.ImageUpdateAutomation)) *proposing {
	t.Helper()
	p := &proposing{suite: newSuite(t)}
	var err error
	p.forge, err = forgetest.New()
	p.Must(err)
	t.Cleanup(p.forge.Close)
	p.forge.AddUser("robot", "secret-token")
	p.forge.AddProject(project)
	p.branch = "weir/" + p.Namespace + "/auto"
	p.secret("forge", map[string]string{"token": "secret-token"})
	first := p.suite.push("1.0.0", "")
	p.commit("Serve the model", map[string]string{"pod.yaml": p.pod("auto", p.image("model")+":1.0.0@"+first)})
	p.create(p.automation("auto", append([]func(*imagev1.ImageUpdateAutomation){func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.PullRequest = &imagev1.PullRequest{Provider: provider, APIURL: p.forge.URL + api, Labels: []string{"model"}}
		a.Spec.Weir.PullRequest.SecretRef.Name = "forge"
	}}, change...)...))
	p.Start("--forge-hosts=" + strings.TrimPrefix(p.forge.URL, "http://"))
	return p
}

// awaitRequest waits until the last pull request is as wanted.
func (p *proposing) awaitRequest(what string, count int, wanted func(forgetest.PullRequest) bool) forgetest.PullRequest {
	p.Helper()
	var last forgetest.PullRequest
	p.Poll("a pull request "+what, func() bool {
		all := p.forge.PullRequests(project)
		if len(all) == count {
			last = all[count-1]
			return wanted(last)
		}
		return len(all) > count
	}, func() string {
		a := p.of("auto").Get()
		return conditions.GetMessage(a, imagev1.ReadyCondition) + "\n" + strings.Join(p.forge.Calls(), "\n")
	})
	return last
}

func (p *proposing) head(branch string) string {
	p.Helper()
	out, err := p.repo.Git(p.Context(), "for-each-ref", "--format=%(objectname)", "refs/heads/"+branch)
	p.Must(err)
	return out
}

// One pull request, updated in place, and closed with its branch when Git
// holds what it proposes.
func TestPullRequest(t *testing.T) {
	t.Parallel()
	for provider, api := range map[imagev1.Forge]string{imagev1.ForgeGitHub: "/api/v3", imagev1.ForgeGitLab: "/api/v4", imagev1.ForgeGitea: "/api/v1"} {
		t.Run(string(provider), func(t *testing.T) {
			t.Parallel()
			p := newProposing(t, provider, api)
			p.of("auto").Await("is ready", isReady)
			if got := p.forge.PullRequests(project); len(got) != 0 {
				t.Fatalf("a pull request without a change: %+v", got)
			}
			second := p.push("1.1.0", "")
			p.of("auto").Request()
			opened := p.awaitRequest("is opened", 1, func(pr forgetest.PullRequest) bool { return pr.State == "open" && len(pr.Labels) == 1 })
			if opened.Head != p.branch || opened.Base != "main" || !strings.Contains(opened.Body, p.image("model")+":1.1.0@"+second) {
				t.Errorf("opened %+v", opened)
			}
			a := p.of("auto").Await("shows it", func(a *imagev1.ImageUpdateAutomation) bool {
				return isReady(a) && a.Status.Weir.PullRequest != nil && a.Status.Weir.PullRequest.State == "open"
			})
			if status := a.Status.Weir.PullRequest; status.Head != p.head(p.branch) || status.Head != a.Status.LastPushCommit || !strings.HasSuffix(conditions.GetMessage(a, imagev1.ReadyCondition), status.URL+" is open") {
				t.Errorf("status %+v, message %s", status, conditions.GetMessage(a, imagev1.ReadyCondition))
			}
			pushes := p.git.Stats().Pushes
			p.of("auto").Request()
			if p.git.Stats().Pushes != pushes {
				t.Error("the same proposal was pushed again")
			}

			third := p.push("1.2.0", "")
			p.of("auto").Request()
			p.awaitRequest("is updated", 1, func(pr forgetest.PullRequest) bool { return strings.Contains(pr.Body, ":1.2.0@"+third) })

			// Somebody takes it over by hand.
			p.commit("Serve 1.2.0", map[string]string{"pod.yaml": p.pod("auto", p.image("model")+":1.2.0@"+third)})
			p.of("auto").Request()
			closed := p.awaitRequest("is closed", 1, func(pr forgetest.PullRequest) bool { return pr.State == "closed" })
			if len(closed.Comments) != 1 || !strings.Contains(closed.Comments[0], "holds what this proposes") {
				t.Errorf("comments %q", closed.Comments)
			}
			p.Poll("the branch is gone", func() bool { return p.head(p.branch) == "" }, func() string { return "" })

			// Our own closing is no refusal.
			p.push("1.3.0", "")
			p.of("auto").Request()
			p.awaitRequest("is opened again", 2, func(pr forgetest.PullRequest) bool { return pr.State == "open" })
		})
	}
}

// What people close without a merge is not proposed again, nor is anything that
// it ranks above, until they let it.
func TestPullRequestIsClosedByAPerson(t *testing.T) {
	t.Parallel()
	p := newProposing(t, imagev1.ForgeGitea, "/api/v1")
	p.push("1.1.0", "")
	second := p.push("1.2.0", "")
	p.of("auto").Request()
	isOpen := func(pr forgetest.PullRequest) bool { return pr.State == "open" }
	opened := p.awaitRequest("is opened", 1, isOpen)
	p.forge.Shut(project, opened.Number)
	p.of("auto").Request()
	held := "model 1.2.0 is held: the pull request with it was closed without a merge; " +
		"the next candidate has to rank above it, or reopen it, or set the annotation weir.dev/unreject: model@" + second
	p.awaitHeld("auto", imagev1.PullRequestClosedReason, held)
	p.of("auto").Request()
	if all := p.forge.PullRequests(project); len(all) != 1 {
		t.Errorf("pull requests %+v, want that neither %s nor 1.1.0 is proposed", all, second)
	}
	p.push("1.3.0", "")
	p.of("auto").Request()
	opened = p.awaitRequest("is opened for another candidate", 2, func(pr forgetest.PullRequest) bool {
		return isOpen(pr) && strings.Contains(pr.Body, ":1.3.0@")
	})

	// The one before the last is not forgotten.
	p.Must(p.Registry.Delete("model", "1.3.0"))
	p.of("auto").Request()
	p.awaitHeld("auto", imagev1.PullRequestClosedReason, held)
	if all := p.forge.PullRequests(project); len(all) != 2 || all[1].State != "closed" {
		t.Errorf("pull requests %+v, want that %d is closed", all, opened.Number)
	}
	p.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { annotate(a, imagev1.UnrejectAnnotation, "model@"+second) })
	p.awaitRequest("is opened for what was let in", 3, func(pr forgetest.PullRequest) bool {
		return isOpen(pr) && strings.Contains(pr.Body, ":1.2.0@"+second)
	})
}

func TestBranchModified(t *testing.T) {
	t.Parallel()
	p := newProposing(t, imagev1.ForgeGitea, "/api/v1")
	p.push("1.1.0", "")
	p.of("auto").Request()
	p.awaitRequest("is opened", 1, func(pr forgetest.PullRequest) bool { return pr.State == "open" })
	ours := p.head(p.branch)
	said, err := p.repo.Git(t.Context(), "log", "-1", "--format=%B", ours)
	p.Must(err)
	p.push("1.2.0", "")
	refuses := func(head, theirs, author string) {
		t.Helper()
		p.of("auto").Request()
		a := p.of("auto").AwaitFailure(imagev1.BranchModifiedReason, "commit "+theirs[:7]+" by "+author+" on branch '"+p.branch+"'")
		if !conditions.IsStalled(a) || p.head(p.branch) != head {
			t.Errorf("the branch is at %s, want it left at %s; conditions %+v", p.head(p.branch), head, a.Status.Conditions)
		}
	}
	commit := func(author, message string) string {
		t.Helper()
		hash, err := p.repo.Commit(t.Context(), testkit.GitCommit{
			Branch: p.branch, Author: author, Message: message, Files: testkit.Files(map[string]string{"notes.txt": message}),
		})
		p.Must(err)
		return hash
	}
	theirs := commit("Eve <eve@example.com>", "Mine")
	refuses(theirs, theirs, "Eve <eve@example.com>")
	// A commit in our name on top of it.
	refuses(commit("Weir <weir@example.com>", said), theirs, "Eve <eve@example.com>")
	// The automation of this name of another cluster.
	another := commit("Weir <weir@example.com>", strings.Replace(said, string(p.of("auto").Get().UID), "1234", 1))
	refuses(another, another, "Weir <weir@example.com>, for automation '"+p.Namespace+"/auto (1234)',")
	// As after git commit --amend.
	amended, err := p.repo.Git(t.Context(), "-c", "author.name=Weir", "-c", "author.email=weir@example.com",
		"commit-tree", "-p", ours+"^", "-m", said, theirs+"^{tree}")
	p.Must(err)
	_, err = p.repo.Git(t.Context(), "update-ref", "refs/heads/"+p.branch, amended)
	p.Must(err)
	refuses(amended, amended, "Weir <weir@example.com>, committed by Weir Test <test@example.com>,")
	p.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) { a.Spec.Interval.Duration = time.Second })
	p.of("auto").Await("shows that it is the same with another interval", func(a *imagev1.ImageUpdateAutomation) bool {
		return conditions.IsStalled(a) && a.Status.ObservedGeneration == a.Generation
	})
	// Nothing but the Git server knows that it is mended.
	_, err = p.repo.Git(t.Context(), "update-ref", "refs/heads/"+p.branch, ours)
	p.Must(err)
	p.of("auto").Await("goes on", func(a *imagev1.ImageUpdateAutomation) bool { return isReady(a) && p.head(p.branch) != ours })
}

// The forge fails after the push: the commit is known, and the pull request
// follows.
func TestForgeFails(t *testing.T) {
	t.Parallel()
	p := newProposing(t, imagev1.ForgeGitea, "/api/v1")
	p.of("auto").Await("is ready", isReady)
	p.forge.Inject(forgetest.Fault{Method: "POST", Path: "/pulls", Times: 2, Status: 500, Body: "secret body"})
	p.push("1.1.0", "")
	p.of("auto").Edit(func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.Weir.PullRequest.Title = "New model"
		annotate(a, fluxmeta.ReconcileRequestAnnotation, "now")
	})
	p.of("auto").AwaitFailure(imagev1.PullRequestFailedReason, "propose branch '"+p.branch+"'")
	if a := p.of("auto").Get(); a.Status.LastPushCommit == "" || a.Status.LastPushCommit != p.head(p.branch) {
		t.Errorf("the status lost the commit: %+v", a.Status)
	}
	opened := p.awaitRequest("is opened after all", 1, func(pr forgetest.PullRequest) bool { return pr.State == "open" })
	if opened.Title != "New model" || p.git.Stats().Pushes != 1 {
		t.Errorf("opened %+v after %d pushes", opened, p.git.Stats().Pushes)
	}
	p.of("auto").Await("is ready", isReady)
}

// A merged pull request is no change by a person.
func TestPullRequestIsMerged(t *testing.T) {
	t.Parallel()
	p := newProposing(t, imagev1.ForgeGitea, "/api/v1")
	second := p.push("1.1.0", "")
	p.of("auto").Request()
	opened := p.awaitRequest("is opened", 1, func(pr forgetest.PullRequest) bool { return pr.State == "open" })
	p.of("auto").Await("shows it", func(a *imagev1.ImageUpdateAutomation) bool { return a.Status.Weir.PullRequest != nil })
	_, err := p.repo.Git(t.Context(), "update-ref", "refs/heads/main", p.head(p.branch))
	p.Must(err)
	p.forge.Merge(project, opened.Number)
	p.of("auto").Request()
	a := p.of("auto").Await("shows the merge", func(a *imagev1.ImageUpdateAutomation) bool {
		return isReady(a) && a.Status.Weir.PullRequest.State == "merged"
	})
	if got := a.Status.Weir.Images[0]; got.Current == nil || got.Current.Digest != second || len(got.Rejected) != 0 {
		t.Errorf("image %+v", got)
	}
	p.Poll("the branch is gone", func() bool { return p.head(p.branch) == "" }, func() string { return "" })
}
