// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// front stands for the Service: it connects to one replica after the other, and
// to the next one if one is not there.
func front(t *testing.T, ports ...int) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for i := 0; ; i++ {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(from, ports, i)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func relay(from net.Conn, ports []int, first int) {
	defer from.Close()
	for i := range ports {
		to, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(ports[(first+i)%len(ports)]))
		if err != nil {
			continue
		}
		join(from, to)
		return
	}
}

// join passes on what comes from either until both have ended, and closes the
// second.
func join(a, b net.Conn) {
	defer b.Close()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}

// holder is who leads.
func holder(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "gpu-quota-controller-leader-election"}, lease); err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// TestReplicas: two replicas answer, and when the leader goes, pods go on being
// created, limits go on holding, and who waits is woken by whoever denied it.
func TestReplicas(t *testing.T) {
	controller.stop()
	ports := make([]int, 2)
	for i := range ports {
		port, err := testkit.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = port
	}
	at := front(t, ports...)
	replicas := []*process{{port: ports[0], front: at}, {port: ports[1], front: at}}
	for _, replica := range replicas {
		if err := replica.start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	running := map[*process]bool{replicas[0]: true, replicas[1]: true}
	defer func() {
		for replica := range running {
			replica.stop()
		}
		if err := controller.start(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	newTeam(t, "replicas", 200)
	before := holder(t)

	// The first replica leads. It goes in the middle.
	var group sync.WaitGroup
	var created atomic.Int64
	for worker := range 3 {
		group.Go(func() {
			for i := range 50 {
				if err := kube.Create(t.Context(), newPod("replicas", fmt.Sprint("pod-", worker*50+i), 1)); err != nil {
					t.Errorf("pod %d of worker %d: %v", i, worker, err)
					continue
				}
				created.Add(1)
			}
		})
	}
	settle(t, 300*time.Millisecond)
	replicas[0].stop()
	delete(running, replicas[0])
	group.Wait()
	within(t, deadline, func() error {
		if now := holder(t); now == "" || now == before {
			return fmt.Errorf("%q still leads", before)
		}
		return nil
	})
	// A review whose answer was lost with the replica may have left a stray.
	within(t, deadline, func() error {
		if used, _ := booked(t, "replicas"); !used.Equal(gpu.Whole(created.Load())) {
			return fmt.Errorf("used %s, want %d", used, created.Load())
		}
		return nil
	})
	checkExceeded(t, kube.Create(t.Context(), newPod("replicas", "too-many", 51)), `"replicas"`)

	if err := kube.Create(t.Context(), newDeployment("replicas", "waiting", 1, 60)); err != nil {
		t.Fatal(err)
	}
	settle(t, 5*time.Second)
	for i := range 15 {
		if err := kube.Delete(t.Context(), newPod("replicas", fmt.Sprint("pod-", i), 1), client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	wantPods(t, 2*time.Second, "replicas", "waiting", 1)
}
