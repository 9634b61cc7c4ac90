// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/oci"
)

const testField = "spec.weir.images[0]"

// model is a candidate with annotations in pairs.
func model(tag string, annotations ...string) Candidate {
	m := &oci.Manifest{Digest: "sha256:" + tag, ArtifactType: "application/vnd.cncf.model.manifest.v1+json", Annotations: map[string]string{}, Platforms: []oci.Platform{{}}}
	for i := 0; i < len(annotations); i += 2 {
		m.Annotations[annotations[i]] = annotations[i+1]
	}
	return Candidate{Tag: tag, Manifest: m}
}

// image is a candidate with a label size for each platform, in pairs.
func image(tag string, sizes ...string) Candidate {
	m := &oci.Manifest{Digest: "sha256:" + tag, Annotations: map[string]string{}}
	for i := 0; i < len(sizes); i += 2 {
		m.Platforms = append(m.Platforms, oci.Platform{Name: sizes[i], Labels: map[string]string{"size": sizes[i+1]}})
	}
	return Candidate{Tag: tag, Manifest: m}
}

func gateOf(name, expression string) imagev1.Gate {
	return imagev1.Gate{Name: name, Expression: expression}
}

const better = "num(candidate.annotations['acc']) >= num(baseline.annotations['acc']) - 0.005"

// now is a Sunday.
func now() time.Time { return time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC) }

func with(gates ...imagev1.Gate) *imagev1.Image { return &imagev1.Image{Name: "model", Gates: gates} }

func aged(image *imagev1.Image, age time.Duration) *imagev1.Image {
	image.MinAge = &metav1.Duration{Duration: age}
	return image
}

func seen(c Candidate, ago time.Duration) Candidate {
	c.FirstSeen = now().Add(-ago)
	return c
}

// The gates of the tests.
func accuracy() imagev1.Gate { return gateOf("accuracy", better) }

func passing() imagev1.Gate {
	gate := accuracy()
	gate.OnNoBaseline = imagev1.NoBaselinePass
	return gate
}

func best() imagev1.Gate {
	gate := accuracy()
	gate.Baseline, gate.Best = imagev1.BaselineBestAccepted, "num(candidate.annotations['acc'])"
	return gate
}

func latency() imagev1.Gate { return gateOf("latency", "num(candidate.annotations['p95']) <= 80.0") }

func size() imagev1.Gate {
	return gateOf("size", "num(candidate.labels['size']) <= num(baseline.labels['size']) * 1.1")
}

func small() imagev1.Gate { return gateOf("small", "num(candidate.labels['size']) <= 2.0") }

const approve = "; to accept this candidate, annotate the automation with weir.dev/approve: model@sha256:v2"

// trial is a row of the tables of Judge.
type trial struct {
	image     *imagev1.Image
	candidate Candidate
	current   *Candidate
	best      *Candidate
	want      Verdict
}

