// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// hub is what the APIs of GitHub and Gitea have in common.
type hub struct{ *api }

// hubUser is a user in their answers.
type hubUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// hubBranch is one end of a pull request. Repo is nil if it was deleted.
type hubBranch struct {
	// Label is the branch at Gitea, and <owner>:<branch> at GitHub.
	Label string `json:"label"`
	Ref   string `json:"ref"`
	Repo  *struct {
		ID int64 `json:"id"`
	} `json:"repo"`
}

type hubLabel struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// hubPull is a pull request in their answers.
type hubPull struct {
	Number   int64      `json:"number"`
	HTMLURL  string     `json:"html_url"`
	State    string     `json:"state"`
	MergedAt *string    `json:"merged_at"`
	Title    string     `json:"title"`
	Body     string     `json:"body"`
	User     hubUser    `json:"user"`
	Head     hubBranch  `json:"head"`
	Base     hubBranch  `json:"base"`
	Labels   []hubLabel `json:"labels"`
}

// hubEdit is what is changed of a pull request.
type hubEdit struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
	Base  string `json:"base,omitempty"`
	Head  string `json:"head,omitempty"`
	State string `json:"state,omitempty"`
}

func (p hubPull) common() PullRequest {
	out := PullRequest{
		Number: p.Number, URL: p.HTMLURL, State: StateClosed, Head: p.Head.branch(), Base: p.Base.Ref,
		Author: p.User.Login, Title: p.Title, Body: p.Body, Merged: p.MergedAt != nil, authorID: p.User.ID,
		sameRepository: p.Head.Repo != nil && p.Base.Repo != nil && p.Head.Repo.ID == p.Base.Repo.ID,
	}
	switch {
	case p.MergedAt != nil:
		out.State = StateMerged
	case p.State == "open":
		out.State = StateOpen
	}
	for _, label := range p.Labels {
		out.Labels = append(out.Labels, label.Name)
	}
	return out
}

// branch returns the short name of a branch. When it has been deleted, as many
// do after a merge, Gitea has another ref in its place.
func (b hubBranch) branch() string {
	if strings.HasPrefix(b.Ref, "refs/pull/") {
		return b.Label
	}
	return b.Ref
}

