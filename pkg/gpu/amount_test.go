// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func amount(t *testing.T, text string) Amount {
	t.Helper()
	a, err := ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "16": "16", "1/7": "1/7", "14/7": "2", "0/5": "0", "007": "7", "4/6": "2/3",
		"9223372036854775807": "9223372036854775807", strings.Repeat("9", 64): strings.Repeat("9", 64),
	} {
		if got := amount(t, text).String(); got != want {
			t.Errorf("ParseAmount(%q) = %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5", "1e3", "1/0", "1/", "/2", "1/2/3", "1 ", "0x10", "1_0", "NaN", "١", strings.Repeat("9", 65), "1/" + strings.Repeat("9", 65)} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("ParseAmount(%q) = %s, want an error", text, got)
		}
	}
}

func TestAmountsAreExact(t *testing.T) {
	seventh := amount(t, "1/7")
	if sum := seventh.Times(7); !sum.Equal(Whole(1)) {
		t.Errorf("seven sevenths are %s, want 1", sum)
	}
	var sum Amount
	for range 10 {
		sum = sum.Add(amount(t, "1/10"))
	}
	if !sum.Equal(Whole(1)) {
		t.Errorf("ten tenths are %s, want 1", sum)
	}
	for name, tc := range map[string]struct {
		got  Amount
		want string
	}{
		"less":               {Whole(3).Sub(Whole(1)), "2"},
		"never below zero":   {Whole(1).Sub(Whole(3)), "0"},
		"nothing less":       {Whole(3).Sub(Amount{}), "3"},
		"zero less":          {Amount{}.Sub(Whole(3)), "0"},
		"negative":           {Whole(-4), "0"},
		"negative times":     {Whole(4).Times(-1), "0"},
		"none times":         {Whole(4).Times(0), "0"},
		"large":              {Whole(math.MaxInt64).Times(math.MaxInt64), "85070591730234615847396907784232501249"},
		"part of a part":     {amount(t, "1/2").of(amount(t, "1/7")), "1/14"},
		"part of nothing":    {amount(t, "1/2").of(Amount{}), "0"},
		"the larger":         {Max(seventh, amount(t, "1/8")), "1/7"},
		"the larger of none": {Max(Amount{}, Amount{}), "0"},
	} {
		if got := tc.got.String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
	if got := seventh.Float(); math.Abs(got-1.0/7) > 1e-12 {
		t.Errorf("Float() = %v", got)
	}
}

func TestAmountsOfNames(t *testing.T) {
	a, b := Amounts{"a": Whole(2), "b": Whole(1)}, Amounts{"b": Whole(3), "c": Whole(4)}
	for name, tc := range map[string]struct{ got, want Amounts }{
		"sum":             {a.Add(b), Amounts{"a": Whole(2), "b": Whole(4), "c": Whole(4)}},
		"difference":      {a.Sub(b), Amounts{"a": Whole(2)}},
		"larger":          {a.Max(b), Amounts{"a": Whole(2), "b": Whole(3), "c": Whole(4)}},
		"times":           {a.Times(3), Amounts{"a": Whole(6), "b": Whole(3)}},
		"times none":      {a.Times(0), Amounts{}},
		"nil and nil":     {Amounts(nil).Add(nil), Amounts{}},
		"nil and some":    {Amounts(nil).Max(b), b},
		"with zeros":      {Amounts{"z": {}}.Add(nil), Amounts{}},
		"equal and zeros": {a.Clone(), Amounts{"a": Whole(2), "b": Whole(1), "z": {}}},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := a.Total(); !got.Equal(Whole(3)) {
		t.Errorf("Total() = %s, want 3", got)
	}
	if !a.Covers(Amounts{"a": Whole(2)}) || a.Covers(b) || !a.Covers(nil) || Amounts(nil).Covers(a) {
		t.Error("Covers is wrong")
	}
	if !(Amounts{"z": {}}).IsZero() || a.IsZero() || !Amounts(nil).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestAmountsAsJSON(t *testing.T) {
	want := Estimate{Groups: []Group{{Shape: Shape{Resources: Amounts{"a": amount(t, "3/7")}, Pins: []map[string][]string{{"x": {"y"}}}, Claims: 1}, Min: 1, Max: -1, Surge: 2, Stuck: true}}, Unknown: "why"}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Estimate
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", data, diff)
	}
	if err := json.Unmarshal([]byte(`{"groups": [{"shape": {"resources": {"a": "1.5"}}}]}`), &got); err == nil {
		t.Error("an amount that is none was read")
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, text := range []string{"1", "1/7", "-3", "1e9", "99999999999999999999/3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAmount(text)
		if err != nil {
			return
		}
		again, err := ParseAmount(a.String())
		if err != nil || !again.Equal(a) {
			t.Errorf("%q is %s, which is %s again: %v", text, a, again, err)
		}
		if a.Sub(a).Cmp(Amount{}) != 0 || a.Add(a).Cmp(a.Times(2)) != 0 || a.Cmp(Amount{}) < 0 {
			t.Errorf("the arithmetic of %s is wrong", a)
		}
	})
}
