// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func describedBy(change map[string]string) map[string]string {
	data := map[string]string{"provider": "generic", "address": "one.example", "serviceAccountName": "weir"}
	maps.Copy(data, change)
	return data
}

func TestDescribe(t *testing.T) {
	for name, tc := range map[string]struct {
		data, byDefault string
		change          map[string]string
		account         string
		audiences       []string
	}{
		"defaults":        {account: "ml/weir", audiences: []string{"one.example"}},
		"audiences":       {change: map[string]string{"audiences": "a\n  b \n"}, account: "ml/weir", audiences: []string{"a", "b"}},
		"default account": {change: map[string]string{"serviceAccountName": ""}, byDefault: "other", account: "ml/other", audiences: []string{"one.example"}},
		"account wins":    {byDefault: "other", account: "ml/weir", audiences: []string{"one.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := describe(describedBy(tc.change), "ml", tc.byDefault)
			if err != nil {
				t.Fatal(err)
			}
			if got.account.name.String() != tc.account || got.config.Host != "https://one.example:443" {
				t.Errorf("account %s at %s, want %s", got.account.name, got.config.Host, tc.account)
			}
			if diff := cmp.Diff(tc.audiences, got.account.audiences); diff != "" {
				t.Errorf("audiences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string
		want   string
		kind   error
	}{
		"no provider": {map[string]string{"provider": ""}, "provider", nil},
		"cloud":       {map[string]string{"provider": "azure"}, "provider azure", ErrProvider},
		"strange":     {map[string]string{"provider": "moon"}, `"moon"`, ErrProvider},
		"no account":  {map[string]string{"serviceAccountName": ""}, "serviceAccountName", nil},
		"no address":  {map[string]string{"address": ""}, "address", nil},
		"no TLS":      {map[string]string{"address": "http://one.example"}, "http", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := describe(describedBy(tc.change), "ml", "")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q in it", err, tc.want)
			}
			if tc.kind != nil && !errors.Is(err, tc.kind) {
				t.Errorf("error %v is not %v", err, tc.kind)
			}
		})
	}
}

// TestKeysDiffer changes one thing at a time: whatever the access depends on is
// part of its key.
func TestKeysDiffer(t *testing.T) {
	keys := map[string]string{}
	note := func(what, namespace string, change map[string]string) {
		got, err := describe(describedBy(change), namespace, "")
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := keys[got.key]; taken {
			t.Errorf("%s has the key of %s", what, other)
		}
		keys[got.key] = what
	}
	note("the plain one", "ml", nil)
	note("another namespace", "web", nil)
	note("another account", "ml", map[string]string{"serviceAccountName": "other"})
	note("another address", "ml", map[string]string{"address": "two.example"})
	note("another CA", "ml", map[string]string{"ca.crt": "CA"})
	note("other audiences", "ml", map[string]string{"audiences": "a"})
	note("two audiences", "ml", map[string]string{"audiences": "a b"})
	if keyOf("a", "bc") == keyOf("ab", "c") {
		t.Error("parts run into each other")
	}
}
