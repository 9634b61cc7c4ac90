// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestOptions(t *testing.T) {
	t.Setenv("RUNTIME_NAMESPACE", "weir-system")
	for name, test := range map[string]struct{ args, want string }{
		"as they come":            {"", ""},
		"a URL":                   {"--webhook-url=https://quota.example.com:9443", ""},
		"a shard":                 {"--watch-label-selector=a=b", "--watch-label-selector"},
		"one namespace":           {"--watch-all-namespaces=false", "--watch-all-namespaces"},
		"no namespace":            {"--runtime-namespace=", "--runtime-namespace"},
		"no port":                 {"--webhook-port=0", "--webhook-port"},
		"a URL with an address":   {"--webhook-url=https://127.0.0.1:9443", "--webhook-url"},
		"a URL without TLS":       {"--webhook-url=http://quota.example.com", "--webhook-url"},
		"something for strangers": {"--unselected=Maybe", "--unselected"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{}
			fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
			o.Bind(fs)
			if err := fs.Parse(strings.Fields(test.args)); err != nil {
				t.Fatal(err)
			}
			err := o.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Validate: %v, want an error about %q", err, test.want)
			}
		})
	}
}
