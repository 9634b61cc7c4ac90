// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/oci"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const otherDigest = "sha256:00000000000000000000000000000000000000000000000000000000000000ff"

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// bench is a registry with one image.
type bench struct {
	server *testkit.Registry
	client *oci.Client
	repo   oci.Repository
	digest string
}

func newBench(t *testing.T, opts ...testkit.RegistryOption) *bench {
	t.Helper()
	server, err := testkit.NewRegistry(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	repo, err := oci.ParseRepository(server.Host + "/team/model")
	if err != nil {
		t.Fatal(err)
	}
	digest, err := server.Push("team/model", "v1", testkit.RegistryImage{})
	if err != nil {
		t.Fatal(err)
	}
	client := oci.NewClient(oci.Options{Dialer: dial.New(dial.Policy{AllowLocal: true}), Rate: 1000, Burst: 1000})
	t.Cleanup(client.Close)
	return &bench{server: server, client: client, repo: repo, digest: digest}
}

func (b *bench) verify(t *testing.T, keys ...Key) (string, error) {
	t.Helper()
	return Verify(t.Context(), b.client, b.repo, oci.Access{Insecure: true}, b.digest, keys)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	ours, foreign := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	key := Key{Name: "ours.pub", Public: ours.Public()}
	type signature = testkit.RegistrySignature
	tests := map[string]struct {
		sign  func(b *bench) error
		class error
		text  string
	}{
		"unsigned": {func(*bench) error { return nil }, ErrUnsigned, "not signed: there is no cosign signature of DIGEST"},
		"tag": {func(b *bench) error {
			return b.server.Sign("team/model", b.digest, signature{Key: ours, Reference: b.repo.String()})
		}, nil, ""},
		"tag without a reference": {func(b *bench) error {
			return b.server.Sign("team/model", b.digest, signature{Key: ours})
		}, nil, ""},
		"referrer": {func(b *bench) error {
			return b.server.SignReferrer("team/model", b.digest, signature{Key: ours, Reference: b.repo.String() + ":v1"})
		}, nil, ""},
		"bundle":  {func(b *bench) error { return b.server.SignBundle("team/model", b.digest, signature{Key: ours}) }, nil, ""},
		"message": {func(b *bench) error { return b.server.SignMessage("team/model", b.digest, signature{Key: ours}) }, nil, ""},
		"a foreign one first": {func(b *bench) error {
			return errors.Join(
				b.server.Sign("team/model", b.digest, signature{Key: foreign}),
				b.server.SignBundle("team/model", b.digest, signature{Key: foreign}),
				b.server.SignBundle("team/model", b.digest, signature{Key: ours}))
		}, nil, ""},
		"another key": {func(b *bench) error {
			return b.server.Sign("team/model", b.digest, signature{Key: foreign})
		}, ErrMismatch, "no signature fits: DIGEST has signatures, but one was made with another key"},
		"bundle of another key": {func(b *bench) error {
			return b.server.SignBundle("team/model", b.digest, signature{Key: foreign})
		}, ErrMismatch, "no signature fits: DIGEST has signatures, but one was made with another key"},
		"message of another key": {func(b *bench) error {
			return b.server.SignMessage("team/model", b.digest, signature{Key: foreign})
		}, ErrMismatch, "no signature fits: DIGEST has signatures, but one was made with another key"},
		"another digest": {func(b *bench) error {
			return b.server.Sign("team/model", b.digest, signature{Key: ours, Names: otherDigest})
		}, ErrMismatch, `no signature fits: DIGEST has signatures, but one by 'ours.pub' is of another digest, "` + otherDigest + `"`},
		"bundle of another digest": {func(b *bench) error {
			return b.server.SignBundle("team/model", b.digest, signature{Key: ours, Names: otherDigest})
		}, ErrMismatch, `no signature fits: DIGEST has signatures, but one by 'ours.pub' is of another digest, "` + otherDigest + `"`},
		"message of another digest": {func(b *bench) error {
			other, err := b.server.Push("team/model", "v2", testkit.RegistryImage{Content: "2"})
			return errors.Join(err, b.server.SignMessage("team/model", b.digest, signature{Key: ours, Names: other}))
		}, ErrMismatch, "no signature fits: DIGEST has signatures, but one is of another digest, sha256:"},
		"another repository": {func(b *bench) error {
			return b.server.Sign("team/model", b.digest, signature{Key: ours, Reference: "ghcr.io/evil/model"})
		}, ErrMismatch, `no signature fits: DIGEST has signatures, but one by 'ours.pub' is of another repository, "ghcr.io/evil/model"`},
		"attestation": {func(b *bench) error {
			return b.server.SignBundle("team/model", b.digest, signature{Key: ours, PredicateType: "https://slsa.dev/provenance/v1"})
		}, ErrMismatch, `no signature fits: DIGEST has signatures, but one by 'ours.pub' is an attestation of the type "https://slsa.dev/provenance/v1", which is no signature`},
		"two reasons": {func(b *bench) error {
			return errors.Join(
				b.server.Sign("team/model", b.digest, signature{Key: foreign}),
				b.server.SignBundle("team/model", b.digest, signature{Key: ours, Names: otherDigest}))
		}, ErrMismatch, `no signature fits: DIGEST has signatures, but one by 'ours.pub' is of another digest, "` + otherDigest + `"; one was made with another key`},
	}
	for name, tc := range tests {
		for kind, options := range map[string][]testkit.RegistryOption{"referrers API": nil, "referrers tag": {testkit.RegistryNoReferrers()}} {
			t.Run(name+" with the "+kind, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, options...)
				if err := tc.sign(b); err != nil {
					t.Fatal(err)
				}
				got, err := b.verify(t, key)
				if tc.class == nil {
					if err != nil || got != key.Name {
						t.Errorf("%q, %v, want %q", got, err, key.Name)
					}
					return
				}
				want := strings.ReplaceAll(tc.text, "DIGEST", b.digest)
				if !errors.Is(err, tc.class) || !strings.HasPrefix(err.Error(), want) || got != "" {
					t.Errorf("%q, %v\nwant %q", got, err, want)
				}
			})
		}
	}
}

