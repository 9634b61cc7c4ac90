// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// born is when the quota of a test was created, in seconds of some epoch.
func quota(name string, born int64, change ...func(*quotav1.GPUQuota)) quotav1.GPUQuota {
	q := quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	if born > 0 {
		q.CreationTimestamp = metav1.NewTime(time.Unix(born, 0))
	}
	for _, f := range change {
		f(&q)
	}
	return q
}

func below(parent string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) { q.Spec.ParentRef = &quotav1.ParentReference{Name: parent} }
}

func of(namespaces ...string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) { q.Spec.Namespaces = namespaces }
}

func selecting(key, value string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) {
		q.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
}

func requiring(key string, operator metav1.LabelSelectorOperator, values ...string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) {
		if q.Spec.NamespaceSelector == nil {
			q.Spec.NamespaceSelector = &metav1.LabelSelector{}
		}
		q.Spec.NamespaceSelector.MatchExpressions = append(q.Spec.NamespaceSelector.MatchExpressions,
			metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values})
	}
}

func limited(device, hard string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) {
		q.Spec.Limits = append(q.Spec.Limits, quotav1.Limit{Device: device, Hard: hard})
	}
}

func declaring(device, resource string) func(*quotav1.GPUQuota) {
	return func(q *quotav1.GPUQuota) {
		q.Spec.Devices = append(q.Spec.Devices, quotav1.Device{Name: device, Match: quotav1.DeviceMatch{ResourceNames: []string{resource}}})
	}
}

