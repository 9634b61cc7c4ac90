// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package build turns the files of an unpacked artifact into the objects that a Kustomization asks for: it runs kustomize,
// or does without it where the result is the same, substitutes variables and sets common metadata.
package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// DefaultCacheBytes is how much a Builder keeps if its options do not say.
const DefaultCacheBytes = 64 << 20

// Options set up a Builder.
type Options struct {
	// NoRemoteBases refuses everything that kustomize would fetch, instead of letting it.
	NoRemoteBases bool
	// LenientSubstitution replaces a variable that is not set and has no default by nothing, instead of failing.
	LenientSubstitution bool
	// CacheBytes is about how many bytes of memory the results that are kept may take. 0 means DefaultCacheBytes, and less
	// than 0 that none are kept.
	CacheBytes int64
	// Worker is a program with its arguments that calls Work and nothing else. Builds with remote bases are done by it if it
	// is set: such a build can wait for ever, and in this process all others would wait with it.
	Worker []string
}

// Request is one build.
type Request struct {
	// SourceUID is the UID of the source object that has fetched the artifact. Results are only used again for the same one.
	SourceUID types.UID
	// Digest of the artifact.
	Digest string
	// Root is the directory that the artifact is unpacked in. It has to stay as it is until Build returns; Build does not
	// write to it.
	Root string
	// Kustomization says what to build.
	Kustomization *kustomizev1.Kustomization
	// Variables are those of spec.postBuild: what substituteFrom refers to, in its order, with substitute over it. They are
	// only used if spec.postBuild is set.
	Variables map[string]string
}

// Result is what a build came to.
type Result struct {
	// Objects in kustomize's order. They belong to the caller.
	Objects []*unstructured.Unstructured
	// Files has for each object the file it comes from, relative to the root of the source, or "" if that is not certain.
	Files []string
}

// Builder builds. It is safe for concurrent use.
type Builder struct {
	options Options
	decoder decoder
	plainer plainer
	cache   *cache
}

// New returns a Builder. One per process is enough, and shares its memory best.
func New(options Options) *Builder {
	switch {
	case options.CacheBytes == 0:
		options.CacheBytes = DefaultCacheBytes
	case options.CacheBytes < 0:
		options.CacheBytes = 0
	}
	return &Builder{
		options: options,
		decoder: newDecoder(),
		plainer: newPlainer(),
		cache:   newCache(options.CacheBytes),
	}
}

// CachedBytes returns about how much memory the kept results take.
func (b *Builder) CachedBytes() int64 {
	return b.cache.bytes()
}

// Build returns the objects that a Kustomization asks for. Its errors name the file or the object and the cause, and are
// the same each time; a *PathError says that there is nothing to build at spec.path.
func (b *Builder) Build(ctx context.Context, request Request) (*Result, error) {
	tree, err := overlay.Open(request.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tree.Close() }()
	spec := &request.Kustomization.Spec
	dir, err := locate(tree, spec.Path)
	if err != nil {
		return nil, err
	}
	at := key{source: request.SourceUID, digest: request.Digest, dir: dir}
	found, err := cached(ctx, b.cache, at, func() (*plan, error) { return b.plan(ctx, tree, dir) })
	if err != nil {
		return nil, err
	}
	if found.plain && changesNothingButNamespace(spec) {
		if entries, ok := b.plainer.place(found.entries, spec.TargetNamespace); ok {
			return b.finish(entries, spec, request.Variables)
		}
	}
	if at.spec, err = hashSpec(spec); err != nil {
		return nil, err
	}
	rendered, err := cached(ctx, b.cache, at, func() (*rendering, error) { return b.render(ctx, tree, found, &request) })
	if err != nil {
		return nil, err
	}
	return b.finish(rendered.entries, spec, request.Variables)
}

// locate returns the directory of spec.path in the tree, free of symbolic links.
func locate(tree *overlay.Tree, specPath string) (string, error) {
	// Flux takes an absolute path to begin at the root of the source.
	name := path.Clean(strings.TrimLeft(specPath, "/"))
	fail := func(err error) error {
		return &PathError{Path: name, Cause: err, Near: near(tree, name)}
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return "", &PathError{Path: name, Cause: overlay.ErrEscape}
	}
	dir, err := tree.Resolve(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fail(errors.New("there is no such directory in the source"))
	case err != nil:
		return "", fail(err)
	case !tree.IsDir(dir):
		return "", fail(errors.New("it is a file and has to be a directory"))
	}
	return dir, nil
}

// near returns directories with a kustomization file in the deepest directory on the way to name that exists.
func near(tree *overlay.Tree, name string) []string {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if names, err := tree.ReadDir(dir); err == nil {
			var found []string
			for _, sibling := range names {
				if full := path.Join(dir, sibling); full != name && hasKustomization(tree, full) {
					found = append(found, full)
				}
			}
			return found
		}
		if dir == "." {
			return nil
		}
	}
}

// plan is what is known about a directory of an artifact before any spec is looked at.
type plan struct {
	dir, file string
	// kustomization of the directory, as it is or as it is generated.
	kustomization kustypes.Kustomization
	// remote is true if kustomize has to fetch something, so that the result depends on more than the artifact.
	remote bool
	// plain is true if entries are what kustomize would come to, but for their namespaces.
	plain   bool
	entries []entry
	// files tells in which files an object is, by its identity without version and namespace.
	files map[identity][]string
	bytes int64
}

