// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	sdk "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/kube"
	"github.com/weir-gitops/weir/helm-controller/internal/postrender"
	"github.com/weir-gitops/weir/helm-controller/internal/worker"
)

const (
	// maxOrder bounds what the process that renders is sent at once: a chart at
	// most, or what it looks up.
	maxOrder = 512 << 20
	// maxFault is the longest error of a template. A part of one could hold a part
	// of a secret, which is not known for one.
	maxFault = 1 << 20
	// keptCharts is how many bytes of charts the process keeps.
	keptCharts = 16 << 20
)

// Work renders what a Renderer says on in and answers on out, one chart after the
// other, until in ends. A process that does nothing else is to call it, confined
// by worker.Confine.
func Work(in io.Reader, out io.Writer) error {
	w := &work{conn: worker.NewConn(in, out, maxOrder)}
	log.SetFlags(0)
	log.SetOutput(&censor{next: &w.said})
	for {
		var o order
		if err := w.conn.Receive(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what to render: %w", err)
		}
		if err := w.conn.Send(&message{Answer: w.answer(&o)}); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

// work is the process that renders.
type work struct {
	conn *worker.Conn
	said notes
	// kept are the charts that were rendered last, the newest at the end.
	kept []keptPart
}

type keptPart struct {
	number uint64
	chart  *chart.Chart
	size   int64
}

// ask asks the parent.
func (w *work) ask(question *message) (*reply, error) {
	answered := &reply{}
	if err := w.conn.Send(question); err != nil {
		return nil, err
	}
	if err := w.conn.Receive(answered); err != nil {
		return nil, err
	}
	return answered, nil
}

func (w *work) answer(o *order) *answer {
	w.said.lines = nil
	var out *answer
	err := guarded(func() (err error) {
		out, err = w.render(o)
		return err
	})
	if err == nil && (out.size() > o.Limit || out.expanded() > o.Limit) {
		err = errTooMuch
	}
	if err != nil {
		text := err.Error()
		if len(text) > maxFault {
			text = fmt.Sprintf("the templates fail with an error of more than %d MiB", maxFault>>20)
		}
		out = &answer{Fault: text, TooMuch: errors.Is(err, errTooMuch)}
	}
	out.Log = w.said.lines
	return out
}

var errTooMuch = errors.New("it renders to too much")

// size is what counts for the limit of the order.
func (a *answer) size() int64 { return int64(len(a.Manifest) + len(a.Hooks)) }

// expanded is how many bytes the objects have once aliases of YAML are replaced by
// what they stand for, and 0 if there are none. What is no object is somebody
// else's fault to tell.
func (a *answer) expanded() int64 {
	if !strings.Contains(a.Manifest, "*") || !strings.Contains(a.Manifest, "&") {
		return 0
	}
	objects, err := kube.Decode(strings.NewReader(a.Manifest))
	if err != nil {
		return 0
	}
	var size int64
	for _, obj := range objects {
		text, err := json.Marshal(obj)
		if err != nil {
			return 0
		}
		size += int64(len(text))
	}
	return size
}

func (w *work) render(o *order) (*answer, error) {
	kept, err := w.chart(o.Chart)
	if err != nil {
		return nil, err
	}
	r := renderer{
		chart: copyChart(kept), values: o.Values, options: o.Release, limit: o.Limit,
		capabilities: &chartutil.Capabilities{
			KubeVersion: o.Kube, APIVersions: strings.Split(o.Versions, "\n"), HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
		},
		lookups: &remoteLookups{ask: w.ask}, schemas: schemas{fetch: w.schema},
		skipSchema: o.SkipSchema, skipCRDs: o.SkipCRDs,
	}
	r.chart.Metadata.Version = o.Version
	number(r.chart)
	if r.values == nil {
		r.values = map[string]any{}
	}
	if o.Before != nil {
		if err := r.reuse(o.Before); err != nil {
			return nil, err
		}
	}
	if len(o.Post) > 0 {
		obj := &helmv2.HelmRelease{}
		if err := json.Unmarshal(o.Post, obj); err != nil {
			return nil, fmt.Errorf("read the post-renderers: %w", err)
		}
		chain, err := postrender.New(obj)
		if err != nil {
			return nil, err
		}
		r.post = func(manifest string, hooks []*sdk.Hook) (string, []*sdk.Hook, error) {
			return postRender(chain, manifest, hooks)
		}
	}
	rendered, err := r.render()
	if err != nil {
		return nil, err
	}
	return rendered.answer(o)
}

// answer makes of what was rendered what is sent.
func (r *rendering) answer(o *order) (*answer, error) {
	out := &answer{Manifest: r.manifest, Notes: r.notes}
	if o.Before != nil {
		out.Values = r.values
	}
	var err error
	if out.Chart, err = bare(r.chart); err != nil {
		return nil, err
	}
	if len(r.hooks) > 0 {
		if out.Hooks, err = json.Marshal(r.hooks); err != nil {
			return nil, fmt.Errorf("write the hooks: %w", err)
		}
	}
	for gvk, mapping := range r.kinds {
		out.Kinds = append(out.Kinds, definedKind{gvk.Group, gvk.Version, gvk.Kind, mapping.Resource.Resource, namespaced(mapping)})
	}
	return out, nil
}

// mappings are the kinds that a chart defines.
func (a *answer) mappings() map[schema.GroupVersionKind]*meta.RESTMapping {
	if len(a.Kinds) == 0 {
		return nil
	}
	out := map[schema.GroupVersionKind]*meta.RESTMapping{}
	for _, kind := range a.Kinds {
		gvk := schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind}
		mapping := &meta.RESTMapping{Resource: gvk.GroupVersion().WithResource(kind.Resource), GroupVersionKind: gvk, Scope: meta.RESTScopeRoot}
		if kind.Namespaced {
			mapping.Scope = meta.RESTScopeNamespace
		}
		out[gvk] = mapping
	}
	return out
}

// chart returns a chart, asking for it if it is not at hand.
func (w *work) chart(number uint64) (*chart.Chart, error) {
	for i, kept := range w.kept {
		if kept.number == number {
			w.kept = append(slices.Delete(w.kept, i, i+1), kept)
			return kept.chart, nil
		}
	}
	answered, err := w.ask(&message{Chart: &chartQuestion{Number: number}})
	if err != nil {
		return nil, err
	}
	if answered.Chart == nil {
		return nil, errors.New("there is no chart to render")
	}
	got, err := answered.Chart.chart()
	if err != nil {
		return nil, err
	}
	w.kept = append(w.kept, keptPart{number, got, trim(got)})
	var total int64
	for i, kept := range slices.Backward(w.kept) {
		if total += kept.size; total > keptCharts && i < len(w.kept)-1 {
			w.kept = slices.Delete(w.kept, 0, i+1)
			break
		}
	}
	return got, nil
}

// schema downloads what a schema refers to.
func (w *work) schema(address string) ([]byte, error) {
	answered, err := w.ask(&message{Schema: &schemaQuestion{Address: address}})
	if err == nil && answered.Fault != "" {
		err = errors.New(answered.Fault)
	}
	return answered.Body, err
}

// notes keeps the last lines of Helm's log, each whole: what is secret in them is
// taken out by who gets them.
type notes struct{ lines []string }

// Write implements io.Writer. The log writes each line at once.
func (n *notes) Write(line []byte) (int, error) {
	if text := strings.TrimSpace(string(line)); text != "" && len(text) <= maxError {
		n.lines = append(n.lines[max(0, len(n.lines)-maxLines+1):], text)
	}
	return len(line), nil
}
