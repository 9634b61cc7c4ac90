// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

const (
	team = "quota.weir.dev/team"
	tier = "quota.weir.dev/tier"
)

// requirement writes an expression in one line.
func requirement(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func selecting(matchLabels map[string]string, expressions ...metav1.LabelSelectorRequirement) quotav1.GPUQuotaSpec {
	return quotav1.GPUQuotaSpec{NamespaceSelector: &metav1.LabelSelector{MatchLabels: matchLabels, MatchExpressions: expressions}}
}

// TestEntries checks which namespaces an API server asks about, and that it
// asks once.
func TestEntries(t *testing.T) {
	t.Parallel()
	named := quotav1.GPUQuotaSpec{Namespaces: []string{"b", "a"}}
	namespaces := map[string]map[string]string{
		"a": nil, "b": {team: "x"}, "c": {team: "x", tier: "y"}, "d": {tier: "y"}, "e": nil, "kube-system": {team: "x"},
	}
	for name, tc := range map[string]struct {
		specs    []quotav1.GPUQuotaSpec
		settings Settings
		entries  []string
		asked    []string
	}{
		"no quota":          {},
		"only a parent":     {specs: []quotav1.GPUQuotaSpec{{}}},
		"by name":           {specs: []quotav1.GPUQuotaSpec{named}, entries: []string{"names"}, asked: []string{"a", "b"}},
		"by the name label": {specs: []quotav1.GPUQuotaSpec{selecting(map[string]string{metadataName: "e"})}, entries: []string{"names"}, asked: []string{"e"}},
		"by a list of name labels": {
			specs:   []quotav1.GPUQuotaSpec{selecting(map[string]string{team: "x"}, requirement(metadataName, metav1.LabelSelectorOpIn, "d", "e"))},
			entries: []string{"names"}, asked: []string{"d", "e"},
		},
		"by label": {specs: []quotav1.GPUQuotaSpec{selecting(map[string]string{team: "z"})}, entries: []string{"team.label"}, asked: []string{"b", "c"}},
		"by existence": {
			specs:   []quotav1.GPUQuotaSpec{selecting(nil, requirement(tier, metav1.LabelSelectorOpExists), requirement(team, metav1.LabelSelectorOpDoesNotExist))},
			entries: []string{"tier.label"}, asked: []string{"c", "d"},
		},
		"by one of two labels": {specs: []quotav1.GPUQuotaSpec{selecting(map[string]string{tier: "y", team: "x"})}, entries: []string{"team.label"}, asked: []string{"b", "c"}},
		"all of these": {
			specs:   []quotav1.GPUQuotaSpec{named, selecting(map[string]string{team: "x"}), selecting(nil, requirement(tier, metav1.LabelSelectorOpIn, "y"))},
			entries: []string{"names", "team.label", "tier.label"}, asked: []string{"a", "b", "c", "d"},
		},
		"only an excluded one": {specs: []quotav1.GPUQuotaSpec{{Namespaces: []string{"kube-system"}}}},
		"unselected are denied": {
			specs: []quotav1.GPUQuotaSpec{named, selecting(map[string]string{team: "x"})}, settings: Settings{DenyUnselected: true},
			entries: []string{"all"}, asked: []string{"a", "b", "c", "d", "e"},
		},
		"unselected are denied, without a quota": {settings: Settings{DenyUnselected: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.settings.Excluded = []string{"kube-system"}
			selection := Selection{}
			for i := range tc.specs {
				selection.Add(&tc.specs[i])
			}
			var entries, asked []string
			for _, hook := range tc.settings.Configuration(selection, []byte("ca")).Webhooks {
				entries = append(entries, strings.TrimSuffix(hook.Name, "."+Domain))
				selector, err := metav1.LabelSelectorAsSelector(hook.NamespaceSelector)
				if err != nil {
					t.Fatal(err)
				}
				for namespace, set := range namespaces {
					set = maps.Clone(set)
					if set == nil {
						set = map[string]string{}
					}
					set[metadataName] = namespace
					if selector.Matches(k8slabels.Set(set)) {
						asked = append(asked, namespace)
					}
				}
			}
			slices.Sort(asked)
			if diff := cmp.Diff(tc.entries, entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			// Twice would show as a name that is there twice.
			if diff := cmp.Diff(tc.asked, asked); diff != "" {
				t.Errorf("namespaces that are asked about (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEntryNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, key := range []string{
		"quota.weir.dev/team", "quota.weir.dev/Team", "quota.weir.dev/te.am", "quota.weir.dev/te_am", "quota.weir.dev/te-am", "quota.weir.dev/_", metadataName,
		"quota.weir.dev/" + strings.Repeat("a", 63),
	} {
		name := entryName(key)
		if other, taken := seen[name]; taken {
			t.Errorf("%s and %s are both %s", key, other, name)
		}
		seen[name] = key
		if problems := validation.IsDNS1123Subdomain(name); problems != nil {
			t.Errorf("%s of %s: %v", name, key, problems)
		}
		for part := range strings.SplitSeq(name, ".") {
			if problems := validation.IsDNS1123Label(part); problems != nil {
				t.Errorf("%s of %s: %v", name, key, problems)
			}
		}
	}
}

func TestWhereTheAPIServerAsks(t *testing.T) {
	t.Parallel()
	selection := Selection{Names: []string{"a"}, Condition: "true"}
	inside := Settings{Namespace: "weir-system"}
	outside := Settings{Namespace: "weir-system", URL: "https://localhost:9443" + Path}
	where := func(s Settings) string {
		hook := s.Configuration(selection, []byte("ca")).Webhooks[0]
		if string(hook.ClientConfig.CABundle) != "ca" || *hook.FailurePolicy != admissionregistrationv1.Fail || *hook.TimeoutSeconds > 5 || len(hook.MatchConditions) != 1 {
			t.Errorf("entry: %+v", hook)
		}
		if ref := hook.ClientConfig.Service; ref != nil {
			return fmt.Sprintf("%s.%s:%d%s", ref.Name, ref.Namespace, *ref.Port, *ref.Path)
		}
		return *hook.ClientConfig.URL
	}
	if got, want := where(inside), "gpu-quota-webhook.weir-system:443/validate-pods"; got != want {
		t.Errorf("inside: %s, want %s", got, want)
	}
	if got, want := where(outside), "https://localhost:9443/validate-pods"; got != want {
		t.Errorf("outside: %s, want %s", got, want)
	}
}
