// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/weir-gitops/weir/pkg/redact"
)

// Why a data key was not obtained. The libraries' own errors are not passed on: they hold ciphertext, bodies of responses
// and numbers that differ each time.
var (
	errNoMatch   = errors.New("none of the keys fits")
	errMalformed = errors.New("the encrypted data key is damaged")
)

// maxShown is how many keys an error lists, and maxName how much of the name of one it shows.
const (
	maxShown = 5
	maxName  = 160
)

// KeyError is what decryption fails with if no key that the file was encrypted for is at hand.
type KeyError struct {
	// Tried are the keys that were tried, in order.
	Tried []Attempt
}

// Attempt is one key that was tried in vain.
type Attempt struct {
	// Type is the type of the key, such as "age" or "AWS KMS".
	Type string
	// Name is its public name: a recipient, a fingerprint, the address of a key in a service.
	Name string
	// Cause is why it did not do.
	Cause error
}

// Error implements error.
func (e *KeyError) Error() string {
	if len(e.Tried) == 0 {
		return "it was encrypted for no key at all"
	}
	var texts []string
	for i, a := range e.Tried {
		if i == maxShown {
			texts = append(texts, fmt.Sprintf("and %d more", len(e.Tried)-i))
			break
		}
		texts = append(texts, fmt.Sprintf("%s %s: %v", a.Type, presentable(a.Name), a.Cause))
	}
	return "no key that it was encrypted for can be used; tried " + strings.Join(texts, "; ")
}

// presentable returns a name out of a file as it may stand in a condition.
func presentable(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, redact.String(name))
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return name
}
