// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/forge/forgetest"
	"github.com/weir-gitops/weir/pkg/dial"
)

const (
	token  = "t0ken-of-weir"
	branch = "weir/team/models"
	id     = "team/models (0b5c)"
)

var providers = map[imagev1.Forge]string{
	imagev1.ForgeGitHub: "team/models",
	imagev1.ForgeGitLab: "team/sub/models",
	imagev1.ForgeGitea:  "team/models",
}

// each runs a test against every API.
func each(t *testing.T, test func(t *testing.T, s *forgetest.Server, c Client, project string)) {
	t.Parallel()
	for provider, project := range providers {
		t.Run(string(provider), func(t *testing.T) {
			t.Parallel()
			s, c := start(t, provider, project)
			test(t, s, c, project)
		})
	}
}

func start(t *testing.T, provider imagev1.Forge, project string) (*forgetest.Server, Client) {
	t.Helper()
	s, err := forgetest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.AddProject(project)
	s.AddUser("someone", "other-token")
	s.AddUser("weir-bot", token)
	return s, connect(t, Options{Provider: provider, RepositoryURL: s.URL + "/" + project + ".git", Token: token})
}

func connect(t *testing.T, o Options) Client {
	t.Helper()
	if o.Dialer == nil {
		o.Dialer = dial.New(dial.Policy{AllowLocal: true})
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request() Request {
	return Request{
		Head: branch, Base: "main", ID: id, Title: "Update model to 2.0.0", Body: "| image | tag |\n|---|---|\n| model | 2.0.0 |",
		Labels: []string{"models", "weir"},
	}
}

func TestLifeOfAPullRequest(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, project string) {
		ctx := t.Context()
		r := request()
		if got, err := c.Find(ctx, branch, id); err != nil || len(got) != 0 {
			t.Fatalf("found %v, %v, want nothing", got, err)
		}
		opened, err := c.Open(ctx, r)
		if err != nil || opened.Number != 1 || opened.State != StateOpen || !strings.Contains(opened.URL, project) {
			t.Fatalf("opened %+v, %v", opened, err)
		}
		found, err := c.Find(ctx, branch, id)
		if err != nil || len(found) != 1 || !found[0].Shows(r) || found[0].Author != "weir-bot" {
			t.Fatalf("found %+v, %v", found, err)
		}
		r.Title, r.Body, r.Labels = "Update model to 3.0.0", "three", []string{"models", "third"}
		if found[0].Shows(r) {
			t.Error("the old one shows the new request")
		}
		if _, err := c.Update(ctx, 1, r); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(ctx, 1, "Superseded.\n/merge"); err != nil {
			t.Fatal(err)
		}
		want := []forgetest.PullRequest{{
			Number: 1, Title: "Update model to 3.0.0", Body: "three\n\n<!-- weir-pull-request: team/models%20%280b5c%29 -->", Head: branch, Base: "main",
			Author: "weir-bot", State: "closed", Labels: []string{"models", "weir", "third"}, Comments: []string{"Superseded.\n\\/merge"},
		}}
		if diff := cmp.Diff(want, s.PullRequests(project)); diff != "" {
			t.Error(diff)
		}
		if found, err = c.Find(ctx, branch, id); err != nil || len(found) != 1 || found[0].State != StateClosed || found[0].Merged {
			t.Errorf("found %+v, %v, want it closed", found, err)
		}
		for _, call := range s.Calls() {
			if strings.Contains(call, "merge") && !strings.Contains(call, "merge_requests") {
				t.Errorf("call %s", call)
			}
		}
	})
}