func TestSignatureElsewhereOrBroken(t *testing.T) {
	t.Parallel()
	ours := newKey(t, elliptic.P256())
	key := Key{Name: "ours.pub", Public: ours.Public()}
	simple := func(payload, signature string) testkit.RegistryArtifact {
		return testkit.RegistryArtifact{
			Layers: []string{payload}, LayerType: "application/vnd.dev.cosign.simplesigning.v1+json",
			LayerAnnotations: map[string]string{"dev.cosignproject.cosign/signature": signature},
		}
	}
	sum := sha256.Sum256([]byte(`{}`))
	signature, err := ours.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		artifact testkit.RegistryArtifact
		class    error
		text     string
	}{
		"no signature": {simple(`{}`, ""), ErrMismatch, "one is not in base64"},
		"no claims":    {simple(`{}`, base64.StdEncoding.EncodeToString(signature)), ErrMismatch, "is of something that is no signature of an image"},
		"large":        {simple(strings.Repeat(" ", maxPayload+1), "AAAA"), ErrMismatch, "one cannot be read"},
		"other layers": {testkit.RegistryArtifact{Layers: []string{"x"}, LayerType: "text/plain"}, ErrUnsigned, "no cosign signature"},
		"bundle":       {testkit.RegistryArtifact{Layers: []string{"x"}, LayerType: "application/vnd.dev.sigstore.bundle.v0.3+json"}, ErrMismatch, "a bundle that cannot be read"},
		"empty bundle": {testkit.RegistryArtifact{Layers: []string{"{}"}, LayerType: "application/vnd.dev.sigstore.bundle.v0.3+json"}, ErrMismatch, "neither a statement nor a signature"},
	}
	for name, tc := range tests {
		b := newBench(t)
		if _, err := b.server.PushArtifact("team/model", strings.Replace(b.digest, ":", "-", 1)+".sig", tc.artifact); err != nil {
			t.Fatal(err)
		}
		if got, err := b.verify(t, key); !errors.Is(err, tc.class) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.text)
		}
	}
}

func TestManySignaturesAreNotAllRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	artifact := testkit.RegistryArtifact{LayerType: "application/vnd.dev.cosign.simplesigning.v1+json"}
	for i := range 2 * maxSignatures {
		artifact.Layers = append(artifact.Layers, strings.Repeat("x", i+1))
	}
	if _, err := b.server.PushArtifact("team/model", strings.Replace(b.digest, ":", "-", 1)+".sig", artifact); err != nil {
		t.Fatal(err)
	}
	if _, err := b.verify(t); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "more than 50 in one place") {
		t.Errorf("error %v, want ErrMismatch", err)
	}
	if got := b.server.Requests("/blobs/"); got != maxSignatures {
		t.Errorf("%d blobs were read, want %d", got, maxSignatures)
	}
}