func (c trial) check(t *testing.T) {
	rules, err := Compile(testField, c.image)
	if err != nil {
		t.Fatal(err)
	}
	got := rules.Judge(t.Context(), c.candidate, c.current, map[string]*Candidate{"accuracy": c.best}, now())
	if diff := cmp.Diff(c.want, got, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

func TestGates(t *testing.T) {
	for name, tc := range map[string]trial{
		"no rules": {with(), model("v2"), nil, nil, Verdict{Passed: true}},
		"better": {with(accuracy()), model("v2", "acc", "0.931"), new(model("v1", "acc", "0.93")), nil,
			Verdict{Passed: true, Results: []Result{{"accuracy", "accuracy=0.931>=0.925"}}}},
		"worse": {with(accuracy()), model("v2", "acc", "0.912"), new(model("v1", "acc", "0.931")), nil,
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: "gate accuracy is not met: 0.912>=0.926 is false"}},
		"two pass": {with(accuracy(), latency()), model("v2", "acc", "0.95", "p95", "71"), new(model("v1", "acc", "0.93")), nil,
			Verdict{Passed: true, Results: []Result{{"accuracy", "accuracy=0.95>=0.925"}, {"latency", "latency=71<=80"}}}},
		"one of two": {with(accuracy(), latency()), model("v2", "acc", "0.95", "p95", "91"), new(model("v1", "acc", "0.93")), nil,
			Verdict{Reason: "GateFailed", Gate: "latency", Message: "gate latency is not met: 91<=80 is false", Results: []Result{{"accuracy", "accuracy=0.95>=0.925"}}}},
		"both": {with(accuracy(), latency()), model("v2", "acc", "0.9", "p95", "91"), new(model("v1", "acc", "0.93")), nil,
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: "gate accuracy is not met: 0.9>=0.925 is false; 1 more check fails"}},
		"missing": {with(accuracy()), model("v2"), new(model("v1", "acc", "0.93")), nil,
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: `gate accuracy is not met: candidate.annotations["acc"] is missing`}},
		"missing in baseline": {with(accuracy()), model("v2", "acc", "0.9"), new(model("v1")), nil,
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: `gate accuracy is not met: baseline.annotations["acc"] is missing`}},
		"missing, other side true": {with(gateOf("g", "num(candidate.annotations['acc']) > 0.5 || candidate.tag == 'v2'")), model("v2"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "g", Message: `gate g is not met: candidate.annotations["acc"] is missing`}},
		"not a number": {with(latency()), model("v2", "p95", "NaN"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "latency", Message: `gate latency is not met: num(candidate.annotations["p95"]): "NaN" is not a decimal number`}},
		"text of an attacker": {with(gateOf("g", "candidate.annotations['stage'] == 'prod'")), model("v2", "stage", "x\nSigned-off-by: root"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "g", Message: `gate g is not met: "x\nSigned-off-by: root"=="prod" is false`}},
		"artifact type": {with(gateOf("g", "candidate.artifactType.startsWith('application/vnd.cncf.model') && candidate.platform == ''")), model("v2"), nil, nil,
			Verdict{Passed: true, Results: []Result{{"g", `g="application/vnd.cncf.model.manifest.v1+json".startsWith("application/vnd.cncf.model") && ""==""`}}}},
		"no values": {with(gateOf("g", "false")), model("v2"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "g", Message: "gate g is not met: false is false"}},
		"constant": {with(gateOf("g", "true")), model("v2"), nil, nil, Verdict{Passed: true, Results: []Result{{"g", "g=true"}}}},
		"too expensive": {with(gateOf("g", "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a+b+c+d+e > 0)))))")), model("v2"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "g", Message: "gate g is not met: the evaluation takes more than 100000 steps; look at less, or at smaller fields"}},
	} {
		t.Run(name, tc.check)
	}
}

