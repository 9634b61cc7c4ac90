// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package format tells files that SOPS has encrypted from others, and in which format they are. It has nothing of SOPS in
// it, so that whoever only has to know that need not link SOPS.
package format

import (
	"bytes"
	"regexp"
	"strings"
)

// MaxBytes is how large an encrypted file, or an entry of a Secret, may be. It is Flux's limit.
const MaxBytes = 5 << 20

// Format is a format that SOPS reads and writes.
type Format string

// The formats of SOPS.
const (
	// Binary is any content at all. Encrypted, it is JSON with one field, "data".
	Binary Format = "binary"
	// Dotenv is lines of NAME=value.
	Dotenv Format = "dotenv"
	// INI is lines of name = value in [sections].
	INI Format = "ini"
	// JSON is one JSON object.
	JSON Format = "json"
	// YAML is one YAML map or several.
	YAML Format = "yaml"
)

// What SOPS writes into a file, besides what it encrypts, in each format. Every encrypted file has a message
// authentication code.
var (
	anyCode      = []byte("ENC[")
	dotenvCode   = regexp.MustCompile(`(?m)^sops_mac=ENC\[`)
	iniSection   = regexp.MustCompile(`(?m)^\[sops\]\s*$`)
	iniCode      = regexp.MustCompile(`(?m)^mac\s*=\s*ENC\[`)
	jsonCode     = regexp.MustCompile(`"mac"\s*:\s*"ENC\[`)
	yamlMetadata = regexp.MustCompile(`(?m)^["']?sops["']?\s*:`)
	yamlCode     = regexp.MustCompile(`\bmac["']?\s*:\s+["']?ENC\[`)
)

// Detect returns the format that data is encrypted in, and false if SOPS has not encrypted it. The format is never
// Binary: that cannot be told from JSON.
func Detect(data []byte) (Format, bool) {
	if !bytes.Contains(data, anyCode) {
		return "", false
	}
	switch trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); {
	case dotenvCode.Match(data):
		return Dotenv, true
	case iniSection.Match(data) && iniCode.Match(data):
		return INI, true
	case bytes.HasPrefix(trimmed, []byte("{")) && jsonCode.Match(data):
		return JSON, true
	case yamlMetadata.Match(data) && yamlCode.Match(data):
		return YAML, true
	}
	return "", false
}

// Of returns the format that the name of a file, or of an entry of a Secret, stands for.
func Of(name string) Format {
	switch {
	case strings.HasSuffix(name, ".yaml"), strings.HasSuffix(name, ".yml"):
		return YAML
	case strings.HasSuffix(name, ".json"), strings.HasSuffix(name, ".dockerconfigjson"):
		return JSON
	case strings.HasSuffix(name, ".env"):
		return Dotenv
	case strings.HasSuffix(name, ".ini"):
		return INI
	}
	return Binary
}

// Whole tells whether an object was encrypted as a whole: SOPS has put its metadata beside its fields.
func Whole(object map[string]any) bool {
	metadata, ok := object["sops"].(map[string]any)
	if !ok {
		return false
	}
	_, ok = metadata["mac"]
	return ok
}
