// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// podGround is where the controllers are pods on a real node.
type podGround struct {
	p       *platform.Platform
	clients kubernetes.Interface
	called  string
}

var _ ground = (*podGround)(nil)

// startPods brings up an overlay below bootstrap, and a simulated node for the
// load's Jobs.
func startPods(ctx context.Context, overlay, called string) (*podGround, error) {
	p, err := platform.StartPods(ctx, overlay, testkit.WithGPUNodes(1))
	if err != nil {
		return nil, err
	}
	g := &podGround{p: p, called: called}
	if g.clients, err = kubernetes.NewForConfig(p.Cluster.Config()); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return g, nil
}

func (g *podGround) name() string { return g.called }

func (g *podGround) cluster() *testkit.Cluster { return g.p.Cluster }

func (g *podGround) host() string { return g.p.Cluster.Node().Host }

func (g *podGround) dir() string { return g.p.Dir() }

// replicas are the pods of a controller that are not on their way out.
func (g *podGround) replicas(ctx context.Context, controller string) ([]corev1.Pod, error) {
	list, err := g.clients.CoreV1().Pods(platform.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + controller})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s: %w", controller, err)
	}
	var live []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			live = append(live, pod)
		}
	}
	return live, nil
}

func (g *podGround) kill(ctx context.Context, controller string, then func(context.Context) error) error {
	found, err := g.replicas(ctx, controller)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("%s has no pod to kill", controller)
	}
	err = g.killPod(ctx, &found[rand.IntN(len(found))])
	return errors.Join(err, then(ctx))
}

