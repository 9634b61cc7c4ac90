// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Gate is a behaviour that Flux lets its users switch. Names and defaults are
// Flux's.
type Gate struct {
	Default bool
	// Fixed says why the gate cannot be switched here. A value other than
	// the default is refused with it. Empty: it can.
	Fixed string
	// Moot says why either value means the same here. Empty: it does not.
	Moot string
}

// Gates are the feature gates of a controller. It implements pflag.Value: the
// flag takes a list such as A=true,B=false and may be given several times.
type Gates struct {
	known map[string]Gate
	set   map[string]bool
}

var _ pflag.Value = (*Gates)(nil)

// Bind defines --feature-gates for the gates that the controller knows.
func (g *Gates) Bind(fs *pflag.FlagSet, known map[string]Gate) {
	g.known, g.set = known, map[string]bool{}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		lines = append(lines, fmt.Sprintf("%s=%t", name, known[name].Default))
	}
	fs.Var(g, "feature-gates", "Behaviours to switch, as a list of name=true or name=false. Names and defaults: "+strings.Join(lines, ", ")+".")
}

// Enabled reports whether a gate is on. A gate that was not bound is off.
func (g *Gates) Enabled(name string) bool {
	if on, ok := g.set[name]; ok {
		return on
	}
	return g.known[name].Default
}

// Set takes one list of the flag. Its errors name the gate.
func (g *Gates) Set(list string) error {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, value, _ := strings.Cut(item, "=")
		gate, known := g.known[name]
		if !known {
			return fmt.Errorf("there is no gate %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(g.known)), ", "))
		}
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("gate %s needs =true or =false, got %q", name, value)
		}
		if gate.Fixed != "" && on != gate.Default {
			return fmt.Errorf("gate %s is always %t here: %s", name, gate.Default, gate.Fixed)
		}
		g.set[name] = on
	}
	return nil
}

// String returns what was set, sorted.
func (g *Gates) String() string {
	items := make([]string, 0, len(g.set))
	for _, name := range slices.Sorted(maps.Keys(g.set)) {
		items = append(items, fmt.Sprintf("%s=%t", name, g.set[name]))
	}
	return strings.Join(items, ",")
}

// Type names the form of the value in the usage text.
func (g *Gates) Type() string { return "name=bool,..." }

// Mooted returns, by name, why the gates that were set to another value than
// the default have no effect.
func (g *Gates) Mooted() map[string]string {
	mooted := map[string]string{}
	for name, on := range g.set {
		if gate := g.known[name]; gate.Moot != "" && on != gate.Default {
			mooted[name] = gate.Moot
		}
	}
	return mooted
}
