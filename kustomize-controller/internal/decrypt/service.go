// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/aws-sdk-go-v2/aws"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/logging"
	"github.com/sirupsen/logrus"
)

// askTimeout is how long one request to a key service may take, retries and logins included.
const askTimeout = 30 * time.Second

// buildTimeout is how long all requests of one build may take together. A worker of the controller waits for them.
const buildTimeout = 2 * time.Minute

// Account names a service account.
type Account struct {
	Namespace, Name string
}

// Config says how key services are reached.
type Config struct {
	// Dial connects to the addresses that stand in encrypted files and in Secrets, and refuses those that a user has no
	// business with.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Vaults returns the Vault servers to log in to with the token of a service account. Nil: none.
	Vaults func(ctx context.Context) ([]Vault, error)
	// Token returns a token of a service account for an audience. For an account without a name it is the controller's
	// own, and the account that it returns says which one that is.
	Token func(ctx context.Context, account Account, audience string) (Account, string, error)
}

// Services are the key services as one process reaches them.
type Services struct {
	config Config
	http   *http.Client

	mu    sync.Mutex
	aws   aws.CredentialsProvider
	azure azcore.TokenCredential
}

// NewServices returns Services. One per process is enough. SOPS logs what it decrypts, comments included: its loggers,
// which are global, are silenced.
func NewServices(config Config) *Services {
	logging.SetLevel(logrus.PanicLevel)
	return &Services{config: config, http: &http.Client{Transport: &http.Transport{
		DialContext:         config.Dial,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
	}}}
}

// ask has one key decrypt a data key. If the attempt has a Cause, there is no plaintext.
func (d *Decrypter) ask(ctx context.Context, key *keyservice.Key, ciphertext []byte) ([]byte, Attempt) {
	ctx, cancel := context.WithTimeout(ctx, min(askTimeout, d.left()))
	defer cancel()
	var attempt Attempt
	var plain []byte
	switch k := key.GetKeyType().(type) {
	case *keyservice.Key_AgeKey:
		attempt = Attempt{Type: "age", Name: k.AgeKey.GetRecipient()}
		plain, attempt.Cause = d.keys.decryptAge(ciphertext)
	case *keyservice.Key_PgpKey:
		attempt = Attempt{Type: "PGP", Name: k.PgpKey.GetFingerprint()}
		plain, attempt.Cause = d.keys.decryptPGP(ciphertext)
	case *keyservice.Key_VaultKey:
		v := k.VaultKey
		attempt = Attempt{Type: "Vault", Name: fmt.Sprintf("%s/v1/%s/keys/%s", v.GetVaultAddress(), v.GetEnginePath(), v.GetKeyName())}
		plain, attempt.Cause = d.decryptVault(ctx, v, ciphertext)
	case *keyservice.Key_KmsKey:
		attempt = Attempt{Type: "AWS KMS", Name: k.KmsKey.GetArn()}
		plain, attempt.Cause = d.decryptAWS(ctx, k.KmsKey, ciphertext)
	case *keyservice.Key_AzureKeyvaultKey:
		attempt = Attempt{Type: "Azure Key Vault", Name: k.AzureKeyvaultKey.GetVaultUrl() + "/keys/" + k.AzureKeyvaultKey.GetName()}
		plain, attempt.Cause = d.decryptAzure(ctx, k.AzureKeyvaultKey, ciphertext)
	case *keyservice.Key_GcpKmsKey:
		attempt = Attempt{Type: "GCP KMS", Name: k.GcpKmsKey.GetResourceId()}
		plain, attempt.Cause = d.decryptGCP(ctx, k.GcpKmsKey, ciphertext)
	case *keyservice.Key_HckmsKey:
		attempt = Attempt{Type: "HuaweiCloud KMS", Name: k.HckmsKey.GetKeyId(), Cause: errors.New("this controller has no access to that service")}
	default:
		attempt = Attempt{Type: "a key", Cause: errors.New("this controller does not know its type")}
	}
	return plain, attempt
}

// left is how long key services may still take. The clock starts when it is first asked for.
func (d *Decrypter) left() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until.IsZero() {
		d.until = time.Now().Add(buildTimeout)
	}
	return time.Until(d.until)
}

func (k *Keys) decryptAge(ciphertext []byte) ([]byte, error) {
	// Without identities SOPS would look for some in the environment and in the home directory.
	if len(k.age) == 0 {
		return nil, k.missing("*" + ageSuffix)
	}
	key := sopsage.MasterKey{EncryptedKey: string(ciphertext)}
	k.age.ApplyToMasterKey(&key)
	plain, err := key.Decrypt()
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, errors.New("it is not among the age keys of " + k.from)
	}
	if err != nil {
		return nil, errMalformed
	}
	return plain, nil
}

func (k *Keys) decryptPGP(ciphertext []byte) ([]byte, error) {
	if len(k.pgp) == 0 {
		return nil, k.missing("*" + pgpSuffix)
	}
	plain, err := openPGP(k.pgp, ciphertext)
	if errors.Is(err, errNoMatch) {
		return nil, errors.New("it is not among the PGP keys of " + k.from)
	}
	return plain, err
}

// missing says which entry the Secret lacks.
func (k *Keys) missing(entry string) error {
	if k.from == "" {
		return fmt.Errorf("spec.decryption.secretRef is not set, and would have to name a Secret with a %s entry", entry)
	}
	return fmt.Errorf("%s has no %s entry", k.from, entry)
}