func (p *plan) size() int64 { return p.bytes }
func (p *plan) keep() bool  { return true }

// plan goes through a directory.
func (b *Builder) plan(ctx context.Context, tree *overlay.Tree, dir string) (*plan, error) {
	p := &plan{dir: dir}
	var err error
	if p.file, err = findKustomization(tree, dir); err != nil {
		return nil, err
	}
	if p.file == "" {
		p.file = defaultFile
		p.kustomization, err = generate(tree, dir)
	} else {
		full := path.Join(dir, p.file)
		var data []byte
		if data, err = tree.ReadFile(full); err != nil {
			return nil, fmt.Errorf("read %s: %w", full, err)
		}
		p.bytes = int64(len(data))
		p.kustomization, err = readRoot(full, data)
	}
	if err != nil {
		return nil, err
	}
	w := b.walker(tree)
	if err := w.kustomization(ctx, &p.kustomization, &level{dir: dir, file: p.file}); err != nil {
		return nil, err
	}
	p.remote = w.remote
	if w.simple {
		p.entries, p.plain = b.plainer.entries(w.sources)
	}
	p.files = filesOf(w.sources)
	p.weigh()
	return p, nil
}

// defaultFile is the name that a generated kustomization gets.
const defaultFile = "kustomization.yaml"

func (b *Builder) walker(tree *overlay.Tree) *walker {
	return &walker{tree: tree, decoder: b.decoder, noRemote: b.options.NoRemoteBases, simple: true}
}

// weigh estimates the size of the plan. A decoded kustomization takes several times the bytes of its file.
func (p *plan) weigh() {
	p.bytes = 4*p.bytes + 1024
	for i := range p.entries {
		p.bytes += p.entries[i].size()
	}
	for id, files := range p.files {
		p.bytes += int64(len(id.name)+len(id.kind)+len(id.group)) + 160
		p.bytes += int64(64 * len(files))
	}
}

// filesOf returns in which files each object is. The names of files are sorted, and each is there once.
func filesOf(sources []source) map[identity][]string {
	files := make(map[identity][]string, len(sources))
	for _, s := range sources {
		group, _, _ := strings.Cut(s.node.GetApiVersion(), "/")
		if !strings.Contains(s.node.GetApiVersion(), "/") {
			group = ""
		}
		id := identity{group: group, kind: s.node.GetKind(), name: s.node.GetName()}
		if !slices.Contains(files[id], s.file) {
			files[id] = append(files[id], s.file)
		}
	}
	for _, names := range files {
		slices.Sort(names)
	}
	return files
}

// rendering is what kustomize has built.
type rendering struct {
	entries []entry
	remote  bool
}

// size implements value.
func (r *rendering) size() int64 {
	total := int64(256)
	for i := range r.entries {
		total += r.entries[i].size()
	}
	return total
}

// keep is false for what was fetched from elsewhere: it may be another thing the next time.
func (r *rendering) keep() bool { return !r.remote }

// render runs kustomize.
func (b *Builder) render(ctx context.Context, tree *overlay.Tree, p *plan, request *Request) (*rendering, error) {
	spec := &request.Kustomization.Spec
	merged, err := merge(p.kustomization, spec, func(name string) bool {
		_, err := tree.Stat(path.Join(p.dir, name))
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	w := b.walker(tree)
	if err := w.added(ctx, &merged, p, len(merged.Components)-len(p.kustomization.Components)); err != nil {
		return nil, err
	}
	manifest, err := yaml.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("write the kustomization for %s: %w", describe(p.dir), err)
	}
	remote := p.remote || w.remote
	contents, err := b.run(ctx, tree, order{Root: request.Root, Dir: p.dir, Laid: map[string][]byte{path.Join(p.dir, p.file): manifest}}, remote)
	if err != nil {
		if isContext(err) {
			return nil, err
		}
		fault := blame(readable(err, p.files), merged.Patches, len(p.kustomization.Patches))
		return nil, fmt.Errorf("kustomize build of %s: %w", describe(p.dir), fault)
	}
	entries := make([]entry, 0, len(contents))
	for _, content := range contents {
		if !isKustomization(identify(content)) {
			entries = append(entries, entry{content: content, dollar: hasDollar(content)})
		}
	}
	nameFiles(entries, p.files, merged.NamePrefix, merged.NameSuffix)
	return &rendering{entries: entries, remote: remote}, nil
}

// run has kustomize do an order, in this process or in one of its own.
func (b *Builder) run(ctx context.Context, tree *overlay.Tree, o order, remote bool) ([]map[string]any, error) {
	if remote && len(b.options.Worker) > 0 {
		return b.delegate(ctx, o)
	}
	built, err := o.kustomize(ctx, tree, remote)
	if err != nil {
		return nil, err
	}
	return contentsOf(built)
}

// nameFiles fills in where the objects come from, as far as that is certain: kustomize does not tell.
func nameFiles(entries []entry, files map[identity][]string, prefix, suffix string) {
	for i := range entries {
		id := identify(entries[i].content).withoutPlace()
		in := files[id]
		if len(in) == 0 {
			id.name = strings.TrimSuffix(strings.TrimPrefix(id.name, prefix), suffix)
			in = files[id]
		}
		if len(in) == 1 {
			entries[i].file = in[0]
		}
	}
}
