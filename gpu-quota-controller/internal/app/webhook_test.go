// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestWebhookOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		flags       []string
		host, whole string
		problem     string
	}{
		"by its Service":     {nil, "gpu-quota-webhook.weir-system.svc", "", ""},
		"elsewhere":          {[]string{"--webhook-url=https://quota.example.com:9443"}, "quota.example.com", "https://quota.example.com:9443/validate-pods", ""},
		"with the path":      {[]string{"--webhook-url=https://quota.example.com/validate-pods"}, "quota.example.com", "https://quota.example.com/validate-pods", ""},
		"with another path":  {[]string{"--webhook-url=https://quota.example.com/x"}, "", "", "path"},
		"not HTTPS":          {[]string{"--webhook-url=http://quota.example.com"}, "", "", "https://host:port"},
		"an address":         {[]string{"--webhook-url=https://10.0.0.1:9443"}, "", "", "host name"},
		"with a password":    {[]string{"--webhook-url=https://a:b@quota.example.com"}, "", "", "https://host:port"},
		"no port":            {[]string{"--webhook-port=0"}, "", "", "--webhook-port"},
		"another enforcment": {[]string{"--unselected=Maybe"}, "", "", "--unselected"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{}
			fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
			o.Bind(fs)
			if err := fs.Parse(append([]string{"--runtime-namespace=weir-system"}, tc.flags...)); err != nil {
				t.Fatal(err)
			}
			err := o.Validate()
			if tc.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tc.problem) {
					t.Errorf("got %v, want an error about %s", err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			host, whole, err := o.Webhook.location("weir-system")
			if err != nil || host != tc.host || whole != tc.whole {
				t.Errorf("got %q and %q (%v), want %q and %q", host, whole, err, tc.host, tc.whole)
			}
		})
	}
}

func TestExcluded(t *testing.T) {
	t.Parallel()
	o := &Options{}
	o.Bind(pflag.NewFlagSet("test", pflag.ContinueOnError))
	o.Namespace = "weir-system"
	is := excludes(o.excluded())
	for namespace, want := range map[string]bool{"weir-system": true, "kube-system": true, "gpu-operator": true, "team": false, "": false} {
		if is(namespace) != want {
			t.Errorf("%q is excluded: %t", namespace, !want)
		}
	}
}
