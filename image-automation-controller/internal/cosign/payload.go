// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

const (
	simpleType    = "cosign container image signature"
	statementType = "application/vnd.in-toto+json"
	predicateType = "https://sigstore.dev/cosign/sign/v1"
)

// simple judges a signature in the format of simple signing.
func (v *verifier) simple(payload []byte, encoded string) {
	signature, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(signature) == 0 {
		v.reject("one is not in base64")
		return
	}
	key := signed(v.keys, payload, signature)
	if key == "" {
		v.reject("one was made with another key")
		return
	}
	var claims struct {
		Critical struct {
			Identity struct {
				Reference string `json:"docker-reference"`
			} `json:"identity"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	err = json.Unmarshal(payload, &claims)
	switch critical := claims.Critical; {
	case err != nil, critical.Type != simpleType:
		v.reject("one by '%s' is of something that is no signature of an image", key)
	case critical.Image.Digest != v.digest:
		v.reject("one by '%s' is of another digest, %s", key, quote(critical.Image.Digest))
	case critical.Identity.Reference != "" && !v.repo.Same(critical.Identity.Reference):
		v.reject("one by '%s' is of another repository, %s", key, quote(critical.Identity.Reference))
	default:
		v.key = key
	}
}

// envelope is a signed statement in the format DSSE.
type envelope struct {
	Payload    []byte `json:"payload"`
	Type       string `json:"payloadType"`
	Signatures []struct {
		Signature []byte `json:"sig"`
	} `json:"signatures"`
}

// bundleContent is what counts of a Sigstore bundle: one of both is set.
type bundleContent struct {
	Envelope *envelope `json:"dsseEnvelope"`
	Message  *struct {
		Digest struct {
			Algorithm string `json:"algorithm"`
			Digest    []byte `json:"digest"`
		} `json:"messageDigest"`
		Signature []byte `json:"signature"`
	} `json:"messageSignature"`
}

func readBundle(content []byte) (bundle bundleContent, valid bool) {
	err := json.Unmarshal(content, &bundle)
	return bundle, err == nil
}

// bundle judges a Sigstore bundle.
func (v *verifier) bundle(ctx context.Context, content []byte) error {
	bundle, valid := readBundle(content)
	if !valid {
		v.reject("one is a bundle that cannot be read")
		return nil
	}
	switch {
	case bundle.Envelope != nil:
		v.statement(bundle.Envelope)
	case bundle.Message != nil:
		if d := bundle.Message.Digest; d.Algorithm == "SHA2_256" && "sha256:"+hex.EncodeToString(d.Digest) != v.digest {
			v.reject("one is of another digest, sha256:%s", hex.EncodeToString(d.Digest[:min(len(d.Digest), 32)]))
			return nil
		}
		manifest, err := v.client.Read(ctx, v.repo, v.access, v.digest)
		if err != nil {
			return v.unreadable(err)
		}
		if v.key = signed(v.keys, manifest.Body, bundle.Message.Signature); v.key == "" {
			v.reject("one was made with another key")
		}
	default:
		v.reject("one is a bundle that holds neither a statement nor a signature of the manifest")
	}
	return nil
}

// statement judges a signed statement of in-toto.
func (v *verifier) statement(e *envelope) {
	if e.Type != statementType {
		v.reject("one is of something that is no statement")
		return
	}
	message := preAuthentication(e.Type, e.Payload)
	key := ""
	for i := 0; i < len(e.Signatures) && i < maxSignatures && key == ""; i++ {
		key = signed(v.keys, message, e.Signatures[i].Signature)
	}
	if key == "" {
		v.reject("one was made with another key")
		return
	}
	var statement struct {
		Type    string `json:"_type"`
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		Predicate string `json:"predicateType"`
	}
	err := json.Unmarshal(e.Payload, &statement)
	switch {
	case err != nil, !strings.HasPrefix(statement.Type, "https://in-toto.io/Statement/"):
		v.reject("one by '%s' is of something that is no statement", key)
	case statement.Predicate != predicateType:
		// A key may also vouch for a list of contents, or for a test that failed.
		v.reject("one by '%s' is an attestation of the type %s, which is no signature", key, quote(statement.Predicate))
	default:
		other := "none"
		for _, subject := range statement.Subject {
			if other = "sha256:" + subject.Digest["sha256"]; other == v.digest {
				v.key = key
				return
			}
		}
		v.reject("one by '%s' is of another digest, %s", key, quote(other))
	}
}

// preAuthentication returns the bytes that are signed for a payload in DSSE.
func preAuthentication(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// quote makes a text of somebody else fit for a message.
func quote(s string) string {
	const limit = 200
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	return fmt.Sprintf("%q", s)
}
