// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
	"github.com/weir-gitops/weir/pkg/testkit"
)

func create(t *testing.T, r *rig, name string, version int, status string, more ...string) *storage.Record {
	t.Helper()
	return must(r.records(t).Create(storage.Key(name, version), document(name, version, status, more...), map[string]string{"team": "ml"}))(t)
}

func versions(records []*storage.Record) string {
	var all []string
	for _, record := range records {
		all = append(all, fmt.Sprintf("v%d %s", record.Release.Version, record.Release.Status))
	}
	return strings.Join(all, ", ")
}

func TestUnchangedHistoryCostsNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	create(t, r, "shop", 1, "superseded")
	create(t, r, "shop", 2, "deployed")
	create(t, r, "other", 1, "failed")
	r.settled(t, "shop")
	before := r.requests.Load()
	for range 10 {
		if got, want := versions(history(t, r.records(t), "shop")), "v2 deployed, v1 superseded"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		must(r.records(t).Get(storage.Key("shop", 2)))(t)
		if got := history(t, r.records(t), "nothing"); len(got) != 0 {
			t.Fatalf("got %s of a release that there is not", versions(got))
		}
	}
	if got := r.requests.Load() - before; got != 0 {
		t.Errorf("an unchanged history took %d requests", got)
	}

	// A process that begins anew reads them all at once.
	r.store = r.newStore(t)
	before = r.requests.Load()
	history(t, r.records(t), "shop")
	if got := r.requests.Load() - before; got != 1 {
		t.Errorf("the first look took %d requests", got)
	}
}

func TestOwnWritesCostNoReads(t *testing.T) {
	t.Parallel()
	var told sync.Map
	r := newRig(t, func(o *storage.Options) { o.Changed = func(name types.NamespacedName) { told.Store(name, true) } })
	create(t, r, "first", 1, "deployed")
	r.settled(t, "first")
	before := r.requests.Load()
	create(t, r, "shop", 1, "pending-install")
	records := r.records(t)
	if got, want := versions(history(t, records, "shop")), "v1 pending-install"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	must(records.Update(storage.Key("shop", 1), document("shop", 1, "deployed"), nil))(t)
	if got, want := versions(history(t, records, "shop")), "v1 deployed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// An event of the create that comes after the update costs a look.
	if got := r.requests.Load() - before; got > 3 {
		t.Errorf("two writes took %d requests", got)
	}
	must(r.newStore(t).For(t.Context(), r.client, r.namespace).Mark(storage.Key("first", 1), release.Failed, ""))(t)
	eventually(t, func() string {
		if _, was := told.Load(types.NamespacedName{Namespace: r.namespace, Name: "first"}); !was {
			return "was not told of another's write"
		}
		return ""
	})
	if _, was := told.Load(types.NamespacedName{Namespace: r.namespace, Name: "shop"}); was {
		t.Error("was told of its own writes")
	}
}

func TestChangesBySomebodyElseAreSeen(t *testing.T) {
	t.Parallel()
	var told sync.Map // the watch is of all namespaces
	r := newRig(t, func(o *storage.Options) { o.Changed = func(name types.NamespacedName) { told.Store(name, true) } })
	shop := types.NamespacedName{Namespace: r.namespace, Name: "shop"}
	create(t, r, "shop", 1, "deployed")
	r.settled(t, "shop")
	told.Delete(shop)
	other := r.newStore(t).For(t.Context(), r.client, r.namespace)
	seen := func(want string) {
		t.Helper()
		eventually(t, func() string {
			if got := versions(history(t, r.records(t), "shop")); got != want {
				return fmt.Sprintf("got %s, want %s", got, want)
			}
			return ""
		})
		if _, was := told.LoadAndDelete(shop); !was {
			t.Error("was not told")
		}
	}
	must(other.Mark(storage.Key("shop", 1), release.Superseded, "replaced"))(t)
	seen("v1 superseded")
	must(other.Create(storage.Key("shop", 2), document("shop", 2, "deployed"), nil))(t)
	seen("v2 deployed, v1 superseded")
	must(other.Delete(storage.Key("shop", 1)))(t)
	seen("v2 deployed")
}

