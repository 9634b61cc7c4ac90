// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"errors"
	"fmt"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	sopsjson "github.com/getsops/sops/v3/stores/json"
	"github.com/getsops/sops/v3/stores/yaml"
	"google.golang.org/grpc"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
)

var errDamaged = errors.New("it is damaged: SOPS cannot read it; encrypt it anew")

func storeFor(f format.Format) sops.Store {
	stores := config.NewStoresConfig()
	switch f {
	case format.YAML:
		return yaml.NewStore(&stores.YAML)
	case format.JSON:
		return sopsjson.NewStore(&stores.JSON)
	case format.Dotenv:
		return dotenv.NewStore(&stores.Dotenv)
	case format.INI:
		return ini.NewStore(&stores.INI)
	case format.Binary:
	}
	return sopsjson.NewBinaryStore(&stores.JSONBinary)
}

// decryptTree reads and decrypts a file. The message authentication code is not checked: kustomize may have changed
// what is not encrypted. Each value is still bound to its place and to the data key.
func (d *Decrypter) decryptTree(ctx context.Context, data []byte, in format.Format) (sops.TreeBranches, error) {
	tree, err := storeFor(in).LoadEncryptedFile(data)
	if err != nil || len(tree.Branches) == 0 {
		return nil, errDamaged
	}
	if err := guardTree(&tree); err != nil {
		return nil, err
	}
	key, err := d.dataKey(ctx, &tree)
	if err != nil {
		return nil, err
	}
	if _, err := tree.Decrypt(key, aes.NewCipher()); err != nil {
		return nil, errors.New("a value in it was changed or moved after it was encrypted, and cannot be decrypted; encrypt it anew")
	}
	return tree.Branches, nil
}

// dataKey has the key services decrypt the key that the values of a file are encrypted with.
func (d *Decrypter) dataKey(ctx context.Context, tree *sops.Tree) ([]byte, error) {
	failed := &KeyError{}
	local := client(func(_ context.Context, request *keyservice.DecryptRequest) ([]byte, error) {
		plain, attempt := d.ask(ctx, request.GetKey(), request.GetCiphertext())
		if attempt.Cause != nil {
			failed.Tried = append(failed.Tried, attempt)
		}
		return plain, attempt.Cause
	})
	key, err := tree.Metadata.GetDataKeyWithKeyServices([]keyservice.KeyServiceClient{local}, sops.DefaultDecryptionOrder)
	switch {
	case err == nil:
		return key, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ask for the key that it was encrypted with: %w", ctx.Err())
	}
	return nil, failed
}

// client is a key service that decrypts by a function.
type client func(ctx context.Context, request *keyservice.DecryptRequest) ([]byte, error)

// Decrypt implements keyservice.KeyServiceClient.
func (c client) Decrypt(ctx context.Context, request *keyservice.DecryptRequest, _ ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	plain, err := c(ctx, request)
	if err != nil {
		return nil, err
	}
	return &keyservice.DecryptResponse{Plaintext: plain}, nil
}

// Encrypt implements keyservice.KeyServiceClient. A controller never encrypts.
func (c client) Encrypt(context.Context, *keyservice.EncryptRequest, ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	return nil, errors.New("this key service does not encrypt")
}

// isBlob tells whether a tree is what SOPS makes of a file whose format it does not know.
func isBlob(tree sops.TreeBranches) bool {
	if len(tree) != 1 || len(tree[0]) != 1 || tree[0][0].Key != "data" {
		return false
	}
	_, ok := tree[0][0].Value.(string)
	return ok
}
