// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/bench/plot"
	"github.com/weir-gitops/weir/hack/chaos/judge"
	"github.com/weir-gitops/weir/hack/platform"
)

const (
	// sampleEvery is how often the soak looks, and warmUp the part of it that
	// does not count.
	sampleEvery = time.Minute
	warmUp      = 0.25
	// seen is the part of the samples that have to be there: what was not looked
	// at is not flat.
	seen = 0.9
	// soakFigures is what the soak found.
	soakFigures = "docs/soak.json"
)

// A measure is something that must not grow.
type measure struct {
	key, title, unit string
	// metric is its name in Prometheus' format, and scale what it is divided by.
	metric string
	scale  float64
	// part of the mean, or amount, that it may grow by over the whole run.
	part, amount float64
}

func measures() []measure {
	return []measure{
		{key: "memory", title: "Resident memory", unit: "MiB", metric: "process_resident_memory_bytes", scale: 1 << 20, part: 0.1, amount: 5},
		{key: "goroutines", title: "Goroutines", unit: "goroutines", metric: "go_goroutines", scale: 1, part: 0.05, amount: 5},
		{key: "files", title: "Open file descriptors", unit: "descriptors", metric: "process_open_fds", scale: 1, part: 0.05, amount: 3},
	}
}

// etcdObjects is how many objects the API server stores, without Events, which
// go by themselves after an hour.
const etcdObjects = "etcd"

// A soak is what was sampled: by measure, and then by controller.
type soak struct {
	Ground  string                               `json:"ground"`
	Date    time.Time                            `json:"date"`
	Minutes float64                              `json:"minutes"`
	Commits int                                  `json:"commits"`
	Samples map[string]map[string][]judge.Sample `json:"samples"`
	// Looks is how often it was sampled, and Restarts how often a controller was
	// found to be another process than before: one that leaks until it is ended
	// has no slope.
	Looks    int            `json:"looks"`
	Restarts map[string]int `json:"restarts"`
	Losses   []string       `json:"losses"`

	started map[string]float64
}

// soak works on for a time and samples.
func (a *arena) soak(ctx context.Context, length time.Duration) (soak, error) {
	s := soak{Ground: a.ground.name(), Date: time.Now().UTC().Truncate(time.Second), Samples: map[string]map[string][]judge.Sample{}, Restarts: map[string]int{}, started: map[string]float64{}}
	r, err := a.judged(ctx, "soak", "nothing", func(ctx context.Context, _ *result) error {
		begun := time.Now()
		for {
			minute := time.Since(begun).Minutes()
			if err := a.sample(ctx, &s, minute); err != nil {
				fmt.Fprintf(a.out, "  minute %.0f: %v\n", minute, err)
			}
			fmt.Fprintf(a.out, "  minute %.0f\n", minute)
			if time.Since(begun) >= length {
				return nil
			}
			if err := pause(ctx, sampleEvery); err != nil {
				return err
			}
		}
	})
	s.Minutes, s.Commits = r.Minutes, r.Commits
	s.Losses = slices.Concat(r.Losses, s.growth())
	return s, err
}

func (s *soak) add(measure, of string, minute, value float64) {
	if s.Samples[measure] == nil {
		s.Samples[measure] = map[string][]judge.Sample{}
	}
	s.Samples[measure][of] = append(s.Samples[measure][of], judge.Sample{Minute: minute, Value: value})
}

// start is told when the process of a controller began.
func (s *soak) start(of string, at float64) {
	if before, known := s.started[of]; known && before != at {
		s.Restarts[of]++
	}
	s.started[of] = at
}

