// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"errors"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"
	"sigs.k8s.io/yaml"
)

// awsCredentials is the entry sops.aws-kms.
type awsCredentials struct {
	AccessKeyID     string `json:"aws_access_key_id"`
	SecretAccessKey string `json:"aws_secret_access_key"`
	SessionToken    string `json:"aws_session_token"`
}

func parseAWS(value []byte) (*awsCredentials, error) {
	c := &awsCredentials{}
	if yaml.Unmarshal(value, c) != nil || c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return nil, errors.New("it has to be YAML with aws_access_key_id, aws_secret_access_key and, for temporary keys, aws_session_token")
	}
	return c, nil
}

// keyARN is what the address of a key looks like. The client makes a host name of the region, which therefore must not hold
// anything else; and so all requests go to AWS, and need no guarded client, which would know nothing of AWS_CA_BUNDLE.
var keyARN = regexp.MustCompile(`^arn:aws[\w-]*:kms:([a-z0-9-]+):[0-9]+:(key|alias)/.+$`)

func (d *Decrypter) decryptAWS(ctx context.Context, key *keyservice.KmsKey, ciphertext []byte) ([]byte, error) {
	match := keyARN.FindStringSubmatch(key.GetArn())
	if match == nil {
		return nil, errors.New("it is not the ARN of a key")
	}
	provider, err := d.awsProvider(ctx, match[1])
	if err != nil {
		return nil, err
	}
	// A profile, which the file may name too, is something of the machine that it was encrypted on.
	master := kms.MasterKey{
		Arn: key.GetArn(), Role: key.GetRole(), EncryptedKey: string(ciphertext), EncryptionContext: map[string]*string{},
	}
	for name, value := range key.GetContext() {
		master.EncryptionContext[name] = &value
	}
	kms.NewCredentialsProvider(provider).ApplyToMasterKey(&master)
	plain, err := master.DecryptContext(ctx)
	if err != nil {
		return nil, remote(ctx, err)
	}
	return plain, nil
}

// awsProvider returns the credential of the Secret or else the controller's own.
func (d *Decrypter) awsProvider(ctx context.Context, region string) (aws.CredentialsProvider, error) {
	if c := d.keys.aws; c != nil {
		return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken), nil
	}
	if err := d.ambient("AWS", awsEntry); err != nil {
		return nil, err
	}
	d.services.mu.Lock()
	defer d.services.mu.Unlock()
	if d.services.aws == nil {
		config, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region))
		if err != nil {
			return nil, errors.New("the controller's own AWS configuration cannot be read")
		}
		d.services.aws = config.Credentials
	}
	return d.services.aws, nil
}
