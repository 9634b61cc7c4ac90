// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		flags string
		err   string
	}{
		"none": {"", ""},
		"those of Flux's image-automation-controller": {
			"--no-cross-namespace-refs --ssh-kex-algos=a,b --ssh-hostkey-algos=c --feature-gates=GitForcePushBranch=true,GitShallowClone=false,GitAllBranchReferences=true,GitSparseCheckout=true", "",
		},
		"those of Flux's image-reflector-controller": {
			"--storage-path=/x --gc-interval=10 --storage-value-log-file-size=1 --storage-compression-threshold=64 --requeue-dependency=30s --token-cache-max-size=1 --default-service-account=x --feature-gates=FluxStorage=true", "",
		},
		"identities of clouds":   {"--feature-gates=ObjectLevelWorkloadIdentity=true", "gate ObjectLevelWorkloadIdentity is always false here"},
		"no force":               {"--feature-gates=GitForcePushBranch=false", "gate GitForcePushBranch is always true here"},
		"a cache of nothing":     {"--git-cache-size=0", "--git-cache-size must be at least 1, got 0"},
		"a transfer of nothing":  {"--git-max-transfer-size=-1", "--git-max-transfer-size must be at least 1, got -1"},
		"settings of all":        {"--concurrent=0", "--concurrent must be at least 1, got 0"},
		"a gate that nobody has": {"--feature-gates=Magic=true", "there is no gate \"Magic\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &Options{}
			fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
			o.Bind(fs)
			err := fs.Parse(strings.Fields(tc.flags))
			if err == nil {
				err = o.Validate()
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}
