// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package setter

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// encode writes a value of printable ASCII in a style, or in double quotes where a plain value would not be read as that
// text by everybody.
func encode(value string, style yaml.Style) string {
	switch {
	case style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case style&yaml.DoubleQuotedStyle != 0 || !plain.MatchString(value) || retyped.MatchString(value):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	}
	return value
}

var (
	// plain is what can stand without quotes anywhere, in a list of one line too. It is narrower than YAML.
	plain = regexp.MustCompile(`^[A-Za-z0-9_./](?:[A-Za-z0-9_./+@:-]*[A-Za-z0-9_./+@-])?$`)

	// retyped is what YAML 1.1 or 1.2 reads as something else than text: truth values, null, numbers (with underscores,
	// octal, hexadecimal, binary, in base 60), dates and the two special keys.
	retyped = regexp.MustCompile(`^(?:` + strings.Join([]string{
		`(?i:y|yes|n|no|true|false|on|off|null)`, `~`, `=`, `<<`,
		`[-+]?[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?`,
		`[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)?`,
		`[-+]?0(?:x[0-9a-fA-F_]+|X[0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)`,
		`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?`,
		`[-+]?\.(?i:inf|nan)`,
		`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?`,
	}, "|") + `)$`)
)
