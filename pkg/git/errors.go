// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// The classes of failure that callers tell apart with errors.Is. None of the
// texts holds what the server said: it may be anything, for anybody who can
// make the controller ask.
var (
	// ErrAuthentication: the server, or the SSH handshake, did not accept
	// the credentials, or they are not usable.
	ErrAuthentication = errors.New("authentication failed")
	// ErrNotFound: there is no repository at the URL, or these credentials
	// may not see it.
	ErrNotFound = errors.New("repository not found")
	// ErrEmpty: the repository has no commits.
	ErrEmpty = errors.New("git repository is empty")
	// ErrReference: the repository does not have the wanted branch, tag,
	// reference or commit.
	ErrReference = errors.New("reference not found")
	// ErrTooLarge: a limit was exceeded; the text has the number.
	ErrTooLarge = errors.New("too large")
	// ErrCorrupt: objects on disk or from the server are damaged.
	ErrCorrupt = errors.New("corrupt Git object")
	// ErrForbiddenPath: a tree holds a name that no checkout may create.
	ErrForbiddenPath = errors.New("forbidden path")
	// ErrPath: the commit has no such path, or something else than a file there.
	ErrPath = errors.New("no such path")
	// ErrNonFastForward: a reference is not any more what a push relied on.
	ErrNonFastForward = errors.New("non-fast-forward")
	// ErrDeclined: a hook, or a rule for the branch, does not let a push pass.
	ErrDeclined = errors.New("push declined")
	// ErrProtected is an ErrDeclined that has nothing to do with what was pushed:
	// the branch, or these credentials, take no such push.
	ErrProtected = errors.New("branch protected")
	// ErrPushOptions: the server takes no push options.
	ErrPushOptions = errors.New("push options not supported")

	errRemoteAborted = errors.New("the server ended the transfer with an error")
)

// classed is an error with its own text that is of a class.
type classed struct {
	class error
	text  string
	cause error
}

func (e *classed) Error() string { return e.text }

// Is lets errors.Is find the class.
func (e *classed) Is(target error) bool {
	return target == e.class || target == ErrDeclined && e.class == ErrProtected
}

// Unwrap returns the cause, if any.
func (e *classed) Unwrap() error { return e.cause }

// failf returns an error of the class with the given text.
func failf(class error, format string, args ...any) error {
	return &classed{class: class, text: fmt.Sprintf(format, args...)}
}

// corrupt returns an ErrCorrupt about what.
func corrupt(what string, cause error) error {
	text := what + " is damaged"
	if cause != nil {
		text += ": " + cause.Error()
	}
	return &classed{class: ErrCorrupt, text: text, cause: cause}
}

// remoteError recognises the error packet of a server and keeps its class.
func remoteError(line string) error {
	message, found := strings.CutPrefix(line, "ERR ")
	if !found {
		return nil
	}
	message = strings.ToLower(message)
	switch {
	case strings.Contains(message, "not our ref"):
		return failf(ErrReference, "the server does not have the wanted commit")
	case strings.Contains(message, "not found"), strings.Contains(message, "not exist"),
		strings.Contains(message, "not appear to be a git"), strings.Contains(message, "no such"):
		return failf(ErrNotFound, "the server says that there is no such repository, or hides it from these credentials")
	case strings.Contains(message, "denied"), strings.Contains(message, "authoriz"), strings.Contains(message, "permission"):
		return failf(ErrAuthentication, "the server denies access to the repository with these credentials")
	}
	return errors.New("the server refused the request")
}

// statusError turns an HTTP status other than 200 into an error.
func statusError(status int) error {
	text := fmt.Sprintf("the server answered %d %s", status, http.StatusText(status))
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return failf(ErrAuthentication, "%s: check the credentials in the Secret", text)
	case http.StatusNotFound, http.StatusGone:
		return failf(ErrNotFound, "%s: there is no repository at this URL, or it is hidden from these credentials", text)
	}
	if status >= 300 && status < 400 {
		return fmt.Errorf("%s: it redirects where Git does not follow", text)
	}
	return errors.New(text)
}
