// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"bytes"
	"context"
	"encoding/json"
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
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
)

// maxKeys is how many keys a file may be encrypted for. Each may cost a request.
const maxKeys = 100

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

// guard refuses input that SOPS would exhaust the stack or the memory with. SOPS itself writes neither.
func guard(data []byte, in format.Format) error {
	switch in {
	case format.JSON:
		// encoding/json bounds the depth here, and not in the reader of tokens that SOPS uses.
		if !json.Valid(data) {
			return errors.New("it is not valid JSON")
		}
	case format.YAML:
		if bytes.IndexByte(data, '&') >= 0 && bytes.IndexByte(data, '*') >= 0 && hasAlias(data) {
			return errors.New("it has YAML aliases, which SOPS does not write; encrypt it anew")
		}
	case format.Dotenv, format.INI, format.Binary:
	}
	return nil
}

// hasAlias tells whether a YAML file has aliases. One that cannot be parsed to its end counts as if it had.
func hasAlias(data []byte) bool {
	decoder := kyaml.NewDecoder(bytes.NewReader(data))
	for {
		var document kyaml.Node
		if err := decoder.Decode(&document); err != nil {
			return err.Error() != "EOF"
		}
		if aliasIn(&document) {
			return true
		}
	}
}

func aliasIn(node *kyaml.Node) bool {
	if node.Kind == kyaml.AliasNode {
		return true
	}
	for _, child := range node.Content {
		if aliasIn(child) {
			return true
		}
	}
	return false
}

// decryptTree reads and decrypts a file. The message authentication code is not checked: kustomize may have changed
// what is not encrypted. Each value is still bound to its place and to the data key.
func (d *Decrypter) decryptTree(ctx context.Context, data []byte, in format.Format) (sops.TreeBranches, error) {
	tree, err := storeFor(in).LoadEncryptedFile(data)
	if err != nil || len(tree.Branches) == 0 {
		return nil, errDamaged
	}
	if n := tree.Metadata.MasterKeyCount(); n > maxKeys {
		return nil, fmt.Errorf("it is encrypted for %d keys, and may be for %d", n, maxKeys)
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
