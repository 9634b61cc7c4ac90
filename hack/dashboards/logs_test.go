// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/dashboards/rehearsal"
	"github.com/weir-gitops/weir/hack/platform"
)

// logsAreStructured reads every line that the controllers have written.
func logsAreStructured(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	keys := documentedKeys(t)
	secrets := secretValues(ctx, t, r)
	for _, c := range r.Platform.Controllers() {
		data, err := os.ReadFile(c.Log)
		if err != nil {
			t.Fatal(err)
		}
		events, lines := 0, bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		if len(lines) < 5 {
			t.Errorf("%s has written %d lines", c.Name, len(lines))
		}
		for _, line := range lines {
			if err := checkLine(line, keys); err != nil {
				t.Errorf("%s: %v: %s", c.Name, err, line)
			}
			if bytes.Contains(line, []byte(`"logger":"event"`)) {
				events++
			}
		}
		if events == 0 && c.Name != "gpu-quota-controller" {
			t.Errorf("%s has written no event", c.Name)
		}
		for name, value := range secrets {
			if bytes.Contains(data, []byte(value)) {
				t.Errorf("the log of %s holds a value of the Secret %s", c.Name, name)
			}
		}
	}
}

// checkLine returns what is wrong with a line.
func checkLine(line []byte, keys []string) error {
	var entry map[string]any
	if err := json.Unmarshal(line, &entry); err != nil {
		return err
	}
	text := func(key string) string { s, _ := entry[key].(string); return s }
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", text("ts")); err != nil {
		return err
	}
	if !slices.Contains([]string{"info", "error", "debug", "trace"}, text("level")) || text("msg") == "" {
		return fmt.Errorf("level %q and msg %q", text("level"), text("msg"))
	}
	for key := range entry {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("the key %q is not documented", key)
		}
	}
	about := text("logger") == "event" || text("reconcileID") != ""
	if about && (text("controllerKind") == "" || text("controllerGroup") == "" || text("name") == "" || entry["namespace"] == nil) {
		return fmt.Errorf("it is about an object and does not say which: %q", entry)
	}
	if text("level") == "error" && text("error") == "" {
		return errors.New("an error without its text")
	}
	return nil
}

// documentedKeys are those of the tables that begin with "| key | meaning |".
func documentedKeys(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs/observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	within := false
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			within = false
			continue
		}
		within = within || strings.HasPrefix(line, "| key | meaning |")
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			if within {
				keys = append(keys, match[1])
			}
		}
	}
	if len(keys) < 10 {
		t.Fatalf("only %d keys are documented", len(keys))
	}
	return keys
}

// secretValues are the values of all Secrets, as they are and as they are in
// the API. What is short is no secret, or would be found anywhere.
func secretValues(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) map[string]string {
	t.Helper()
	api, err := kubernetes.NewForConfig(r.Platform.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	list, err := api.CoreV1().Secrets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	add := func(secret *corev1.Secret, key, value string) {
		if value = strings.TrimSpace(value); len(value) >= 16 {
			values[secret.Namespace+"/"+secret.Name+" "+key] = value
		}
	}
	for i := range list.Items {
		for key, value := range list.Items[i].Data {
			add(&list.Items[i], key+" in base64", base64.StdEncoding.EncodeToString(value))
			for n, line := range strings.Split(string(value), "\n") {
				if !strings.HasPrefix(line, "-----") {
					add(&list.Items[i], fmt.Sprintf("%s line %d", key, n+1), line)
				}
			}
		}
	}
	if len(values) == 0 {
		t.Fatal("there is no Secret to look for")
	}
	return values
}

// strayLinesAreStructured makes net/http complain, which writes to the logger
// of the standard library.
func strayLinesAreStructured(ctx context.Context, t *testing.T, r *rehearsal.Rehearsal) {
	t.Helper()
	port := regexp.MustCompile(`"Serving webhook server".*"port":([0-9]+)`).FindStringSubmatch(read(t, r.Platform.Quota.Log))
	if port == nil {
		t.Fatal("the webhook is not served")
	}
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port[1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = connection.Write([]byte("this is no TLS\n"))
	if err == nil {
		err = connection.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	err = platform.Await(ctx, func(context.Context) error {
		for line := range strings.Lines(read(t, r.Platform.Quota.Log)) {
			if strings.Contains(line, "TLS handshake error") {
				return nil
			}
		}
		return errors.New("the log does not tell of the handshake that failed")
	})
	if err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
