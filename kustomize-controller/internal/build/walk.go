// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// maxVisits is how many kustomizations one build may go through, a base counting each time that it is used. Without it a
// handful of files that refer to each other twice would keep kustomize busy for days.
const maxVisits = 10_000

// maxObjects is how many objects files may hold for one build. No inventory has room for as many.
const maxObjects = 20_000

// source is an object as it stands in a file.
type source struct {
	node *kyaml.RNode
	file string
	// line of the file that the object begins in, 0 if that is not certain.
	line int
	// rename is what the kustomizations below the root do to its name.
	rename rename
	// namespace is the one that the kustomizations above the file set, the outermost winning, or "".
	namespace string
}

// use is how one kustomization refers to a directory.
type use int

const (
	asResource use = iota
	asComponent
	asPlugin
)

// walker goes through everything that kustomize would read, before it does: so that faults are reported with file and
// cause, so that no remote base is fetched which must not be, and so that it is known when kustomize is not needed.
type walker struct {
	tree     *overlay.Tree
	decoder  decoder
	noRemote bool

	// sources are the objects in files, in kustomize's order.
	sources []source
	// generated are the ConfigMaps and Secrets that kustomizations generate.
	generated []generator
	// simple is true as long as kustomizations only list resources and set namespaces.
	simple bool
	// remote is true once something has to be fetched.
	remote bool
	// sealed are the encrypted files that are read as secrets.
	sealed seals
	visits int
}

// level is a kustomization that the walker is in.
type level struct {
	dir, file string
	use       use
	namespace string
	rename    rename
	above     *level
	// label is said instead of a field of the file, if it is set.
	label string
}

// says names a field of the kustomization file, to begin an error with.
func (l *level) says(field string) string {
	if l.label != "" {
		return l.label
	}
	return fmt.Sprintf("%s in %s", field, path.Join(l.dir, l.file))
}

// kustomization goes through k, which is the one at l.
func (w *walker) kustomization(ctx context.Context, k *types.Kustomization, l *level) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.visits++; w.visits > maxVisits {
		return fmt.Errorf("%s: the kustomizations refer to each other more than %d times", path.Join(l.dir, l.file), maxVisits)
	}
	if len(k.HelmCharts)+len(k.HelmChartInflationGenerator) > 0 {
		return fmt.Errorf("%s: kustomize is not allowed to run Helm here; use a HelmRelease", l.says("helmCharts"))
	}
	if !onlyResources(k) {
		w.simple = false
	}
	if l.namespace == "" {
		l.namespace = k.Namespace
	}
	if l.above != nil {
		l.rename = l.above.rename.inside(k)
	}
	w.generated = append(w.generated, generators(k, l)...)
	for _, entry := range slices.Concat(k.Resources, k.Bases) {
		if err := w.resource(ctx, l, "resources", entry); err != nil {
			return err
		}
	}
	for _, entry := range k.Components {
		if err := w.component(ctx, l, entry); err != nil {
			return err
		}
	}
	return w.others(ctx, k, l)
}

// added goes through what a spec has added to the kustomization of a plan, among it so many components at its end.
func (w *walker) added(ctx context.Context, k *types.Kustomization, p *plan, components int) error {
	l := &level{dir: p.dir, file: p.file, label: "spec.components"}
	for _, entry := range k.Components[len(k.Components)-components:] {
		if err := w.component(ctx, l, entry); err != nil {
			return err
		}
	}
	for _, patch := range k.Patches {
		if err := guardYAML([]byte(patch.Patch)); err != nil {
			return fmt.Errorf("spec.patches: %w", err)
		}
	}
	return nil
}

// resource goes through one entry of resources: a file, a directory or something remote.
func (w *walker) resource(ctx context.Context, l *level, field, entry string) error {
	if isURL(entry) {
		return w.fetch(l, field, entry)
	}
	name, isDir, err := w.find(l, field, entry)
	if err != nil || name == "" {
		return err
	}
	if isDir {
		if isRepository(entry) {
			return w.fetch(l, field, entry)
		}
		below := asResource
		if l.use == asPlugin {
			below = asPlugin
		}
		return w.directory(ctx, l, field, entry, name, below)
	}
	data, err := w.tree.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%s: read %s: %w", l.says(field), name, err)
	}
	nodes, err := w.decoder.decode(name, data)
	if err != nil {
		return err
	}
	lines := linesOf(data, nodes)
	if len(w.sources)+len(nodes) > maxObjects {
		return fmt.Errorf("%s: with %s there are more than %d objects; split this Kustomization", l.says(field), name, maxObjects)
	}
	for i, node := range nodes {
		if l.use == asPlugin {
			if err := w.plugin(l, field, node); err != nil {
				return err
			}
			continue
		}
		w.sources = append(w.sources, source{node: node, file: name, line: lines[i], rename: l.rename, namespace: l.namespace})
	}
	return nil
}

// component goes through one entry of components, which is a directory or remote.
func (w *walker) component(ctx context.Context, l *level, entry string) error {
	w.simple = false
	if isRepository(entry) {
		return w.fetch(l, "components", entry)
	}
	name, isDir, err := w.find(l, "components", entry)
	if err != nil {
		return err
	}
	if !isDir {
		return fmt.Errorf("%s: %q is not a directory", l.says("components"), entry)
	}
	return w.directory(ctx, l, "components", entry, name, asComponent)
}

