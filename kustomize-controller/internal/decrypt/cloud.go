// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/vault/api"
	"golang.org/x/oauth2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weir-gitops/weir/pkg/dial"
)

// errorCode is what the code of an error looks like. It comes from a server that a user may have named, so anything else
// is not shown.
var errorCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

// remote returns why a key service did not decrypt, in words that are the same each time. The clients' own errors hold
// bodies of responses and the numbers of requests.
func remote(ctx context.Context, err error) error {
	if vault, ok := errors.AsType[*api.ResponseError](err); ok {
		return answered(vault.StatusCode, "")
	}
	if azure, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answered(azure.StatusCode, azure.ErrorCode)
	}
	if token, ok := errors.AsType[*oauth2.RetrieveError](err); ok && token.Response != nil {
		return fmt.Errorf("the credential is not accepted: %w", answered(token.Response.StatusCode, token.ErrorCode))
	}
	if amazon, ok := errors.AsType[smithy.APIError](err); ok && errorCode.MatchString(amazon.ErrorCode()) {
		return fmt.Errorf("it answered %s", amazon.ErrorCode())
	}
	if google, ok := status.FromError(err); ok && google.Code() != codes.Unknown {
		return fmt.Errorf("it answered %s", google.Code())
	}
	if errors.Is(err, dial.ErrRefused) {
		return errors.New("its address is not one that this controller connects to: link-local, its own host or the API server")
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return errors.New("there is no connection to it")
	}
	if ctx.Err() != nil {
		return errors.New("it did not answer in time")
	}
	return errors.New("it could not be asked, or its answer could not be understood")
}

func answered(statusCode int, code string) error {
	text := fmt.Sprintf("it answered %d %s", statusCode, http.StatusText(statusCode))
	if errorCode.MatchString(code) {
		text += ", " + code
	}
	return errors.New(text)
}

// ambient tells whether the controller may show its own identity to a cloud: not if a service account is named, whose
// identity it would have to show instead.
func (d *Decrypter) ambient(service, entry string) error {
	if d.account.Name == "" {
		return nil
	}
	return fmt.Errorf("this version cannot show the identity of service account %q to %s; put %s into the decryption Secret",
		d.account.Namespace+"/"+d.account.Name, service, entry)
}