func TestBaselines(t *testing.T) {
	for name, tc := range map[string]trial{
		"no baseline": {with(accuracy()), model("v2", "acc", "0.9"), nil, nil,
			Verdict{Reason: "NoBaseline", Gate: "accuracy", Message: "gate accuracy compares with the digest that Git holds, and there is none" + approve, NeedsApproval: true}},
		"no baseline, others fail": {with(latency(), accuracy()), model("v2", "acc", "0.9"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "latency", Message: `gate latency is not met: candidate.annotations["p95"] is missing; 1 more check fails`, NeedsApproval: true}},
		"no baseline, approved": {with(accuracy()), Candidate{Tag: "v2", Manifest: model("v2").Manifest, Approved: true}, nil, nil,
			Verdict{Passed: true, Results: []Result{{"accuracy", "accuracy=approved without a baseline"}}}},
		"approved, and worse": {with(accuracy()), Candidate{Tag: "v2", Manifest: model("v2", "acc", "0.1").Manifest, Approved: true}, new(model("v1", "acc", "0.931")), nil,
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: "gate accuracy is not met: 0.1>=0.926 is false"}},
		"no baseline, pass":       {with(passing()), model("v2"), nil, nil, Verdict{Passed: true, Results: []Result{{"accuracy", "accuracy=passed without a baseline"}}}},
		"no baseline, not needed": {with(latency()), model("v2", "p95", "8"), nil, nil, Verdict{Passed: true, Results: []Result{{"latency", "latency=8<=80"}}}},
		"baseline unreadable": {with(passing()), model("v2", "acc", "0.9"), &Candidate{Tag: "v1"}, nil,
			Verdict{Reason: "NoBaseline", Gate: "accuracy", Message: "gate accuracy compares with the digest that Git holds, and it cannot be read" + approve, NeedsApproval: true}},
		"best accepted": {with(best()), model("v2", "acc", "0.93"), new(model("v1", "acc", "0.5")), new(model("v0", "acc", "0.95")),
			Verdict{Reason: "GateFailed", Gate: "accuracy", Message: "gate accuracy is not met: 0.93>=0.945 is false"}},
		"best accepted, none": {with(best()), model("v2", "acc", "0.93"), new(model("v1", "acc", "0.5")), nil,
			Verdict{Reason: "NoBaseline", Gate: "accuracy", Message: "gate accuracy compares with the best digest that Git has held, and there is none" + approve, NeedsApproval: true}},
	} {
		t.Run(name, tc.check)
	}
}

func TestPlatforms(t *testing.T) {
	for name, tc := range map[string]trial{
		"platforms": {with(size()), image("v2", "linux/amd64", "1", "linux/arm64", "2"), new(image("v1", "linux/arm64", "2", "linux/amd64", "1")), nil,
			Verdict{Passed: true, Results: []Result{{"size", "size=1<=1.1 && 2<=2.2"}}}},
		"one platform fails": {with(size()), image("v2", "linux/amd64", "1", "linux/arm64", "3"), new(image("v1", "linux/amd64", "1", "linux/arm64", "2")), nil,
			Verdict{Reason: "GateFailed", Gate: "size", Message: "gate size is not met for linux/arm64: 3<=2.2 is false"}},
		"new platform": {with(size()), image("v2", "linux/amd64", "1", "linux/arm64", "2"), new(image("v1", "linux/amd64", "1")), nil,
			Verdict{Reason: "GateFailed", Gate: "size", Message: `gate size is not met for linux/arm64: baseline.labels["size"] is missing`}},
		"no platforms": {with(small()), image("v2"), nil, nil,
			Verdict{Reason: "GateFailed", Gate: "small", Message: `gate small is not met: candidate.labels["size"] is missing`}},
		"unreadable": {with(small()), Candidate{Tag: "v2"}, nil, nil,
			Verdict{Reason: "Unreadable", Message: "the manifest cannot be read, so no gate can look at it"}},
		"unreadable, no gates": {with(), Candidate{Tag: "v2"}, nil, nil, Verdict{Passed: true}},
	} {
		t.Run(name, tc.check)
	}
}

