// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// Variables of the environment that make a test process a candidate: its name, and
// its flags.
const (
	candidateVar = "WEIR_TEST_CANDIDATE"
	flagsVar     = "WEIR_TEST_FLAGS"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(candidateVar); name != "" {
		o := &app.Options{}
		fs := pflag.NewFlagSet(name, pflag.ExitOnError)
		o.Bind(fs, 1)
		_ = fs.Parse(strings.Fields(os.Getenv(flagsVar)))
		os.Exit(o.Ended(runCandidate(ctrl.SetupSignalHandler(), name, o)))
	}
	os.Exit(m.Run())
}

func runCandidate(ctx context.Context, name string, o *app.Options) error {
	child := exec.CommandContext(context.WithoutCancel(ctx), "sleep", "300")
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "child %d\n", child.Process.Pid)
	defer func() {
		if ctx.Err() != nil { // It is not to begin anew, which ends it.
			_ = child.Process.Kill()
		}
	}()
	a, err := app.New(ctx, app.Settings{Name: name, Scheme: clientgoscheme.Scheme}, o)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// TestElection has processes compete for leases of 20 s that are renewed every second,
// for at most 15 s without an answer.
func TestElection(t *testing.T) {
	t.Parallel()
	cluster, err := testkit.StartCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(t.Context())) })
	for name, test := range map[string]func(*contest){
		"container":  (*contest).containerStartsAgain,
		"pod":        (*contest).podIsReplaced,
		"impostor":   (*contest).secondProcessOfAPod,
		"api-server": (*contest).serverIsAway,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leases, err := coordinationclient.NewForConfig(cluster.Config())
			if err != nil {
				t.Fatal(err)
			}
			test(&contest{T: t, name: name, cluster: cluster, leases: leases.Leases("default")})
		})
	}
}

const (
	leaseLasts = 20 * time.Second
	// soon is a few retry periods, on a crowded machine, and less than a lease lasts.
	soon = 10 * time.Second
)

// contest is for one lease.
type contest struct {
	*testing.T
	name    string
	cluster *testkit.Cluster
	leases  coordinationclient.LeaseInterface
}

// containerStartsAgain: a leader that is killed and started again in its pod leads
// at once, in another term.
func (c *contest) containerStartsAgain() {
	first := c.start("one", c.cluster.Kubeconfig())
	before := c.await("the first leads", func(l *coordinationv1.Lease) bool { return strings.HasSuffix(holder(l), "_one") })
	c.kill(first)
	killed := time.Now()
	c.start("one", c.cluster.Kubeconfig())
	after := c.await("the same pod leads in another term", func(l *coordinationv1.Lease) bool {
		return holder(l) == holder(before) && *l.Spec.LeaseTransitions == *before.Spec.LeaseTransitions+1
	})
	if took := after.Spec.RenewTime.Sub(killed); took > soon {
		c.Errorf("it took %s", took)
	}
}

// podIsReplaced: another pod waits for the end of the lease.
func (c *contest) podIsReplaced() {
	first := c.start("one", c.cluster.Kubeconfig())
	c.await("the first leads", func(l *coordinationv1.Lease) bool { return strings.HasSuffix(holder(l), "_one") })
	c.kill(first)
	last := c.lease()
	c.start("two", c.cluster.Kubeconfig())
	next := c.await("the other leads", func(l *coordinationv1.Lease) bool { return strings.HasSuffix(holder(l), "_two") })
	if waited := next.Spec.AcquireTime.Sub(last.Spec.RenewTime.Time); waited < leaseLasts {
		c.Errorf("another pod took a lease of %s %s after its last renewal", leaseLasts, waited)
	}
}

// secondProcessOfAPod: a process that is started beside the leader, with the same
// environment, is somebody else. A leader that was frozen for longer than its lease
// lasts, and wakes up, leads no more.
func (c *contest) secondProcessOfAPod() {
	first := c.start("one", c.cluster.Kubeconfig())
	c.await("the first leads", func(l *coordinationv1.Lease) bool { return strings.HasSuffix(holder(l), "_one") })
	c.start("one", c.cluster.Kubeconfig())
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		c.Fatal(err)
	}
	last := c.lease()
	next := c.await("the second leads", func(l *coordinationv1.Lease) bool { return holder(l) != holder(last) })
	if waited := next.Spec.AcquireTime.Sub(last.Spec.RenewTime.Time); waited < leaseLasts || strings.HasSuffix(holder(next), "_one") {
		c.Errorf("%s took a lease of %s %s after its last renewal", holder(next), leaseLasts, waited)
	}
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		c.Fatal(err)
	}
	c.eventually("the first has begun anew", func() bool { return first.said("the controller begins anew") })
	c.await("the second goes on", func(l *coordinationv1.Lease) bool {
		return holder(l) == holder(next) && l.Spec.RenewTime.After(time.Now().Add(-5*time.Second)) && *l.Spec.LeaseTransitions == *next.Spec.LeaseTransitions
	})
}

