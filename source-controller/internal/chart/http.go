// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/pkg/redact"
)

const (
	indexFile = "index.yaml"
	userAgent = "weir"
)

// HTTPSource says where a repository with an index is.
type HTTPSource struct {
	// URL of the repository, to which index.yaml is added.
	URL string
	// Username and Password are sent to the host of URL, and so is the client
	// certificate. With PassCredentials they are sent to wherever the index
	// says that charts are, too.
	Username, Password string
	PassCredentials    bool
	// CA holds PEM certificates to trust beside those of the system;
	// Certificate and Key are the client's own.
	CA, Certificate, Key []byte
	// Index opens the index that is stored already, and IndexKey stands for its
	// content and owner in the cache. Without one the index is downloaded when
	// it is needed.
	Index    func() (io.ReadSeekCloser, error)
	IndexKey string
}

// HTTPRepository is a repository with an index. It is used by one goroutine.
type HTTPRepository struct {
	charts *Charts
	source HTTPSource
	base   *url.URL
	client *http.Client
	// elsewhere are the clients for charts on other hosts.
	elsewhere map[string]*http.Client
	temp      string
}

// ErrURL is wrapped by the error for a URL that cannot be one of a repository.
var ErrURL = errors.New("invalid Helm repository URL")

// HTTP returns the repository of a source. Nothing is asked for yet.
func (c *Charts) HTTP(source HTTPSource) (*HTTPRepository, error) {
	base, err := url.Parse(source.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%w: it is not of the form http(s)://host/path", ErrURL)
	}
	r := &HTTPRepository{charts: c, source: source, base: base, elsewhere: map[string]*http.Client{}}
	if r.client, err = r.dial(base); err != nil {
		return nil, err
	}
	return r, nil
}

// dial returns a client whose credentials are for origin.
func (r *HTTPRepository) dial(origin *url.URL) (*http.Client, error) {
	return r.charts.options.Dialer.HTTP(dial.Client{
		Origin: origin, CA: r.source.CA, Certificate: r.source.Certificate, Key: r.source.Key,
	})
}

// Close ends connections and removes a downloaded index.
func (r *HTTPRepository) Close() {
	r.client.CloseIdleConnections()
	for _, client := range r.elsewhere {
		client.CloseIdleConnections()
	}
	if r.temp != "" {
		_ = os.Remove(r.temp) // a leftover in the temporary directory goes with the pod
	}
}

