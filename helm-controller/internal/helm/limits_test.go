// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
)

// A server that answers each schema with a reference to the next one holds
// nobody's turn.
func TestSchemasReferToSoManyOthers(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if n > 10*maxSchemas {
			_, _ = fmt.Fprint(w, "{}")
			return
		}
		_, _ = fmt.Fprintf(w, `{"$ref": "/%d.json"}`, n)
	}))
	defer server.Close()
	c := &chart.Chart{Metadata: &chart.Metadata{Name: "app"}, Schema: fmt.Appendf(nil, `{"$ref": %q}`, server.URL+"/0.json")}
	from := &downloads{client: server.Client()}
	fetch := func(address string) ([]byte, error) { return from.get(t.Context(), address) }
	err := schemas{fetch: fetch}.check(c, map[string]any{"a": 1.0})
	if err == nil || !strings.Contains(err.Error(), "more than 64 others") || asked.Load() > maxSchemas {
		t.Errorf("%d schemas were asked for: %v", asked.Load(), err)
	}
}

// An action that is cut short as its turn comes gives the turn back.
func TestWhoIsCutShortLeavesNoTurnBehind(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 1)
	for range 100 {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCanceled)
		r := &run{ctx: ctx, cancel: cancel, slots: slots}
		if outcome := r.toEnd(); outcome.Err == nil {
			t.Fatal("it did not end")
		}
		if len(slots) > 0 {
			t.Fatal("nobody has the turn, and it is taken")
		}
	}
}

// What is cut off a line of Helm's log is cut off after secrets are taken out: a
// part of one is not known for a secret.
func TestNoPartOfASecretIsLogged(t *testing.T) {
	t.Parallel()
	secret := "hunter2hunter2hunter2"
	log := lines{redact: strings.NewReplacer(secret, "***").Replace}
	log.add("%s%s", strings.Repeat("x", maxLine-10), secret)
	for _, line := range log.last() {
		if strings.Contains(line, "hunter2") || len(line) > maxLine+len(" [...]") {
			t.Errorf("logged %d bytes: %q", len(line), line[max(0, len(line)-40):])
		}
	}
}
