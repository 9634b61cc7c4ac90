// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package alerts holds the alerts for Prometheus, to what promtool and the
// documentation say.
package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/hack/docs/markdown"
)

const (
	root = "../.."
	// site is what links begin with that lead to a file of the repository.
	site = "https://github.com/weir-gitops/weir/blob/main/"
)

// rules is the form of a file of rules.
type rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// TestWithPromtool has Prometheus' own tool check the rules and run their tests.
func TestWithPromtool(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	promtool := filepath.Join(cache, "weir", "prometheus", "usr", "bin", "promtool")
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml", "rules_days_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s, which `make deps-test` unpacks: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestAlerts is about what every alert has to have.
func TestAlerts(t *testing.T) {
	metrics := documented(t)
	tests, err := os.ReadFile("rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range read(t, "rules.yaml").Groups {
		for _, rule := range group.Rules {
			t.Run(rule.Alert, func(t *testing.T) {
				if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" && severity != "info" {
					t.Errorf("severity %q", severity)
				}
				if rule.Annotations["summary"] == "" || rule.For == "" {
					t.Errorf("summary %q and for %q, want both", rule.Annotations["summary"], rule.For)
				}
				page, anchor, _ := strings.Cut(strings.TrimPrefix(rule.Annotations["runbook_url"], site), "#")
				if found, err := markdown.Read(root, page); err != nil || !found.HasAnchor(anchor) || !strings.EqualFold(anchor, rule.Alert) {
					t.Errorf("its runbook %s leads nowhere: %v", rule.Annotations["runbook_url"], err)
				}
				fires := regexp.MustCompile(`(?m)- alertname: ` + rule.Alert + `\n +eval_time: \S+\n +exp_alerts:`)
				quiet := regexp.MustCompile(`\{alertname: ` + rule.Alert + `, eval_time`)
				if !fires.Match(tests) || !quiet.Match(tests) {
					t.Error("rules_test.yaml does not test both that it fires and that it does not")
				}
				for _, name := range Metrics(rule.Expr) {
					if !metrics[name] {
						t.Errorf("it asks for %s, which is not documented", name)
					}
				}
			})
		}
	}
}

// TestOperatorHasTheSameRules compares the rules with those for the operator.
func TestOperatorHasTheSameRules(t *testing.T) {
	data, err := os.ReadFile("operator/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		Kind string `json:"kind"`
		Spec rules  `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, "rules.yaml"), object.Spec); diff != "" || object.Kind != "PrometheusRule" {
		t.Errorf("operator/rules.yaml is a %s with other rules than rules.yaml (-rules.yaml +operator):\n%s", object.Kind, diff)
	}
}

func read(t *testing.T, file string) rules {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	if err := yaml.UnmarshalStrict(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return r
}

// documented are the names of metrics in the tables of the documentation.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, page := range []string{"docs/observability.md", "gpu-quota-controller/docs/gpuquotas.md"} {
		data, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(string(data), -1) {
			names[match[1]] = true
		}
	}
	return names
}
