// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/time/rate"
)

const (
	// defaultPause is how long a registry is left alone that says 429 and not
	// until when; maxPause is as long as one may ask for.
	defaultPause = 30 * time.Second
	maxPause     = 6 * time.Hour
	// challengeAge is how long it is believed how a registry authenticates.
	challengeAge = time.Hour
	// defaultTokenAge is the age of tokens that do not say theirs.
	defaultTokenAge = time.Minute
	// maxTokens bounds the tokens of one session.
	maxTokens = 10000
)

// session is what all requests to one host with one credential share: the
// rate, the time before which nothing is sent, connections and tokens.
type session struct {
	host    string
	access  Access
	options Options
	limiter *rate.Limiter
	used    time.Time // guarded by the Client

	mu        sync.Mutex
	until     time.Time
	clients   map[string]*http.Client // by origin
	challenge *transport.Challenge
	learned   time.Time
	tokens    map[string]token // by repository
}

type token struct {
	value   string
	expires time.Time
}

func newSession(host string, access Access, o Options) *session {
	return &session{
		host: host, access: access, options: o,
		limiter: rate.NewLimiter(rate.Limit(o.Rate), o.Burst),
		clients: map[string]*http.Client{}, tokens: map[string]token{},
	}
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.clients {
		client.CloseIdleConnections()
	}
}

// forget drops what a registry did not accept.
func (s *session) forget(repo Repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, repo.path)
	s.challenge = nil
}

// send sends one request. The answer may have any status; renewable says that
// another token might do better if it is 401.
func (s *session) send(ctx context.Context, r request) (resp *http.Response, renewable bool, err error) {
	challenge, err := s.ping(ctx)
	if err != nil {
		return nil, false, err
	}
	authorization, renewable, err := s.authorization(ctx, challenge, r.repo)
	if err != nil {
		return nil, false, err
	}
	origin := &url.URL{Scheme: "https", Host: s.host}
	if challenge.Insecure {
		origin.Scheme = "http"
	}
	target := r.next
	if target == nil {
		target = &url.URL{Scheme: origin.Scheme, Host: s.host}
		path, query, _ := strings.Cut(r.path, "?")
		target.Path, target.RawQuery = "/v2/"+r.repo.path+"/"+path, query
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), http.NoBody)
	if err != nil {
		return nil, false, failf(ErrMalformed, "the registry %s points to what is no URL", s.host)
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("User-Agent", s.options.UserAgent)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client, err := s.client(origin)
	if err != nil {
		return nil, false, err
	}
	resp, err = client.Do(req)
	if err != nil {
		return nil, false, networkError(s.host, err)
	}
	return resp, renewable, nil
}

// authorization returns the value of the header for requests about repo.
func (s *session) authorization(ctx context.Context, c *transport.Challenge, repo Repository) (value string, renewable bool, err error) {
	switch a := s.access; {
	case a.RegistryToken != "":
		return "Bearer " + a.RegistryToken, false, nil
	case strings.EqualFold(c.Scheme, "bearer"):
		value, err := s.token(ctx, c, repo)
		return "Bearer " + value, true, err
	case a.Username != "" || a.Password != "":
		req := http.Request{Header: http.Header{}}
		req.SetBasicAuth(a.Username, a.Password)
		return req.Header.Get("Authorization"), false, nil
	default:
		return "", false, nil
	}
}

// ping finds out how the registry authenticates, and whether it speaks TLS.
func (s *session) ping(ctx context.Context) (*transport.Challenge, error) {
	s.mu.Lock()
	challenge := s.challenge
	fresh := time.Since(s.learned) < challengeAge
	s.mu.Unlock()
	if challenge != nil && fresh {
		return challenge, nil
	}
	var options []name.Option
	if s.access.Insecure {
		options = append(options, name.Insecure)
	}
	host, err := name.NewRegistry(s.host, options...)
	if err != nil {
		return nil, failf(ErrImage, "%q is not the name of a registry", s.host)
	}
	// The library may try both schemes at once and returns a list of what
	// went wrong: only one of them is of interest.
	pinging := &pinger{session: s, failures: map[string]error{}}
	challenge, err = transport.Ping(ctx, host, pinging)
	if err != nil {
		if answered, ok := errors.AsType[*transport.Error](err); ok {
			return nil, statusError(s.host, answered.StatusCode, s.access)
		}
		if failure := pinging.failure(); failure != nil {
			err = failure
		}
		return nil, networkError(s.host, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenge, s.learned = challenge, time.Now()
	return challenge, nil
}

// pinger sends requests to the registry itself.
type pinger struct {
	session  *session
	mu       sync.Mutex
	failures map[string]error // by scheme
}

// RoundTrip sends the request.
func (p *pinger) RoundTrip(req *http.Request) (*http.Response, error) {
	client, err := p.session.client(&url.URL{Scheme: req.URL.Scheme, Host: p.session.host})
	if err != nil {
		return nil, err
	}
	resp, err := client.Transport.RoundTrip(req)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failures[req.URL.Scheme] = err
	}
	return resp, err
}

func (p *pinger) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session.access.Insecure && p.failures["http"] != nil {
		return p.failures["http"]
	}
	return p.failures["https"]
}

