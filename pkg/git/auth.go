// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/url"

	"golang.org/x/crypto/ssh"
)

// defaultSSHUser is who forges expect.
const defaultSSHUser = "git"

// Auth holds what identifies us to a remote and the remote to us. The zero
// value is anonymous.
type Auth struct {
	// Username and Password are for HTTP basic authentication; over SSH the
	// user name alone counts.
	Username, Password string
	// BearerToken is sent instead of a user and a password.
	BearerToken string
	// CA holds PEM certificates to trust beside those of the system.
	CA []byte
	// ClientCert and ClientKey are the PEM pair for TLS.
	ClientCert, ClientKey []byte
	// Identity is a PEM private key for SSH, Passphrase what unlocks it, and
	// KnownHosts the host keys to accept, in the format of OpenSSH.
	Identity, KnownHosts []byte
	Passphrase           string
}

// AuthFor reads the keys of a Secret the way the GitRepository API defines
// them. User information in the URL fills what the Secret leaves open. Its
// errors name the key of the Secret that is missing or unusable, and are an
// ErrAuthentication.
func AuthFor(u *url.URL, secret map[string][]byte) (Auth, error) {
	if u.Scheme == "ssh" {
		return sshAuth(u, secret)
	}
	a := Auth{CA: secret["ca.crt"], ClientCert: secret["tls.crt"], ClientKey: secret["tls.key"]}
	if len(a.CA) == 0 {
		a.CA = secret["caFile"]
	}
	if token, found := secret["bearerToken"]; found {
		a.BearerToken = string(token)
		return a, nil
	}
	a.Username, a.Password = string(secret["username"]), string(secret["password"])
	if a.Username == "" {
		a.Username = u.User.Username()
	}
	if a.Password == "" {
		a.Password, _ = u.User.Password()
	}
	if a.Username == "" && a.Password != "" {
		return Auth{}, failf(ErrAuthentication, "the Secret has a 'password' but no 'username'")
	}
	return a, nil
}

func sshAuth(u *url.URL, secret map[string][]byte) (Auth, error) {
	a := Auth{
		Username:   u.User.Username(),
		Identity:   secret["identity"],
		KnownHosts: secret["known_hosts"],
		Passphrase: string(secret["password"]),
	}
	if a.Username == "" {
		a.Username = defaultSSHUser
	}
	for key, value := range map[string][]byte{"identity": a.Identity, "known_hosts": a.KnownHosts} {
		if len(value) == 0 && !(key == "known_hosts" && len(a.Identity) == 0) {
			return Auth{}, failf(ErrAuthentication, "access over SSH needs a Secret with the key '%s'", key)
		}
	}
	_, err := a.signer()
	return a, err
}

// signer returns the SSH identity, unlocked.
func (a *Auth) signer() (ssh.Signer, error) {
	var (
		signer ssh.Signer
		err    error
	)
	if a.Passphrase == "" {
		signer, err = ssh.ParsePrivateKey(a.Identity)
	} else {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(a.Identity, []byte(a.Passphrase))
	}
	if err == nil {
		return signer, nil
	}
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		return nil, failf(ErrAuthentication, "the 'identity' is locked with a passphrase, and the Secret has no 'password'")
	}
	if a.Passphrase != "" {
		if signer, err := ssh.ParsePrivateKey(a.Identity); err == nil {
			return signer, nil // A passphrase for a key that has none is no error.
		}
		return nil, failf(ErrAuthentication, "the 'password' does not unlock the 'identity'")
	}
	return nil, failf(ErrAuthentication, "the 'identity' is not a private key in PEM")
}

// Key returns a hash that no other combination of URL and credentials has.
func (a *Auth) Key(remote string) string {
	h := sha256.New()
	for _, part := range [...][]byte{
		[]byte(remote), []byte(a.Username), []byte(a.Password), []byte(a.BearerToken),
		a.CA, a.ClientCert, a.ClientKey, a.Identity, a.KnownHosts, []byte(a.Passphrase),
	} {
		// Lengths keep "ab"+"c" apart from "a"+"bc".
		_ = binary.Write(h, binary.BigEndian, uint64(len(part)))
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}
