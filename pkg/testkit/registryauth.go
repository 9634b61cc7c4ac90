// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// authorized says whether a request may be answered, and refuses it if not.
func (r *Registry) authorized(w http.ResponseWriter, req *http.Request) bool {
	if !r.bearer {
		user, password, _ := req.BasicAuth()
		if r.user == "" || user == r.user && password == r.password {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(w, "secret body of a refusal", http.StatusUnauthorized)
		return false
	}
	repo := repositoryOf(req.URL.Path)
	token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	r.mu.Lock()
	known := r.tokens[token+" "+repo] || repo == "" && r.knows(token)
	r.mu.Unlock()
	if known {
		return true
	}
	challenge := fmt.Sprintf(`Bearer realm="%s/token?account=secret",service="registry"`, r.URL)
	if repo != "" {
		challenge += fmt.Sprintf(`,scope="repository:%s:pull"`, repo)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, "secret body of a refusal", http.StatusUnauthorized)
	return false
}

// knows says whether token was given for any repository.
func (r *Registry) knows(token string) bool {
	for key := range r.tokens {
		if strings.HasPrefix(key, token+" ") {
			return true
		}
	}
	return false
}

// repositoryOf returns the repository in the path of a request, or "".
func repositoryOf(path string) string {
	path = strings.TrimPrefix(path, "/v2/")
	for _, part := range [...]string{"/tags/", "/manifests/", "/blobs/", "/referrers/"} {
		if repo, _, found := strings.Cut(path, part); found {
			return repo
		}
	}
	return ""
}

// giveToken answers a request for a token.
func (r *Registry) giveToken(w http.ResponseWriter, req *http.Request) {
	scopes := req.URL.Query()["scope"]
	user, password, _ := req.BasicAuth()
	granted := r.user == "" || user == r.user && password == r.password
	if req.Method == http.MethodPost {
		_ = req.ParseForm()
		scopes = strings.Fields(req.PostForm.Get("scope"))
		granted = req.PostForm.Get("refresh_token") == r.password
	}
	if !granted {
		http.Error(w, "secret body of a refusal", http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	r.issued++
	token := "token-" + strconv.Itoa(r.issued)
	for _, scope := range scopes {
		if parts := strings.Split(scope, ":"); len(parts) == 3 && strings.Contains(parts[2], "pull") {
			r.tokens[token+" "+parts[1]] = true
		}
	}
	r.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
}

// listTags answers with one page of tags.
func (r *Registry) listTags(w http.ResponseWriter, req *http.Request, repo string) {
	tags, found := r.tagsOf(repo)
	if !found {
		http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"secret body of a 404"}]}`, http.StatusNotFound)
		return
	}
	query := req.URL.Query()
	if last := query.Get("last"); last != "" {
		if i := slices.Index(tags, last); i >= 0 {
			tags = tags[i+1:]
		}
	}
	size := len(tags)
	if n, err := strconv.Atoi(query.Get("n")); err == nil && n > 0 {
		size = min(size, n)
	}
	if r.pageSize > 0 {
		size = min(size, r.pageSize)
	}
	if size < len(tags) && !r.noLinks {
		next := url.Values{"n": {strconv.Itoa(size)}, "last": {tags[size-1]}}
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?%s>; rel="next"`, repo, next.Encode()))
	}
	body, err := json.Marshal(map[string]any{"name": repo, "tags": tags[:size]})
	if err != nil {
		http.Error(w, "encode", http.StatusInternalServerError)
		return
	}
	if r.etags {
		sum := sha256.Sum256(body)
		etag := `"` + hex.EncodeToString(sum[:8]) + `"`
		w.Header().Set("ETag", etag)
		if req.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// tagsOf returns the tags of a repository.
func (r *Registry) tagsOf(repo string) (tags []string, found bool) {
	r.mu.Lock()
	tags, found = r.synthetic[repo]
	r.mu.Unlock()
	if found {
		return tags, true
	}
	recorder := httptest.NewRecorder()
	r.store.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/v2/"+repo+"/tags/list", http.NoBody))
	if recorder.Code != http.StatusOK {
		return nil, false
	}
	var list struct{ Tags []string }
	err := json.Unmarshal(recorder.Body.Bytes(), &list)
	return list.Tags, err == nil
}