func TestWithoutPermissionToWatchRecordsAreReadEachTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	blind := must(metadata.NewForConfig(r.account(t, "blind")))(t)
	r.store = r.newStore(t, func(o *storage.Options) { o.Metadata = blind })
	create(t, r, "shop", 1, "deployed")
	eventually(t, func() string {
		if r.store.Watched(r.namespace) {
			return "the watch was not refused"
		}
		return ""
	})
	before := r.requests.Load()
	history(t, r.records(t), "shop")
	if got := r.requests.Load() - before; got != 1 {
		t.Errorf("took %d requests, want 1", got)
	}
	other := r.newStore(t).For(t.Context(), r.client, r.namespace)
	must(other.Mark(storage.Key("shop", 1), release.Failed, "broken"))(t)
	if got, want := versions(history(t, r.records(t), "shop")), "v1 failed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// The permission comes later.
	r.grant(t, "blind", "list", "watch")
	r.settled(t, "shop")
}

func TestOneNamespaceIsWatchedIfAllMayNotBe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	local := must(metadata.NewForConfig(r.account(t, "local", "list", "watch")))(t)
	r.store = r.newStore(t, func(o *storage.Options) { o.Metadata = local })
	create(t, r, "shop", 1, "deployed")
	r.settled(t, "shop")
}

func TestNothingIsWatchedWithoutMetadata(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *storage.Options) { o.Metadata = nil })
	create(t, r, "shop", 1, "deployed")
	if got, want := versions(history(t, r.records(t), "shop")), "v1 deployed"; got != want || r.store.Watched(r.namespace) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatOneMayReadIsNotShownToAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	create(t, r, "shop", 1, "deployed")
	r.settled(t, "shop")
	stranger := must(dynamic.NewForConfig(r.account(t, "stranger")))(t)
	records := r.store.For(t.Context(), stranger, r.namespace)
	if _, err := records.History("shop"); !apierrors.IsForbidden(err) {
		t.Errorf("History: got %v, want a refusal", err)
	}
	if _, err := records.Get(storage.Key("shop", 1)); !apierrors.IsForbidden(err) {
		t.Errorf("Get: got %v, want a refusal", err)
	}
}

func TestEveryCallFailsOnceTheContextHasEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	create(t, r, "shop", 1, "deployed")
	r.settled(t, "shop")
	reason := errors.New("a newer revision came")
	ctx, cancel := context.WithCancelCause(t.Context())
	records := r.store.For(ctx, r.client, r.namespace)
	key := storage.Key("shop", 1)
	history(t, records, "shop")
	cancel(reason)
	before := r.requests.Load()
	calls := map[string]func() error{
		"History": func() error { _, err := records.History("shop"); return err },
		"All":     func() error { _, err := records.All(); return err },
		"Get":     func() error { _, err := records.Get(key); return err },
		"Create": func() error {
			_, err := records.Create(storage.Key("shop", 2), document("shop", 2, "deployed"), nil)
			return err
		},
		"Update": func() error { _, err := records.Update(key, document("shop", 1, "failed"), nil); return err },
		"Mark":   func() error { _, err := records.Mark(key, release.Failed, ""); return err },
		"Delete": func() error { _, err := records.Delete(key); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, reason) {
			t.Errorf("%s: got %v, want the reason", name, err)
		}
	}
	if got := r.requests.Load() - before; got != 0 {
		t.Errorf("%d requests were made", got)
	}
}

func TestWritersConflict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	create(t, r, "shop", 1, "deployed")
	key := storage.Key("shop", 1)
	one, two := r.records(t), r.newStore(t).For(t.Context(), r.client, r.namespace)
	history(t, one, "shop")
	history(t, two, "shop")

	// A label of somebody else is no conflict, and stays where it is.
	r.edit(t, key, func(s *corev1.Secret) { s.Annotations = map[string]string{"backup": "yes"} })
	must(one.Update(key, document("shop", 1, "superseded"), nil))(t)
	if got := r.secret(t, key); got.Annotations["backup"] != "yes" {
		t.Errorf("got annotations %v", got.Annotations)
	}
	if _, err := two.Update(key, document("shop", 1, "failed"), nil); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("the second writer got %v", err)
	}
	if _, err := two.Create(key, document("shop", 1, "failed"), nil); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a second create got %v", err)
	}
	if got, want := versions(history(t, r.records(t), "shop")), "v1 superseded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	must(one.Delete(key))(t)
	for name, err := range map[string]error{
		"update": func() error { _, err := two.Update(key, document("shop", 1, "failed"), nil); return err }(),
		"get":    func() error { _, err := one.Get(key); return err }(),
		"delete": func() error { _, err := one.Delete(key); return err }(),
	} {
		if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrConflict) {
			t.Errorf("%s of what is gone: got %v", name, err)
		}
	}
}

