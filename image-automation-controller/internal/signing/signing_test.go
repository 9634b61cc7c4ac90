// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const passphrase = "correct horse"

// openPGP returns an armored key pair, locked if wanted, and its public part.
func openPGP(t *testing.T, config *packet.Config, locked bool) (private, public []byte) {
	t.Helper()
	entity, err := openpgp.NewEntity("Bot", "", "bot@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	var pub bytes.Buffer
	armored(t, &pub, openpgp.PublicKeyType, entity.Serialize)
	if locked {
		if err := entity.EncryptPrivateKeys([]byte(passphrase), nil); err != nil {
			t.Fatal(err)
		}
	}
	var key bytes.Buffer
	armored(t, &key, openpgp.PrivateKeyType, func(w io.Writer) error {
		return entity.SerializePrivateWithoutSigning(w, nil)
	})
	return key.Bytes(), pub.Bytes()
}

func armored(t *testing.T, out io.Writer, kind string, write func(io.Writer) error) {
	t.Helper()
	w, err := armor.Encode(out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(w), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// openSSH returns a private key in PEM, locked if wanted, and its public part.
func openSSH(t *testing.T, key crypto.Signer, locked bool) (private []byte, public string) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if locked {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
}

func generate[K any](t *testing.T, key K, err error) K {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return generate(t, key, err)
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return generate(t, key, err)
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return generate(t, key, err)
}

// signedCommit pushes a commit that sign signs and returns the repository.
func signedCommit(t *testing.T, sign func([]byte) (string, error)) *testkit.GitRepo {
	t.Helper()
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), testkit.GitCommit{Files: testkit.Files(map[string]string{"f": "1"})}); err != nil {
		t.Fatal(err)
	}
	server, err := testkit.NewGitServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	store, err := git.NewStore(t.TempDir(), 1<<30, git.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	remote, err := git.NewRemote(server.URL+"/repo.git", git.Auth{}, dial.New(dial.Policy{AllowLocal: true}), git.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	target, err := store.Resolve(t.Context(), remote, git.Reference{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Read(t.Context(), remote, target, func(c *git.Commit) error {
		next, err := c.Draft(git.Draft{
			Author: git.Signature{Name: "Bot", Email: "bot@example.com"}, Message: "subject\n\nbody\n", Files: map[string][]byte{"f": []byte("2")}, Sign: sign,
		})
		if err != nil {
			return err
		}
		return store.Push(t.Context(), remote, git.Push{Updates: []git.Update{{Ref: "refs/heads/main", Old: c.Hash, New: next}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Git(t.Context(), "fsck", "--full", "--strict"); err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestOpenPGP(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]*packet.Config{
		"eddsa": {Algorithm: packet.PubKeyAlgoEdDSA}, "ecdsa": {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256}, "rsa": {RSABits: 2048},
	} {
		for _, locked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				private, public := openPGP(t, config, locked)
				secret := map[string][]byte{"git.asc": private}
				if locked {
					secret["passphrase"] = []byte(passphrase)
				}
				sign, err := Load(imagev1.SigningKeyTypeGPG, secret, "team", "key")
				if err != nil {
					t.Fatal(err)
				}
				verifyOpenPGP(t, signedCommit(t, sign), public)
			})
		}
	}
}

// verifyOpenPGP has git and gpg judge the commit, or, where gpg is not installed,
// the library.
func verifyOpenPGP(t *testing.T, repo *testkit.GitRepo, public []byte) {
	t.Helper()
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		raw, err := repo.Git(t.Context(), "cat-file", "commit", "main")
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(raw+"\n", "gpgsig ")
		signature, message, _ := strings.Cut(rest, "\n\n")
		ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(public))
		if err != nil {
			t.Fatal(err)
		}
		_, err = openpgp.CheckArmoredDetachedSignature(ring, strings.NewReader(head+"\n"+message), strings.NewReader(strings.ReplaceAll(signature, "\n ", "\n")), nil)
		if err != nil {
			t.Error(err)
		}
		return
	}
	home := t.TempDir()
	file := filepath.Join(home, "public.asc")
	write(t, file, public)
	run(t, gpg, "--homedir", home, "--batch", "--quiet", "--no-autostart", "--import", file)
	// git passes no options on.
	wrapper := filepath.Join(home, "gpg.sh")
	write(t, wrapper, []byte("#!/bin/sh\nexec "+gpg+" --homedir "+home+" --no-autostart \"$@\"\n"))
	if err := os.Chmod(wrapper, 0o700); err != nil { //#nosec G302 -- a program
		t.Fatal(err)
	}
	if _, err := repo.Git(t.Context(), "-c", "gpg.program="+wrapper, "verify-commit", "main"); err != nil {
		t.Error(err)
	}
	if _, err := repo.Git(t.Context(), "-c", "gpg.program="+wrapper, "verify-commit", "main^"); err == nil {
		t.Error("an unsigned commit passed")
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{
		"ed25519": edKey(t), "ecdsa 256": ecKey(t, elliptic.P256()), "ecdsa 521": ecKey(t, elliptic.P521()), "rsa": rsaKey(t, 2048),
	} {
		for _, locked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				private, public := openSSH(t, key, locked)
				secret := map[string][]byte{"identity": private, "password": []byte(passphrase)}
				sign, err := Load(imagev1.SigningKeyTypeSSH, secret, "team", "key")
				if err != nil {
					t.Fatal(err)
				}
				signers := filepath.Join(t.TempDir(), "signers")
				write(t, signers, []byte("bot@example.com namespaces=\"git\" "+public+"\n"))
				repo := signedCommit(t, sign)
				args := []string{"-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile=" + signers, "verify-commit"}
				if _, err := repo.Git(t.Context(), append(args, "main")...); err != nil {
					t.Error(err)
				}
				keygen(t, sign, signers)
			})
		}
	}
}

// keygen has OpenSSH itself judge a signature.
func keygen(t *testing.T, sign func([]byte) (string, error), signers string) {
	t.Helper()
	signature, err := sign([]byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sig")
	write(t, file, []byte(signature))
	for payload, good := range map[string]bool{"payload": true, "another": false} {
		cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "bot@example.com", "-n", "git", "-s", file)
		cmd.Stdin = strings.NewReader(payload)
		if out, err := cmd.CombinedOutput(); (err == nil) != good {
			t.Errorf("%s: %v: %s", payload, err, out)
		}
	}
}

func TestKeysThatDoNotDo(t *testing.T) {
	t.Parallel()
	pgp, public := openPGP(t, nil, false)
	locked, _ := openPGP(t, nil, true)
	long := time.Now().Add(-48 * time.Hour)
	expired, _ := openPGP(t, &packet.Config{KeyLifetimeSecs: 3600, Time: func() time.Time { return long }}, false)
	var two bytes.Buffer
	armored(t, &two, openpgp.PrivateKeyType, func(w io.Writer) error {
		for _, key := range [][]byte{pgp, locked} {
			block, err := armor.Decode(bytes.NewReader(key))
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, block.Body); err != nil {
				return err
			}
		}
		return nil
	})
	identity, authorized := openSSH(t, edKey(t), false)
	lockedSSH, _ := openSSH(t, edKey(t), true)
	weak, _ := openSSH(t, rsaKey(t, 1024), false)
	weakPGP, _ := openPGP(t, &packet.Config{RSABits: 1024}, false)
	tests := map[string]struct {
		kind   imagev1.SigningKeyType
		secret map[string][]byte
		want   string
	}{
		"kind":               {"x509", nil, "'x509' is not a type of signing key: use gpg or ssh"},
		"gpg missing":        {"", nil, "'git.asc' of the Secret 'team/key' is missing"},
		"gpg empty":          {"gpg", map[string][]byte{"git.asc": {}}, "is missing"},
		"gpg garbage":        {"gpg", map[string][]byte{"git.asc": []byte("secret words")}, "does not hold an armored OpenPGP private key"},
		"gpg cut":            {"gpg", map[string][]byte{"git.asc": pgp[:len(pgp)/2]}, "does not hold an armored OpenPGP private key"},
		"gpg public":         {"gpg", map[string][]byte{"git.asc": public}, "holds a public key"},
		"gpg locked":         {"gpg", map[string][]byte{"git.asc": locked}, "has no 'passphrase'"},
		"gpg wrong":          {"gpg", map[string][]byte{"git.asc": locked, "passphrase": []byte("secret words")}, "'passphrase' of the Secret 'team/key' does not unlock 'git.asc'"},
		"gpg expired":        {"gpg", map[string][]byte{"git.asc": expired}, "may be expired"},
		"gpg two":            {"gpg", map[string][]byte{"git.asc": two.Bytes()}, "exactly one"},
		"gpg weak":           {"gpg", map[string][]byte{"git.asc": weakPGP}, "holds an RSA key of 1024 bits"},
		"ssh missing":        {"ssh", map[string][]byte{"git.asc": pgp}, "'identity' of the Secret 'team/key' is missing"},
		"ssh garbage":        {"ssh", map[string][]byte{"identity": []byte("secret words")}, "does not hold a private key"},
		"ssh public":         {"ssh", map[string][]byte{"identity": []byte(authorized)}, "does not hold a private key"},
		"ssh cut":            {"ssh", map[string][]byte{"identity": identity[:len(identity)/2]}, "does not hold a private key"},
		"ssh locked":         {"ssh", map[string][]byte{"identity": lockedSSH}, "has no 'password'"},
		"ssh wrong password": {"ssh", map[string][]byte{"identity": lockedSSH, "password": []byte("secret words")}, "does not unlock 'identity'"},
		"ssh weak":           {"ssh", map[string][]byte{"identity": weak}, "holds an RSA key of 1024 bits"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sign, err := Load(tc.kind, tc.secret, "team", "key")
			if !errors.Is(err, ErrKey) || sign != nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret words") {
				t.Errorf("error %v, want an ErrKey with %q", err, tc.want)
			}
		})
	}
}

// TestOtherKinds: what is no private key of a supported kind.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	fail := func(key, format string, _ ...any) error { return &keyError{key + " " + format} }
	for _, key := range []any{edKey(t).Public(), "x", nil} {
		if err := checkSSH(key, fail); !errors.Is(err, ErrKey) {
			t.Errorf("%T: error %v", key, err)
		}
	}
	for _, algorithm := range []packet.PublicKeyAlgorithm{packet.PubKeyAlgoDSA, packet.PubKeyAlgoElGamal, packet.PubKeyAlgoEd448, 99} {
		if err := checkOpenPGP(&packet.PublicKey{PubKeyAlgo: algorithm}, fail); !errors.Is(err, ErrKey) {
			t.Errorf("%d: error %v", algorithm, err)
		}
	}
}
