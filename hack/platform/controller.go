// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// Namespace is the one that Weir is installed into.
const Namespace = "weir-system"

// local lets a controller use a Git server, a registry and artifacts on this
// machine, which it refuses unless told otherwise.
const local = "--allow-local-sources"

// stopPatience is how long a controller that was told to stop gets before it
// is killed.
const stopPatience = 15 * time.Second

// A Controller is one of Weir's controllers as a process, which the kernel
// ends with the process that started it.
type Controller struct {
	// Name of the controller and of its service account.
	Name string
	// Log is the file that it writes to, across restarts.
	Log string
	// Kubeconfig bears the token of its service account.
	Kubeconfig string
	// Metrics is the address that serves /metrics.
	Metrics string

	program string
	args    []string
	env     []string // beside what all have
	disk    string   // the directory that it caches in
	ready   string   // the URL of its readiness probe

	mu      sync.Mutex
	process *os.Process     // the last one that was started; nil before that
	ended   <-chan struct{} // closed when that one is gone
}

// Programs are the controllers that there are.
func Programs() []string {
	return []string{"source-controller", "kustomize-controller", "helm-controller", "gpu-quota-controller", "image-automation-controller"}
}

// StartControllers starts the controllers, each with the token of its own
// service account, so that the RBAC that ships is what they work with. It
// returns once all are ready.
func (p *Platform) StartControllers(ctx context.Context) error {
	artifacts, err := testkit.FreeAddress()
	if err != nil {
		return err
	}
	webhook, err := testkit.FreeAddress()
	if err != nil {
		return err
	}
	if p.Source, err = p.newController(ctx, "source-controller", func(disk string) []string {
		return []string{local, "--storage-path=" + disk, "--storage-addr=" + artifacts, "--storage-adv-addr=" + artifacts}
	}); err != nil {
		return err
	}
	if p.Kustomize, err = p.newController(ctx, "kustomize-controller", func(disk string) []string {
		return []string{local, "--artifact-path=" + disk}
	}); err != nil {
		return err
	}
	if p.Helm, err = p.newController(ctx, "helm-controller", func(string) []string { return []string{local} }); err != nil {
		return err
	}
	if p.Quota, err = p.newQuotaController(ctx, webhook, webhook); err != nil {
		return err
	}
	if p.Image, err = p.newImageController(ctx); err != nil {
		return err
	}
	var errs []error
	for _, c := range p.Controllers() {
		errs = append(errs, c.Start(ctx))
	}
	return errors.Join(errs...)
}

// StartHelmController starts helm-controller alone, with flags beside those that
// it gets here anyway. Its requests to the API server go through the proxy.
func (p *Platform) StartHelmController(ctx context.Context, proxy *testkit.FaultProxy, flags ...string) (err error) {
	p.Helm, err = p.newController(ctx, "helm-controller", func(string) []string { return append([]string{local}, flags...) })
	if err != nil {
		return err
	}
	account, err := p.Cluster.ServiceAccountConfig(ctx, Namespace, p.Helm.Name)
	if err != nil {
		return err
	}
	if err := testkit.WriteKubeconfig(proxy.Config(account), p.Helm.Kubeconfig); err != nil {
		return err
	}
	return p.Helm.Start(ctx)
}

// StartImageController starts an image-automation-controller, or one more, with
// flags beside those that it gets here anyway. Image is the last one.
func (p *Platform) StartImageController(ctx context.Context, flags ...string) error {
	c, err := p.newImageController(ctx, flags...)
	if err != nil {
		return err
	}
	if p.Image != nil {
		p.replicas = append(p.replicas, p.Image)
	}
	p.Image = c
	return c.Start(ctx)
}

func (p *Platform) newImageController(ctx context.Context, flags ...string) (*Controller, error) {
	return p.newController(ctx, "image-automation-controller", func(disk string) []string {
		return append([]string{local, "--storage-path=" + disk}, flags...)
	})
}

// Controllers are those that were started.
func (p *Platform) Controllers() []*Controller {
	return slices.DeleteFunc(append([]*Controller{p.Source, p.Kustomize, p.Helm, p.Quota, p.Image}, p.replicas...), func(c *Controller) bool { return c == nil })
}