// repo is the path of something of the repository.
func (h hub) repo(elements ...string) string {
	owner, name, _ := strings.Cut(h.project, "/")
	return strings.Join(append([]string{"/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name)}, elements...), "/")
}

func (h hub) user(ctx context.Context) (user, error) {
	var got hubUser
	_, err := h.do(ctx, call{doing: "ask whose the token is", method: http.MethodGet, path: "/user", into: &got})
	return user{id: got.ID, name: got.Login}, err
}

func (h hub) create(ctx context.Context, r Request) (PullRequest, error) {
	var got hubPull
	_, err := h.do(ctx, call{
		doing: "open a pull request in " + h.project, method: http.MethodPost, path: h.repo("pulls"),
		body: hubEdit{Title: r.Title, Body: r.Body, Head: r.Head, Base: r.Base}, into: &got,
	})
	return got.common(), err
}

func (h hub) edit(ctx context.Context, number int64, r Request) (PullRequest, error) {
	var got hubPull
	err := h.patch(ctx, "update", number, hubEdit{Title: r.Title, Body: r.Body, Base: r.Base}, &got)
	return got.common(), err
}

func (h hub) shut(ctx context.Context, number int64) error {
	return h.patch(ctx, "close", number, hubEdit{State: "closed"}, nil)
}

func (h hub) patch(ctx context.Context, verb string, number int64, body hubEdit, into any) error {
	id := strconv.FormatInt(number, 10)
	_, err := h.do(ctx, call{
		doing:  verb + " pull request " + id + " in " + h.project,
		method: http.MethodPatch, path: h.repo("pulls", id), body: body, into: into,
	})
	return err
}

func (h hub) comment(ctx context.Context, number int64, text string) error {
	id := strconv.FormatInt(number, 10)
	_, err := h.do(ctx, call{
		doing:  "comment on pull request " + id + " in " + h.project,
		method: http.MethodPost, path: h.repo("issues", id, "comments"), body: map[string]string{"body": text},
	})
	return err
}

// addLabels puts labels on a pull request: names at GitHub, numbers at Gitea.
func (h hub) addLabels(ctx context.Context, number int64, labels any) error {
	id := strconv.FormatInt(number, 10)
	_, err := h.do(ctx, call{
		doing:  "label pull request " + id + " in " + h.project,
		method: http.MethodPost, path: h.repo("issues", id, "labels"), body: map[string]any{"labels": labels},
	})
	return err
}

// github is GitHub.
type github struct{ hub }

func (g *github) list(ctx context.Context, head string, _ user) ([]PullRequest, error) {
	owner, _, _ := strings.Cut(g.project, "/")
	var all []PullRequest
	err := pages(ctx, g.api, call{
		doing: "list pull requests in " + g.project, method: http.MethodGet, path: g.repo("pulls"),
		query: url.Values{"head": {owner + ":" + head}, "state": {"all"}, "sort": {"updated"}, "direction": {"desc"}},
	}, "per_page", collect(&all))
	return all, err
}

// collect returns a taker of pages that fills all.
func collect(all *[]PullRequest) func([]hubPull) bool {
	return func(page []hubPull) bool {
		for _, p := range page {
			*all = append(*all, p.common())
		}
		return true
	}
}

// label creates labels that there are not, as GitHub does by itself.
func (g *github) label(ctx context.Context, number int64, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	return g.addLabels(ctx, number, labels)
}

// gitea is Gitea or Forgejo.
type gitea struct{ hub }

// closedPages is how many pages of closed pull requests are looked at, those
// changed last.
const closedPages = 2

// list reads all open ones, since a head cannot be asked for, and the latest
// closed ones. Versions that do not know the filter by poster ignore it.
func (g *gitea) list(ctx context.Context, _ string, author user) ([]PullRequest, error) {
	var all []PullRequest
	for _, state := range []string{"open", "closed"} {
		take, seen := collect(&all), 0
		err := pages(ctx, g.api, call{
			doing: "list pull requests in " + g.project, method: http.MethodGet, path: g.repo("pulls"),
			query: url.Values{"state": {state}, "sort": {"recentupdate"}, "poster": {author.name}},
		}, "limit", func(page []hubPull) bool {
			seen++
			return take(page) && (state == "open" || seen < closedPages)
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// labelColor is that of labels that are created.
const labelColor = "#ededed"

// label looks up the numbers of the labels, and creates those that are
// missing.
func (g *gitea) label(ctx context.Context, number int64, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	known := map[string]int64{}
	err := pages(ctx, g.api, call{
		doing: "list the labels of " + g.project, method: http.MethodGet, path: g.repo("labels"), query: url.Values{},
	}, "limit", func(page []hubLabel) bool {
		for _, label := range page {
			known[label.Name] = label.ID
		}
		return !slices.ContainsFunc(labels, func(name string) bool { return known[name] == 0 })
	})
	if err != nil {
		return err
	}
	ids := make([]int64, 0, len(labels))
	for _, name := range labels {
		if known[name] == 0 {
			if known[name], err = g.createLabel(ctx, name); err != nil {
				return err
			}
		}
		ids = append(ids, known[name])
	}
	return g.addLabels(ctx, number, ids)
}

func (g *gitea) createLabel(ctx context.Context, name string) (int64, error) {
	var created hubLabel
	_, err := g.do(ctx, call{
		doing: "create a label in " + g.project, method: http.MethodPost, path: g.repo("labels"),
		body: map[string]string{"name": name, "color": labelColor}, into: &created,
	})
	return created.ID, err
}
