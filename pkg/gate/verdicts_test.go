// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// A verdict that comes while another one is being read wakes the owner as soon
// as that is done: no event would do it any more.
func TestVerdictsThatComeMeanwhile(t *testing.T) {
	t.Parallel()
	request := Request{Kind: "Kustomization", Namespace: "flux", Name: "app", UID: "u", Revision: "r"}
	data, hash, err := Encode(request)
	if err != nil {
		t.Fatal(err)
	}
	waiting, granted := Verdict{Hash: hash, Answer: Waiting}, Verdict{Hash: hash, Answer: Granted}
	for name, tc := range map[string]struct {
		comes []Verdict
		told  Verdict
		want  int
	}{
		"none":               {nil, waiting, 0},
		"the one it is told": {[]Verdict{granted}, granted, 0},
		"another one":        {[]Verdict{granted}, waiting, 1},
		"after it gave up":   {[]Verdict{granted}, Verdict{}, 1},
		"two":                {[]Verdict{waiting, granted}, waiting, 1},
		"of another request": {[]Verdict{{Hash: "old", Answer: Granted}}, waiting, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			woken := 0
			v := newVerdicts("Kustomization", func(types.NamespacedName) { woken++ })
			done := v.expect(request.UID)
			for _, verdict := range tc.comes {
				text, err := json.Marshal(verdict)
				if err != nil {
					t.Fatal(err)
				}
				obj := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{
					requestKey: string(data), hashKey: hash, VerdictKey: string(text),
				}}}
				obj.SetName(Name(request.UID))
				v.put(obj)
			}
			if woken > 0 {
				t.Fatal("it was woken while it waited")
			}
			done(tc.told)
			if woken != tc.want || len(v.expected) != 0 {
				t.Errorf("woken %d times, want %d; expected are %v", woken, tc.want, v.expected)
			}
		})
	}
}

// A request that was removed while the watch was away wakes its owner too.
func TestRequestsThatAreGoneMeanwhile(t *testing.T) {
	t.Parallel()
	var woken []string
	v := newVerdicts("Kustomization", func(owner types.NamespacedName) { woken = append(woken, owner.Name) })
	for name, answer := range map[string]Answer{"waits": Waiting, "granted": Granted, "stays": Waiting} {
		v.known[Name(types.UID(name))] = posted{kind: "Kustomization", owner: types.NamespacedName{Name: name}, verdict: Verdict{Answer: answer}}
	}
	stays := &unstructured.Unstructured{Object: map[string]any{}}
	stays.SetName(Name("stays"))
	if err := v.Replace([]any{stays}, "1"); err != nil {
		t.Fatal(err)
	}
	if len(woken) != 1 || woken[0] != "waits" || len(v.known) != 1 || !v.complete() {
		t.Errorf("woken are %v, known %v", woken, v.known)
	}
}

// What a condition says must not change from one attempt to the next.
func TestUnavailableSaysNoAddresses(t *testing.T) {
	t.Parallel()
	broken := &url.Error{Op: "Get", URL: "https://10.0.0.1/apis?limit=1", Err: errors.New("read tcp 10.0.0.7:48372->10.0.0.1:443: connection reset by peer")}
	for want, err := range map[string]error{
		"why":                                   &UnavailableError{Why: "why"},
		"why: it is too large":                  &UnavailableError{"why", errors.New("it is too large")},
		"why: the API server cannot be reached": &UnavailableError{"why", broken},
		"whyso: the API server cannot be reached": &UnavailableError{"whyso", errors.Join(broken)},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