// killPod ends the processes of a pod with SIGKILL and deletes it, so that
// another one comes up elsewhere, with an empty disk.
func (g *podGround) killPod(ctx context.Context, pod *corev1.Pod) error {
	err := g.signal(pod, syscall.SIGKILL)
	now := int64(0)
	return errors.Join(err, g.clients.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
}

// processes are those of the controller in a pod. There is none while the pod
// starts.
func (g *podGround) processes(pod *corev1.Pod) ([]int, error) {
	all, err := g.p.Processes(pod.Labels["app.kubernetes.io/name"])
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, pid := range all {
		environment, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err == nil && bytes.Contains(environment, []byte("HOSTNAME="+pod.Name+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func (g *podGround) signal(pod *corev1.Pod, signal syscall.Signal) error {
	pids, err := g.processes(pod)
	for _, pid := range pids {
		if failed := syscall.Kill(pid, signal); failed != nil && !errors.Is(failed, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("send %s to %s: %w", signal, pod.Name, failed))
		}
	}
	return err
}

func (g *podGround) loseDisk(ctx context.Context, controller string) error {
	found, err := g.replicas(ctx, controller)
	for i := range found {
		err = errors.Join(err, g.killPod(ctx, &found[i]))
	}
	return err
}

func (g *podGround) absent(ctx context.Context, controller string, meanwhile func(context.Context) error) error {
	deployment, err := g.clients.AppsV1().Deployments(platform.Namespace).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := g.scale(ctx, controller, 0); err != nil {
		return err
	}
	err = g.loseDisk(ctx, controller)
	if err == nil {
		err = await(ctx, func(ctx context.Context) error {
			left, err := g.replicas(ctx, controller)
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("%s has %d pods", controller, len(left))
			}
			return err
		})
	}
	if err == nil {
		err = meanwhile(ctx)
	}
	return errors.Join(err, g.scale(ctx, controller, *deployment.Spec.Replicas))
}

func (g *podGround) scale(ctx context.Context, controller string, replicas int32) error {
	_, err := g.p.Kubectl(ctx, "scale", "deployment", controller, "--namespace="+platform.Namespace, fmt.Sprintf("--replicas=%d", replicas))
	return err
}

func (g *podGround) stopAPI(ctx context.Context) (func(context.Context) error, error) {
	return stopAPI(ctx, g.p.Cluster)
}

// apiPort is where the API server listens on the node's address.
func (g *podGround) apiPort() (string, error) {
	parsed, err := url.Parse(g.p.Cluster.Config().Host)
	if err != nil {
		return "", fmt.Errorf("find the API server's port: %w", err)
	}
	return parsed.Port(), nil
}

func (g *podGround) cutAPI(ctx context.Context, everybody bool) (int, error) {
	port, err := g.apiPort()
	if err != nil {
		return 0, err
	}
	line := []string{"ss", "--kill", "--no-header", "--tcp", "--numeric", "state", "established", "sport", "=", ":" + port}
	if !everybody {
		line = append(line, "and", "dst", podNetwork)
	}
	// The kernel closes the API server's sockets, and their peers get a reset.
	out, err := g.p.Cluster.Enter(ctx, line...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("cut the connections to the API server: %w: %s", err, out)
	}
	return bytes.Count(out, []byte("\n")), nil
}

// podNetwork has all pods of the node.
const podNetwork = "10.244.0.0/24"

func (g *podGround) part(ctx context.Context, controller, other string) (func(context.Context) error, error) {
	from, err := g.replicas(ctx, controller)
	if err != nil {
		return nil, err
	}
	to := []string{}
	if other != "" {
		found, err := g.replicas(ctx, other)
		if err != nil {
			return nil, err
		}
		for i := range found {
			to = append(to, found[i].Status.PodIP)
		}
	}
	port, err := g.apiPort()
	if err != nil {
		return nil, err
	}
	var rules strings.Builder
	rules.WriteString("table inet chaos {\nchain between { type filter hook forward priority -5;\n")
	for i := range from {
		for _, address := range to {
			fmt.Fprintf(&rules, "ip saddr %s ip daddr %s drop\n", from[i].Status.PodIP, address)
		}
	}
	rules.WriteString("}\nchain api { type filter hook input priority -5;\n")
	for i := range from {
		if other == "" {
			fmt.Fprintf(&rules, "ip saddr %s tcp dport %s drop\n", from[i].Status.PodIP, port)
		}
	}
	rules.WriteString("}\n}\n")
	file := filepath.Join(g.dir(), "partition.nft")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return g.nft(ctx, "delete", "table", "inet", "chaos") }, g.nft(ctx, "-f", file)
}

func (g *podGround) nft(ctx context.Context, args ...string) error {
	if out, err := g.p.Cluster.Enter(ctx, append([]string{"nft"}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (g *podGround) freeze(ctx context.Context, controller string) (func(context.Context) error, error) {
	found, err := g.replicas(ctx, controller)
	if err != nil {
		return nil, err
	}
	send := func(signal syscall.Signal) error {
		var errs []error
		for i := range found {
			errs = append(errs, g.signal(&found[i], signal))
		}
		return errors.Join(errs...)
	}
	return func(context.Context) error { return send(syscall.SIGCONT) }, send(syscall.SIGSTOP)
}

func (g *podGround) step(ctx context.Context, by time.Duration, everything bool) (func(context.Context) error, error) {
	run := platform.Programs()
	if everything {
		run = append(run, apiServer, "etcd", "kube-controller-manager", "kubelet", "coredns")
	}
	for _, program := range run {
		if pids, err := g.p.Processes(program); err != nil || len(pids) == 0 {
			return nil, errors.Join(fmt.Errorf("%s does not run", program), err)
		}
	}
	stepped := append(platform.Programs(), platform.RenderWorker)
	if everything {
		stepped = []string{""}
	}
	return keepOff(ctx, by, func() ([]int, error) {
		var all []int
		for _, program := range stepped {
			pids, err := g.p.Processes(program)
			if err != nil {
				return nil, err
			}
			all = append(all, pids...)
		}
		return all, nil
	})
}

func (g *podGround) metrics(ctx context.Context, controller string) ([]byte, error) {
	found, err := g.replicas(ctx, controller)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no pod", controller)
	}
	request := g.clients.CoreV1().Pods(platform.Namespace).ProxyGet("http", found[0].Name, "8080", "/metrics", nil)
	return request.DoRaw(ctx)
}

func (g *podGround) lastWords(ctx context.Context) string {
	var b strings.Builder
	state, err := g.p.Kubectl(ctx, "get", "pods", "--namespace="+platform.Namespace, "--output=wide")
	fmt.Fprintln(&b, state, err)
	for _, name := range platform.Programs() {
		log, err := g.p.Kubectl(ctx, "logs", "--namespace="+platform.Namespace, "--selector=app.kubernetes.io/name="+name, "--tail=10")
		fmt.Fprintf(&b, "== %s\n%s\n", name, log)
		if err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}

func (g *podGround) close(ctx context.Context) error { return g.p.Stop(ctx) }
