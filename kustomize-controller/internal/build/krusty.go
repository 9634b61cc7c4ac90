// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"log"
	"path"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/go-logr/logr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// gate lets one kustomize run at a time, in the whole process and not just per Builder: kustomize keeps the OpenAPI
// schema in globals of its own, and reads and writes them without locks.
var gate = make(chan struct{}, 1)

// enter waits for kustomize to be free. The caller calls leave after it.
func enter(ctx context.Context) error {
	select {
	case gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another kustomize build to end: %w", ctx.Err())
	}
}

func leave() { <-gate }

// kustomize builds the directory dir of files. Its errors are those of kustomize, and may hold parts of objects.
func kustomize(ctx context.Context, files filesys.FileSystem, dir string) (built resmap.ResMap, err error) {
	if err := enter(ctx); err != nil {
		return nil, err
	}
	defer leave()
	defer restoreSchema()
	defer func() {
		if r := recover(); r != nil {
			logr.FromContextOrDiscard(ctx).Info("kustomize panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			built, err = nil, fmt.Errorf("kustomize panicked: %v", r)
		}
	}()
	defer surviveFatal(logr.FromContextOrDiscard(ctx))()
	// A schema that a kustomization brings adds to the built-in one, which therefore has to be there before it.
	_ = openapi.Schema()
	return krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: types.LoadRestrictionsNone,
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(files, path.Join(overlay.Base, dir))
}

// surviveFatal keeps the process alive where kustomize ends it: in some builds it calls log.Fatal, and five files in the
// repository of one tenant would stop the controller for all. What else it has to say, such as what is deprecated, goes to
// the given log. The function that it returns ends that.
func surviveFatal(to logr.Logger) (end func()) {
	before := log.Writer()
	log.SetOutput(fatalGuard{to: to})
	return func() { log.SetOutput(before) }
}

// fatalGuard is where the standard logger writes to in the meantime, for all goroutines.
type fatalGuard struct {
	to logr.Logger
}

// Write implements io.Writer. It panics if the process is to end after it.
func (g fatalGuard) Write(line []byte) (int, error) {
	var callers [8]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "log.Fatal") || strings.HasPrefix(frame.Function, "log.(*Logger).Fatal") {
			panic("fatal: " + strings.TrimSpace(string(line))) //nolint:forbidigo // The one way not to return to log.Fatal.
		}
		if !more {
			g.to.V(1).Info("kustomize says something", "text", strings.TrimSpace(string(line)))
			return len(line), nil
		}
	}
}

// restoreSchema puts the built-in schema back if a kustomization has brought another one, which would otherwise serve the
// builds after it. To parse the built-in one takes more time than most builds, so it is not done without need.
func restoreSchema() {
	if openapi.GetSchemaVersion() != openapi.DefaultOpenAPI {
		openapi.ResetOpenAPI()
	}
}

// contentsOf returns what kustomize has built.
func contentsOf(built resmap.ResMap) ([]map[string]any, error) {
	resources := built.Resources()
	contents := make([]map[string]any, 0, len(resources))
	for i, resource := range resources {
		content, err := fromNode(&resource.RNode)
		if err != nil {
			return nil, fmt.Errorf("%s: it cannot be sent to an API server: %s",
				nameOf(i, resource.GetKind(), resource.GetName()), notJSON(err))
		}
		contents = append(contents, content)
	}
	return contents, nil
}

// nameOf names an object that may lack a kind or a name.
func nameOf(index int, kind, name string) string {
	if kind == "" || name == "" {
		return fmt.Sprintf("object %d of the build", index+1)
	}
	return fmt.Sprintf("%s %s", kind, name)
}

// givenTwice finds the key that a map has more than once.
var givenTwice = regexp.MustCompile(`mapping key ("[^"]*") already defined`)

// notJSON explains why an object cannot be written as JSON.
func notJSON(err error) string {
	text := err.Error()
	if match := givenTwice.FindStringSubmatch(text); match != nil {
		return fmt.Sprintf("the key %s is given twice", match[1])
	}
	switch {
	case strings.Contains(text, "name must be a string"), strings.Contains(text, "unsupported type: map"):
		return "it holds a key that is not a string"
	case strings.Contains(text, "unsupported value"):
		return "it holds a number that is not finite"
	}
	return spaces.ReplaceAllString(text, " ")
}