// newController prepares a controller. flags returns those that only it has,
// for a given directory to cache in.
func (p *Platform) newController(ctx context.Context, name string, flags func(disk string) []string) (*Controller, error) {
	c := &Controller{
		Name:       name,
		Log:        p.path(name, "log"),
		Kubeconfig: p.path(name, "kubeconfig"),
		program:    filepath.Join(p.binaries(), name),
	}
	// Each replica has a disk of its own.
	err := os.MkdirAll(p.path(name), 0o750)
	if err == nil {
		c.disk, err = os.MkdirTemp(p.path(name), "disk-")
	}
	if err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", name, err)
	}
	account, err := p.Cluster.ServiceAccountConfig(ctx, Namespace, name)
	if err != nil {
		return nil, err
	}
	if err := testkit.WriteKubeconfig(account, c.Kubeconfig); err != nil {
		return nil, err
	}
	health, err := testkit.FreeAddress()
	if err != nil {
		return nil, err
	}
	if c.Metrics, err = testkit.FreeAddress(); err != nil {
		return nil, err
	}
	c.ready = "http://" + health + "/readyz"
	c.args = append([]string{
		"--runtime-namespace=" + Namespace, "--log-encoding=console",
		"--metrics-addr=" + c.Metrics, "--health-addr=" + health,
	}, append(flags(c.disk), p.Flags...)...)
	return c, nil
}

// Start starts the process and returns once it is ready.
func (c *Controller) Start(ctx context.Context) error {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.program, c.args...)
	cmd.Env = environment(append([]string{"KUBECONFIG=" + c.Kubeconfig}, c.env...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own keeps a Ctrl-C at the terminal from reaching it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	ended, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	c.mu.Lock()
	c.process, c.ended = cmd.Process, ended
	c.mu.Unlock()
	return Await(ctx, c.checkReady)
}

// spawn starts cmd from a thread that lives as long as the process does: the
// kernel sends the signal that ends it with us when that thread ends. The
// channel is closed when the process is gone.
func spawn(cmd *exec.Cmd) (<-chan struct{}, error) {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(ended)
		}
	}()
	return ended, <-started
}

func (c *Controller) checkReady(ctx context.Context) error {
	if !c.Running() {
		return fmt.Errorf("%s has ended by itself", c.Name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ready, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", c.Name, err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: %s", c.Name, response.Status)
	}
	return nil
}

// last returns the process that was started last, or nil if there was none, and
// the channel that is closed when it is gone.
func (c *Controller) last() (*os.Process, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process, c.ended
}

// Running reports whether the process is there.
func (c *Controller) Running() bool {
	process, ended := c.last()
	if process == nil {
		return false
	}
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// PID of the process that was started last.
func (c *Controller) PID() int {
	process, _ := c.last()
	return process.Pid
}

// Kill is kill -9: it returns when the process is gone, which had no say in it.
func (c *Controller) Kill() error {
	return c.end(syscall.SIGKILL)
}

// Stop ends the process in good order. It is an error if it had ended before
// by itself.
func (c *Controller) Stop() error {
	if process, _ := c.last(); process == nil {
		return nil
	}
	return c.end(syscall.SIGTERM)
}

func (c *Controller) end(signal syscall.Signal) error {
	if !c.Running() {
		return fmt.Errorf("%s had ended by itself; the end of its log:\n%s", c.Name, c.LogTail(20))
	}
	process, ended := c.last()
	if err := process.Signal(signal); err != nil {
		return fmt.Errorf("end %s: %w", c.Name, err)
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-ended:
		return nil
	case <-patience.C:
	}
	err := process.Kill()
	<-ended
	return errors.Join(fmt.Errorf("%s did not stop within %s of a %s", c.Name, stopPatience, signal), err)
}

// LoseDisk removes what the controller cached, as a new pod on another node
// would find it. Only for a controller that does not run.
func (c *Controller) LoseDisk() error {
	return errors.Join(os.RemoveAll(c.disk), os.MkdirAll(c.disk, 0o750))
}

// LogTail returns the last lines of the log.
func (c *Controller) LogTail(lines int) string {
	content, err := os.ReadFile(c.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