// serverIsAway: a leader that cannot renew its lease begins anew, in the same process;
// the kubelet finds it alive all the time, and it leads soon after the API server is
// back.
func (c *contest) serverIsAway() {
	relay := c.relay()
	first := c.start("one", relay.kubeconfig(c))
	before := c.await("it leads", func(l *coordinationv1.Lease) bool { return strings.HasSuffix(holder(l), "_one") })
	c.eventually("it is ready", func() bool { return first.probe("readyz") == http.StatusOK })
	relay.away(true)
	c.eventually("it has begun anew", func() bool { return first.said("the controller begins anew") && first.said("wait for the API server") })
	if child := first.child(c); alive(child) {
		c.Errorf("the child %d is left", child)
	}
	c.eventually("it is not ready, and alive", func() bool {
		return first.probe("readyz") == http.StatusServiceUnavailable && first.probe("healthz") == http.StatusOK
	})
	relay.away(false)
	back := time.Now()
	after := c.await("it leads again", func(l *coordinationv1.Lease) bool { return *l.Spec.LeaseTransitions > *before.Spec.LeaseTransitions })
	if took := after.Spec.RenewTime.Sub(back); took > soon || holder(after) != holder(before) {
		c.Errorf("%s leads %s after the API server is back", holder(after), took)
	}
	c.eventually("it is ready again", func() bool { return first.probe("readyz") == http.StatusOK })
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		c.Fatal(err)
	}
	c.await("it has given the lease back", func(l *coordinationv1.Lease) bool { return holder(l) == "" })
	if err := first.Wait(); err != nil {
		c.Errorf("it ended with %v", err)
	}
}

// candidate is a process.
type candidate struct {
	*exec.Cmd
	health string
	log    string
}

// start starts a candidate in a pod.
func (c *contest) start(pod, kubeconfig string) *candidate {
	c.Helper()
	health, err := testkit.FreeAddress()
	if err != nil {
		c.Fatal(err)
	}
	log, err := os.CreateTemp(c.TempDir(), "log")
	if err != nil {
		c.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(c.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "POD_UID="+pod, candidateVar+"="+c.name, flagsVar+"="+strings.Join([]string{
		"--metrics-addr=0", "--health-addr=" + health, "--runtime-namespace=default", "--enable-leader-election",
		"--leader-election-lease-duration=" + leaseLasts.String(), "--leader-election-renew-deadline=15s", "--leader-election-retry-period=1s",
	}, " "))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	started := &candidate{cmd, health, log.Name()}
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if c.Failed() {
			text, _ := os.ReadFile(started.log)
			c.Logf("%s %d:\n%s", pod, cmd.Process.Pid, text)
		}
	})
	return started
}

func (c *contest) kill(victim *candidate) {
	c.Helper()
	if err := victim.Process.Kill(); err != nil {
		c.Fatal(err)
	}
	_ = victim.Wait()
}

// said reports whether the log has a text.
func (c *candidate) said(text string) bool {
	log, err := os.ReadFile(c.log)
	return err == nil && strings.Contains(string(log), text)
}

// child returns the id of the first process that the candidate has started.
func (c *candidate) child(t *contest) (pid int) {
	t.Helper()
	log, err := os.ReadFile(c.log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(log), "child %d\n", &pid); err != nil {
		t.Fatalf("find the child: %v", err)
	}
	return pid
}

// alive reports whether there is a process, or what is left of it for its parent.
func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// probe returns the status of a probe, and 0 without an answer.
func (c *candidate) probe(path string) int {
	resp, err := http.Get("http://" + c.health + "/" + path)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func holder(l *coordinationv1.Lease) string { return *l.Spec.HolderIdentity }

// lease returns the lease, and nil if there is none.
func (c *contest) lease() *coordinationv1.Lease {
	lease, err := c.leases.Get(c.Context(), c.name+"-leader-election", metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return lease
}

// await returns the lease once it is as it should be.
func (c *contest) await(what string, is func(*coordinationv1.Lease) bool) (lease *coordinationv1.Lease) {
	c.Helper()
	c.eventually(what, func() bool {
		lease = c.lease()
		return lease != nil && is(lease)
	})
	return lease
}

func (c *contest) eventually(what string, is func() bool) {
	c.Helper()
	deadline := time.After(90 * time.Second)
	for !is() {
		select {
		case <-deadline:
			c.Fatalf("not in time: %s; the lease is %+v", what, c.lease())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// relay is a wire to the API server that can be cut.
type relay struct {
	target, address string

	mu          sync.Mutex
	listener    net.Listener
	connections []net.Conn
}

// relay returns one that is whole.
func (c *contest) relay() *relay {
	c.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		c.Fatal(err)
	}
	r := &relay{target: strings.TrimPrefix(c.cluster.Config().Host, "https://"), address: address}
	r.away(false)
	c.Cleanup(func() { r.away(true) })
	return r
}

// kubeconfig returns the cluster's, by way of the relay.
func (r *relay) kubeconfig(c *contest) string {
	c.Helper()
	config, err := clientcmd.LoadFromFile(c.cluster.Kubeconfig())
	if err != nil {
		c.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + r.address
	}
	file := filepath.Join(c.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		c.Fatal(err)
	}
	return file
}

// away refuses connections from now on, or accepts them again.
func (r *relay) away(gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if gone {
		_ = r.listener.Close()
		for _, connection := range r.connections {
			_ = connection.Close()
		}
		r.connections = nil
		return
	}
	r.listener, _ = net.Listen("tcp", r.address)
	go r.serve(r.listener)
}

func (r *relay) serve(listener net.Listener) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = from.Close()
			continue
		}
		r.mu.Lock()
		r.connections = append(r.connections, from, to)
		r.mu.Unlock()
		for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
			}()
		}
	}
}
