// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"testing"
)

func TestIdentify(t *testing.T) {
	const pod = "0b6f7a1c-1111-4222-8333-444455556666"
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(podUID, pod)
	name := func(namespace, lease string) (string, func()) {
		t.Helper()
		name, claim, err := identify(namespace, lease)
		if err != nil {
			t.Fatal(err)
		}
		return name, func() {
			if err := claim.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	first, end := name("ns", "lease")
	if first != host+"_"+pod {
		t.Errorf("a process of a pod is %q", first)
	}
	beside, endBeside := name("ns", "lease")
	if beside == first {
		t.Errorf("two processes are %q", first)
	}
	endBeside()
	for _, other := range [][2]string{{"ns", "other"}, {"other", "lease"}} {
		another, end := name(other[0], other[1])
		if another != first {
			t.Errorf("for another lease the pod is %q", another)
		}
		end()
	}
	end()
	again, end := name("ns", "lease")
	end()
	if again != first {
		t.Errorf("a process that is started again is %q, want %q", again, first)
	}

	t.Setenv(podUID, "")
	one, _ := name("ns", "lease")
	two, _ := name("ns", "lease")
	if one == two || one == first {
		t.Errorf("processes without a pod are %q and %q", one, two)
	}
}
