// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Arguments that are written for Flux's helm-controller are understood, or
// refused with a reason.
func TestFluxArguments(t *testing.T) {
	for name, tc := range map[string]struct{ arg, err string }{
		"graceful":         {"--graceful-shutdown-timeout=10m", ""},
		"oom watch":        {"--oom-watch-interval=500ms", ""},
		"token cache":      {"--token-cache-max-size=100", ""},
		"override manager": {"--override-manager=kubectl", ""},
		"gates":            {"--feature-gates=CancelHealthCheckOnNewRevision=false,UseHelm3Defaults=true,AdoptLegacyReleases=true", ""},
		"fixed gate":       {"--feature-gates=AllowDNSLookups=true", "AllowDNSLookups"},
		"unknown gate":     {"--feature-gates=Nonsense=true", "Nonsense"},
		"digest":           {"--snapshot-digest-algo=sha512", "--snapshot-digest-algo must be sha256, got sha512"},
		"retry":            {"--http-retry=-1", "--http-retry"},
		"timeout":          {"--http-timeout=0s", "--http-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{}
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.Bind(fs)
			err := fs.Parse([]string{tc.arg})
			if err == nil {
				err = o.Validate()
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}