func TestFindOnlyOurs(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, project string) {
		ours := request().rendered()
		pr := forgetest.PullRequest{Head: branch, Base: "main", Title: "x", Body: ours.Body}
		with := func(change func(*forgetest.PullRequest)) forgetest.PullRequest {
			other := pr
			change(&other)
			return other
		}
		for range 3 * forgetest.MaxPage { // more than a page of others comes before
			s.Open(project, token, with(func(p *forgetest.PullRequest) { p.Head = "weir/team/other" }))
		}
		merged := s.Open(project, token, pr)
		s.Edit(project, merged, func(p *forgetest.PullRequest) { p.State, p.Gone = "merged", true })
		s.Open(project, "other-token", pr)
		s.Open(project, token, with(func(p *forgetest.PullRequest) { p.Fork = true }))
		s.Open(project, token, with(func(p *forgetest.PullRequest) { p.Body = "no identity" }))
		s.Open(project, token, with(func(p *forgetest.PullRequest) { p.Body = strings.Replace(p.Body, "0b5c", "0b5d", 1) }))
		edited := s.Open(project, token, pr)
		s.Edit(project, edited, func(p *forgetest.PullRequest) {
			p.Body = "LGTM\r\n" + strings.Replace(p.Body, "<!-- weir-pull-request: ", "<!--weir-pull-request:  ", 1) + "\r\nmore"
		})
		shut := s.Open(project, token, pr)
		s.Shut(project, shut)

		found, err := c.Find(t.Context(), branch, id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range found {
			got = append(got, strconv.FormatInt(p.Number, 10)+" "+p.State+" "+strconv.FormatBool(p.Merged))
		}
		want := []string{
			strconv.FormatInt(edited, 10) + " open false",
			strconv.FormatInt(shut, 10) + " closed false",
			strconv.FormatInt(merged, 10) + " merged true",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestALostAnswerOpensNoSecondOne(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, project string) {
		s.Inject(forgetest.Fault{Method: http.MethodPost, Late: true})
		r := request()
		if _, err := c.Open(t.Context(), r); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("error %v, want ErrUnavailable", err)
		}
		r.Title = "Another title"
		again, err := c.Open(t.Context(), r)
		if err != nil || again.Number != 1 || again.Title != "Another title" {
			t.Fatalf("opened %+v, %v", again, err)
		}
		prs := s.PullRequests(project)
		if len(prs) != 1 || !cmp.Equal(prs[0].Labels, r.Labels) {
			t.Errorf("the forge has %+v", prs)
		}
	})
}

func TestSomebodyElsesPullRequestIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, project string) {
		s.Open(project, "other-token", forgetest.PullRequest{Head: branch, Base: "main", Title: "mine", Body: request().rendered().Body})
		_, err := c.Open(t.Context(), request())
		if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "the branch "+branch+" has an open pull request that was not opened by this automation") {
			t.Errorf("error %v", err)
		}
		if prs := s.PullRequests(project); len(prs) != 1 || prs[0].Title != "mine" || len(prs[0].Labels) > 0 {
			t.Errorf("the forge has %+v", prs)
		}
	})
}

