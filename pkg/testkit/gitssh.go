// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// GitSSHServer serves the bare repositories below a directory over SSH: it
// runs git-upload-pack and git-receive-pack for the one key it knows, like a
// forge does.
type GitSSHServer struct {
	// URL of the server; append "/" and the path of a repository.
	URL string
	// Identity is the PEM private key that the server accepts, and
	// EncryptedIdentity the same key locked with Passphrase.
	Identity, EncryptedIdentity []byte
	Passphrase                  string
	// KnownHosts names the server's key, WrongKnownHosts another key for the
	// same server, both in the format of OpenSSH.
	KnownHosts, WrongKnownHosts []byte

	old      bool
	readOnly atomic.Bool
	drops    atomic.Bool
	sessions atomic.Int64
	root     string
	config   *ssh.ServerConfig
	listener net.Listener
	cancel   context.CancelFunc
	conns    sync.WaitGroup
}

// GitSSHOption configures a GitSSHServer.
type GitSSHOption func(*GitSSHServer)

// GitSSHProtocolV0 answers as servers that do not know protocol version 2.
func GitSSHProtocolV0() GitSSHOption {
	return func(s *GitSSHServer) { s.old = true }
}

// NewGitSSHServer serves dir on a free loopback port until Close.
func NewGitSSHServer(dir string, opts ...GitSSHOption) (*GitSSHServer, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", dir, err)
	}
	s := &GitSSHServer{root: root, Passphrase: "correct horse"}
	for _, opt := range opts {
		opt(s)
	}
	if err := s.makeKeys(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return nil, fmt.Errorf("listen for ssh: %w", err)
	}
	address := s.listener.Addr().String()
	s.URL = "ssh://git@" + address
	if err := s.makeKnownHosts(address); err != nil {
		s.Close()
		return nil, err
	}
	s.conns.Go(func() { s.accept(ctx) })
	return s, nil
}

// Close ends the server and its connections.
func (s *GitSSHServer) Close() {
	s.cancel()
	_ = s.listener.Close()
	s.conns.Wait()
}

func (s *GitSSHServer) makeKeys() error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("generate identity: %w", err)
	}
	open, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(s.Passphrase))
	if err != nil {
		return fmt.Errorf("encrypt identity: %w", err)
	}
	s.Identity, s.EncryptedIdentity = pem.EncodeToMemory(open), pem.EncodeToMemory(locked)
	accepted, err := ssh.NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	s.config = &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), accepted.Marshal()) {
				return nil, errors.New("unknown key")
			}
			return &ssh.Permissions{}, nil
		},
	}
	return nil
}

func (s *GitSSHServer) makeKnownHosts(address string) error {
	for _, target := range []*[]byte{&s.KnownHosts, &s.WrongKnownHosts} {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("generate host key: %w", err)
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return fmt.Errorf("host key: %w", err)
		}
		*target = []byte(knownhosts.Line([]string{address}, signer.PublicKey()) + "\n")
		if target == &s.KnownHosts {
			s.config.AddHostKey(signer)
		}
	}
	return nil
}

func (s *GitSSHServer) accept(ctx context.Context) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.conns.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			s.serve(ctx, conn)
		})
	}
}

func (s *GitSSHServer) serve(ctx context.Context, raw net.Conn) {
	conn, channels, requests, err := ssh.NewServerConn(raw, s.config)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		s.conns.Go(func() { s.session(ctx, channel, requests) })
	}
}

// session runs the one command of a channel.
func (s *GitSSHServer) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	env := gitEnv()
	for request := range requests {
		switch request.Type {
		case "env":
			var pair struct{ Name, Value string }
			accepted := ssh.Unmarshal(request.Payload, &pair) == nil && pair.Name == "GIT_PROTOCOL" && !s.old
			if accepted {
				env = append(env, "GIT_PROTOCOL="+pair.Value)
			}
			_ = request.Reply(accepted, nil)
		case "exec":
			var command struct{ Line string }
			err := ssh.Unmarshal(request.Payload, &command)
			_ = request.Reply(err == nil, nil)
			s.sessions.Add(1)
			status := s.run(ctx, command.Line, env, channel)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

// SetReadOnly refuses pushes from now on, as for a deploy key that may only read.
func (s *GitSSHServer) SetReadOnly(readOnly bool) { s.readOnly.Store(readOnly) }

// SetDropsAfterPush makes the server do what pushes ask for and end the session
// without an answer.
func (s *GitSSHServer) SetDropsAfterPush(drops bool) { s.drops.Store(drops) }

// Sessions returns how many programs were run.
func (s *GitSSHServer) Sessions() int { return int(s.sessions.Load()) }

// lostWriter swallows everything once it is lost.
type lostWriter struct {
	io.Writer
	lost atomic.Bool
}

func (w *lostWriter) Write(p []byte) (int, error) {
	if w.lost.Load() {
		return len(p), nil
	}
	return w.Writer.Write(p)
}

// watchedReader reports its first byte.
type watchedReader struct {
	io.Reader
	first func()
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.first()
	}
	return n, err
}

// run serves one "git-upload-pack '/path'" or "git-receive-pack '/path'" and
// returns its exit status.
func (s *GitSSHServer) run(ctx context.Context, line string, env []string, channel ssh.Channel) uint32 {
	program, path, _ := strings.Cut(line, " ")
	push := program == "git-receive-pack"
	if program != "git-upload-pack" && !push || push && s.readOnly.Load() {
		_, _ = io.WriteString(channel.Stderr(), "secret text of a refusal\n")
		return 128
	}
	path = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(path, "'"), "'"), `'\''`, "'")
	dir := filepath.Join(s.root, filepath.Clean("/"+path))
	out, in := &lostWriter{Writer: channel}, io.Reader(channel)
	if push && s.drops.Load() {
		in = &watchedReader{Reader: channel, first: func() { out.lost.Store(true) }}
	}
	cmd := exec.CommandContext(ctx, "git", strings.TrimPrefix(program, "git-"), dir)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, channel.Stderr()
	// Not cmd.Stdin: Run would wait for the client to close its side.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(stdin, in)
		_ = stdin.Close()
	}()
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return uint32(max(0, exit.ExitCode()))
	}
	if err != nil {
		return 1
	}
	return 0
}
