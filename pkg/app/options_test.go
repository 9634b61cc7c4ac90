// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// options are the defaults, as changed by arguments.
func options(t *testing.T, args ...string) *Options {
	t.Helper()
	o := &Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs, 4)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  string
		want []string
	}{
		"defaults":                       {},
		"no worker":                      {args: []string{"--concurrent=0"}, want: []string{"--concurrent must be at least 1, got 0"}},
		"no request":                     {args: []string{"--kube-api-max-in-flight=-1"}, want: []string{"--kube-api-max-in-flight must be at least 1, got -1"}},
		"too much jitter":                {args: []string{"--interval-jitter-percentage=100"}, want: []string{"--interval-jitter-percentage must be less than 100, got 100"}},
		"no selector":                    {args: []string{"--watch-label-selector=a in"}, want: []string{`--watch-label-selector "a in"`}},
		"leader without a namespace":     {args: []string{"--enable-leader-election"}, want: []string{"leader election needs --runtime-namespace"}},
		"leader in a namespace":          {args: []string{"--enable-leader-election", "--runtime-namespace=weir-system"}},
		"leader in that of the variable": {args: []string{"--enable-leader-election"}, env: "weir-system"},
		"a leader that is missed soon": {args: []string{
			"--enable-leader-election", "--runtime-namespace=weir-system",
			"--leader-election-lease-duration=10s", "--leader-election-renew-deadline=8s", "--leader-election-retry-period=2s",
		}},
		"a lease that ends before its leader gives up": {
			args: []string{"--enable-leader-election", "--runtime-namespace=weir-system", "--leader-election-lease-duration=10s"},
			want: []string{"--leader-election-lease-duration (10s) must be more than --leader-election-renew-deadline (30s)"},
		},
		"a deadline without a second try": {
			args: []string{"--enable-leader-election", "--runtime-namespace=weir-system", "--leader-election-renew-deadline=6s"},
			want: []string{"more than 1.2 times --leader-election-retry-period (5s)"},
		},
		"one namespace, but which":        {args: []string{"--watch-all-namespaces=false"}, want: []string{"--watch-all-namespaces=false needs --runtime-namespace"}},
		"one namespace":                   {args: []string{"--watch-all-namespaces=false", "--runtime-namespace=weir-system"}},
		"all that is wrong, not one only": {args: []string{"--concurrent=0", "--kube-api-max-in-flight=0"}, want: []string{"--concurrent", "--kube-api-max-in-flight"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RUNTIME_NAMESPACE", tc.env)
			err := options(t, tc.args...).Validate()
			if err == nil {
				if len(tc.want) > 0 {
					t.Errorf("no error, want %q", tc.want)
				}
				return
			}
			if len(tc.want) == 0 {
				t.Errorf("error %q, want none", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
		})
	}
}

func TestJittered(t *testing.T) {
	for name, tc := range map[string]struct {
		percentage     string
		lowest, higher time.Duration
	}{
		"none": {"0", time.Hour, time.Hour},
		"ten":  {"10", 54 * time.Minute, 66 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			jittered := options(t, "--interval-jitter-percentage="+tc.percentage).Jittered()
			seen := make([]time.Duration, 100)
			var group sync.WaitGroup
			for i := range seen {
				group.Go(func() { seen[i] = jittered(time.Hour) })
			}
			group.Wait()
			different := map[time.Duration]bool{}
			for _, d := range seen {
				different[d] = true
				if d < tc.lowest || d > tc.higher {
					t.Errorf("%s, want %s to %s", d, tc.lowest, tc.higher)
				}
			}
			if spread := len(different) > 1; spread != (tc.lowest != tc.higher) {
				t.Errorf("%d different intervals", len(different))
			}
		})
	}
}
