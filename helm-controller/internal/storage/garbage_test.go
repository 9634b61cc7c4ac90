// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gitops/weir/helm-controller/internal/storage"
)

func packed(t *testing.T, content []byte) []byte {
	t.Helper()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	must(w.Write(content))(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(compressed.Bytes()))
}

func TestARecordThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content []byte
		want    string
	}{
		"nothing":            {content: nil, want: "it has nothing under the key release"},
		"bad base64":         {content: []byte("%%%"), want: "illegal base64"},
		"no JSON":            {content: []byte(base64.StdEncoding.EncodeToString([]byte("hello"))), want: "not the JSON of a release"},
		"compressed no JSON": {content: packed(t, []byte("hello")), want: "not the JSON of a release"},
		"cut short":          {content: packed(t, bytes.Repeat([]byte("abc"), 1000))[:24], want: "unpack it"},
		"a bomb":             {content: packed(t, make([]byte, 200<<20)), want: "it unpacks to more than 32 MiB"},
		"too deep":           {content: packed(t, bytes.Repeat([]byte("["), 1<<20)), want: "not the JSON of a release"},
		"a long lie":         {content: packed(t, []byte(`{"name":"a","version":1,"info":{"deleted":"`+strings.Repeat("secret", 10_000)+`"}}`)), want: "not the JSON of a release"},
	}
	r := newRig(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := strings.ReplaceAll(strings.ToLower(name), " ", "-")
			create(t, r, release, 1, "superseded")
			create(t, r, release, 2, "deployed")
			spoil := func(s *corev1.Secret) {
				s.Data = map[string][]byte{"release": test.content}
				if test.content == nil {
					s.Data = nil
				}
			}

			// One that was replaced long ago is in nobody's way.
			r.edit(t, storage.Key(release, 1), spoil)
			eventually(t, func() string {
				if got, want := versions(history(t, r.records(t), release)), "v2 deployed"; got != want {
					return "got " + got + ", want " + want
				}
				return ""
			})
			r.edit(t, storage.Key(release, 2), spoil)
			eventually(t, func() string {
				_, err := r.records(t).History(release)
				if err == nil {
					return "there was no error"
				}
				for _, part := range []string{test.want, "'" + r.namespace + "/" + storage.Key(release, 2) + "'", "restore or delete"} {
					if !strings.Contains(err.Error(), part) {
						t.Fatalf("%q does not tell of %s", err, part)
					}
				}
				if len(err.Error()) > 600 {
					t.Fatalf("the error has %d bytes", len(err.Error()))
				}
				return ""
			})
			if _, err := r.records(t).Get(storage.Key(release, 1)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Get: got %v", err)
			}
		})
	}
}
