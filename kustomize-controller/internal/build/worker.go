// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/resmap"

	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
)

// maxOutput is how many bytes a worker may answer with.
const maxOutput = 256 << 20

// order is what a worker is told, as JSON on its standard input.
type order struct {
	// Root is the directory of the unpacked artifact, and Dir what to build in it.
	Root, Dir string
	// Laid are the files over the artifact.
	Laid map[string][]byte
}

// answer is what a worker has built, as JSON on its standard output.
type answer struct {
	Objects []map[string]any `json:",omitempty"`
	Fault   string           `json:",omitempty"`
}

// Work does one build apart from all others: it reads an order from a Builder on in, and writes the answer to out. A process
// that does nothing else is to call it, as Options.Worker says.
func Work(ctx context.Context, in io.Reader, out io.Writer) error {
	var o order
	err := json.NewDecoder(in).Decode(&o)
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	var a answer
	a.Objects, err = o.work(ctx)
	if err != nil {
		a.Fault = err.Error()
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func (o *order) work(ctx context.Context) ([]map[string]any, error) {
	tree, err := overlay.Open(o.Root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tree.Close() }()
	built, err := o.kustomize(ctx, tree, true)
	if err != nil {
		return nil, err
	}
	return contentsOf(built)
}

// kustomize has kustomize do the order in this process. The files are laid over the tree for good.
func (o *order) kustomize(ctx context.Context, tree *overlay.Tree, remote bool) (resmap.ResMap, error) {
	for name, content := range o.Laid {
		tree.Lay(name, content)
	}
	files, err := overlay.NewFileSystem(tree, overlay.Config{Clones: remote, Check: guardAliases})
	if err != nil {
		return nil, err
	}
	return kustomize(ctx, files, o.Dir)
}

// delegate has a worker do a build. Nothing can stop kustomize while it waits for a server that never answers, and all
// other builds would wait with it; a process can be ended.
func (b *Builder) delegate(ctx context.Context, o order) ([]map[string]any, error) {
	input, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write the order for the worker: %w", err)
	}
	temp, err := os.MkdirTemp("", "weir-build-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the clones of remote bases: %w", pathless(err))
	}
	defer func() { _ = os.RemoveAll(temp) }()
	output := &limited{rest: maxOutput}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, b.options.WorkerTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, b.options.Worker[0], b.options.Worker[1:]...) //nolint:gosec // The program's own.
	command.Stdin, command.Stdout = bytes.NewReader(input), output
	command.Env = workerEnv(temp)
	// Git is a child of the worker and has to end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		if outer.Err() != nil {
			return nil, fmt.Errorf("build in a process of its own: %w", outer.Err())
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("it takes more than %s; a remote base may not answer, or there are too many objects", b.options.WorkerTimeout)
		}
		return nil, fmt.Errorf("the build's own process ended early: %w", pathless(err))
	}
	var a answer
	if err := utiljson.Unmarshal(output.text.Bytes(), &a); err != nil {
		return nil, errors.New("the build's own process gave no answer")
	}
	if a.Fault != "" {
		return nil, errors.New(strings.ReplaceAll(a.Fault, temp, os.TempDir()))
	}
	return a.Objects, nil
}

// pathless returns the cause of an error without the path of this machine that it names.
func pathless(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	if execErr, ok := errors.AsType[*exec.Error](err); ok {
		return execErr.Err
	}
	return err
}

// workerEnv is the environment of a worker: what it takes to reach the outside, and nothing that is of use to Git besides.
func workerEnv(temp string) []string {
	env := []string{"HOME=" + temp, "TMPDIR=" + temp, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
		// A remote base could name a repository on this machine as its own base.
		"GIT_ALLOW_PROTOCOL=https:http:ssh",
	}
	for _, name := range []string{
		"PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// limited keeps what is written to it up to a limit, and fails behind that.
type limited struct {
	text bytes.Buffer
	rest int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.rest -= len(p); l.rest < 0 {
		return 0, fmt.Errorf("the build has more than %d MiB", maxOutput>>20)
	}
	return l.text.Write(p)
}
