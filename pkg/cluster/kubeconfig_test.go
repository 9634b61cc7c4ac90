// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	someServer = `{server: "https://One.example:6443/path/", certificate-authority-data: Q0E=}`
	someUser   = `{token: hush}`
)

// kubeconfigOf returns a kubeconfig with one context, and others that do not
// count.
func kubeconfigOf(server, user string) []byte {
	return []byte(`{apiVersion: v1, kind: Config, current-context: here,
  contexts: [{name: here, context: {cluster: one, user: me}}, {name: there, context: {cluster: two, user: you}}],
  clusters: [{name: one, cluster: ` + server + `}, {name: two, cluster: {server: "http://two", insecure-skip-tls-verify: true}}],
  users: [{name: me, user: ` + user + `}, {name: you, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: rm, interactiveMode: Never}}}]}`)
}

func TestParseKubeconfig(t *testing.T) {
	ca := rest.TLSClientConfig{CAData: []byte("CA")}
	exec := `{exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: IfAvailable}}`
	for name, tc := range map[string]struct {
		server, user string
		allow        Insecure
		want         rest.Config
	}{
		"token": {someServer, someUser, Insecure{}, rest.Config{
			Host: "https://one.example:6443/path", TLSClientConfig: ca, BearerToken: "hush",
		}},
		"certificate": {someServer, `{client-certificate-data: Qw==, client-key-data: Sw==}`, Insecure{}, rest.Config{
			Host: "https://one.example:6443/path", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("CA"), CertData: []byte("C"), KeyData: []byte("K")},
		}},
		"server name and port": {`{server: one.example, tls-server-name: two}`, `{username: me, password: hush}`, Insecure{}, rest.Config{
			Host: "https://one.example:443", TLSClientConfig: rest.TLSClientConfig{ServerName: "two"}, Username: "me", Password: "hush",
		}},
		"impersonation": {someServer, `{token: hush, as: jane, as-uid: u, as-groups: [g], as-user-extra: {k: [v]}}`, Insecure{}, rest.Config{
			Host: "https://one.example:6443/path", TLSClientConfig: ca, BearerToken: "hush",
			Impersonate: rest.ImpersonationConfig{UserName: "jane", UID: "u", Groups: []string{"g"}, Extra: map[string][]string{"k": {"v"}}},
		}},
		"allowed exec": {someServer, exec, Insecure{Exec: true}, rest.Config{
			Host: "https://one.example:6443/path", TLSClientConfig: ca,
			ExecProvider: &clientcmdapi.ExecConfig{Command: "login", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"},
		}},
		"allowed without TLS": {`{server: "http://one.example"}`, `{}`, Insecure{TLS: true}, rest.Config{Host: "http://one.example:80"}},
		"allowed without check": {`{server: one.example, insecure-skip-tls-verify: true}`, `{}`, Insecure{TLS: true}, rest.Config{
			Host: "https://one.example:443", TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseKubeconfig(kubeconfigOf(tc.server, tc.user), tc.allow)
			if err != nil {
				t.Fatal(err)
			}
			if got.ExecProvider != nil {
				got.ExecProvider.InstallHint, got.ExecProvider.StdinUnavailable, got.ExecProvider.StdinUnavailableMessage = "", false, ""
			}
			if got.Impersonate.UserName == "" {
				got.Impersonate = rest.ImpersonationConfig{}
			}
			got.Proxy = nil
			if diff := cmp.Diff(tc.want.String()+describeSecrets(&tc.want), got.String()+describeSecrets(got)); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

// describeSecrets is what the text of a config leaves out.
func describeSecrets(c *rest.Config) string {
	text := c.Password + c.BearerToken + string(c.CAData) + string(c.KeyData)
	if c.ExecProvider != nil {
		text += c.ExecProvider.Command + string(c.ExecProvider.InteractiveMode)
	}
	return text
}

func TestParseKubeconfigRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		file []byte
		want string
	}{
		"not YAML":        {[]byte("token: {hush"), "it is not a kubeconfig"},
		"another kind":    {[]byte(`{apiVersion: v1, kind: Secret, data: {token: hush}}`), "it is not a kubeconfig"},
		"empty":           {[]byte(`{apiVersion: v1, kind: Config}`), "current-context"},
		"no such cluster": {[]byte(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: x}}]}`), "cluster of its current-context"},
		"no such user": {
			[]byte(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: x, user: who}}], clusters: [{name: x, cluster: {server: a}}]}`),
			"user of its current-context",
		},
		"exec":             {kubeconfigOf(someServer, `{exec: {apiVersion: client.authentication.k8s.io/v1, command: rm, interactiveMode: Never}}`), "--insecure-kubeconfig-exec"},
		"auth provider":    {kubeconfigOf(someServer, `{auth-provider: {name: gcp}}`), "auth-provider"},
		"CA file":          {kubeconfigOf(`{server: a, certificate-authority: /hush}`, someUser), "certificate-authority-data"},
		"certificate file": {kubeconfigOf(someServer, `{client-certificate: /hush}`), "client-certificate-data"},
		"key file":         {kubeconfigOf(someServer, `{client-key: /hush}`), "client-key-data"},
		"token file":       {kubeconfigOf(someServer, `{token: a, tokenFile: /hush}`), "tokenFile"},
		"no TLS check":     {kubeconfigOf(`{server: a, insecure-skip-tls-verify: true}`, someUser), "--insecure-kubeconfig-tls"},
		"no TLS":           {kubeconfigOf(`{server: "http://a"}`, someUser), "--insecure-kubeconfig-tls"},
		"no server":        {kubeconfigOf(`{}`, someUser), "not an address"},
		"strange server":   {kubeconfigOf(`{server: "ftp://a"}`, someUser), "scheme"},
		"user in server":   {kubeconfigOf(`{server: "https://me:hush@a"}`, someUser), "user name"},
		"query in server":  {kubeconfigOf(`{server: "https://a?token=hush"}`, someUser), "query"},
		"strange proxy":    {kubeconfigOf(`{server: a, proxy-url: "ftp://me:hush@a"}`, someUser), "proxy-url"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseKubeconfig(tc.file, Insecure{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("error %v, want %q in it, and no content", err, tc.want)
			}
		})
	}
}

func TestParseKubeconfigTakesNoProxyFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://one.example", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for proxy, want := range map[string]string{"": "", "socks5://proxy.example:1080": "socks5://proxy.example:1080"} {
		config, err := parseKubeconfig(kubeconfigOf(`{server: a, proxy-url: "`+proxy+`"}`, someUser), Insecure{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.Proxy(req)
		if err != nil {
			t.Fatal(err)
		}
		if got == nil && want != "" || got != nil && got.String() != want {
			t.Errorf("with proxy-url %q the proxy is %v, want %q", proxy, got, want)
		}
	}
}
