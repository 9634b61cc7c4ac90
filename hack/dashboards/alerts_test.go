// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/hack/alerts"
	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
	"github.com/weir-gitops/weir/hack/platform"
)

// alertsAskForWhatThereIs looks for every metric that an alert asks for, and
// has the API server count a webhook that does not answer. It ends
// gpu-quota-controller.
func alertsAskForWhatThereIs(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, "hack/alerts/rules.yaml"))), &rules); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			for _, name := range alerts.Metrics(rule.Expr) {
				if strings.HasPrefix(name, "apiserver_") {
					continue
				}
				asked++
				series, err := r.Prometheus.Range(ctx, `{__name__=~"`+name+`(_bucket)?"}`, r.Began, time.Now())
				if err != nil || len(series) == 0 {
					t.Errorf("%s asks for %s, of which there are %d series and error %v", rule.Alert, name, len(series), err)
				}
			}
		}
	}
	if asked < len(rules.Groups) {
		t.Errorf("alerts ask for %d metrics", asked)
	}
	webhookIsMissed(ctx, t, r)
}

// missed is a pod that nothing refuses but the webhook.
const missed = `apiVersion: v1
kind: Pod
metadata: {name: missed, namespace: team-serving}
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: missed
    image: none
    resources:
      requests: {cpu: 100m, memory: 128Mi, nvidia.com/gpu: "1"}
      limits: {memory: 128Mi, nvidia.com/gpu: "1"}
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// webhookIsMissed ends gpu-quota-controller and creates a pod with a GPU.
func webhookIsMissed(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	if err := r.Platform.Quota.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Platform.Quota.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(r.Platform.Dir(), "missed.yaml")
	if err := os.WriteFile(file, []byte(missed), 0o600); err != nil {
		t.Fatal(err)
	}
	counted := regexp.MustCompile(`apiserver_admission_webhook_rejection_count\{error_type="calling_webhook_error",name="[a-z.-]+\.gpu-quota\.weir\.dev",.*\} [1-9]`)
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := platform.Await(limited, func(ctx context.Context) error {
		if _, err := r.Platform.Kubectl(ctx, "create", "-f", file); err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
			return fmt.Errorf("creating a pod with a GPU, which nobody counts, gives %w, want that the webhook does not answer", err)
		}
		metrics, err := r.Platform.Kubectl(ctx, "get", "--raw", "/metrics")
		if err == nil && !counted.MatchString(metrics) {
			err = errors.New("the API server does not count that the webhook does not answer")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
