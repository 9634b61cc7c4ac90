// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"strings"
	"testing"
)

// Errors show texts as they are, quoted, cut into lines, and encoded.
func TestSecretsAreTakenOutInEveryForm(t *testing.T) {
	for name, tc := range map[string]struct{ secret, text string }{
		"as it is":     {"hunter2hunter2", "the value hunter2hunter2 is wrong"},
		"in a table":   {"password: hunter2hunter2\n", "the value hunter2hunter2 is wrong"},
		"quoted":       {"password: \"hunter2\\nhunter2\"\n", `at '/password': 'hunter2\nhunter2' does not match`},
		"with quotes":  {`password: 'hun"ter2hunter2'`, `Invalid value: "hun\"ter2hunter2"`},
		"single":       {`password: 'hun"ter2hunter2'`, `'hun"ter2hunter2' does not match`},
		"one line":     {"key: |\n  BEGIN\n  hunter2hunter2\n  END\n", "line 2: hunter2hunter2: unexpected"},
		"no table":     {"BEGIN\nhunter2hunter2\nEND\n", "line 2: hunter2hunter2: unexpected"},
		"base64":       {"password: hunter2\n", "data: aHVudGVyMg=="},
		"number":       {"pin: 48151623\n", "48151623 is too long"},
		"float":        {"pin: 48151623\n", "4.8151623e+07 is too long"},
		"without list": {"- hunter2hunter2\n", "hunter2hunter2 is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			known := &secrets{}
			known.note(tc.secret)
			got := known.redact()(tc.text)
			for _, part := range []string{"unter2", "48151623", "8151623e", "aHVudGVy"} {
				if strings.Contains(got, part) {
					t.Errorf("shown: %q", got)
				}
			}
		})
	}
}
