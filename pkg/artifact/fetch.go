// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/hashicorp/go-retryablehttp"
)

// Waits between the tries of a download. The longest one is short, because the
// server is one of several: when its leader is lost, another one answers seconds
// later, and who waits twice as long each time would not be there.
const (
	retryMin = 500 * time.Millisecond
	retryMax = 2 * time.Second
)

// ErrNotFound is wrapped by the error for an artifact that the source does not
// have any more. Its object will name another one soon.
var ErrNotFound = errors.New("artifact not found")

// ErrDigest is wrapped by the error for a download that is not the artifact.
var ErrDigest = errors.New("not the artifact")

// Fetcher downloads artifacts and verifies them.
type Fetcher struct {
	client  *retryablehttp.Client
	host    string
	maxSize int64
}

// NewFetcher returns a Fetcher that downloads through client, tries again up
// to retries times, and refuses artifacts of more than maxSize bytes. The
// environment variable SOURCE_CONTROLLER_LOCALHOST, if set, replaces the host
// of every URL, for controllers that run outside the cluster.
func NewFetcher(client *http.Client, retries int, maxSize int64) *Fetcher {
	retrying := retryablehttp.NewClient()
	retrying.HTTPClient = impatient(client)
	retrying.Logger = nil
	retrying.RetryMax = retries
	retrying.RetryWaitMin, retrying.RetryWaitMax = retryMin, retryMax
	retrying.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return &Fetcher{client: retrying, host: os.Getenv("SOURCE_CONTROLLER_LOCALHOST"), maxSize: maxSize}
}

// Fetch writes the artifact to w and returns nil only if all of it has the
// digest that the source gives. What was written before an error is not to be
// used.
func (f *Fetcher) Fetch(ctx context.Context, a *meta.Artifact, w io.Writer) error {
	sum, want, err := parseDigest(a.Digest)
	if err != nil {
		return fmt.Errorf("fetch artifact %s: %w", a.Path, err)
	}
	body, err := f.get(ctx, a)
	if err != nil {
		return fmt.Errorf("fetch artifact %s: %w", a.Path, err)
	}
	defer body.Close()
	size, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(body, f.maxSize+1))
	if err != nil {
		return fmt.Errorf("fetch artifact %s: %w", a.Path, err)
	}
	if size > f.maxSize {
		return fmt.Errorf("fetch artifact %s: it has more than the %d bytes allowed by --artifact-max-size", a.Path, f.maxSize)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("fetch artifact %s: %w: its digest is %s and should be %s", a.Path, ErrDigest, got, want)
	}
	return nil
}

func (f *Fetcher) get(ctx context.Context, a *meta.Artifact) (io.ReadCloser, error) {
	address, err := url.Parse(a.URL)
	if err != nil || address.Host == "" {
		return nil, errors.New("the source gives no valid URL for it")
	}
	if f.host != "" {
		address.Host = f.host
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	// The digest is that of the file, so nobody may compress it on the way.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusNotFound:
		err = ErrNotFound
	default:
		err = fmt.Errorf("the server answers %s", resp.Status)
	}
	return nil, errors.Join(err, resp.Body.Close())
}