func (a *arena) sample(ctx context.Context, s *soak, minute float64) error {
	s.Looks++
	var errs []error
	for _, name := range platform.Programs() {
		text, err := a.ground.metrics(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		families, err := parseMetrics(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, m := range measures() {
			s.add(m.key, name, minute, sum(families[m.metric], nil)/m.scale)
		}
		s.start(name, sum(families["process_start_time_seconds"], nil))
	}
	clients, err := kubernetes.NewForConfig(a.ground.cluster().Config())
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	text, err := clients.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	families, err := parseMetrics(text)
	stored := families["apiserver_resource_objects"]
	s.add(etcdObjects, "all but Events", minute, sum(stored, func(labels map[string]string) bool { return labels["resource"] != "events" }))
	return errors.Join(append(errs, err)...)
}

func parseMetrics(text []byte) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return families, nil
}

// sum adds a family up, or those of its series that count.
func sum(family *dto.MetricFamily, counts func(map[string]string) bool) float64 {
	total := 0.0
	for _, series := range family.GetMetric() {
		labels := map[string]string{}
		for _, pair := range series.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		if counts == nil || counts(labels) {
			total += series.GetGauge().GetValue() + series.GetCounter().GetValue()
		}
	}
	return total
}

// growth returns a sentence for everything that grew, was not seen, or did not
// live as long as the soak.
func (s *soak) growth() []string {
	var list []string
	for _, row := range s.rows() {
		switch row.flat {
		case "no":
			list = append(list, fmt.Sprintf("%s of %s grew by %.1f", row.measure, row.of, row.trend.Growth))
		case "not seen":
			list = append(list, fmt.Sprintf("%s of %s was seen %d times only", row.measure, row.of, row.trend.Samples))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Restarts)) {
		list = append(list, fmt.Sprintf("%s was started anew %d times", name, s.Restarts[name]))
	}
	return list
}

// A row is one line of the soak's table.
type row struct {
	measure, of string
	trend       judge.Trend
	// flat is "yes", "no" or "not seen".
	flat string
}

func (s *soak) row(key, title, of string, part, amount float64) row {
	t := judge.Fit(s.Samples[key][of], s.last()*warmUp)
	switch {
	case float64(t.Samples) < seen*(1-warmUp)*float64(s.Looks):
		return row{title, of, t, "not seen"}
	case !t.Flat(part, amount):
		return row{title, of, t, "no"}
	default:
		return row{title, of, t, "yes"}
	}
}

func (s *soak) rows() []row {
	var rows []row
	for _, m := range measures() {
		for _, name := range platform.Programs() {
			rows = append(rows, s.row(m.key, m.title, name, m.part, m.amount))
		}
	}
	return append(rows, s.row(etcdObjects, "Objects in etcd", "all but Events", 0.02, 5))
}

// last is the minute of the last sample.
func (s *soak) last() float64 {
	last := 0.0
	for _, samples := range s.Samples {
		for _, of := range samples {
			for _, sample := range of {
				last = max(last, sample.Minute)
			}
		}
	}
	return last
}

// soakTable is the soak as Markdown.
func soakTable(s *soak) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%.0f minutes**, %d commits, on %s. What counts begins at minute %.0f.\n\n| | of | mean | growth over the run | flat |\n|---|---|---|---|---|\n",
		s.Minutes, s.Commits, s.Ground, s.last()*warmUp)
	for _, r := range s.rows() {
		flat := r.flat
		if flat != "yes" {
			flat = "**" + flat + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %+.1f | %s |\n", r.measure, r.of, r.trend.Mean, r.trend.Growth, flat)
	}
	return b.String()
}

// draw makes the pictures of the soak, by their paths.
func (s *soak) draw() map[string][]byte {
	pictures := map[string][]byte{}
	for _, m := range append(measures(), measure{key: etcdObjects, title: "Objects in etcd", unit: "objects"}) {
		p := plot.Plot{Title: fmt.Sprintf("%s in %.0f minutes with a commit every 2 s", m.title, s.Minutes), X: "minutes", Y: m.unit, Linear: true}
		names := platform.Programs()
		if m.key == etcdObjects {
			names = []string{"all but Events"}
		}
		for _, name := range names {
			series := plot.Series{Name: name}
			for _, sample := range s.Samples[m.key][name] {
				series.Points = append(series.Points, plot.Point{X: sample.Minute, Y: sample.Value})
			}
			p.Series = append(p.Series, series)
		}
		pictures["docs/soak-"+m.key+".svg"] = p.SVG()
	}
	return pictures
}

// keep writes the soak, its pictures and its part of the page.
func (s *soak) keep(out io.Writer) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	files := s.draw()
	files[soakFigures] = append(data, '\n')
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if files[page], err = insert(text, soakBegins, soakEnds, soakTable(s)); err != nil {
		return err
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o644); err != nil { //#nosec G306 -- everybody may read it
			return err
		}
	}
	fmt.Fprint(out, soakTable(s))
	return addKeys(summary, map[string]float64{"soak_minutes": s.Minutes, "soak_growing": float64(len(s.growth()))})
}
