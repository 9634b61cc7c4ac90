// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/weir-gitops/weir/hack/images/image"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// ImagesService is the name under which pods know the node's registry: images
// that are pushed to Node().Registry can be run, and scanned, as
// ImagesRegistry/<repository>.
const (
	ImagesService  = "images"
	ImagesRegistry = ImagesService + "." + ForgeNamespace + ".svc.cluster.local:5000"
)

// StartPods brings up Kubernetes with a real node, and on it Weir as pods of an
// overlay below bootstrap ("." is bootstrap itself), from images that it builds.
// It returns once all of Weir's Deployments are available. Source, Kustomize and
// the other processes are nil. Nothing is left of it after an error.
func StartPods(ctx context.Context, overlay string, opts ...testkit.ClusterOption) (*Platform, error) {
	p, err := New()
	if err != nil {
		return nil, err
	}
	return p, p.startPods(ctx, overlay, opts)
}

// StartPodsBeside is StartPods with the images that p has, on a cluster of its own.
func (p *Platform) StartPodsBeside(ctx context.Context, overlay string, opts ...testkit.ClusterOption) (*Platform, error) {
	other, err := New()
	if err != nil {
		return nil, err
	}
	other.images = p.images
	return other, other.startPods(ctx, overlay, opts)
}

func (p *Platform) startPods(ctx context.Context, overlay string, opts []testkit.ClusterOption) error {
	return p.bringUp(ctx, p.BuildImages,
		func(ctx context.Context) error { return p.StartNode(ctx, opts...) },
		p.PushImages,
		func(ctx context.Context) error { return p.InstallPods(ctx, overlay) },
	)
}

// StartNode starts Kubernetes with one real node, and what the options ask for.
func (p *Platform) StartNode(ctx context.Context, opts ...testkit.ClusterOption) error {
	if err := p.StartCluster(ctx, 0, append([]testkit.ClusterOption{testkit.WithNode(0)}, opts...)...); err != nil {
		return err
	}
	p.onNode = true
	if _, err := p.Kubectl(ctx, "create", "namespace", ForgeNamespace); err != nil {
		return err
	}
	_, err := p.known(ctx, ImagesService, "5000", p.Cluster.Node().Registry)
	return err
}

// BuildImages builds the controllers' images, unless there are some.
func (p *Platform) BuildImages(ctx context.Context) (err error) {
	if p.images != nil {
		return nil
	}
	p.images, err = image.Build(ctx, p.root, image.Options{})
	return err
}

// PushImages pushes the controllers' images to the node's registry, which answers
// for every registry that the node asks.
func (p *Platform) PushImages(ctx context.Context) error {
	return image.Registry{Prefix: p.Cluster.Node().Registry + "/weir-gitops", Insecure: true}.Push(ctx, p.images...)
}

// PushTestbed pushes a small server to the node's registry, in the place of an
// image that is not there: it answers the version, and runs as the variables of
// the environment say.
func (p *Platform) PushTestbed(ctx context.Context, repository, version string, environment map[string]string) error {
	server, err := image.Testbed(ctx, p.root, image.Options{Version: version})
	if err != nil {
		return err
	}
	if server, err = server.With("VERSION", version); err != nil {
		return err
	}
	for name, value := range environment {
		if server, err = server.With(name, value); err != nil {
			return err
		}
	}
	var folder string
	folder, server.Name = path.Split(repository)
	return image.Registry{Prefix: p.Cluster.Node().Registry + "/" + path.Clean(folder), Insecure: true}.Push(ctx, server)
}

// InstallPods applies an overlay below bootstrap as its README says, and returns
// once all of its Deployments are available.
func (p *Platform) InstallPods(ctx context.Context, overlay string) error {
	if _, err := p.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(p.Bootstrap(), overlay)); err != nil {
		return err
	}
	return p.AwaitPods(ctx)
}

// AwaitPods returns once all Deployments of Weir are available at their newest
// generation.
func (p *Platform) AwaitPods(ctx context.Context) error {
	names, err := p.Kubectl(ctx, "get", "deployments", "--namespace="+Namespace, "--output=name")
	if err != nil {
		return err
	}
	if names == "" {
		return fmt.Errorf("there are no Deployments in %s", Namespace)
	}
	for name := range strings.FieldsSeq(names) {
		if _, err := p.Kubectl(ctx, "rollout", "status", name, "--namespace="+Namespace, "--timeout=120s"); err != nil {
			return errors.Join(err, p.explain(ctx))
		}
	}
	return nil
}

// explain returns how the pods of Weir are, as an error.
func (p *Platform) explain(ctx context.Context) error {
	pods, err := p.Kubectl(ctx, "get", "pods", "--namespace="+Namespace, "--output=wide")
	events, again := p.Kubectl(ctx, "get", "events", "--namespace="+Namespace, "--field-selector=type=Warning")
	return errors.Join(err, again, fmt.Errorf("the pods are:\n%s\n%s", pods, events))
}

// DeletePods deletes the pods of a controller at once, as a lost node would: with
// what they had on their disks. AwaitPods waits for those that replace them.
func (p *Platform) DeletePods(ctx context.Context, controller string) error {
	_, err := p.Kubectl(ctx, "delete", "pods", "--namespace="+Namespace, "--selector=app.kubernetes.io/name="+controller, "--force", "--grace-period=0")
	return err
}

// KillInPods is kill -9 of the processes of a controller in its pods, whose
// kubelet starts them again. It returns how many there were.
func (p *Platform) KillInPods(controller string) (int, error) {
	pids, err := p.Processes(controller)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("kill %s: %w", controller, err)
		}
	}
	return len(pids), nil
}

// maxComm is how much of a program's name the kernel keeps.
const maxComm = 15

// RenderWorker is the name of the processes that render charts for helm-controller.
const RenderWorker = "render-worker"

// Processes returns the ids of those processes on the node that have the name of a program, or of all if it is
// empty: not those of another cluster on this machine, and by the name of helm-controller not those that it
// renders charts in, which have a name of their own.
func (p *Platform) Processes(program string) ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		comm, err := os.ReadFile(link)
		if err != nil || program != "" && strings.TrimSpace(string(comm)) != program[:min(maxComm, len(program))] {
			continue // It may have ended.
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return nil, err
		}
		if p.Cluster.Runs(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
