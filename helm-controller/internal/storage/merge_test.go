// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPreserve(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ before, after, want string }{
		"nothing unknown":             {`{"name":"a"}`, `{"name":"b"}`, `{"name":"b"}`},
		"a known key goes":            {`{"name":"a","config":{"x":1},"info":{"notes":"n"}}`, `{"name":"a","info":{}}`, `{"name":"a","info":{}}`},
		"an unknown key stays":        {`{"apply_method":"ssa"}`, `{"name":"a"}`, `{"name":"a","apply_method":"ssa"}`},
		"one that is set wins":        {`{"apply_method":"ssa"}`, `{"apply_method":"csa"}`, `{"apply_method":"csa"}`},
		"in info":                     {`{"info":{"by":"x","status":"a"}}`, `{"info":{"status":"b"}}`, `{"info":{"by":"x","status":"b"}}`},
		"in the chart":                {`{"chart":{"modtime":"t","metadata":{"x":1,"icon":"i"}}}`, `{"chart":{"metadata":{"name":"n"}}}`, `{"chart":{"modtime":"t","metadata":{"x":1,"name":"n"}}}`},
		"in templates":                {`{"chart":{"templates":[{"name":"a","modtime":1},{"name":"b","modtime":2}]}}`, `{"chart":{"templates":[{"name":"b"},{"name":"c"}]}}`, `{"chart":{"templates":[{"name":"b","modtime":2},{"name":"c"}]}}`},
		"in hooks and their runs":     {`{"hooks":[{"name":"h","path":"p","x":1,"last_run":{"y":2,"phase":"a"}}]}`, `{"hooks":[{"name":"h","path":"p","last_run":{"phase":"b"}}]}`, `{"hooks":[{"name":"h","path":"p","x":1,"last_run":{"y":2,"phase":"b"}}]}`},
		"of another hook":             {`{"hooks":[{"name":"h","path":"p","x":1}]}`, `{"hooks":[{"name":"h","path":"q"}]}`, `{"hooks":[{"name":"h","path":"q"}]}`},
		"never in values":             {`{"config":{"a":1}}`, `{"config":{"b":2}}`, `{"config":{"b":2}}`},
		"another type than before":    {`{"info":[],"hooks":{},"chart":null}`, `{"info":{},"hooks":[],"chart":{}}`, `{"info":{},"hooks":[],"chart":{}}`},
		"null hooks":                  {`{"hooks":[null,1]}`, `{"hooks":[null,{"name":"h"}]}`, `{"hooks":[null,{"name":"h"}]}`},
		"large numbers stay":          {`{"x":12345678901234567890}`, `{"version":1}`, `{"version":1,"x":12345678901234567890}`},
		"an unknown key that is null": {`{"x":null}`, `{"version":1}`, `{"version":1,"x":null}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := preserve([]byte(test.before), []byte(test.after))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, test.want), parse(t, string(got))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	for _, broken := range []string{`{`, `[`, `{"info":{"a"}}`} {
		if got, err := preserve([]byte(broken), []byte(`{"info":{}}`)); err == nil && broken[0] == '{' {
			t.Errorf("%s: got %s and no error", broken, got)
		}
	}
}

func parse(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	normal, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(normal, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

func FuzzRecord(f *testing.F) {
	store := &Store{codec: newCodec()}
	for _, document := range []string{`{"name":"a","version":1,"info":{"status":"deployed"}}`, `{}`, ``} {
		body, err := store.codec.pack([]byte(document))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(toText(body))
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, err := fromText([]byte(text))
		if err != nil {
			return
		}
		record, err := store.record(&entry{key: "k", body: body})
		if err != nil {
			if len(err.Error()) > 2*maxReason {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		document, err := record.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := preserve(document, []byte(`{"name":"b","info":{},"hooks":[],"chart":{}}`)); err != nil {
			t.Errorf("a record that can be read cannot be updated: %v", err)
		}
		if _, err := mark(document, "failed", "d"); err != nil {
			t.Errorf("a record that can be read cannot be marked: %v", err)
		}
	})
}
