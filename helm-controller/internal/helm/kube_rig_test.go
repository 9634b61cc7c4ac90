// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	sdkkube "helm.sh/helm/v3/pkg/kube"
	sdkstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/weir-gitops/weir/helm-controller/internal/kube"
)

// kubeRig runs actions of the SDK with a client of ours, or with the SDK's.
type kubeRig struct {
	*rig
	records driver.Driver
}

func newKubeRig(t *testing.T) *kubeRig {
	t.Helper()
	return &kubeRig{rig: newRig(t), records: driver.NewMemory()}
}

// with returns an action's configuration with our client.
func (r *kubeRig) with(change ...func(*kube.Options)) *action.Configuration {
	r.Helper()
	o := kube.Options{
		Client: r.mapper, Config: r.config, Engine: r.engine, Log: logr.Discard(),
		Owner: types.NamespacedName{Namespace: r.namespace, Name: "app"}, UID: "uid", Name: "app", Namespace: r.namespace,
		ServerSide: true, TakeOwnership: true,
	}
	for _, f := range change {
		f(&o)
	}
	client, err := kube.New(r.Context(), o)
	r.must(err)
	made, err := newKubeClient(client)
	r.must(err)
	return r.configuration(made)
}

// withHelm returns an action's configuration with the client that Helm's CLI has.
func (r *kubeRig) withHelm() *action.Configuration {
	r.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	kubeconfig := cluster.Kubeconfig()
	flags.KubeConfig, flags.Namespace = &kubeconfig, &r.namespace
	return r.configuration(sdkkube.New(flags))
}

func (r *kubeRig) configuration(client sdkkube.Interface) *action.Configuration {
	return &action.Configuration{
		Releases: sdkstorage.Init(r.records), KubeClient: client, Capabilities: chartutil.DefaultCapabilities,
		Log: func(string, ...any) {}, HookOutputFunc: func(string, string, string) io.Writer { return io.Discard },
	}
}

// chartOf makes a chart with one template.
func chartOf(template string) *chart.Chart {
	return &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "app", Version: "1.0.0"},
		Templates: []*chart.File{{Name: "templates/all.yaml", Data: []byte(template)}},
	}
}

func (r *kubeRig) install(cfg *action.Configuration, template string, change ...func(*action.Install)) error {
	r.Helper()
	install := action.NewInstall(cfg)
	install.ReleaseName, install.Namespace, install.Timeout, install.TakeOwnership = "app", r.namespace, deadline, true
	install.Wait, install.WaitForJobs = true, true
	for _, f := range change {
		f(install)
	}
	_, err := install.Run(chartOf(template), nil)
	return err
}

func (r *kubeRig) upgrade(cfg *action.Configuration, template string, change ...func(*action.Upgrade)) error {
	r.Helper()
	upgrade := action.NewUpgrade(cfg)
	upgrade.Namespace, upgrade.Timeout, upgrade.TakeOwnership = r.namespace, deadline, true
	upgrade.Wait, upgrade.WaitForJobs = true, true
	for _, f := range change {
		f(upgrade)
	}
	_, err := upgrade.Run("app", chartOf(template), nil)
	return err
}

// live reads an object, nil if there is none.
func (r *kubeRig) live(resource schema.GroupVersionResource, name string) *unstructured.Unstructured {
	r.Helper()
	live, err := r.dynamic.Resource(resource).Namespace(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	r.must(err)
	return live
}

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// data of a ConfigMap, nil if there is none.
func (r *kubeRig) data(name string) map[string]string {
	r.Helper()
	live := r.live(configMaps, name)
	if live == nil {
		return nil
	}
	data, _, err := unstructured.NestedStringMap(live.Object, "data")
	r.must(err)
	return data
}

// managers of an object's fields.
func managers(live *unstructured.Unstructured) []string {
	var names []string
	for _, entry := range live.GetManagedFields() {
		names = append(names, entry.Manager+" "+string(entry.Operation))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *kubeRig) edit(by, name, patch string) {
	r.Helper()
	_, err := r.dynamic.Resource(configMaps).Namespace(r.namespace).Patch(r.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: by})
	r.must(err)
}

func (r *kubeRig) wantText(err error, texts ...string) {
	r.Helper()
	if err == nil {
		r.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if text = strings.ReplaceAll(text, "$NS", r.namespace); !strings.Contains(err.Error(), text) {
			r.Errorf("error %q lacks %q", err, text)
		}
	}
	if strings.Contains(err.Error(), "context deadline exceeded") {
		r.Errorf("error %q speaks of a context", err)
	}
}

// counted returns what a function sent, by method.
func (r *kubeRig) counted(do func()) map[string]int {
	r.Helper()
	r.each(nil)
	do()
	methods := map[string]int{}
	for _, line := range r.requests() {
		method, path, _ := strings.Cut(line, " ")
		if strings.Contains(path, "/namespaces/") { // the others ask which kinds there are
			methods[method]++
		}
	}
	return methods
}

func configMap(name, data string) string {
	return fmt.Sprintf("---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {%s}}\n", name, data)
}