func TestAnswers(t *testing.T) {
	const secret = "do not show this answer"
	now := time.Now()
	tests := map[string]struct {
		fault forgetest.Fault
		class error
		text  string
		after time.Duration
	}{
		"401":                {forgetest.Fault{Status: 401}, ErrAuthentication, "renew it in the Secret", 0},
		"403":                {forgetest.Fault{Status: 403}, ErrForbidden, "the token may not do this", 0},
		"404":                {forgetest.Fault{Status: 404}, ErrNotFound, "check the repository's URL", 0},
		"409":                {forgetest.Fault{Status: 409}, ErrConflict, "", 0},
		"422":                {forgetest.Fault{Status: 422}, ErrRejected, "check that both branches exist", 0},
		"423":                {forgetest.Fault{Status: 423, Body: "archived"}, ErrRejected, "the repository is archived", 0},
		"none":               {forgetest.Fault{Status: 422, Body: "No commits between a and b"}, ErrRejected, "no commit that the base lacks", 0},
		"500":                {forgetest.Fault{Status: 500}, ErrUnavailable, "500 Internal Server Error", 0},
		"429":                {forgetest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, ErrThrottled, "wants fewer requests", 7 * time.Second},
		"429 without a time": {forgetest.Fault{Status: 429}, ErrThrottled, "", time.Minute},
		"429 for a day":      {forgetest.Fault{Status: 429, Header: http.Header{"Retry-After": {"86400"}}}, ErrThrottled, "", time.Hour},
		"primary limit": {forgetest.Fault{Status: 403, Header: http.Header{
			"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {strconv.FormatInt(now.Add(10*time.Minute).Unix(), 10)},
		}}, ErrThrottled, "", 10 * time.Minute},
		"secondary limit": {forgetest.Fault{Status: 403, Body: "You have exceeded a secondary rate limit"}, ErrThrottled, "", time.Minute},
		"maintenance":     {forgetest.Fault{Status: 503, Header: http.Header{"Retry-After": {"30"}}}, ErrThrottled, "", 30 * time.Second},
		"login page":      {forgetest.Fault{Status: 200, Body: "<html>"}, ErrUnavailable, "is not that of its API; check apiURL", 0},
		"cut":             {forgetest.Fault{}, ErrUnavailable, "EOF", 0},
		"cut in the body": {forgetest.Fault{Status: 200, Header: http.Header{"Content-Length": {"1000"}}, Body: "[{"}, ErrUnavailable, "EOF", 0},
		"moved":           {forgetest.Fault{Status: 301, Header: http.Header{"Location": {"/api/v3/repositories/1"}}}, ErrRejected, "says that the repository has moved", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *forgetest.Server, c Client, _ string) {
				f := tc.fault
				f.Method, f.Times = http.MethodPost, -1
				f.Body += secret
				s.Inject(f)
				_, err := c.Open(t.Context(), request())
				if !errors.Is(err, tc.class) || !strings.Contains(err.Error(), tc.text) {
					t.Fatalf("error %v, want %v with %q", err, tc.class, tc.text)
				}
				if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token) {
					t.Errorf("error %q tells too much", err)
				}
				if got := RetryAfter(err); got < tc.after-2*time.Second || got > tc.after {
					t.Errorf("retry after %s, want %s", got, tc.after)
				}
			})
		})
	}
}

func TestARevokedTokenIsNotShown(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, _ string) {
		s.RemoveToken(token)
		// The server answers with the token in its text.
		_, err := c.Find(t.Context(), branch, id)
		if !errors.Is(err, ErrAuthentication) || strings.Contains(err.Error(), token) {
			t.Errorf("error %v", err)
		}
	})
}

func TestASilentForge(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server, c Client, _ string) {
		s.Inject(forgetest.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Find(ctx, branch, id); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "did not answer in time") {
			t.Errorf("error %v", err)
		}
		if _, err := c.Find(t.Context(), branch, id); err != nil {
			t.Errorf("the next time: %v", err)
		}
	})
}

func TestTheTokenStaysAtItsHost(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			s, c := start(t, imagev1.ForgeGitHub, "team/models")
			s.Inject(forgetest.Fault{Method: method, Status: status, Header: http.Header{"Location": {other.URL + "/user"}}})
			_, err := c.Open(t.Context(), request())
			if method == http.MethodGet {
				_, err = c.Find(t.Context(), branch, id)
			}
			if !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "redirects to another host") {
				t.Errorf("%s %d: error %v", method, status, err)
			}
		}
	}
	if len(seen) > 0 {
		t.Errorf("the other host was asked, with %q", <-seen)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s, _ := start(t, imagev1.ForgeGitea, "team/models")
	server := httptest.NewTLSServer(s)
	defer server.Close()
	o := Options{Provider: imagev1.ForgeGitea, RepositoryURL: server.URL + "/team/models", Token: token}
	_, err := connect(t, o).Find(t.Context(), branch, id)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the CA: %v", err)
	}
	o.CA = pemOf(server.Certificate().Raw)
	if _, err := connect(t, o).Open(t.Context(), request()); err != nil {
		t.Errorf("with the CA: %v", err)
	}
}

func TestTheDialerDecides(t *testing.T) {
	t.Parallel()
	c := connect(t, Options{
		Provider: imagev1.ForgeGitLab, RepositoryURL: "https://127.0.0.1:1/team/models", Token: token, Dialer: dial.New(dial.Policy{}),
	})
	if _, err := c.Find(t.Context(), branch, id); !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "--allow-local-sources") {
		t.Errorf("error %v", err)
	}
}
