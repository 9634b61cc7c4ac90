// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	wire "github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// answerTo posts a request that fits and returns the verdict.
func answerTo(t *testing.T, s *session) wire.Verdict {
	t.Helper()
	request := wire.Request{Kind: "Kustomization", Namespace: "flux", Name: "app", UID: "u", Revision: "r", Change: wire.Change{
		Objects: []wire.Object{object("a", "new", pods(0), pods(4))},
	}}
	e, client := posted(t, request, wire.Verdict{})
	e.verdict.Hash = ""
	s.Client, s.Namespace, s.Holdings, s.Metrics = client.CoreV1(), "weir", holdings.NewStore(), NewMetrics()
	line([]*entry{e})
	if err := s.answer(t.Context(), e, blocked{}); err != nil {
		t.Fatal(err)
	}
	cm, err := client.CoreV1().ConfigMaps("weir").Get(t.Context(), e.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return wire.Parse(cm.Data).Verdict
}

// A ledger without room for one more grant is something to be told, and not to be
// tried over and over.
func TestFullLedgerIsAnswered(t *testing.T) {
	b, s := newBooks()
	s.touched = make(chan struct{}, 1)
	big := ledger.Grant{Owner: "other", Revision: "r"}
	for i := range 600 {
		big.Objects = append(big.Objects, ledger.GrantObject{Key: fmt.Sprintf("apps/Deployment/a/one-of-very-many-workloads-%d", i), Quota: "a"})
	}
	b.records["a"].Grants = []ledger.Grant{big}
	if v := answerTo(t, s); v.Answer != wire.Waiting || v.Text != ledger.ErrFull.Error() || v.Since == "" {
		t.Errorf("the verdict is %+v", v)
	}
	if len(s.touched) != 0 {
		t.Error("it is tried again at once")
	}
	b.records["a"].Grants = nil
	s.records = map[string]*ledger.Record{}
	if v := answerTo(t, s); v.Answer != wire.Granted {
		t.Errorf("with room in the ledger: %+v", v)
	}
}

// Leader election may have been turned off since a leader wrote the ledger.
func TestGrantWithoutElection(t *testing.T) {
	b, s := newBooks()
	s.term = 0
	b.records["a"].Term = 7
	if v := answerTo(t, s); v.Answer != wire.Granted || b.records["a"].Term != 7 || len(b.records["a"].Grants) != 1 {
		t.Errorf("the verdict is %+v, term %d, grants %+v", v, b.records["a"].Term, b.records["a"].Grants)
	}
}
