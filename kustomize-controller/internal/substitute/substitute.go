// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package substitute replaces variables in built objects, in the way of spec.postBuild: ${name}, and bash's forms for
// defaults, substrings and replacements, anywhere in the YAML text of an object. $${ stands for ${.
package substitute

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// Key is the label or annotation that, with the value Disabled, keeps an object as it is.
const (
	Key      = "kustomize.toolkit.fluxcd.io/substitute"
	Disabled = "disabled"
)

const (
	// maxInserted is how many bytes the values put into one object may have. No API server takes an object of that size.
	maxInserted = 16 << 20
	// maxEscapes bounds the number of escaped dollars times the size of the text, since the parser of the expressions
	// copies the text for each of them.
	maxEscapes = 2 << 30
)

// names is what the name of a variable has to look like.
var names = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// Variables are names with their values.
type Variables struct {
	values  map[string]string
	lenient bool
}

// New checks the names of variables, and takes the line breaks out of the values. Lenient replaces a variable that has
// neither a value nor a default by nothing.
func New(values map[string]string, lenient bool) (*Variables, error) {
	v := &Variables{values: make(map[string]string, len(values)), lenient: lenient}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !names.MatchString(name) {
			return nil, fmt.Errorf("the variable %q has to be named with letters, digits and underscores, and not begin with a digit", name)
		}
		v.values[name] = strings.ReplaceAll(values[name], "\n", "")
	}
	return v, nil
}

// MissingError is what an object fails with that has a variable with neither a value nor a default.
type MissingError struct {
	// Name of the variable, the first one if there are several.
	Name string
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the variable %s has no value and no default; set it in spec.postBuild, write ${%s:=default}, or "+
		"$${%s} to keep the text", e.Name, e.Name, e.Name)
}

// Skips tells whether an object asks to be left alone.
func Skips(object map[string]any) bool {
	metadata, _ := object["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return labels[Key] == Disabled || annotations[Key] == Disabled
}

// Apply returns object with the variables replaced, and does not change object. Values are put into the text of YAML, so
// that ${replicas} may become a number, and a value with YAML in it a list or a map. Errors hold no values.
func (v *Variables) Apply(object map[string]any) (map[string]any, error) {
	text, err := toYAML(object)
	if err != nil {
		return nil, err
	}
	if int64(strings.Count(text, "$$"))*int64(len(text)) > maxEscapes {
		return nil, errors.New("it has too many escaped dollars for its size; label it " + Key + ": " + Disabled)
	}
	replaced, err := v.evaluate(text)
	if err != nil {
		return nil, err
	}
	data, err := yaml.YAMLToJSON([]byte(replaced))
	if err != nil {
		return nil, v.invalid(text, object)
	}
	var result map[string]any
	if err := utiljson.Unmarshal(data, &result); err != nil || result == nil {
		return nil, errors.New("with the variables replaced it is no longer an object")
	}
	return result, nil
}

// toYAML writes an object in the form that substitution has always been done in: which strings are quoted decides what
// becomes of a value.
func toYAML(object map[string]any) (string, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return "", fmt.Errorf("write it as JSON: %w", err)
	}
	text, err := yaml.JSONToYAML(data)
	if err != nil {
		return "", fmt.Errorf("write it as YAML: %w", err)
	}
	return string(text), nil
}

// evaluate replaces the variables in text.
func (v *Variables) evaluate(text string) (string, error) {
	missing := ""
	inserted := 0
	replaced, err := envsubst.Eval(text, func(name string) (string, bool) {
		value, ok := v.values[name]
		inserted += len(value)
		if inserted > maxInserted {
			return "", true
		}
		if !ok && !v.lenient {
			missing = name
		}
		return value, ok || v.lenient
	})
	switch {
	case inserted > maxInserted:
		return "", fmt.Errorf("the values put into it have more than %d MiB", maxInserted>>20)
	case err == nil:
		return replaced, nil
	case strings.Contains(err.Error(), "variable not set"):
		return "", &MissingError{Name: missing}
	}
	return "", fmt.Errorf("an expression that begins with ${ cannot be read (%w); write $${ for the text", err)
}

// invalid says that replaced text is not YAML, and as far as can be told where. The parser's own words may quote values,
// and so may what stands in a Secret.
func (v *Variables) invalid(text string, object map[string]any) error {
	const fault = "with the variables replaced it is not valid YAML; quote the values that hold special characters"
	if object["kind"] == "Secret" {
		return errors.New(fault)
	}
	if line := v.suspect(text); line != "" && len(line) < 200 {
		return fmt.Errorf("%s, as in the line %q", fault, line)
	}
	return errors.New(fault)
}

// suspect returns the one line that is no longer YAML by itself when its variables are replaced, and "" if none or several
// are not.
func (v *Variables) suspect(text string) string {
	found := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "${") {
			continue
		}
		replaced, err := v.evaluate(line)
		if err != nil {
			continue
		}
		if _, err := yaml.YAMLToJSON([]byte(replaced)); err == nil {
			continue
		}
		if found != "" {
			return ""
		}
		found = line
	}
	return found
}
