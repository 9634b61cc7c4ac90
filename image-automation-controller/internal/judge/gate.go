// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/cel"
	"github.com/weir-gitops/weir/pkg/oci"
)

// gate is a compiled gate.
type gate struct {
	name      string
	condition *cel.Program
	compares  bool         // the condition reads baseline
	best      *cel.Program // nil unless the baseline is BestAccepted
	pass      bool         // without a baseline
}

// fields are what an expression sees of a candidate and of a baseline.
func fields() []string {
	return []string{"tag", "digest", "annotations", "labels", "artifactType", "platform"}
}

func compileGate(field string, spec *imagev1.Gate) (gate, error) {
	g := gate{name: spec.Name, pass: spec.OnNoBaseline == imagev1.NoBaselinePass}
	var err error
	both := cel.Facts{Objects: map[string][]string{"candidate": fields(), "baseline": fields()}}
	if g.condition, err = both.Condition(field+".expression", spec.Expression); err != nil {
		return gate{}, err
	}
	g.compares = g.condition.Reads("baseline")
	wantsBest := spec.Baseline == imagev1.BaselineBestAccepted
	if wantsBest != (spec.Best != "") {
		return gate{}, fmt.Errorf("%s.best: is required with baseline %s, and refused otherwise", field, imagev1.BaselineBestAccepted)
	}
	if wantsBest {
		one := cel.Facts{Objects: map[string][]string{"candidate": fields()}}
		if g.best, err = one.Number(field+".best", spec.Best); err != nil {
			return gate{}, err
		}
	}
	return g, nil
}

// judge returns how a candidate passed the gate, or why it did not.
func (g *gate) judge(ctx context.Context, image string, c Candidate, baseline *Candidate) (text string, no *failure) {
	if g.compares && (baseline == nil || baseline.Manifest == nil) {
		switch {
		case c.Approved:
			return g.name + "=approved without a baseline", nil
		// A baseline that is there and cannot be read is not the first of
		// its kind: whoever deletes it must not open the gate.
		case baseline == nil && g.pass:
			return g.name + "=passed without a baseline", nil
		}
		return "", g.noBaseline(image, c, baseline)
	}
	var texts []string
	vars, platforms := map[string]any{}, platforms(c.Manifest)
	for _, platform := range platforms {
		vars["candidate"] = facts(&c, platform)
		if g.compares {
			vars["baseline"] = facts(baseline, samePlatform(baseline.Manifest, platform.Name))
		}
		met, terms, err := g.condition.Explain(ctx, vars)
		if err != nil || !met {
			on := ""
			if len(platforms) > 1 {
				on = " for " + clean(platform.Name, maxName)
			}
			return "", g.notMet(terms, err, on)
		}
		if joined := strings.Join(terms, " && "); joined != "" && !slices.Contains(texts, joined) {
			texts = append(texts, joined)
		}
	}
	if len(texts) == 0 {
		texts = []string{"true"}
	}
	return clean(g.name+"="+strings.Join(texts, " && "), maxResult), nil
}

func (g *gate) notMet(terms []string, err error, on string) *failure {
	no := &failure{reason: imagev1.GateFailedReason, gate: g.name}
	switch problem, ok := errors.AsType[*cel.Error](err); {
	case ok:
		no.message = fmt.Sprintf("gate %s is not met%s: %s", g.name, on, problem.Message)
	case err != nil:
		no.message = fmt.Sprintf("gate %s is not met%s: %v", g.name, on, err)
	case len(terms) == 0:
		no.message = fmt.Sprintf("gate %s is not met%s: %s", g.name, on, clean(g.condition.String(), maxResult)+" is false")
	default:
		no.message = fmt.Sprintf("gate %s is not met%s: %s is false", g.name, on, clean(strings.Join(terms, " || "), maxResult))
	}
	return no
}

func (g *gate) noBaseline(image string, c Candidate, baseline *Candidate) *failure {
	with := "the digest that Git holds"
	if g.best != nil {
		with = "the best digest that Git has held"
	}
	why := "there is none"
	if baseline != nil {
		why = "it cannot be read"
	}
	return &failure{reason: imagev1.NoBaselineReason, gate: g.name, message: fmt.Sprintf(
		"gate %s compares with %s, and %s; to accept this candidate, annotate the automation with %s: %s@%s",
		g.name, with, why, imagev1.ApproveAnnotation, image, c.Manifest.Digest)}
}

// Best returns the one of the accepted candidates for which the expression best
// of a gate is highest, the first of equals, or nil. For an index that is its
// lowest value of all platforms. Those that cannot be read, or for which the
// expression fails, are left out.
func (r *Rules) Best(ctx context.Context, gateName string, accepted []*Candidate) *Candidate {
	at := slices.IndexFunc(r.gates, func(g gate) bool { return g.name == gateName && g.best != nil })
	if at < 0 {
		return nil
	}
	var best *Candidate
	var highest cel.Value
	for _, c := range accepted {
		value, ok := r.gates[at].value(ctx, c)
		if ok && (best == nil || value.Compare(highest) > 0) {
			best, highest = c, value
		}
	}
	return best
}

func (g *gate) value(ctx context.Context, c *Candidate) (lowest cel.Value, ok bool) {
	if c == nil || c.Manifest == nil {
		return cel.Value{}, false
	}
	for i, platform := range platforms(c.Manifest) {
		value, err := g.best.Value(ctx, map[string]any{"candidate": facts(c, platform)})
		if err != nil {
			return cel.Value{}, false
		}
		if i == 0 || value.Compare(lowest) < 0 {
			lowest = value
		}
	}
	return lowest, true
}

// platforms returns what a gate has to hold for, which is never nothing.
func platforms(m *oci.Manifest) []oci.Platform {
	if len(m.Platforms) == 0 {
		return []oci.Platform{{}}
	}
	return m.Platforms
}

// samePlatform returns a platform by its name. One that is not there has no
// labels.
func samePlatform(m *oci.Manifest, name string) oci.Platform {
	for _, platform := range m.Platforms {
		if platform.Name == name {
			return platform
		}
	}
	return oci.Platform{Name: name}
}

func facts(c *Candidate, platform oci.Platform) map[string]any {
	return map[string]any{
		"tag": c.Tag, "digest": c.Manifest.Digest, "annotations": c.Manifest.Annotations, "labels": platform.Labels,
		"artifactType": c.Manifest.ArtifactType, "platform": platform.Name,
	}
}

// How many bytes of names, results and errors are shown.
const (
	maxName    = 64
	maxResult  = 180
	maxMessage = 500
)

// clean makes one printable line of a text, of at most so many bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	const cut = "…"
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-len(cut)], "") + cut
	}
	return text
}
