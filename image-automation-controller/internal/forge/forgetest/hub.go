// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forgetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// hub answers in the API of GitHub or Gitea.
type hub struct {
	*Server
	github bool
}

func (s *Server) routeHub(root string, github bool) {
	h := &hub{Server: s, github: github}
	repo := root + "/repos/{owner}/{repo}"
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET " + root + "/user":                      h.user,
		"GET " + repo + "/pulls":                     h.list,
		"POST " + repo + "/pulls":                    h.create,
		"PATCH " + repo + "/pulls/{number}":          h.edit,
		"POST " + repo + "/issues/{number}/comments": h.comment,
		"POST " + repo + "/issues/{number}/labels":   h.label,
		"GET " + repo + "/labels":                    h.labels,
		"POST " + repo + "/labels":                   h.createLabel,
	} {
		s.mux.HandleFunc(pattern, s.authenticated(handler))
	}
}

func (h *hub) user(w http.ResponseWriter, r *http.Request) {
	who := whoIs(r)
	reply(w, http.StatusOK, map[string]any{"id": who.id, "login": who.name})
}

// project returns that of the path, or answers 404.
func (h *hub) project(w http.ResponseWriter, r *http.Request) *project {
	p := h.projects[r.PathValue("owner")+"/"+r.PathValue("repo")]
	if p == nil {
		missing(w)
	}
	return p
}

// pull returns that of the path, or answers 404.
func (h *hub) pull(w http.ResponseWriter, r *http.Request) (*project, *pull) {
	p := h.project(w, r)
	if p == nil {
		return nil, nil
	}
	number, _ := strconv.ParseInt(r.PathValue("number"), 10, 64)
	pr := p.pull(number)
	if pr == nil {
		missing(w)
	}
	return p, pr
}

func (h *hub) list(w http.ResponseWriter, r *http.Request) {
	p := h.project(w, r)
	if p == nil {
		return
	}
	query := r.URL.Query()
	owner, branch, byHead := strings.Cut(query.Get("head"), ":")
	state := query.Get("state")
	pulls := p.listed(func(pr *pull) bool {
		if state != "all" && (state == "closed") == (pr.State == "open") {
			return false
		}
		if !h.github {
			return query.Get("poster") == "" || query.Get("poster") == pr.Author
		}
		return !byHead || pr.Head == branch && !pr.Fork && strings.HasPrefix(p.path, owner+"/")
	})
	limit := "limit"
	if h.github {
		limit = "per_page"
	}
	page(w, r, limit, pulls, func(pr *pull) any { return h.show(p, pr) })
}

func (h *hub) show(p *project, pr *pull) map[string]any {
	headRepo := p.id
	if pr.Fork {
		headRepo = -p.id
	}
	owner, _, _ := strings.Cut(p.path, "/")
	head, headLabel := pr.Head, owner+":"+pr.Head
	if !h.github {
		headLabel = pr.Head
		if pr.Gone {
			head = "refs/pull/" + strconv.FormatInt(pr.Number, 10) + "/head"
		}
	}
	labels := []any{}
	for _, name := range pr.Labels {
		labels = append(labels, map[string]any{"id": p.label(name), "name": name})
	}
	out := map[string]any{
		"number": pr.Number, "html_url": h.URL + "/" + p.path + "/pulls/" + strconv.FormatInt(pr.Number, 10),
		"state": "closed", "merged_at": nil, "title": pr.Title, "body": pr.Body, "labels": labels,
		"user": map[string]any{"id": pr.author.id, "login": pr.author.name},
		"head": map[string]any{"ref": head, "label": headLabel, "repo": map[string]any{"id": headRepo}},
		"base": map[string]any{"ref": pr.Base, "label": pr.Base, "repo": map[string]any{"id": p.id}},
	}
	switch pr.State {
	case "open":
		out["state"] = "open"
	case "merged":
		out["merged_at"] = "2026-11-01T00:00:00Z"
	}
	return out
}