// find returns what entry names in the tree. The name is empty if it names nothing there, but something remote.
func (w *walker) find(l *level, field, entry string) (name string, isDir bool, err error) {
	if entry == "" {
		return "", false, fmt.Errorf("%s: an entry is empty", l.says(field))
	}
	if isMachinePath(entry) {
		return "", false, fmt.Errorf("%s: %q has to be relative", l.says(field), display(entry))
	}
	name = path.Join(l.dir, entry)
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", false, fmt.Errorf("%s: %q: %w", l.says(field), entry, overlay.ErrEscape)
	}
	isDir, err = w.tree.Stat(name)
	switch {
	case err == nil:
		return name, isDir, nil
	case isRepository(entry) && !errors.Is(err, overlay.ErrEscape):
		return "", false, w.fetch(l, field, entry)
	case errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("%s: there is no %s in the source", l.says(field), name)
	}
	return "", false, fmt.Errorf("%s: %s: %w", l.says(field), name, err)
}

// fetch notes that kustomize will fetch entry, or refuses that.
func (w *walker) fetch(l *level, field, entry string) error {
	w.simple, w.remote = false, true
	if w.noRemote {
		return fmt.Errorf("%s: %q is remote, and this controller does not fetch remote bases; copy it into the source",
			l.says(field), display(entry))
	}
	return nil
}

// directory goes through the kustomization in a directory.
func (w *walker) directory(ctx context.Context, l *level, field, entry, name string, as use) error {
	dir, err := w.tree.Resolve(name)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", l.says(field), name, err)
	}
	if hasOddSegment(entry) {
		w.simple = false
	}
	for above := l; above != nil; above = above.above {
		if contains(dir, above.dir) {
			return fmt.Errorf("%s: %q is a cycle, because %s contains %s, which refers to it",
				l.says(field), entry, describe(dir), describe(path.Join(above.dir, above.file)))
		}
	}
	file, err := findKustomization(w.tree, dir)
	if err != nil {
		return err
	}
	if file == "" {
		return fmt.Errorf("%s: %s has no kustomization.yaml; name its files, or add one", l.says(field), describe(dir))
	}
	full := path.Join(dir, file)
	data, err := w.tree.ReadFile(full)
	if err != nil {
		return fmt.Errorf("read %s: %w", full, err)
	}
	k, err := readNested(full, data)
	if err != nil {
		return err
	}
	switch {
	case as == asComponent && k.Kind != types.ComponentKind:
		return fmt.Errorf("%s: the kind in %s has to be %s", l.says(field), full, types.ComponentKind)
	case as != asComponent && k.Kind == types.ComponentKind:
		return fmt.Errorf("%s: %s is a component; list it under components", l.says(field), full)
	}
	return w.kustomization(ctx, &k, &level{dir: dir, file: file, use: as, namespace: l.namespace, above: l})
}

// others goes through the files that are neither resources nor components.
func (w *walker) others(ctx context.Context, k *types.Kustomization, l *level) error {
	w.seals(k, l)
	for _, text := range inlineTexts(k) {
		if err := guardYAML([]byte(text.entry)); err != nil {
			return fmt.Errorf("%s: %w", l.says(text.field), err)
		}
	}
	for _, ref := range fileRefs(k) {
		if err := w.file(l, ref.field, ref.entry); err != nil {
			return err
		}
		if err := w.parsed(l, ref); err != nil {
			return err
		}
	}
	for _, ref := range plugins(k) {
		if err := w.pluginEntry(ctx, l, ref); err != nil {
			return err
		}
	}
	return nil
}

// file looks at the name of a file that kustomize will read. It may be text instead, and then there is nothing to see.
func (w *walker) file(l *level, field, entry string) error {
	if isURL(entry) {
		return w.fetch(l, field, entry)
	}
	if strings.Contains(entry, "\n") {
		return nil
	}
	if strings.HasPrefix(entry, "/") {
		return fmt.Errorf("%s: %q has to be relative", l.says(field), entry)
	}
	if name := path.Join(l.dir, entry); name == ".." || strings.HasPrefix(name, "../") {
		return fmt.Errorf("%s: %q: %w", l.says(field), entry, overlay.ErrEscape)
	}
	return nil
}

// parsed looks into a file that kustomize will parse. If there is none, kustomize says so.
func (w *walker) parsed(l *level, ref fileRef) error {
	if ref.data || strings.Contains(ref.entry, "\n") {
		return nil
	}
	name := path.Join(l.dir, ref.entry)
	if content, err := w.tree.ReadFile(name); err == nil {
		if err := guardYAML(content); err != nil {
			return fmt.Errorf("%s: read %s: %w", l.says(ref.field), name, err)
		}
	}
	return nil
}

// pluginEntry goes through one entry of generators, transformers or validators.
func (w *walker) pluginEntry(ctx context.Context, l *level, ref fileRef) error {
	nodes, err := w.decoder.decode("the text", []byte(ref.entry))
	if err != nil && strings.Contains(ref.entry, "\n") {
		return fmt.Errorf("%s: %w", l.says(ref.field), err)
	}
	if err != nil {
		inside := *l
		inside.use = asPlugin
		return w.resource(ctx, &inside, ref.field, ref.entry)
	}
	for _, node := range nodes {
		if err := w.plugin(l, ref.field, node); err != nil {
			return err
		}
	}
	return nil
}

// plugin looks at the files that a generator, transformer or validator names.
func (w *walker) plugin(l *level, field string, node *kyaml.RNode) error {
	for _, file := range pluginFiles(node) {
		if err := w.file(l, field, file); err != nil {
			return err
		}
	}
	return nil
}

// contains tells whether the directory inner is dir or lies in it.
func contains(dir, inner string) bool {
	return dir == "." || dir == inner || strings.HasPrefix(inner, dir+"/")
}

// hasOddSegment tells whether a path has a part like "base..x", which kustomize refuses.
func hasOddSegment(entry string) bool {
	for part := range strings.SplitSeq(entry, "/") {
		if part != ".." && strings.Contains(part, "..") {
			return true
		}
	}
	return false
}
