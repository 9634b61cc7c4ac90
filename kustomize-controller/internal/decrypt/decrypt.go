// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package decrypt turns what SOPS has encrypted into plaintext, which exists in memory only. It is the one package that
// links SOPS and the clients of the clouds that SOPS brings.
package decrypt

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
)

// Decrypter decrypts for one build, with the keys of one Kustomization. It is safe for concurrent use.
type Decrypter struct {
	services *Services
	keys     *Keys
	account  Account

	mu sync.Mutex
	// tokens of logins to Vault, by address. They live as long as the build.
	tokens map[string]string
	// until is when key services have had their time.
	until time.Time
}

// Decrypter returns a Decrypter with the given keys, nil for none. For a key service that the keys hold no credential
// for, the account shows its identity; if it has no name, the controller shows its own.
func (s *Services) Decrypter(keys *Keys, account Account) *Decrypter {
	if keys == nil {
		keys = &Keys{}
	}
	return &Decrypter{services: s, keys: keys, account: account, tokens: map[string]string{}}
}

// Object returns an object with everything decrypted that is encrypted in it: the whole of it, or entries of the data of
// a Secret. It returns false if that is nothing. The object itself stays as it is. Errors hold neither plaintext nor
// ciphertext.
func (d *Decrypter) Object(ctx context.Context, object map[string]any) (map[string]any, bool, error) {
	if format.Whole(object) {
		plain, err := d.whole(ctx, object)
		return plain, err == nil, err
	}
	if object["kind"] == "Secret" && object["apiVersion"] == "v1" {
		return d.secret(ctx, object)
	}
	return nil, false, nil
}

func (d *Decrypter) whole(ctx context.Context, object map[string]any) (map[string]any, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, errors.New("it cannot be written as JSON")
	}
	out, err := d.open(ctx, data, format.JSON, func(bool) format.Format { return format.JSON })
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	if err := utiljson.Unmarshal(out, &plain); err != nil {
		return nil, errors.New("decrypted, it is no longer an object")
	}
	return plain, nil
}

// secret decrypts the entries of the data of a Secret.
func (d *Decrypter) secret(ctx context.Context, object map[string]any) (map[string]any, bool, error) {
	data, _ := object["data"].(map[string]any)
	var plain map[string]any
	for _, name := range slices.Sorted(maps.Keys(data)) {
		text, _ := data[name].(string)
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue // The API server says so better.
		}
		in, ok := format.Detect(value)
		if !ok {
			continue
		}
		out, err := d.open(ctx, value, in, fileFormat(in, name))
		if err != nil {
			return nil, false, fmt.Errorf("data[%q]: %w", name, err)
		}
		if plain == nil {
			plain = maps.Clone(data)
		}
		plain[name] = base64.StdEncoding.EncodeToString(out)
	}
	if plain == nil {
		return nil, false, nil
	}
	object = maps.Clone(object)
	object["data"] = plain
	return object, true, nil
}

// File returns the content of an encrypted file as it is to be read under the given name, which decides the format: a
// name without an extension that SOPS knows gets the format that the file is in. Errors are like those of Object.
func (d *Decrypter) File(ctx context.Context, data []byte, name string) ([]byte, error) {
	in, ok := format.Detect(data)
	if !ok {
		return nil, errors.New("it is not encrypted with SOPS")
	}
	return d.open(ctx, data, in, fileFormat(in, name))
}

// Env returns the content of an encrypted file as lines of NAME=value.
func (d *Decrypter) Env(ctx context.Context, data []byte) ([]byte, error) {
	in, ok := format.Detect(data)
	if !ok {
		return nil, errors.New("it is not encrypted with SOPS")
	}
	return d.open(ctx, data, in, func(blob bool) format.Format {
		if blob && in == format.JSON {
			return format.Binary
		}
		return format.Dotenv
	})
}

// fileFormat returns a function that chooses the format of the output for content that is in the format in. Its argument
// tells whether the content is one field, "data", with a text: what SOPS makes of a file of any kind.
func fileFormat(in format.Format, name string) func(blob bool) format.Format {
	return func(blob bool) format.Format {
		wanted := format.Of(name)
		if wanted == format.Binary && (!blob || in != format.JSON) {
			return in
		}
		return wanted
	}
}

// open decrypts data that is in the format in.
func (d *Decrypter) open(ctx context.Context, data []byte, in format.Format, out func(blob bool) format.Format) (plain []byte, err error) {
	if len(data) > format.MaxBytes {
		return nil, fmt.Errorf("it has %d bytes, and what SOPS has encrypted may have %d", len(data), format.MaxBytes)
	}
	// SOPS panics on some input that it has not written itself.
	defer func() {
		if recover() != nil {
			plain, err = nil, errDamaged
		}
	}()
	if err := guard(data, in); err != nil {
		return nil, err
	}
	tree, err := d.decryptTree(ctx, bytes.Clone(data), in)
	if err != nil {
		return nil, err
	}
	plain, err = storeFor(out(isBlob(tree))).EmitPlainFile(tree)
	if err != nil {
		return nil, errors.New("what it holds cannot be written in the format that its name asks for")
	}
	return plain, nil
}
