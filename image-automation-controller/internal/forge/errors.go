// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Classes of errors.
var (
	// ErrHost: the token would go to a host that is not the repository's.
	ErrHost = errors.New("host not permitted")
	// ErrAuthentication: the forge does not know the token.
	ErrAuthentication = errors.New("authentication failed")
	// ErrForbidden: the token may not do this.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound: there is no such repository or pull request, or the token
	// may not see it.
	ErrNotFound = errors.New("not found")
	// ErrConflict: somebody else has a pull request of this branch.
	ErrConflict = errors.New("conflict")
	// ErrRejected: the request or the options cannot work.
	ErrRejected = errors.New("rejected")
	// ErrThrottled: the forge wants fewer requests; RetryAfter tells when.
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: the forge did not answer, or not in its API.
	ErrUnavailable = errors.New("unavailable")
)

// errExists is an ErrConflict that Open can deal with.
var errExists = fmt.Errorf("%w: there is one already", ErrConflict)

// Error is a failure of a known class.
type Error struct {
	// Class is one of the Err variables.
	Class error
	// After is how long to leave the forge alone, for ErrThrottled.
	After time.Duration
	text  string
}

func (e *Error) Error() string { return e.text }

// Unwrap returns the class.
func (e *Error) Unwrap() error { return e.Class }

// RetryAfter returns how long the forge wants to be left alone. It is 0 if err
// is no ErrThrottled.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

func isExists(err error) bool { return errors.Is(err, errExists) }

func reject(format string, args ...any) error {
	return &Error{Class: ErrRejected, text: fmt.Sprintf(format, args...)}
}

const (
	// defaultPause is what GitHub asks for where it does not say how long.
	defaultPause = time.Minute
	// maxPause bounds what a forge can ask for.
	maxPause = time.Hour
)

// classify turns an answer that is no success into an error. The text of the
// answer is looked through for what is known, and never shown.
func classify(doing, host string, resp *http.Response, text string, now time.Time) error {
	e := &Error{}
	var advice string
	text = strings.ToLower(text)
	switch code := resp.StatusCode; {
	case throttled(resp, text):
		e.Class, e.After = ErrThrottled, pause(resp.Header, now)
		advice = "the forge wants fewer requests with this token"
	case code == http.StatusUnauthorized:
		e.Class, advice = ErrAuthentication, "the token is not known, was revoked or has expired; renew it in the Secret"
	case code == http.StatusForbidden:
		e.Class, advice = ErrForbidden, "the token may not do this; it needs to read its own user, and to write pull requests and issues of the repository"
	case code == http.StatusNotFound:
		e.Class, advice = ErrNotFound, "there is none, or the token may not see it; check the repository's URL and what the token may read"
	case code == http.StatusConflict || code == http.StatusUnprocessableEntity && strings.Contains(text, "already exists"):
		e.Class, advice = errExists, "the branch has a pull request already"
	case code >= http.StatusInternalServerError:
		e.Class, advice = ErrUnavailable, "it is tried again"
	default:
		e.Class, advice = ErrRejected, rejection(text)
	}
	e.text = fmt.Sprintf("%s: %s answered %d %s: %s", doing, host, resp.StatusCode, http.StatusText(resp.StatusCode), advice)
	return e
}

// rejection words why a forge does not take a request.
func rejection(text string) string {
	switch {
	case strings.Contains(text, "no commits between"), strings.Contains(text, "no changes between"):
		return "the branch has no commit that the base lacks"
	case strings.Contains(text, "archived"):
		return "the repository is archived"
	}
	return "check that both branches exist and that the repository takes pull requests"
}

// throttled reports whether an answer asks for fewer requests. GitHub says so
// with 403 too, and not always in a header.
func throttled(resp *http.Response, text string) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-RateLimit-Remaining") == "0" || strings.Contains(text, "rate limit")
	case http.StatusServiceUnavailable:
		return resp.Header.Get("Retry-After") != ""
	}
	return false
}

// pause reads how long to wait.
func pause(header http.Header, now time.Time) time.Duration {
	wait := defaultPause
	if value := header.Get("Retry-After"); value != "" {
		if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
			wait = time.Duration(seconds) * time.Second
		} else if at, err := http.ParseTime(value); err == nil {
			wait = at.Sub(now)
		}
	} else {
		for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
			if at, err := strconv.ParseInt(header.Get(name), 10, 64); err == nil {
				wait = time.Unix(at, 0).Sub(now)
				break
			}
		}
	}
	return min(max(wait, time.Second), maxPause)
}