func TestRegistryFailsInBetween(t *testing.T) {
	t.Parallel()
	ours := newKey(t, elliptic.P256())
	key := Key{Name: "ours.pub", Public: ours.Public()}
	for _, part := range []string{".sig", "/referrers/", "/blobs/"} {
		b := newBench(t)
		if err := b.server.SignBundle("team/model", b.digest, testkit.RegistrySignature{Key: newKey(t, elliptic.P256())}); err != nil {
			t.Fatal(err)
		}
		b.server.Inject(func(r *http.Request) testkit.RegistryFault {
			if strings.Contains(r.URL.Path, part) {
				return testkit.RegistryFault{Code: 500}
			}
			return testkit.RegistryFault{}
		})
		// What could not be read might have fitted: this is no verdict.
		if _, err := b.verify(t, key); !errors.Is(err, oci.ErrUnavailable) || errors.Is(err, ErrMismatch) {
			t.Errorf("%s: error %v, want ErrUnavailable", part, err)
		}
		b.server.Inject(nil)
		if _, err := b.verify(t, key); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: error %v, want ErrMismatch", part, err)
		}
	}
}

func TestKindsOfKeys(t *testing.T) {
	t.Parallel()
	message := []byte("message")
	short, long, longest := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	rsaKey, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, p384, p521 := newKey(t, elliptic.P256()), newKey(t, elliptic.P384()), newKey(t, elliptic.P521())
	tests := map[string]struct {
		key    crypto.Signer
		digest []byte
		opts   crypto.SignerOpts
		want   bool
	}{
		"P-256":              {p256, short[:], crypto.SHA256, true},
		"P-256 with SHA-384": {p256, long[:], crypto.SHA384, false},
		"P-384":              {p384, long[:], crypto.SHA384, true},
		"P-384 with SHA-256": {p384, short[:], crypto.SHA256, true},
		"P-521":              {p521, longest[:], crypto.SHA512, true},
		"P-521 with SHA-256": {p521, short[:], crypto.SHA256, true},
		"RSA":                {rsaKey, short[:], crypto.SHA256, true},
		"RSA PSS":            {rsaKey, short[:], &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}, true},
		"RSA with SHA-512":   {rsaKey, longest[:], crypto.SHA512, false},
		"Ed25519":            {edKey, message, crypto.Hash(0), true},
		"Ed25519ph":          {edKey, longest[:], crypto.SHA512, true},
	}
	for name, tc := range tests {
		signature, err := tc.key.Sign(rand.Reader, tc.digest, tc.opts)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := Keys(map[string][]byte{"a.pub": publicPEM(t, tc.key.Public()), "b.txt": []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if got := signed(keys, message, signature) == "a.pub"; got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if signed(keys, []byte("another message"), signature) != "" {
			t.Errorf("%s: signs another message too", name)
		}
		signature[len(signature)/2] ^= 1
		if signed(keys, message, signature) != "" || signed(keys, message, nil) != "" {
			t.Errorf("%s: a broken signature passes", name)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	private := newKey(t, elliptic.P256())
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	good := publicPEM(t, private.Public())
	for name, tc := range map[string]struct {
		secret map[string][]byte
		want   string
	}{
		"none":    {map[string][]byte{"key": good}, "no usable public key: there is no key whose name ends in '.pub'"},
		"text":    {map[string][]byte{"a.pub": []byte("secret")}, "no usable public key: 'a.pub' is not PEM"},
		"private": {map[string][]byte{"a.pub": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, "no usable public key: 'a.pub' is not a PEM block of the type PUBLIC KEY"},
		"garbage": {map[string][]byte{"a.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})}, "no usable public key: 'a.pub' is not a public key that can be read"},
		"P-224":   {map[string][]byte{"a.pub": publicPEM(t, newKey(t, elliptic.P224()).Public())}, "no usable public key: 'a.pub' is of a curve that is not supported: use P-256, P-384 or P-521"},
		"one bad": {map[string][]byte{"a.pub": good, "b.pub": nil}, "no usable public key: 'b.pub' is not PEM"},
	} {
		if keys, err := Keys(tc.secret); !errors.Is(err, ErrKeys) || err.Error() != tc.want {
			t.Errorf("%s: %v, %v, want %q", name, keys, err, tc.want)
		}
	}
	keys, err := Keys(map[string][]byte{"b.pub": good, "a.pub": append(good, good...)})
	if err != nil || len(keys) != 3 || keys[0].Name != "a.pub" || keys[2].Name != "b.pub" {
		t.Errorf("%v, %v, want three keys in order", keys, err)
	}
}

// The vector of the specification of DSSE.
func TestPreAuthentication(t *testing.T) {
	t.Parallel()
	got := string(preAuthentication("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