// label returns the number of a label, which is made if it is new.
func (p *project) label(name string) int64 {
	for _, l := range p.labels {
		if l.name == name {
			return l.id
		}
	}
	p.labels = append(p.labels, label{id: int64(len(p.labels) + 1), name: name})
	return int64(len(p.labels))
}

// hubForm is what may be set of a pull request.
type hubForm struct {
	Title, Body, Head, Base, State *string
}

func (h *hub) create(w http.ResponseWriter, r *http.Request) {
	p := h.project(w, r)
	form := hubForm{}
	if p == nil || !decode(w, r, &form) {
		return
	}
	pr := PullRequest{}
	text(&pr.Title, form.Title)
	text(&pr.Body, form.Body)
	text(&pr.Head, form.Head)
	text(&pr.Base, form.Base)
	switch {
	case pr.Title == "" || pr.Head == "" || pr.Base == "":
		reply(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
	case pr.Head == pr.Base:
		reply(w, http.StatusUnprocessableEntity, map[string]string{"message": "No commits between " + pr.Base + " and " + pr.Head})
	case p.openFrom(pr.Head, pr.Base) != nil && h.github:
		reply(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []any{
			map[string]string{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for " + pr.Head + "."},
		}})
	case p.openFrom(pr.Head, pr.Base) != nil:
		reply(w, http.StatusConflict, map[string]string{"message": "pull request already exists for these targets"})
	default:
		reply(w, http.StatusCreated, h.show(p, h.open(p, whoIs(r), pr)))
	}
}

func (h *hub) edit(w http.ResponseWriter, r *http.Request) {
	p, pr := h.pull(w, r)
	form := hubForm{}
	if pr == nil || !decode(w, r, &form) {
		return
	}
	text(&pr.Title, form.Title)
	text(&pr.Body, form.Body)
	text(&pr.Base, form.Base)
	if form.State != nil && pr.State != "merged" {
		pr.State = *form.State
	}
	h.touch(pr)
	reply(w, http.StatusOK, h.show(p, pr))
}

func (h *hub) comment(w http.ResponseWriter, r *http.Request) {
	_, pr := h.pull(w, r)
	form := struct{ Body string }{}
	if pr == nil || !decode(w, r, &form) {
		return
	}
	pr.Comments = append(pr.Comments, form.Body)
	h.touch(pr)
	reply(w, http.StatusCreated, map[string]any{"id": len(pr.Comments)})
}

// label takes names as GitHub, or numbers as Gitea.
func (h *hub) label(w http.ResponseWriter, r *http.Request) {
	p, pr := h.pull(w, r)
	if pr == nil {
		return
	}
	var names []string
	if h.github {
		form := struct{ Labels []string }{}
		if !decode(w, r, &form) {
			return
		}
		names = form.Labels
	} else {
		form := struct{ Labels []int64 }{}
		if !decode(w, r, &form) {
			return
		}
		for _, l := range p.labels {
			if slices.Contains(form.Labels, l.id) {
				names = append(names, l.name)
			}
		}
	}
	pr.add(names)
	h.touch(pr)
	reply(w, http.StatusOK, []any{})
}

func (pr *pull) add(labels []string) {
	for _, name := range labels {
		if name != "" && !slices.Contains(pr.Labels, name) {
			pr.Labels = append(pr.Labels, name)
		}
	}
}

func (h *hub) labels(w http.ResponseWriter, r *http.Request) {
	if p := h.project(w, r); p != nil {
		page(w, r, "limit", p.labels, func(l label) any { return map[string]any{"id": l.id, "name": l.name} })
	}
}

func (h *hub) createLabel(w http.ResponseWriter, r *http.Request) {
	p := h.project(w, r)
	form := struct{ Name, Color string }{}
	if p == nil || !decode(w, r, &form) {
		return
	}
	if form.Name == "" || form.Color == "" {
		reply(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return
	}
	reply(w, http.StatusCreated, map[string]any{"id": p.label(form.Name), "name": form.Name})
}