func TestSignatureAgeAndWindows(t *testing.T) {
	for name, tc := range map[string]trial{
		"signature": {with(small()), Candidate{Tag: "v2", Manifest: image("v2", "", "1").Manifest, Signature: errors.New("no signature of sha256:v2 was found")}, nil, nil,
			Verdict{Reason: "SignatureInvalid", Message: "no signature of sha256:v2 was found", Results: []Result{{"small", "small=1<=2"}}}},
		"signature first": {aged(with(small()), time.Hour), Candidate{Tag: "v2", Manifest: image("v2", "", "3").Manifest, Signature: errors.New("x")}, nil, nil,
			Verdict{Reason: "SignatureInvalid", Message: "x; 2 more checks fail", Recheck: now().Add(time.Hour)}},

		"too young": {aged(with(), 24*time.Hour), seen(model("v2"), time.Hour), nil, nil,
			Verdict{Reason: "TooYoung", Message: "it was first seen at 2026-11-22T11:00:00Z, so it is held until 2026-11-23T11:00:00Z: minAge is 24h", Recheck: now().Add(23 * time.Hour)}},
		"never seen":      {aged(with(), 90*time.Minute), model("v2"), nil, nil, Verdict{Reason: "TooYoung", Message: "it was first seen now: minAge is 1h30m", Recheck: now().Add(90 * time.Minute)}},
		"old enough":      {aged(with(), time.Hour), seen(model("v2"), time.Hour), nil, nil, Verdict{Passed: true}},
		"gate before age": {aged(with(latency()), time.Hour), model("v2", "p95", "90"), nil, nil, Verdict{Reason: "GateFailed", Gate: "latency", Message: "gate latency is not met: 90<=80 is false; 1 more check fails", Recheck: now().Add(time.Hour)}},
		"seen in the future": {aged(with(), time.Hour), seen(model("v2"), -time.Hour), nil, nil,
			Verdict{Reason: "TooYoung", Message: "it was first seen at 2026-11-22T13:00:00Z, so it is held until 2026-11-22T14:00:00Z: minAge is 1h", Recheck: now().Add(2 * time.Hour)}},
		"window": {&imagev1.Image{Windows: &imagev1.Windows{Allow: []imagev1.Window{{Schedule: "0 8 * * MON-FRI", Duration: metav1.Duration{Duration: 9 * time.Hour}, TimeZone: "Europe/Berlin"}}}}, model("v2"), nil, nil,
			Verdict{Reason: "OutsideWindow", Message: `the allow window "0 8 * * MON-FRI" for 9h in Europe/Berlin is not open; Git may change again at 2026-11-23T08:00:00+01:00`, Recheck: time.Date(2026, time.November, 23, 7, 0, 0, 0, time.UTC)}},
	} {
		t.Run(name, tc.check)
	}
}

func TestResultsAreBounded(t *testing.T) {
	rules, err := Compile(testField, &imagev1.Image{Gates: []imagev1.Gate{gateOf("g", "candidate.annotations.a != candidate.annotations.b && candidate.annotations.a != 'x' && candidate.annotations.b != 'x' && candidate.annotations.b != 'y'")}})
	if err != nil {
		t.Fatal(err)
	}
	v := rules.Judge(t.Context(), model("v2", "a", strings.Repeat("é", 500), "b", strings.Repeat("\x01\u202e", 500)), nil, nil, time.Now())
	if !v.Passed || len(v.Results[0].Text) > maxResult || !strings.HasSuffix(v.Results[0].Text, "…") || strings.ContainsAny(v.Results[0].Text, "\x01\n\u202e") {
		t.Errorf("verdict %+v", v)
	}
}

