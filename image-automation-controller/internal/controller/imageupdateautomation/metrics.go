// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/measure"
)

// Figures are what the controller measures beside how long reconciles take.
type Figures struct {
	held    *prometheus.GaugeVec
	commits *prometheus.CounterVec
	runs    *prometheus.CounterVec
}

// NewFigures registers the metrics. A second one of the same process measures
// for itself, and the first one stays the one served.
func NewFigures(registry prometheus.Registerer) (*Figures, error) {
	f := &Figures{
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_image_held", Help: "Candidates of an ImageUpdateAutomation that are kept out of Git, by reason.",
		}, []string{"namespace", "name", "reason"}),
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_image_commits_total", Help: "Commits of an ImageUpdateAutomation that were pushed.",
		}, []string{"namespace", "name"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_image_runs_total", Help: "Runs of ImageUpdateAutomations that reached Git, by result: pushed, unchanged, declined, conflict or failed.",
		}, []string{"result"}),
	}
	return f, measure.Register(registry, f.held, f.commits, f.runs)
}

// hold counts the candidates of an automation that are held.
func (f *Figures) hold(name types.NamespacedName, holds []plan.Hold) {
	f.drop(name)
	for i := range holds {
		f.held.WithLabelValues(name.Namespace, name.Name, holds[i].Reason).Inc()
	}
}

// drop forgets what is held of an automation.
func (f *Figures) drop(name types.NamespacedName) {
	f.held.DeletePartialMatch(prometheus.Labels{"namespace": name.Namespace, "name": name.Name})
}

func (f *Figures) commit(name types.NamespacedName) {
	f.commits.WithLabelValues(name.Namespace, name.Name).Inc()
}

// run counts what became of one run.
func (f *Figures) run(pushed bool, err error) {
	result := "unchanged"
	switch {
	case errors.Is(err, git.ErrDeclined):
		result = "declined"
	case errors.Is(err, git.ErrNonFastForward):
		result = "conflict"
	case err != nil:
		result = "failed"
	case pushed:
		result = "pushed"
	}
	f.runs.WithLabelValues(result).Inc()
}
