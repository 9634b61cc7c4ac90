// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"errors"

	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/keyservice"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// gcpScope is the right that a token for GCP KMS is asked for.
const gcpScope = "https://www.googleapis.com/auth/cloudkms"

// parseGCP takes the key of a service account and no other type of credential: the others name files and programs of this
// machine, whose content would go to an address that they name too.
func parseGCP(value []byte) ([]byte, error) {
	if _, err := google.JWTConfigFromJSON(value, gcpScope); err != nil {
		return nil, errors.New(`it has to be the JSON key of a service account, with "type": "service_account"`)
	}
	return value, nil
}

func (d *Decrypter) decryptGCP(ctx context.Context, key *keyservice.GcpKmsKey, ciphertext []byte) ([]byte, error) {
	master := gcpkms.MasterKey{ResourceID: key.GetResourceId(), EncryptedKey: string(ciphertext)}
	if d.keys.gcp == nil {
		// SOPS takes the controller's own identity then.
		if err := d.ambient("GCP", gcpEntry); err != nil {
			return nil, err
		}
	} else {
		config, err := google.JWTConfigFromJSON(d.keys.gcp, gcpScope)
		if err != nil {
			return nil, errors.New("the credential in " + gcpEntry + " is not valid")
		}
		// The address that gives out tokens stands in the credential.
		guarded := context.WithValue(ctx, oauth2.HTTPClient, d.services.http)
		gcpkms.NewTokenSource(config.TokenSource(guarded)).ApplyToMasterKey(&master)
	}
	plain, err := master.DecryptContext(ctx)
	if err != nil {
		return nil, remote(ctx, err)
	}
	return plain, nil
}
