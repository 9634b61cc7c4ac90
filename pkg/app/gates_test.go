// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

var testGates = map[string]Gate{
	"Off":   {},
	"On":    {Default: true},
	"Fixed": {Fixed: "nothing else is built"},
	"Moot":  {Default: true, Moot: "there is nothing to switch"},
}

func TestGates(t *testing.T) {
	tests := map[string]struct {
		args []string
		want map[string]bool
		err  string
	}{
		"defaults":          {nil, map[string]bool{"Off": false, "On": true, "Fixed": false, "Moot": true, "Unknown": false}, ""},
		"switched":          {[]string{"Off=true,On=false"}, map[string]bool{"Off": true, "On": false}, ""},
		"given twice":       {[]string{"Off=true", " On=false, "}, map[string]bool{"Off": true, "On": false}, ""},
		"the last one wins": {[]string{"Off=true,Off=false"}, map[string]bool{"Off": false}, ""},
		"fixed, as it is":   {[]string{"Fixed=false"}, map[string]bool{"Fixed": false}, ""},
		"fixed, otherwise":  {[]string{"Fixed=true"}, nil, "gate Fixed is always false here: nothing else is built"},
		"unknown":           {[]string{"Off=true,Else=true"}, nil, `there is no gate "Else"; there are Fixed, Moot, Off, On`},
		"no value":          {[]string{"Off"}, nil, `gate Off needs =true or =false, got ""`},
		"odd value":         {[]string{"Off=perhaps"}, nil, `gate Off needs =true or =false, got "perhaps"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var gates Gates
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			gates.Bind(fs, testGates)
			var args []string
			for _, arg := range test.args {
				args = append(args, "--feature-gates", arg)
			}
			err := fs.Parse(args)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q in it", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for gate, want := range test.want {
				if got := gates.Enabled(gate); got != want {
					t.Errorf("%s is %t, want %t", gate, got, want)
				}
			}
		})
	}
}

func TestMootedGatesAreTold(t *testing.T) {
	var gates Gates
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	gates.Bind(fs, testGates)
	if err := fs.Parse([]string{"--feature-gates=Moot=false,On=false"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"Moot": "there is nothing to switch"}, gates.Mooted()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := gates.String(), "Moot=false,On=false"; got != want {
		t.Errorf("String() is %q, want %q", got, want)
	}
}