func TestLabelsAreHelms(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	create(t, r, "shop", 1, "pending-install")
	key := storage.Key("shop", 1)
	created := r.secret(t, key)
	if created.Type != "helm.sh/release.v1" || created.Labels["createdAt"] == "" {
		t.Errorf("got type %s, labels %v", created.Type, created.Labels)
	}
	delete(created.Labels, "createdAt")
	if diff := cmp.Diff(map[string]string{"name": "shop", "owner": "helm", "status": "pending-install", "version": "1", "team": "ml"}, created.Labels); diff != "" {
		t.Errorf("created: (-want +got)\n%s", diff)
	}
	must(r.records(t).Update(key, document("shop", 1, "deployed"), map[string]string{"team": "infra", "status": "mine"}))(t)
	updated := r.secret(t, key)
	if updated.Labels["createdAt"] == "" || updated.Labels["modifiedAt"] == "" {
		t.Errorf("got labels %v", updated.Labels)
	}
	delete(updated.Labels, "createdAt")
	delete(updated.Labels, "modifiedAt")
	if diff := cmp.Diff(map[string]string{"name": "shop", "owner": "helm", "status": "deployed", "version": "1", "team": "infra"}, updated.Labels); diff != "" {
		t.Errorf("updated: (-want +got)\n%s", diff)
	}
}

func TestARecordThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// What cannot be compressed.
	noise := strings.Builder{}
	state := uint64(1)
	for noise.Len() < 2<<20 {
		state = state*6364136223846793005 + 1442695040888963407
		noise.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[state>>58])
	}
	_, err := r.records(t).Create(storage.Key("shop", 1), document("shop", 1, "deployed", noise.String()), nil)
	var large *storage.TooLargeError
	if !errors.As(err, &large) || large.Size <= 1<<20 {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"shops/shop.v1", "shop@1.0.0", "1024 KiB"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not tell of %s", err, part)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 20_000
	r := newRig(t, func(o *storage.Options) { o.Limit = limit })
	var want []string
	for version := range 30 {
		create(t, r, "shop", version+1, "superseded")
		want = append(want, fmt.Sprintf("v%d superseded", version+1))
		if got := r.store.Size(); got > limit {
			t.Fatalf("%d bytes are kept", got)
		}
	}
	slices.Reverse(want)
	if got := versions(history(t, r.records(t), "shop")); got != strings.Join(want, ", ") {
		t.Errorf("got %s", got)
	}
}

func TestRecordsOfFluxAreReadAndKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, secret := range fluxSecrets(t, "flux-upgraded") {
		secret.Namespace = r.namespace
		must(r.admin.CoreV1().Secrets(r.namespace).Create(t.Context(), &secret, metav1.CreateOptions{}))(t)
	}
	records := r.records(t)
	before := history(t, records, "shop")
	if got, want := versions(before), "v2 deployed, v1 superseded"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	marked := must(records.Mark(before[0].Key, release.Failed, "unlocked"))(t)
	want := *before[0].Release
	want.Status, want.Description = release.Failed, "unlocked"
	if diff := cmp.Diff(&want, marked.Release); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	text := must(marked.JSON())(t)
	for _, key := range []string{`"apply_method":"ssa"`, `"modtime":"2026-03-04T05:06:07Z"`, `"schemamodtime"`} {
		if !strings.Contains(string(text), key) {
			t.Errorf("%s is lost", key)
		}
	}
	if marked.Labels["team"] != "retail" || marked.Labels["status"] != "failed" {
		t.Errorf("got labels %v", marked.Labels)
	}
}

func TestWhileTheWatchIsAwayRecordsAreRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := r.account(t, "watcher", "list", "watch")
	proxy := must(testkit.NewFaultProxy(config))(t)
	t.Cleanup(proxy.Close)
	r.store = r.newStore(t, func(o *storage.Options) { o.Metadata = must(metadata.NewForConfig(proxy.Config(config)))(t) })
	create(t, r, "shop", 1, "deployed")
	r.settled(t, "shop")

	proxy.Inject(func(*http.Request) testkit.Fault { return testkit.Fault{Code: http.StatusInternalServerError} })
	proxy.CutWatches()
	other := r.newStore(t).For(t.Context(), r.client, r.namespace)
	must(other.Mark(storage.Key("shop", 1), release.Failed, "broken"))(t)
	eventually(t, func() string {
		if got, want := versions(history(t, r.records(t), "shop")), "v1 failed"; got != want {
			return fmt.Sprintf("got %s, want %s", got, want)
		}
		return ""
	})
	proxy.Inject(nil)
	r.settled(t, "shop")
}
