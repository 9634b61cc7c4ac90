// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gitlab is GitLab.
type gitlab struct{ *api }

// labUser is a user in its answers.
type labUser struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

// labMerge is a merge request in its answers.
type labMerge struct {
	IID             int64    `json:"iid"`
	WebURL          string   `json:"web_url"`
	State           string   `json:"state"`
	Title           string   `json:"title"`
	Description     string   `json:"description"`
	Author          labUser  `json:"author"`
	SourceBranch    string   `json:"source_branch"`
	TargetBranch    string   `json:"target_branch"`
	SourceProjectID int64    `json:"source_project_id"`
	TargetProjectID int64    `json:"target_project_id"`
	Labels          []string `json:"labels"`
}

// labEdit is what is set of a merge request.
type labEdit struct {
	SourceBranch string `json:"source_branch,omitempty"`
	TargetBranch string `json:"target_branch,omitempty"`
	Title        string `json:"title,omitempty"`
	Description  string `json:"description,omitempty"`
	Labels       string `json:"labels,omitempty"`
	AddLabels    string `json:"add_labels,omitempty"`
	StateEvent   string `json:"state_event,omitempty"`
}

func (m labMerge) common() PullRequest {
	out := PullRequest{
		Number: m.IID, URL: m.WebURL, State: StateClosed, Head: m.SourceBranch, Base: m.TargetBranch,
		Author: m.Author.Username, Title: m.Title, Body: m.Description, Labels: m.Labels, authorID: m.Author.ID,
		sameRepository: m.SourceProjectID == m.TargetProjectID,
	}
	switch m.State {
	case "opened", "locked": // locked: being merged right now
		out.State = StateOpen
	case "merged":
		out.State, out.Merged = StateMerged, true
	}
	return out
}

// merge is the path of the merge requests, or of something of one.
func (g *gitlab) merge(elements ...string) string {
	return strings.Join(append([]string{"/projects/" + url.PathEscape(g.project) + "/merge_requests"}, elements...), "/")
}

func (g *gitlab) user(ctx context.Context) (user, error) {
	var got labUser
	_, err := g.do(ctx, call{doing: "ask whose the token is", method: http.MethodGet, path: "/user", into: &got})
	return user{id: got.ID, name: got.Username}, err
}

func (g *gitlab) list(ctx context.Context, head string, author user) ([]PullRequest, error) {
	var all []PullRequest
	err := pages(ctx, g.api, call{
		doing: "list merge requests in " + g.project, method: http.MethodGet, path: g.merge(),
		query: url.Values{
			"source_branch": {head}, "author_id": {strconv.FormatInt(author.id, 10)}, "state": {"all"}, "scope": {"all"},
			"order_by": {"updated_at"}, "sort": {"desc"},
		},
	}, "per_page", func(page []labMerge) bool {
		for _, m := range page {
			all = append(all, m.common())
		}
		return true
	})
	return all, err
}

func (g *gitlab) create(ctx context.Context, r Request) (PullRequest, error) {
	var got labMerge
	_, err := g.do(ctx, call{
		doing: "open a merge request in " + g.project, method: http.MethodPost, path: g.merge(), into: &got,
		body: labEdit{
			SourceBranch: r.Head, TargetBranch: r.Base, Title: r.Title, Description: r.Body, Labels: strings.Join(r.Labels, ","),
		},
	})
	return got.common(), err
}

func (g *gitlab) edit(ctx context.Context, number int64, r Request) (PullRequest, error) {
	var got labMerge
	err := g.put(ctx, "update", number, labEdit{
		TargetBranch: r.Base, Title: r.Title, Description: r.Body, AddLabels: strings.Join(r.Labels, ","),
	}, &got)
	return got.common(), err
}

// label does nothing: create and edit set the labels.
func (g *gitlab) label(context.Context, int64, []string) error { return nil }

func (g *gitlab) shut(ctx context.Context, number int64) error {
	return g.put(ctx, "close", number, labEdit{StateEvent: "close"}, nil)
}

func (g *gitlab) put(ctx context.Context, verb string, number int64, body labEdit, into any) error {
	id := strconv.FormatInt(number, 10)
	_, err := g.do(ctx, call{
		doing:  verb + " merge request " + id + " in " + g.project,
		method: http.MethodPut, path: g.merge(id), body: body, into: into,
	})
	return err
}

func (g *gitlab) comment(ctx context.Context, number int64, text string) error {
	id := strconv.FormatInt(number, 10)
	_, err := g.do(ctx, call{
		doing:  "comment on merge request " + id + " in " + g.project,
		method: http.MethodPost, path: g.merge(id, "notes"), body: map[string]string{"body": text},
	})
	return err
}
