// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

func TestReleasePatch(t *testing.T) {
	ours := []string{"a", "b"}
	for name, tc := range map[string]struct {
		has  []string
		want string
	}{
		"none":       {nil, ""},
		"foreign":    {[]string{"x", "y"}, ""},
		"ours":       {[]string{"a"}, `[{"op":"test","path":"/metadata/finalizers/0","value":"a"},{"op":"remove","path":"/metadata/finalizers/0"}]`},
		"in between": {[]string{"x", "b", "y"}, `[{"op":"test","path":"/metadata/finalizers/1","value":"b"},{"op":"remove","path":"/metadata/finalizers/1"}]`},
		// From the end, so that what is removed first does not move the others.
		"both": {
			[]string{"a", "x", "b"},
			`[{"op":"test","path":"/metadata/finalizers/2","value":"b"},{"op":"remove","path":"/metadata/finalizers/2"},` +
				`{"op":"test","path":"/metadata/finalizers/0","value":"a"},{"op":"remove","path":"/metadata/finalizers/0"}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(releasePatch(tc.has, ours)); got != tc.want {
				t.Errorf("patch %s, want %s", got, tc.want)
			}
		})
	}
}

// An object that the API server does not let go of, such as one that somebody's
// webhook refuses, must not keep the finalizers of all others.
func TestReleaseGoesOnAfterRefusals(t *testing.T) {
	t.Parallel()
	things := &things{names: []string{"a", "b", "c", "d", "e", "f"}, refused: "bed", left: map[string]bool{}}
	for _, name := range things.names {
		things.left[name] = true
	}
	server := httptest.NewServer(things)
	defer server.Close()
	client, err := metadata.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	d := &departure{client: client, finalizers: []string{"ours"}, page: 2}
	kind := &departing{
		resource:   schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"},
		definition: "things.example.com",
	}
	const want = "remove the finalizers of things.example.com default/b and 2 more: refused b"
	// Later looks find only those that were refused, and say the same.
	for i := range 10 {
		released, err := d.release(t.Context(), kind)
		if err == nil || err.Error() != want {
			t.Errorf("look %d: the error is %v, want %s", i, err, want)
		}
		if i == 0 && released != 3 || i > 0 && released != 0 {
			t.Errorf("look %d released %d, want 3 at the first and then none", i, released)
		}
	}
	for _, name := range things.names {
		if refused := strings.Contains(things.refused, name); things.left[name] != refused {
			t.Errorf("%s has its finalizer: %t, want %t", name, things.left[name], refused)
		}
	}
}

func TestRefusal(t *testing.T) {
	cause := errors.New("cause")
	if err := refusal("things", nil); err != nil {
		t.Error(err)
	}
	err := refusal("things", map[string]error{"default/a": cause})
	if !errors.Is(err, cause) || err.Error() != "remove the finalizers of things default/a: cause" {
		t.Error(err)
	}
}

// things serves objects in pages, and refuses to change some.
type things struct {
	names   []string
	refused string // their letters

	mu   sync.Mutex
	left map[string]bool
}

func (s *things) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPatch {
		name := path.Base(r.URL.Path)
		if strings.Contains(s.refused, name) {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
				Status:   metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "refused " + name,
			})
			return
		}
		s.left[name] = false
		_ = json.NewEncoder(w).Encode(s.object(name))
		return
	}
	list := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}}
	names := s.names
	if after := r.URL.Query().Get("continue"); after != "" {
		for names[0] != after {
			names = names[1:]
		}
	}
	if r.URL.Query().Get("limit") == "2" && len(names) > 2 {
		list.Continue, names = names[2], names[:2]
	}
	for _, name := range names {
		list.Items = append(list.Items, s.object(name))
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (s *things) object(name string) metav1.PartialObjectMetadata {
	object := metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
	}
	if s.left[name] {
		object.Finalizers = []string{"ours"}
	}
	return object
}