// token returns a token for reading repo, the one at hand if it is not about to
// expire.
func (s *session) token(ctx context.Context, c *transport.Challenge, repo Repository) (string, error) {
	s.mu.Lock()
	known, found := s.tokens[repo.path]
	s.mu.Unlock()
	if found && time.Now().Before(known.expires) {
		return known.value, nil
	}
	realm, err := url.Parse(c.Parameters["realm"])
	if err != nil || realm.Host == "" {
		return "", s.noToken()
	}
	client, err := s.client(&url.URL{Scheme: realm.Scheme, Host: realm.Host})
	if err != nil {
		return "", err
	}
	host, err := name.NewRegistry(s.host)
	if err != nil {
		return "", failf(ErrImage, "%q is not the name of a registry", s.host)
	}
	identity := authn.Anonymous
	if !s.access.anonymous() {
		identity = authn.FromConfig(authn.AuthConfig{
			Username: s.access.Username, Password: s.access.Password, IdentityToken: s.access.IdentityToken,
		})
	}
	scopes := []string{"repository:" + repo.path + ":pull"}
	given, err := transport.Exchange(ctx, host, identity, client.Transport, scopes, c)
	if err != nil {
		return "", s.exchangeError(err)
	}
	fresh := token{value: given.Token, expires: time.Now().Add(defaultTokenAge * 4 / 5)}
	if given.AccessToken != "" {
		fresh.value = given.AccessToken
	}
	if given.ExpiresIn > 0 {
		seconds := min(given.ExpiresIn, int(maxPause.Seconds()))
		fresh.expires = time.Now().Add(time.Duration(seconds) * time.Second * 4 / 5)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxTokens {
		clear(s.tokens)
	}
	s.tokens[repo.path] = fresh
	return fresh.value, nil
}

// exchangeError words why there is no token.
func (s *session) exchangeError(err error) error {
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		switch {
		case answered.StatusCode >= http.StatusInternalServerError:
			return failf(ErrUnavailable, "the token server of the registry %s answered with status %d %s",
				s.host, answered.StatusCode, http.StatusText(answered.StatusCode))
		case s.access.anonymous():
			return failf(ErrAuthentication, "the token server of the registry %s asks for credentials, and there are none", s.host)
		default:
			return failf(ErrAuthentication, "the token server of the registry %s does not accept the credentials", s.host)
		}
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return networkError(s.host+" (its token server)", err)
	}
	return s.noToken()
}

func (s *session) noToken() error {
	return failf(ErrMalformed, "the registry %s asks for a token in a way that cannot be followed, or its token server gives none", s.host)
}

// client returns the client whose requests carry credentials to origin alone.
func (s *session) client(origin *url.URL) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := origin.Scheme + "://" + origin.Host
	if client, found := s.clients[key]; found {
		return client, nil
	}
	client, err := s.options.Dialer.HTTP(dialClient(origin, s.access, s.host))
	if err != nil {
		return nil, failf(ErrAuthentication, "connect to the registry %s: %v", s.host, err)
	}
	client.Transport = &gate{session: s, origin: origin.Host, next: client.Transport}
	if len(s.clients) < 8 { // A registry may name another token server each time.
		s.clients[key] = client
	}
	return client, nil
}

// gate is passed by every request of a session.
type gate struct {
	session *session
	origin  string
	next    http.RoundTripper
}

// RoundTrip waits for the request's turn and sends it, unless the registry asked
// to be left alone.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	s := g.session
	if req.URL.Scheme != "https" && !s.access.Insecure {
		return nil, failf(ErrUnavailable, "the registry %s is asked over plain HTTP only with 'insecure: true'", s.host)
	}
	if req.Method == http.MethodPost && req.URL.Host != g.origin {
		// The body of what is posted holds the identity token.
		return nil, failf(ErrAuthentication, "the token server of the registry %s redirects to another host", s.host)
	}
	if err := s.turn(req.Context()); err != nil {
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	asked := resp.Header.Get("Retry-After")
	if resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode != http.StatusServiceUnavailable || asked == "") {
		return resp, nil
	}
	_ = resp.Body.Close()
	pause := pauseOf(asked, time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if until := time.Now().Add(pause); until.After(s.until) {
		s.until = until
	}
	return nil, throttled(s.host, time.Until(s.until))
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (g *gate) CloseIdleConnections() {
	if closer, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// turn waits until a request may be sent.
func (s *session) turn(ctx context.Context) error {
	if err := s.paused(); err != nil {
		return err
	}
	if err := s.limiter.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failf(ErrThrottled, "requests to the registry %s wait for their turn for longer than the timeout", s.host)
	}
	return s.paused()
}

// paused returns an error while the registry wants to be left alone.
func (s *session) paused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.until); left > 0 {
		return throttled(s.host, left)
	}
	return nil
}

// pauseOf reads a Retry-After header: seconds or a date.
func pauseOf(header string, now time.Time) time.Duration {
	pause := defaultPause
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		pause = date.Sub(now)
	}
	return min(max(pause, time.Second), maxPause)
}
