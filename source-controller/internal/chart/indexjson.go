// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// readJSON reads an index in JSON, one version of a chart after the other. What
// is not JSON may still be YAML.
func readJSON(r io.Reader, c *collector) error {
	decoder := json.NewDecoder(r)
	err := eachField(decoder, func(key string) error {
		switch key {
		case "apiVersion":
			var version string
			err := decoder.Decode(&version)
			c.version = version != ""
			return err
		case "entries":
			return eachField(decoder, func(name string) error { return readJSONChart(decoder, name, c) })
		}
		return skip(decoder)
	})
	if errors.Is(err, errInvalid) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errIrregular, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the end", errIrregular)
	}
	return nil
}

// readJSONChart reads the versions of one chart.
func readJSONChart(decoder *json.Decoder, name string, c *collector) error {
	wanted, err := c.begin(name)
	if err != nil {
		return err
	}
	opening, err := decoder.Token()
	if err != nil || opening == nil {
		return err
	}
	if opening != json.Delim('[') {
		return errIrregular
	}
	for decoder.More() {
		var entry *indexEntry
		if !wanted {
			err = skip(decoder)
		} else if err = decoder.Decode(&entry); err == nil {
			err = c.add(entry)
		}
		if err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// eachField calls value at the value of each field of an object.
func eachField(decoder *json.Decoder, value func(key string) error) error {
	opening, err := decoder.Token()
	if err != nil || opening == nil {
		return err
	}
	if opening != json.Delim('{') {
		return errIrregular
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errIrregular
		}
		if err := value(name); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// skip passes over one value.
func skip(decoder *json.Decoder) error {
	depth := 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// lineOf returns ", near line N" if an error of YAML says where it is. The rest
// of its text may quote what was read.
func lineOf(err error) string {
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		return ", near line " + found[1]
	}
	return ""
}
