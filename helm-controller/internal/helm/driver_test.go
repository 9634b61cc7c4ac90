// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube/fake"
	sdk "helm.sh/helm/v3/pkg/release"
	sdkstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
)

// bench is a namespace with the SDK's own driver for Secrets and with ours.
type bench struct {
	secrets corev1client.SecretInterface
	records func(context.Context) *storage.Records
	cli     driver.Driver
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clients, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := clients.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "driver-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	meta, err := metadata.NewForConfig(cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	store := storage.New(t.Context(), storage.Options{Metadata: meta, Log: logr.Discard()})
	secrets := clients.CoreV1().Secrets(namespace.Name)
	return &bench{
		secrets: secrets,
		records: func(ctx context.Context) *storage.Records { return store.For(ctx, client, namespace.Name) },
		cli:     driver.NewSecrets(secrets),
	}
}

func (b *bench) history(t *testing.T) []*storage.Record {
	t.Helper()
	records, err := b.records(t.Context()).History("shop")
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func configuration(d driver.Driver) *action.Configuration {
	return &action.Configuration{
		Releases: sdkstorage.Init(d), KubeClient: &fake.PrintingKubeClient{Out: io.Discard},
		Capabilities: chartutil.DefaultCapabilities, Log: func(string, ...any) {},
	}
}

func shop(version string) *chart.Chart {
	file := func(name, data string) *chart.File { return &chart.File{Name: name, Data: []byte(data)} }
	return &chart.Chart{
		Metadata: &chart.Metadata{
			APIVersion: "v2", Name: "shop", Version: version, AppVersion: "7", Description: "<b>",
			Annotations: map[string]string{"b": "2", "a": "1"}, Maintainers: []*chart.Maintainer{{Name: "Ada"}},
		},
		Values: map[string]any{"replicas": 1},
		Templates: []*chart.File{
			file("templates/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  replicas: {{ .Values.replicas | quote }}\n"),
			file("templates/hook.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: pre\n  annotations:\n    helm.sh/hook: pre-install,pre-upgrade,pre-rollback\n    helm.sh/hook-output-log-policy: hook-failed\n"),
			file("templates/test.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: check\n  annotations:\n    helm.sh/hook: test\n"),
			file("templates/NOTES.txt", "It is <open>.\n"),
		},
	}
}

func install(t *testing.T, d driver.Driver) *sdk.Release {
	t.Helper()
	run := action.NewInstall(configuration(d))
	run.ReleaseName, run.Namespace, run.Labels = "shop", "shops", map[string]string{"team": "ml"}
	rls, err := run.Run(shop("1.0.0"), map[string]any{"replicas": 2, "ratio": 0.5, "list": []any{1, nil, map[string]any{}}})
	if err != nil {
		t.Fatal(err)
	}
	return rls
}

func upgrade(t *testing.T, d driver.Driver, version string, maxHistory int) {
	t.Helper()
	run := action.NewUpgrade(configuration(d))
	run.Namespace, run.MaxHistory = "shops", maxHistory
	if _, err := run.Run("shop", shop(version), map[string]any{"replicas": 3}); err != nil {
		t.Fatal(err)
	}
}

// Whatever one of the two drivers has written the other goes on with.
func TestReleasesOfTheCLIAreTakenOverAndHandedBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	install(t, b.cli)
	ours := newDriver(b.records(t.Context()), release.ServerSide)
	record := b.history(t)[0]
	if r := record.Release; r.ApplyMethod != "" || r.Labels["team"] != "ml" || r.Status != release.Deployed || r.Notes == "" {
		t.Errorf("got %+v", r)
	}
	snapshot := release.Snapshot(record.Release, helmv2.ReleaseActionInstall, "")

	upgrade(t, ours, "1.1.0", 0)
	upgrade(t, b.cli, "1.2.0", 0)
	rollback := action.NewRollback(configuration(newDriver(b.records(t.Context()), release.ClientSide)))
	rollback.Version = 2
	if err := rollback.Run("shop"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, record := range b.history(t) {
		r := record.Release
		got = append(got, strings.Join([]string{string(r.Status), r.Chart.Version, r.ApplyMethod, r.Labels["team"]}, " "))
	}
	// The CLI's driver knows no method and takes it away when it updates, as it did with v2.
	want := []string{"deployed 1.1.0 csa ml", "superseded 1.2.0  ml", "superseded 1.1.0  ml", "superseded 1.0.0  ml"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := release.Verify(snapshot, b.history(t)[3].Release); !errors.Is(err, release.ErrChanged) {
		t.Errorf("a superseded release is still taken for the deployed one: %v", err)
	}

	// The CLI reads all that there is as we do.
	theirs, err := sdkstorage.Init(b.cli).History("shop")
	if err != nil || len(theirs) != 4 {
		t.Fatalf("the CLI reads %d releases: %v", len(theirs), err)
	}
	for _, rls := range theirs {
		mine, err := newDriver(b.records(t.Context()), "").Get(storage.Key("shop", rls.Version))
		if err != nil {
			t.Fatal(err)
		}
		rls.Labels = mine.Labels
		if diff := cmp.Diff(encode(t, rls), encode(t, mine)); diff != "" {
			t.Errorf("v%d: (-CLI +ours)\n%s", rls.Version, diff)
		}
	}
	uninstall := action.NewUninstall(configuration(b.cli))
	if _, err := uninstall.Run("shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := newDriver(b.records(t.Context()), "").Get(storage.Key("shop", 1)); !errors.Is(err, driver.ErrReleaseNotFound) {
		t.Errorf("got %v", err)
	}
}

func encode(t *testing.T, rls *sdk.Release) string {
	t.Helper()
	text, err := json.MarshalIndent(rls, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheApplyMethodStaysWithItsRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	install(t, newDriver(b.records(t.Context()), release.ServerSide))
	upgrade(t, newDriver(b.records(t.Context()), release.ClientSide), "1.1.0", 0)
	uninstall := action.NewUninstall(configuration(newDriver(b.records(t.Context()), "")))
	uninstall.KeepHistory = true
	if _, err := uninstall.Run("shop"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		status release.Status
		method string
	}{{release.Uninstalled, "csa"}, {release.Uninstalled, "ssa"}} {
		if got := b.history(t)[i].Release; got.ApplyMethod != want.method {
			t.Errorf("v%d %s: got %q, want %q", got.Version, got.Status, got.ApplyMethod, want.method)
		}
	}
}

func TestMaxHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ours := newDriver(b.records(t.Context()), release.ServerSide)
	install(t, ours)
	for _, version := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		upgrade(t, ours, version, 2)
	}
	var got []int
	for _, record := range b.history(t) {
		got = append(got, record.Release.Version)
	}
	if diff := cmp.Diff([]int{4, 3}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFluxsReleasesGoOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var list corev1.SecretList
	data, err := os.ReadFile(filepath.Join("..", "release", "testdata", "flux-upgraded-secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		list.Items[i].Namespace = ""
		if _, err := b.secrets.Create(t.Context(), &list.Items[i], metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	upgrade(t, newDriver(b.records(t.Context()), release.ServerSide), "2.0.0", 0)
	records := b.history(t)
	if len(records) != 3 || records[1].Release.Status != release.Superseded {
		t.Fatalf("got %d records", len(records))
	}
	document, err := records[1].JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"apply_method":"ssa"`, `"modtime":"2026-03-04T05:06:07Z"`, `"schemamodtime"`} {
		if !strings.Contains(string(document), key) {
			t.Errorf("%s of what Flux has stored is lost", key)
		}
	}
}

func TestDriverErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ours := newDriver(b.records(t.Context()), release.ServerSide)
	if ours.Name() != b.cli.Name() {
		t.Errorf("got name %s", ours.Name())
	}
	if _, err := ours.Query(map[string]string{"name": "shop", "owner": "helm"}); !errors.Is(err, driver.ErrReleaseNotFound) {
		t.Errorf("query: got %v", err)
	}
	rls := install(t, ours)
	key := storage.Key("shop", 1)
	if err := ours.Create(key, rls); !errors.Is(err, driver.ErrReleaseExists) {
		t.Errorf("create: got %v", err)
	}
	if found, err := ours.Query(map[string]string{"name": "shop", "owner": "helm", "status": "failed"}); !errors.Is(err, driver.ErrReleaseNotFound) {
		t.Errorf("query: got %d releases, %v", len(found), err)
	}
	all, err := ours.List(func(*sdk.Release) bool { return true })
	if err != nil || len(all) != 1 {
		t.Errorf("list: got %d releases, %v", len(all), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := newDriver(b.records(ctx), release.ServerSide)
	cancel()
	for name, err := range map[string]error{"update": ended.Update(key, rls), "create": ended.Create(storage.Key("shop", 2), rls)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end: got %v", name, err)
		}
	}
	if _, err := ours.Delete(key); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := ours.Delete(key); !errors.Is(err, driver.ErrReleaseNotFound) {
		t.Errorf("second delete: got %v", err)
	}
}

func TestAReleaseOfTheSDKIsConvertedAsItIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rls := install(t, newDriver(b.records(t.Context()), release.ServerSide))
	got, err := fromSDK(rls, release.ServerSide)
	if err != nil {
		t.Fatal(err)
	}
	want := b.history(t)[0].Release
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-stored +converted)\n%s", diff)
	}
	if err := release.Verify(release.Snapshot(got, "", ""), want); err != nil {
		t.Error(err)
	}
}

// What is not in this list is taken for a key of a later Helm, and kept when a
// release is updated. A new version of the SDK may know more.
func TestTheKeysOfTheSDKAreKnown(t *testing.T) {
	t.Parallel()
	known := storage.KnownKeys()
	for path, kind := range map[string]reflect.Type{
		"":               reflect.TypeFor[sdk.Release](),
		"info":           reflect.TypeFor[sdk.Info](),
		"chart":          reflect.TypeFor[chart.Chart](),
		"chart.metadata": reflect.TypeFor[chart.Metadata](),
		"chart.files":    reflect.TypeFor[chart.File](),
		"hooks":          reflect.TypeFor[sdk.Hook](),
		"hooks.last_run": reflect.TypeFor[sdk.HookExecution](),
	} {
		var want []string
		for field := range kind.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && name != "-" {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, known[path]); diff != "" {
			t.Errorf("%q: (-SDK +known)\n%s", path, diff)
		}
	}
	if got := slices.Sorted(maps.Keys(known)); len(got) != 8 {
		t.Errorf("got %v", got)
	}
}
