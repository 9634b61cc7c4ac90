// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forgetest

import (
	"net/http"
	"strconv"
	"strings"
)

// lab answers in the API of GitLab.
type lab struct{ *Server }

func (s *Server) routeLab(root string) {
	l := &lab{s}
	// The project is one element of the path, with %2F in it.
	merges := root + "/projects/{project}/merge_requests"
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET " + root + "/user":              l.user,
		"GET " + merges:                      l.list,
		"POST " + merges:                     l.create,
		"PUT " + merges + "/{number}":        l.edit,
		"POST " + merges + "/{number}/notes": l.comment,
	} {
		s.mux.HandleFunc(pattern, s.authenticated(handler))
	}
}

func (l *lab) user(w http.ResponseWriter, r *http.Request) {
	who := whoIs(r)
	reply(w, http.StatusOK, map[string]any{"id": who.id, "username": who.name})
}

func (l *lab) project(w http.ResponseWriter, r *http.Request) *project {
	p := l.projects[r.PathValue("project")]
	if p == nil {
		missing(w)
	}
	return p
}

func (l *lab) pull(w http.ResponseWriter, r *http.Request) (*project, *pull) {
	p := l.project(w, r)
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

func (l *lab) list(w http.ResponseWriter, r *http.Request) {
	p := l.project(w, r)
	if p == nil {
		return
	}
	query := r.URL.Query()
	author, _ := strconv.ParseInt(query.Get("author_id"), 10, 64)
	branch, state := query.Get("source_branch"), query.Get("state")
	pulls := p.listed(func(pr *pull) bool {
		return (author == 0 || author == pr.author.id) && (branch == "" || branch == pr.Head) &&
			(state == "" || state == "all" || state == labState(pr))
	})
	page(w, r, "per_page", pulls, func(pr *pull) any { return l.show(p, pr) })
}

func labState(pr *pull) string {
	if pr.State == "open" {
		return "opened"
	}
	return pr.State
}

func (l *lab) show(p *project, pr *pull) map[string]any {
	source := p.id
	if pr.Fork {
		source = -p.id
	}
	labels := []string{}
	labels = append(labels, pr.Labels...)
	return map[string]any{
		"iid": pr.Number, "web_url": l.URL + "/" + p.path + "/-/merge_requests/" + strconv.FormatInt(pr.Number, 10),
		"state": labState(pr), "title": pr.Title, "description": pr.Body, "labels": labels,
		"author":        map[string]any{"id": pr.author.id, "username": pr.author.name},
		"source_branch": pr.Head, "target_branch": pr.Base, "source_project_id": source, "target_project_id": p.id,
	}
}

// labForm is what may be set of a merge request.
type labForm struct {
	SourceBranch string  `json:"source_branch"`
	TargetBranch *string `json:"target_branch"`
	Title        *string `json:"title"`
	Description  *string `json:"description"`
	Labels       string  `json:"labels"`
	AddLabels    string  `json:"add_labels"`
	StateEvent   string  `json:"state_event"`
}

func (l *lab) create(w http.ResponseWriter, r *http.Request) {
	p := l.project(w, r)
	form := labForm{}
	if p == nil || !decode(w, r, &form) {
		return
	}
	pr := PullRequest{Head: form.SourceBranch}
	text(&pr.Title, form.Title)
	text(&pr.Body, form.Description)
	text(&pr.Base, form.TargetBranch)
	switch {
	case pr.Title == "" || pr.Head == "" || pr.Base == "":
		reply(w, http.StatusBadRequest, map[string]string{"error": "title, source_branch or target_branch is missing"})
	case p.openFrom(pr.Head, pr.Base) != nil:
		reply(w, http.StatusConflict, map[string]any{"message": []string{
			"Another open merge request already exists for this source branch: !" + strconv.FormatInt(p.openFrom(pr.Head, pr.Base).Number, 10),
		}})
	default:
		opened := l.open(p, whoIs(r), pr)
		opened.add(strings.Split(form.Labels, ","))
		reply(w, http.StatusCreated, l.show(p, opened))
	}
}

func (l *lab) edit(w http.ResponseWriter, r *http.Request) {
	p, pr := l.pull(w, r)
	form := labForm{}
	if pr == nil || !decode(w, r, &form) {
		return
	}
	text(&pr.Title, form.Title)
	text(&pr.Body, form.Description)
	text(&pr.Base, form.TargetBranch)
	pr.add(strings.Split(form.AddLabels, ","))
	if form.StateEvent == "close" && pr.State == "open" {
		pr.State = "closed"
	}
	l.touch(pr)
	reply(w, http.StatusOK, l.show(p, pr))
}

func (l *lab) comment(w http.ResponseWriter, r *http.Request) {
	_, pr := l.pull(w, r)
	form := struct{ Body string }{}
	if pr == nil || !decode(w, r, &form) {
		return
	}
	pr.Comments = append(pr.Comments, form.Body)
	l.touch(pr)
	reply(w, http.StatusCreated, map[string]any{"id": len(pr.Comments)})
}
