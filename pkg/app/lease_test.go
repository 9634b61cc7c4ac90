// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const leaseName = "test-controller-leader-election"

// leaseOf returns a lease of a minute that was renewed that long ago.
func leaseOf(namespace, holder string, renewed time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: leaseName},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity:       new(holder),
			LeaseDurationSeconds: new(int32(60)),
			RenewTime:            &metav1.MicroTime{Time: time.Now().Add(-renewed)},
		},
	}
}

func TestLive(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*coordinationv1.LeaseSpec)
		want   bool
	}{
		"renewed":          {func(*coordinationv1.LeaseSpec) {}, true},
		"expired long ago": {func(s *coordinationv1.LeaseSpec) { s.RenewTime.Time = s.RenewTime.Add(-12 * time.Minute) }, false},
		"just expired":     {func(s *coordinationv1.LeaseSpec) { s.RenewTime.Time = s.RenewTime.Add(-100 * time.Second) }, true},
		"about to expire":  {func(s *coordinationv1.LeaseSpec) { s.RenewTime.Time = s.RenewTime.Add(-59 * time.Second) }, true},
		"released":         {func(s *coordinationv1.LeaseSpec) { s.HolderIdentity = new("") }, false},
		"without a holder": {func(s *coordinationv1.LeaseSpec) { s.HolderIdentity = nil }, false},
		"never renewed":    {func(s *coordinationv1.LeaseSpec) { s.RenewTime = nil }, false},
		"no duration":      {func(s *coordinationv1.LeaseSpec) { s.LeaseDurationSeconds = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			lease := leaseOf("ns", "somebody", 0)
			now := lease.Spec.RenewTime.Time
			tc.change(&lease.Spec)
			if got := new(sightings).live(lease, now); got != tc.want {
				t.Errorf("live = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestCounterpart(t *testing.T) {
	for name, tc := range map[string]struct {
		leases []runtime.Object
		want   string
	}{
		"none":                    {nil, ""},
		"our own":                 {[]runtime.Object{leaseOf("weir-system", "us", 0)}, ""},
		"dead one":                {[]runtime.Object{leaseOf("flux-system", "flux", time.Hour)}, ""},
		"live one":                {[]runtime.Object{leaseOf("flux-system", "flux", 0)}, "lease flux-system/" + leaseName + " is held by flux"},
		"live one among others":   {[]runtime.Object{leaseOf("a", "x", time.Hour), leaseOf("weir-system", "us", 0), leaseOf("z", "flux", 0)}, "lease z/" + leaseName + " is held by flux"},
		"ours and one that ended": {[]runtime.Object{leaseOf("flux-system", "", 0), leaseOf("weir-system", "us", 0)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(tc.leases...)
			c := &counterpart{leases: client.CoordinationV1(), name: leaseName, namespace: "weir-system"}
			got, err := c.Live(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
			list, ok := client.Actions()[0].(clienttesting.ListAction)
			if !ok || list.GetNamespace() != "" || list.GetListRestrictions().Fields.String() != "metadata.name="+leaseName {
				t.Errorf("asked %+v, want leases of the name in all namespaces", client.Actions()[0])
			}
		})
	}
}

// A controller that took over the kinds of two of Flux's must not lead while
// either does, wherever that one is.
func TestCounterpartOfAnotherName(t *testing.T) {
	const other = "second-controller-leader-election"
	named := func(lease *coordinationv1.Lease) *coordinationv1.Lease {
		lease.Name = other
		return lease
	}
	for name, tc := range map[string]struct {
		leases []runtime.Object
		want   string
	}{
		"none":                  {nil, ""},
		"dead one":              {[]runtime.Object{named(leaseOf("flux-system", "flux", time.Hour))}, ""},
		"live one":              {[]runtime.Object{named(leaseOf("flux-system", "flux", 0))}, "lease flux-system/" + other + " is held by flux"},
		"live one next to us":   {[]runtime.Object{named(leaseOf("weir-system", "flux", 0))}, "lease weir-system/" + other + " is held by flux"},
		"our own, and none":     {[]runtime.Object{leaseOf("weir-system", "us", 0)}, ""},
		"the namesake is first": {[]runtime.Object{leaseOf("a", "flux", 0), named(leaseOf("a", "flux", 0))}, "lease a/" + leaseName + " is held by flux"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			// The fake server knows no field selectors.
			client.PrependReactor("list", "leases", func(action clienttesting.Action) (bool, runtime.Object, error) {
				found := &coordinationv1.LeaseList{}
				for _, obj := range tc.leases {
					lease, ok := obj.(*coordinationv1.Lease)
					list, isList := action.(clienttesting.ListAction)
					if ok && isList && list.GetListRestrictions().Fields.Matches(fields.Set{metav1.ObjectNameField: lease.Name}) {
						found.Items = append(found.Items, *lease)
					}
				}
				return true, found, nil
			})
			c := &counterpart{leases: client.CoordinationV1(), name: leaseName, namespace: "weir-system", others: []string{other}}
			got, err := c.Live(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// notingLock notes who it was given to.
type notingLock struct {
	resourcelock.Interface
	calls []string
}

func (l *notingLock) Create(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	l.calls = append(l.calls, "create "+r.HolderIdentity)
	return nil
}

func (l *notingLock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	l.calls = append(l.calls, "update "+r.HolderIdentity)
	return nil
}

func TestGuardedLock(t *testing.T) {
	create := func(ctx context.Context, l *guardedLock) error {
		return l.Create(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: "us"})
	}
	update := func(ctx context.Context, l *guardedLock) error {
		return l.Update(ctx, resourcelock.LeaderElectionRecord{HolderIdentity: "us"})
	}
	release := func(ctx context.Context, l *guardedLock) error {
		return l.Update(ctx, resourcelock.LeaderElectionRecord{})
	}
	for name, tc := range map[string]struct {
		do         func(context.Context, *guardedLock) error
		alive, bad bool
		want       []string
		err        string
	}{
		"take":                         {do: create, want: []string{"create us"}},
		"renew":                        {do: update, want: []string{"update us"}},
		"release":                      {do: release, want: []string{"update "}},
		"take, counterpart lives":      {do: create, alive: true, err: "is held by flux"},
		"renew, counterpart lives":     {do: update, alive: true, err: "is held by flux"},
		"release, counterpart lives":   {do: release, alive: true, want: []string{"update "}},
		"take, nobody knows":           {do: create, bad: true, err: "no answer"},
		"renew, nobody knows":          {do: update, bad: true, err: "no answer"},
		"release, nobody can be asked": {do: release, bad: true, want: []string{"update "}},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			if tc.alive {
				client = fake.NewClientset(leaseOf("flux-system", "flux", 0))
			}
			if tc.bad {
				client.PrependReactor("list", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, errors.New("no answer")
				})
			}
			inner := &notingLock{}
			lock := &guardedLock{
				Interface:   inner,
				counterpart: &counterpart{leases: client.CoordinationV1(), name: leaseName, namespace: "weir-system"},
				log:         logr.Discard(),
				tenure:      newTenure(0),
			}
			err := tc.do(t.Context(), lock)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, inner.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeaderStepsDownAtOnce(t *testing.T) {
	client := fake.NewClientset()
	lock := &guardedLock{
		Interface:   &notingLock{},
		counterpart: &counterpart{leases: client.CoordinationV1(), name: leaseName, namespace: "weir-system"},
		log:         logr.Discard(),
		tenure:      newTenure(0),
		deposed:     make(chan error, 1),
	}
	ours := resourcelock.LeaderElectionRecord{HolderIdentity: "us"}
	if err := lock.Create(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoordinationV1().Leases("flux-system").Create(t.Context(), leaseOf("flux-system", "flux", 0), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second refusal has nothing to add
		if err := lock.Update(t.Context(), ours); err == nil {
			t.Fatal("the lease was renewed beside a live counterpart")
		}
	}
	if err := lock.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is held by flux") || !errors.Is(err, errAnew) {
		t.Errorf("Start ended with %v, want that the leader steps down and begins anew, and why", err)
	}
}