// get asks for something below or beside the repository. The caller closes the
// body of the answer, which is 200, or 304 if there is an etag.
func (r *HTTPRepository) get(ctx context.Context, target *url.URL, etag string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the URL is not valid")
	}
	req.Header.Set("User-Agent", userAgent)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if r.source.Username != "" || r.source.Password != "" {
		req.SetBasicAuth(r.source.Username, r.source.Password)
	}
	client, err := r.clientFor(target)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, transfer(err)
	}
	switch {
	case resp.StatusCode == http.StatusOK, resp.StatusCode == http.StatusNotModified && etag != "":
		return resp, nil
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		err = Denied(fmt.Errorf("the server answers %d %s: check the credentials", resp.StatusCode, http.StatusText(resp.StatusCode)))
	default:
		err = fmt.Errorf("the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	_ = resp.Body.Close()
	return nil, err
}

// clientFor returns the client for a URL. Charts may be on other hosts than the
// index, which get the credentials only if the source says so.
func (r *HTTPRepository) clientFor(target *url.URL) (*http.Client, error) {
	if !r.source.PassCredentials || target.Host == r.base.Host && target.Scheme == r.base.Scheme {
		return r.client, nil
	}
	key := target.Scheme + "://" + target.Host
	if client, found := r.elsewhere[key]; found {
		return client, nil
	}
	client, err := r.dial(target)
	if err == nil {
		r.elsewhere[key] = client
	}
	return client, err
}

// FetchIndex writes the index to w. If the server says that it is still the one
// with etag, it writes nothing and returns false. It returns the ETag of what
// it wrote, if there is one.
func (r *HTTPRepository) FetchIndex(ctx context.Context, w io.Writer, etag string) (newTag string, fresh bool, err error) {
	target := r.base.JoinPath(indexFile)
	fail := func(err error) (string, bool, error) {
		return "", false, fmt.Errorf("fetch %s: %w", redact.String(target.String()), err)
	}
	resp, err := r.get(ctx, target, etag)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotModified {
		return etag, false, nil
	}
	limit := r.charts.options.Limits.Index
	size, err := io.Copy(w, io.LimitReader(resp.Body, limit+1))
	switch {
	case size > limit || resp.ContentLength > limit:
		return fail(fmt.Errorf("the index has more than %d bytes, the limit of --helm-index-max-size", limit))
	case err != nil:
		return fail(transfer(err))
	}
	return resp.Header.Get("ETag"), true, nil
}

// CheckIndex reads an index to its end and returns an error if it is none.
func (c *Charts) CheckIndex(r io.ReadSeeker) error { return checkIndex(r) }

// Find looks a chart up in the index.
func (r *HTTPRepository) Find(ctx context.Context, name, version string) (Entry, error) {
	entries, err := r.versions(ctx, name)
	if err != nil {
		return Entry{}, err
	}
	entry, err := pick(entries, name, version)
	if err != nil {
		return Entry{}, &Error{Reason: Reference, Err: err}
	}
	return entry, nil
}

// versions returns all versions of a chart.
func (r *HTTPRepository) versions(ctx context.Context, name string) ([]Entry, error) {
	cache := r.charts.options.Cache
	entries, known := cache.get(r.source.IndexKey, name)
	if !known {
		index, err := r.open(ctx)
		if err != nil {
			return nil, within(Pull, err, "failed to load index")
		}
		defer func() { _ = index.Close() }()
		if entries, _, err = lookup(index, name); err != nil {
			return nil, within(Pull, err, "failed to load index")
		}
		cache.put(r.source.IndexKey, name, entries)
	}
	if len(entries) == 0 {
		return nil, failf(Reference, "no chart '%s' found in the index of %s", shorten(name), redact.String(r.base.String()))
	}
	return entries, nil
}

// open opens the stored index, or downloads it.
func (r *HTTPRepository) open(ctx context.Context) (io.ReadSeekCloser, error) {
	if r.source.Index != nil {
		return r.source.Index()
	}
	if r.temp != "" {
		return os.Open(r.temp)
	}
	file, err := os.CreateTemp("", "weir-index-")
	if err != nil {
		return nil, errors.New("the temporary directory cannot be written to")
	}
	r.temp = file.Name()
	_, _, err = r.FetchIndex(ctx, file, "")
	if err == nil {
		err = checkIndex(file)
	}
	if err != nil {
		_ = file.Close()
		_ = os.Remove(r.temp)
		r.temp = ""
		return nil, err
	}
	return file, nil
}

// Download fetches the archive of a chart.
func (r *HTTPRepository) Download(ctx context.Context, entry Entry) ([]byte, error) {
	if len(entry.urls) == 0 {
		return nil, failf(Pull, "chart '%s' has no downloadable URLs", shorten(entry.Name))
	}
	target, err := resolve(r.base, entry.urls[0])
	if err != nil {
		return nil, failf(Pull, "the URL of version '%s' of chart '%s' in the index: %w", shorten(entry.Version), shorten(entry.Name), err)
	}
	archive, err := r.download(ctx, target)
	if err != nil {
		return nil, failf(Pull, "fetch %s: %w", shorten(redact.String(target.String())), err)
	}
	return archive, nil
}

func (r *HTTPRepository) download(ctx context.Context, target *url.URL) ([]byte, error) {
	resp, err := r.get(ctx, target, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readArchive(resp.Body, resp.ContentLength, r.charts.options.Limits.Chart)
}

// readArchive reads an archive that is announced with a size, or -1.
func readArchive(r io.Reader, announced, limit int64) ([]byte, error) {
	tooLarge := fmt.Errorf("the chart has more than %d bytes, the limit of --helm-chart-max-size", limit)
	if announced > limit {
		return nil, tooLarge
	}
	archive, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case int64(len(archive)) > limit:
		return nil, tooLarge
	case err != nil:
		return nil, transfer(err)
	}
	return archive, nil
}

// resolve returns the URL that an index names: absolute, or relative to the
// repository, whose query it gets then. Queries may hold secrets, so it stays
// with the host.
func resolve(base *url.URL, reference string) (*url.URL, error) {
	ref, err := url.Parse(reference)
	if err != nil {
		return nil, errors.New("it is not valid")
	}
	if !ref.IsAbs() {
		elsewhere := ref.Host != ""
		ref = base.JoinPath("/").ResolveReference(ref)
		if !elsewhere {
			ref.RawQuery = base.RawQuery
		}
	}
	if ref.Scheme != "http" && ref.Scheme != "https" || ref.Host == "" {
		return nil, fmt.Errorf("the scheme '%s' is not http or https", shorten(ref.Scheme))
	}
	return ref, nil
}
