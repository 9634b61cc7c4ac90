// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"reflect"
	"strings"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/spf13/pflag"
)

// TestThePageIsComplete: every field, condition and flag stands on the page of
// the kind, and flags with their defaults.
func TestThePageIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../docs/gitrepositories.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	want := []string{
		sourcev1.ArtifactInStorageCondition, sourcev1.ArtifactOutdatedCondition,
		sourcev1.FetchFailedCondition, sourcev1.StorageOperationFailedCondition,
	}
	want = append(want, fields(reflect.TypeFor[sourcev1.GitRepositorySpec](), "")...)
	want = append(want, fields(reflect.TypeFor[sourcev1.GitRepositoryStatus](), "")...)
	want = append(want, fields(reflect.TypeFor[sourcev1.GitRepositoryRef](), "ref.")...)
	for _, name := range want {
		if !strings.Contains(page, "`"+name+"`") && name != "ref" {
			t.Errorf("%s is not on the page", name)
		}
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	new(Options).Bind(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		_, row, found := strings.Cut(page, "| `--"+f.Name+"` |")
		row, _, _ = strings.Cut(row, "\n")
		if !found {
			t.Errorf("--%s is not on the page", f.Name)
		} else if f.DefValue != "" && f.DefValue != "[]" && !strings.Contains(row, f.DefValue) {
			t.Errorf("--%s: the default %s is not on the page", f.Name, f.DefValue)
		}
	})
}

// fields returns the JSON names of a struct's fields.
func fields(t reflect.Type, prefix string) []string {
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			names = append(names, fields(field.Type, prefix)...)
		case name != "" && name != "-":
			names = append(names, prefix+name)
		}
	}
	return names
}
