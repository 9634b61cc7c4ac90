// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	hostkeys "golang.org/x/crypto/ssh/knownhosts"

	"github.com/weir-gitops/weir/pkg/dial"
)

// maxStderr bounds what is read, and dropped, of a server's messages.
const maxStderr = 1 << 20

// sshConn runs the programs of Git over SSH.
type sshConn struct {
	dialer  *dial.Dialer
	address string
	path    string
	program program
	config  *ssh.ClientConfig

	raw    net.Conn
	client *ssh.Client
	stdin  io.WriteCloser
	stdout io.Reader
}

func newSSHConn(u *url.URL, auth Auth, dialer *dial.Dialer, algorithms Algorithms) (*sshConn, error) {
	signer, err := auth.signer()
	if err != nil {
		return nil, err
	}
	hosts, err := parseKnownHosts(auth.KnownHosts)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = "22"
	}
	address := net.JoinHostPort(u.Hostname(), port)
	path := u.Path
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	c := &sshConn{dialer: dialer, address: address, path: path}
	c.config = &ssh.ClientConfig{
		User:              auth.Username,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   hosts.HostKeyCallback(),
		HostKeyAlgorithms: hosts.HostKeyAlgorithms(address),
		ClientVersion:     "SSH-2.0-weir",
	}
	c.config.KeyExchanges = algorithms.KeyExchange
	if len(algorithms.HostKey) > 0 {
		c.config.HostKeyAlgorithms = algorithms.HostKey
	}
	return c, nil
}

// parseKnownHosts reads a known_hosts file from memory. The library reads
// files only.
func parseKnownHosts(data []byte) (*knownhosts.HostKeyDB, error) {
	file, err := os.CreateTemp("", "known-hosts-")
	if err != nil {
		return nil, fmt.Errorf("set 'known_hosts' down for reading: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("set 'known_hosts' down for reading: %w", err)
	}
	db, err := knownhosts.NewDB(file.Name())
	if err != nil {
		// The text begins with the name of the file and the line.
		detail := strings.TrimPrefix(err.Error(), "knownhosts: "+file.Name()+":")
		return nil, failf(ErrAuthentication, "'known_hosts' cannot be read at line %s", detail)
	}
	return db, nil
}

func (c *sshConn) again(v2 bool) bool { return v2 }

func (c *sshConn) close() {
	if c.client == nil {
		return
	}
	_ = c.stdin.Close()
	_ = c.client.Close()
	c.client = nil
}

// guard ends what waits on the connection when ctx ends, until stop is called:
// the SSH library knows no contexts.
func (c *sshConn) guard(ctx context.Context) (stop func() bool) {
	raw := c.raw
	return context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
}

func (c *sshConn) advertise(ctx context.Context, service program) (io.ReadCloser, error) {
	c.close()
	c.program = service
	raw, err := c.dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	c.raw = raw
	stop := c.guard(ctx)
	connection, channels, requests, err := ssh.NewClientConn(raw, c.address, c.config)
	if err != nil {
		stop()
		_ = raw.Close()
		return nil, handshakeError(ctx, err)
	}
	c.client = ssh.NewClient(connection, channels, requests)
	if err := c.start(); err != nil {
		_ = c.client.Close()
		c.client = nil
		stop()
		return nil, ended(ctx, err)
	}
	return &sshStream{ctx: ctx, stop: stop, program: c.program, r: limited(io.NopCloser(c.stdout), maxAdvertisement)}, nil
}

// start runs the command of the conversation.
func (c *sshConn) start() error {
	session, err := c.client.NewSession()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	if c.stdin, err = session.StdinPipe(); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	if c.stdout, err = session.StdoutPipe(); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	stderr, err := session.StderrPipe()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	go func() { _, _ = io.CopyN(io.Discard, stderr, maxStderr) }()
	// Servers that do not take variables answer in version 0.
	if c.program == uploadPack {
		_ = session.Setenv("GIT_PROTOCOL", "version=2")
	}
	if err := session.Start(string(c.program) + " " + shellQuote(c.path)); err != nil {
		return fmt.Errorf("run %s: %w", c.program, err)
	}
	return nil
}

func (c *sshConn) request(ctx context.Context, message []byte) (io.ReadCloser, error) {
	stop := c.guard(ctx)
	if _, err := c.stdin.Write(message); err != nil {
		stop()
		return nil, ended(ctx, err)
	}
	// A server that let a push begin has the repository, and lets this key in.
	begun := c.program == receivePackProgram
	return &sshStream{ctx: ctx, stop: stop, program: c.program, some: begun, r: c.stdout}, nil
}

// sshStream words the end of a conversation: a server that refuses closes the
// channel without a word in the protocol.
type sshStream struct {
	ctx  context.Context //nolint:containedctx // Lives as long as one answer.
	stop func() bool
	r    io.Reader
	some bool

	program program
}

func (s *sshStream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.some = s.some || n > 0
	switch {
	case err == nil:
		return n, nil
	case s.ctx.Err() != nil:
		return n, ended(s.ctx, err)
	case errors.Is(err, io.EOF) && !s.some && s.program == receivePackProgram:
		return n, failf(ErrAuthentication, "the server ended the session: this key may not push to the repository, or there is none")
	case errors.Is(err, io.EOF) && !s.some:
		return n, failf(ErrNotFound, "the server ended the session: there is no such repository, or this key may not read it")
	}
	return n, err
}

func (s *sshStream) Close() error {
	s.stop()
	return nil
}

// handshakeError tells a host key that does not match from a refused identity.
func handshakeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, err)
	}
	if unknown, ok := errors.AsType[*hostkeys.KeyError](err); ok {
		if len(unknown.Want) > 0 {
			return failf(ErrAuthentication, "the host key of the server is not the one in 'known_hosts': either it was changed, or this is another server")
		}
		return failf(ErrAuthentication, "the host is not in 'known_hosts'")
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "unable to authenticate"):
		return failf(ErrAuthentication, "the server does not accept the 'identity'")
	case strings.Contains(text, "no common algorithm"):
		return errors.New("the server and this client have no algorithm in common: check 'known_hosts' and the flags --ssh-kex-algos and --ssh-hostkey-algos")
	}
	return fmt.Errorf("ssh handshake: %w", err)
}

// ended names the context's end as the reason where it is.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("the server did not answer in time: %w", cause)
	}
	return err
}

// shellQuote quotes a path the way git does for the shell of the server.
func shellQuote(path string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `!`, `'\!'`).Replace(path) + "'"
}
