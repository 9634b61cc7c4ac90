// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func missing(w http.ResponseWriter) {
	reply(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
}

// decode reads a body of JSON, or answers 400.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"message": "Problems parsing JSON"})
		return false
	}
	return true
}

// page answers one page of a list, with the link to the next one.
func page[T any](w http.ResponseWriter, r *http.Request, limit string, items []T, show func(T) any) {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get(limit))
	if err != nil || size < 1 || size > MaxPage {
		size = MaxPage
	}
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	from := min((number-1)*size, len(items))
	to := min(from+size, len(items))
	out := []any{}
	for _, item := range items[from:to] {
		out = append(out, show(item))
	}
	if to < len(items) {
		query.Set("page", strconv.Itoa(number+1))
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?%s>; rel="next"`, r.Host, r.URL.EscapedPath(), query.Encode()))
	}
	reply(w, http.StatusOK, out)
}

// text sets what a request gives.
func text(to *string, from *string) {
	if from != nil {
		*to = *from
	}
}