// shown writes the trees of a Forest, one line for each quota with its path
// and the reason of its problem.
func shown(f *Forest) []string {
	var lines []string
	for _, root := range f.Roots() {
		for _, q := range f.Members(root) {
			line := strings.Join(f.Path(q.Name), "<")
			if q.Problem != nil {
				line += " " + q.Problem.Reason
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTrees(t *testing.T) {
	chain := []quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a")), quota("c", 3, below("b")), quota("d", 4, below("c")), quota("e", 5, below("d"))}
	for name, tc := range map[string]struct {
		before, now []quotav1.GPUQuota
		want        []string
	}{
		"none":  {nil, nil, nil},
		"roots": {nil, []quotav1.GPUQuota{quota("b", 1), quota("a", 2)}, []string{"a", "b"}},
		"a tree, the child first": {
			nil, []quotav1.GPUQuota{quota("child", 1, below("root")), quota("root", 2)},
			[]string{"root", "child<root"},
		},
		"five quotas deep": {nil, chain, []string{"a", "b<a", "c<b<a", "d<c<b<a", "e<d<c<b<a"}},
		"six quotas deep": {
			nil, append(chain[:5:5], quota("f", 6, below("e"))),
			[]string{"a", "b<a", "c<b<a", "d<c<b<a", "e<d<c<b<a", "f TooDeep"},
		},
		"six quotas deep by a move: the quota stays": {
			append(chain[:5:5], quota("x", 6), quota("y", 7, below("x"))), append(chain[:5:5], quota("x", 6, below("d")), quota("y", 7, below("x"))),
			[]string{"a", "b<a", "c<b<a", "d<c<b<a", "e<d<c<b<a", "x TooDeep", "y<x"},
		},
		"no parent": {nil, []quotav1.GPUQuota{quota("a", 1, below("gone"))}, []string{"a ParentNotFound"}},
		"the parent goes": {
			[]quotav1.GPUQuota{quota("p", 1), quota("a", 2, below("p")), quota("b", 3, below("a"))},
			[]quotav1.GPUQuota{quota("a", 2, below("p")), quota("b", 3, below("a"))},
			[]string{"a ParentNotFound", "b<a"},
		},
		"its own parent": {nil, []quotav1.GPUQuota{quota("a", 1, below("a"))}, []string{"a Cycle"}},
		"a cycle from the beginning: the oldest moves": {
			nil, []quotav1.GPUQuota{quota("a", 1, below("b")), quota("b", 2, below("a"))},
			[]string{"b Cycle", "a<b"},
		},
		"a cycle by a change: the last valid tree holds": {
			[]quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a")), quota("c", 3, below("b"))},
			[]quotav1.GPUQuota{quota("a", 1, below("c")), quota("b", 2, below("a")), quota("c", 3, below("b"))},
			[]string{"a Cycle", "b<a", "c<b<a"},
		},
		"parent and child change places": {
			[]quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a"))},
			[]quotav1.GPUQuota{quota("a", 1, below("b")), quota("b", 2)},
			[]string{"b", "a<b"},
		},
		"one move makes room for another": {
			[]quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a")), quota("c", 3, below("b"))},
			[]quotav1.GPUQuota{quota("a", 1, below("c")), quota("b", 2, below("c")), quota("c", 3, below("d")), quota("d", 4)},
			[]string{"d", "c<d", "a<c<d", "b<c<d"},
		},
		"an invalid spec: the last valid one holds": {
			[]quotav1.GPUQuota{quota("p", 1), quota("a", 2, below("p"))},
			[]quotav1.GPUQuota{quota("p", 1), quota("a", 2, limited("gpu", "many"))},
			[]string{"p", "a<p InvalidSpec"},
		},
		"an invalid spec from the beginning": {nil, []quotav1.GPUQuota{quota("a", 1, limited("gpu", "many"))}, nil},
		"another quota of the same name": {
			[]quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a"))},
			[]quotav1.GPUQuota{quota("a", 1, below("b")), quota("b", 9, below("a"), func(q *quotav1.GPUQuota) { q.UID = "new" })},
			[]string{"b Cycle", "a<b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(New(nil, tc.before), tc.now)
			if diff := cmp.Diff(tc.want, shown(f)); diff != "" {
				t.Errorf("trees (-want +got):\n%s", diff)
			}
			// It does not depend on the order, and is the same when nothing changes.
			turned := make([]quotav1.GPUQuota, len(tc.now))
			for i := range tc.now {
				turned[len(turned)-1-i] = tc.now[i]
			}
			if diff := cmp.Diff(tc.want, shown(New(f, turned))); diff != "" {
				t.Errorf("trees once more (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecalledTreesHold(t *testing.T) {
	for name, tc := range map[string]struct {
		recalled []Recalled
		want     []string
	}{
		"nothing recalled": {nil, []string{"b Cycle", "a<b"}},
		"a tree":           {[]Recalled{{Name: "a"}, {Name: "b", Parent: "a"}}, []string{"a Cycle", "b<a"}},
		"nonsense":         {[]Recalled{{Name: "a", Parent: "b"}, {Name: "b", Parent: "a"}}, []string{"a Cycle", "b<a"}},
		"parents unknown":  {[]Recalled{{Name: "a", Parent: "x"}, {Name: "b", Parent: "a"}}, []string{"a Cycle", "b<a"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Recall(tc.recalled), []quotav1.GPUQuota{quota("a", 1, below("b")), quota("b", 2, below("a"))})
			if diff := cmp.Diff(tc.want, shown(f)); diff != "" {
				t.Errorf("trees (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClassesOfATreeOutliveItsRoot(t *testing.T) {
	root, child := quota("root", 1, declaring("h100", "nvidia.com/gpu")), quota("child", 2, below("root"), limited("h100", "4"))
	f := New(nil, []quotav1.GPUQuota{root, child})
	if f.Quota("child").Devices != nil || len(f.Quota("root").Devices) != 1 {
		t.Fatalf("classes %v and %v, want them at the root", f.Quota("root").Devices, f.Quota("child").Devices)
	}
	for range 2 {
		f = New(f, []quotav1.GPUQuota{child})
		if q := f.Quota("child"); len(q.Devices) != 1 || q.Devices[0].Name != "h100" || q.Root != "child" {
			t.Errorf("without its root it is in the tree %q with %v", q.Root, q.Devices)
		}
	}
	f = New(Recall([]Recalled{{Name: "child", Devices: root.Spec.Devices}}), []quotav1.GPUQuota{child})
	if q := f.Quota("child"); len(q.Devices) != 1 {
		t.Errorf("classes %v after a restart", q.Devices)
	}
}

func TestProblems(t *testing.T) {
	for name, tc := range map[string]struct {
		quotas []quotav1.GPUQuota
		want   string
	}{
		"cycle":    {[]quotav1.GPUQuota{quota("x", 2, below("y")), quota("y", 1, below("x"))}, "the quota would be its own ancestor (x → y → x)"},
		"depth":    {[]quotav1.GPUQuota{quota("x", 9, below("e")), quota("a", 1), quota("b", 2, below("a")), quota("c", 3, below("b")), quota("d", 4, below("c")), quota("e", 5, below("d"))}, `below GPUQuota "e" a path would have more than 5 quotas`},
		"parent":   {[]quotav1.GPUQuota{quota("x", 1, below("p"))}, `there is no GPUQuota "p"; its own limits hold meanwhile`},
		"limit":    {[]quotav1.GPUQuota{quota("x", 1, limited("h100", "-1"))}, "spec.limits: hard of h100"},
		"workload": {[]quotav1.GPUQuota{quota("x", 1, func(q *quotav1.GPUQuota) { q.Spec.PerWorkload = &quotav1.PerWorkload{MaxGPUs: "x"} })}, "spec.perWorkload.maxGPUs"},
		"selector": {[]quotav1.GPUQuota{quota("x", 1, requiring("quota.weir.dev/team", "Near", "a"))}, "spec.namespaceSelector"},
		"negative": {[]quotav1.GPUQuota{quota("x", 1, requiring("quota.weir.dev/team", metav1.LabelSelectorOpDoesNotExist))}, "at least one requirement must be"},
		"class":    {[]quotav1.GPUQuota{quota("x", 1, declaring("h100", "cpu"))}, "spec.devices[0] (h100)"},
		"both":     {[]quotav1.GPUQuota{quota("x", 1, of("a"), selecting("quota.weir.dev/team", "a"))}, "not both"},
		"devices":  {[]quotav1.GPUQuota{quota("x", 1, declaring("a", "b"), below("y"))}, "declared by the root"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(nil, tc.quotas).Problem("x")
			if p == nil || !strings.Contains(p.Message, tc.want) {
				t.Errorf("problem %+v, want %q", p, tc.want)
			}
		})
	}
	if p := New(nil, []quotav1.GPUQuota{quota("x", 1)}).Problem("x"); p != nil {
		t.Errorf("problem %+v, want none", p)
	}
}

func TestLimits(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{quota("x", 1, limited("h100", "16"), limited("mig", "9/7"), limited("a100", "0"))})
	sevenths, err := gpu.ParseAmount("9/7")
	if err != nil {
		t.Fatal(err)
	}
	want := gpu.Amounts{"h100": gpu.Whole(16), "mig": sevenths, "a100": gpu.Whole(0)}
	if diff := cmp.Diff(map[string]gpu.Amount(want), map[string]gpu.Amount(f.Quota("x").Hard)); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestDependents(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{quota("a", 1), quota("c", 2, below("a")), quota("b", 3, below("a")), quota("d", 4, below("d")), quota("e", 5, below("a"), limited("gpu", "bad"))})
	if diff := cmp.Diff([]string{"b", "c", "e"}, f.Dependents("a")); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}
	if got := f.Dependents("d"); got != nil {
		t.Errorf("children %v of one that names itself", got)
	}
}

func TestWith(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{quota("a", 1, of("one")), quota("b", 2, below("a"), of("two")), quota("c", 3, of("three"))}, "system")
	moved := quota("b", 0, below("c"), of("two", "one", "system", "new"), func(q *quotav1.GPUQuota) { q.UID = "" })
	other := f.With([]quotav1.GPUQuota{moved, quota("d", 0, of("new"))}, "a")
	if diff := cmp.Diff([]string{"c", "b<c", "d"}, shown(other)); diff != "" {
		t.Errorf("trees (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b<a", "c"}, shown(f)); diff != "" {
		t.Errorf("the Forest itself (-want +got):\n%s", diff)
	}
	for namespace, want := range map[string]string{"one": "b", "two": "b", "new": "b", "system": ""} {
		if got, _, _ := other.Owner(namespace, nil); got != want {
			t.Errorf("namespace %s belongs to %q, want %q", namespace, got, want)
		}
	}
	if q := other.Quota("b"); q.UID != "uid-b" || q.Created != time.Unix(2, 0) {
		t.Errorf("the changed quota is %s of %s", q.UID, q.Created)
	}
}

func TestMembersOfNoTree(t *testing.T) {
	f := New(nil, []quotav1.GPUQuota{quota("a", 1), quota("b", 2, below("a"))})
	if f.Members("b") != nil || f.Members("x") != nil || f.Path("x") != nil {
		t.Error("a tree of what is no root")
	}
	if f.Size() != 2 {
		t.Errorf("%d quotas", f.Size())
	}
}

func BenchmarkForest(b *testing.B) {
	quotas := make([]quotav1.GPUQuota, 1000)
	for i := range quotas {
		quotas[i] = quota(fmt.Sprintf("q%d", i), int64(i+1), selecting("quota.weir.dev/team", fmt.Sprint(i)))
		if i%5 > 0 {
			below(fmt.Sprintf("q%d", i-1))(&quotas[i])
		}
	}
	namespaces := make([]Namespace, 5000)
	for i := range namespaces {
		namespaces[i] = Namespace{Name: fmt.Sprintf("n%d", i), Labels: map[string]string{
			"quota.weir.dev/team": fmt.Sprint(i % 1000), "kubernetes.io/metadata.name": fmt.Sprintf("n%d", i), "other": "x",
		}}
	}
	f := New(nil, quotas)
	b.Run("New", func(b *testing.B) {
		for b.Loop() {
			New(f, quotas)
		}
	})
	b.Run("Assign", func(b *testing.B) {
		for b.Loop() {
			f.Assign(namespaces)
		}
	})
	b.Run("Owner", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.Owner("n7", namespaces[7].Labels)
		}
	})
}