func TestCompile(t *testing.T) {
	window := func(schedule string, length time.Duration, zone string) *imagev1.Windows {
		return &imagev1.Windows{Deny: []imagev1.Window{{Schedule: schedule, Duration: metav1.Duration{Duration: length}, TimeZone: zone}}}
	}
	for name, tc := range map[string]struct {
		image imagev1.Image
		want  string
	}{
		"expression":          {imagev1.Image{Gates: []imagev1.Gate{gateOf("a", "true"), gateOf("b", "candidate.tga == ''")}}, `.gates[1].expression: 1:10: candidate has no field "tga"; it has annotations, artifactType, digest, labels, platform, tag`},
		"best of a condition": {imagev1.Image{Gates: []imagev1.Gate{{Name: "a", Expression: "true", Baseline: "BestAccepted", Best: "true"}}}, ".gates[0].best: the expression yields bool, want a number"},
		"best of a baseline":  {imagev1.Image{Gates: []imagev1.Gate{{Name: "a", Expression: "true", Baseline: "BestAccepted", Best: "num(baseline.tag)"}}}, ".gates[0].best: 1:5: undeclared reference to 'baseline' (in container '')"},
		"best missing":        {imagev1.Image{Gates: []imagev1.Gate{{Name: "a", Expression: "true", Baseline: "BestAccepted"}}}, ".gates[0].best: is required with baseline BestAccepted, and refused otherwise"},
		"best of current":     {imagev1.Image{Gates: []imagev1.Gate{{Name: "a", Expression: "true", Best: "1"}}}, ".gates[0].best: is required with baseline BestAccepted, and refused otherwise"},
		"four fields":         {imagev1.Image{Windows: window("0 8 * *", time.Hour, "")}, `.windows.deny[0].schedule: "0 8 * *" does not have the five fields of cron: minute, hour, day of month, month, day of week`},
		"six fields":          {imagev1.Image{Windows: window("0 0 8 * * *", time.Hour, "")}, `.windows.deny[0].schedule: "0 0 8 * * *" does not have the five fields of cron: minute, hour, day of month, month, day of week`},
		"zone in schedule":    {imagev1.Image{Windows: window("TZ=0 0 8 * *", time.Hour, "")}, `.windows.deny[0].schedule: "TZ=0 0 8 * *" does not have the five fields of cron: minute, hour, day of month, month, day of week`},
		"descriptor":          {imagev1.Image{Windows: window("@daily", time.Hour, "")}, `.windows.deny[0].schedule: "@daily" does not have the five fields of cron: minute, hour, day of month, month, day of week`},
		"hour":                {imagev1.Image{Windows: window("0 25 * * *", time.Hour, "")}, ".windows.deny[0].schedule: end of range (25) above maximum (23): 25"},
		"never":               {imagev1.Image{Windows: window("0 0 31 2 *", time.Hour, "")}, `.windows.deny[0].schedule: "0 0 31 2 *" never opens`},
		"zone":                {imagev1.Image{Windows: window("0 8 * * *", time.Hour, "Mars/Olympus")}, `.windows.deny[0].timeZone: "Mars/Olympus" is not in the IANA database of time zones; name one such as Europe/Berlin`},
		"zone of the machine": {imagev1.Image{Windows: window("0 8 * * *", time.Hour, "Local")}, `.windows.deny[0].timeZone: "Local" is not in the IANA database of time zones; name one such as Europe/Berlin`},
		"no duration":         {imagev1.Image{Windows: window("0 8 * * *", 0, "")}, ".windows.deny[0].duration: 0s is not between 1ms and 744h"},
		"long duration":       {imagev1.Image{Windows: window("0 8 * * *", 745*time.Hour, "")}, ".windows.deny[0].duration: 745h is not between 1ms and 744h"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile(testField, &tc.image); err == nil || err.Error() != testField+tc.want {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestBest(t *testing.T) {
	spec := &imagev1.Image{Gates: []imagev1.Gate{
		gateOf("plain", "true"),
		{Name: "acc", Expression: "true", Baseline: imagev1.BaselineBestAccepted, Best: "num(candidate.annotations['acc'])"},
		{Name: "size", Expression: "true", Baseline: imagev1.BaselineBestAccepted, Best: "num(candidate.labels['size'])"},
	}}
	rules, err := Compile(testField, spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acc", "size"}, rules.BestGates()); diff != "" {
		t.Errorf("gates (-want +got):\n%s", diff)
	}
	models := []*Candidate{new(model("a", "acc", "0.9")), new(model("b", "acc", "0.95")), new(model("c", "acc", "0.95")), new(model("d", "acc", "inf")), new(model("e")), {Tag: "f"}, nil}
	images := []*Candidate{new(image("a", "x", "1", "y", "9")), new(image("b", "x", "2", "y", "3"))}
	for name, tc := range map[string]struct {
		gate     string
		accepted []*Candidate
		want     *Candidate
	}{
		"highest":         {"acc", models, models[1]},
		"lowest platform": {"size", images, images[1]},
		"none":            {"acc", models[3:], nil},
		"not of its kind": {"plain", models, nil},
		"unknown":         {"x", models, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rules.Best(t.Context(), tc.gate, tc.accepted); got != tc.want {
				t.Errorf("best is %+v, want %+v", got, tc.want)
			}
		})
	}
}
