// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestCustomApplyStageKinds(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
		err  string
	}{
		"none":       {},
		"one":        {args: []string{"rbac.authorization.k8s.io/Role"}, want: "rbac.authorization.k8s.io/Role"},
		"core":       {args: []string{"ConfigMap"}, want: "ConfigMap"},
		"several":    {args: []string{"example.com/Realm,ConfigMap", "apps/Deployment"}, want: "example.com/Realm,ConfigMap,apps/Deployment"},
		"resource":   {args: []string{"apps/deployments"}, err: `"apps/deployments" is not a kind`},
		"version":    {args: []string{"apps/v1/Deployment"}, err: `"apps/v1/Deployment" is not a kind`},
		"no kind":    {args: []string{"apps/"}, err: `"apps/" is not a kind`},
		"lost comma": {args: []string{"ConfigMap,"}, err: `"" is not a kind`},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Options{}
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.Bind(fs)
			var args []string
			for _, arg := range tc.args {
				args = append(args, "--custom-apply-stage-kinds="+arg)
			}
			err := fs.Parse(args)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q in it", err, tc.err)
				}
				return
			}
			if err != nil || o.CustomStageKinds.String() != tc.want {
				t.Errorf("got %q and error %v, want %q", o.CustomStageKinds.String(), err, tc.want)
			}
		})
	}
}
