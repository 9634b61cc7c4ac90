// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	agent = "agent=weir/1"
	// maxRefs bounds what is kept of a server's list of references.
	maxRefs = 1 << 20
)

// program is what runs at the other end of a conversation.
type program string

const (
	uploadPack         program = "git-upload-pack"
	receivePackProgram program = "git-receive-pack"
)

// conn is one way to talk to the programs of Git.
type conn interface {
	// advertise starts the conversation; the stream begins with the
	// server's capabilities.
	advertise(ctx context.Context, service program) (io.ReadCloser, error)
	// request sends a message and returns the answer.
	request(ctx context.Context, message []byte) (io.ReadCloser, error)
	// again reports whether more than one request fits one conversation.
	again(v2 bool) bool
	close()
}

// serverInfo is what a server says at the start of a conversation.
type serverInfo struct {
	v2           bool
	capabilities map[string]string
	// refs are those of a server of version 0; version 2 lists on demand.
	refs []ref
}

// has reports whether the server knows the capability.
func (s *serverInfo) has(name string) bool {
	_, ok := s.capabilities[name]
	return ok
}

// ref is one reference of a remote.
type ref struct {
	name, hash string
	// peeled is the commit that an annotated tag points to.
	peeled string
	// symref is the name that a symbolic reference points to.
	symref string
}

// commit returns the hash of the commit that the ref stands for.
func (r ref) commit() string {
	if r.peeled != "" {
		return r.peeled
	}
	return r.hash
}

// readAdvertisement reads the start of a conversation. Of a version 0 list it
// keeps the references that keep wants.
func readAdvertisement(r io.Reader, keep func(name string) bool) (*serverInfo, error) {
	packets := newPacketReader(r)
	kind, line, err := packets.line()
	if err == nil && strings.HasPrefix(line, "# service=") {
		if kind, line, err = packets.line(); err == nil && kind == packetFlush {
			kind, line, err = packets.line()
		}
	}
	switch {
	case err != nil:
		return nil, noEOF(err)
	case kind == packetFlush: // A server of version 0 without any reference.
		return &serverInfo{}, nil
	case line == "version 2":
		return readCapabilities(packets)
	case line == "version 1":
		if _, line, err = packets.line(); err != nil {
			return nil, noEOF(err)
		}
	}
	return readRefs(packets, line, keep)
}

func readCapabilities(packets *packetReader) (*serverInfo, error) {
	info := &serverInfo{v2: true, capabilities: map[string]string{}}
	for {
		kind, line, err := packets.line()
		if err != nil {
			return nil, noEOF(err)
		}
		if kind != packetData {
			return info, info.checkFormat()
		}
		name, value, _ := strings.Cut(line, "=")
		info.capabilities[name] = value
	}
}

// readRefs reads the list of a version 0 server, whose first line also holds
// the capabilities.
func readRefs(packets *packetReader, line string, keep func(string) bool) (*serverInfo, error) {
	info := &serverInfo{capabilities: map[string]string{}}
	line, capabilities, _ := strings.Cut(line, "\x00")
	symrefs := map[string]string{}
	for field := range strings.FieldsSeq(capabilities) {
		name, value, _ := strings.Cut(field, "=")
		if name == "symref" {
			from, to, _ := strings.Cut(value, ":")
			symrefs[from] = to
			continue
		}
		info.capabilities[name] = value
	}
	for {
		if err := info.add(line, keep, symrefs); err != nil {
			return nil, err
		}
		kind, next, err := packets.line()
		if err != nil {
			return nil, noEOF(err)
		}
		if kind != packetData {
			return info, info.checkFormat()
		}
		line = next
	}
}

// add takes one line of a version 0 list.
func (s *serverInfo) add(line string, keep func(string) bool, symrefs map[string]string) error {
	hash, name, found := strings.Cut(line, " ")
	if hash == "shallow" {
		return nil
	}
	if !found || !validHash(hash) {
		return errPacket
	}
	if name == "capabilities^{}" { // Stands in for the list of an empty repository.
		return nil
	}
	if tag, peeled := strings.CutSuffix(name, "^{}"); peeled {
		if n := len(s.refs); n > 0 && s.refs[n-1].name == tag {
			s.refs[n-1].peeled = hash
		}
		return nil
	}
	if !keep(name) {
		return nil
	}
	if len(s.refs) == maxRefs {
		return failf(ErrTooLarge, "the repository has more than %d references that match", maxRefs)
	}
	s.refs = append(s.refs, ref{name: name, hash: hash, symref: symrefs[name]})
	return nil
}

// checkFormat refuses repositories with another hash than SHA-1.
func (s *serverInfo) checkFormat() error {
	if format := s.capabilities["object-format"]; format != "" && format != "sha1" {
		return errors.New("the repository does not use the object format sha1, and no other is supported yet")
	}
	return nil
}

// listRequest asks a version 2 server for the references that begin with one
// of the prefixes.
func listRequest(prefixes []string) []byte {
	var w packetWriter
	w.line("command=ls-refs")
	w.line("%s", agent)
	w.delim()
	w.line("peel")
	w.line("symrefs")
	for _, prefix := range prefixes {
		w.line("ref-prefix %s", prefix)
	}
	w.flush()
	return w.buf
}

// readList reads the answer to listRequest.
func readList(r io.Reader) ([]ref, error) {
	packets := newPacketReader(r)
	var refs []ref
	for {
		kind, line, err := packets.line()
		switch {
		case err != nil:
			return nil, noEOF(err)
		case kind != packetData:
			return refs, nil
		case len(refs) == maxRefs:
			return nil, failf(ErrTooLarge, "the repository has more than %d references that match", maxRefs)
		}
		parsed, err := parseListed(line)
		if err != nil {
			return nil, err
		}
		if parsed.hash != "unborn" {
			refs = append(refs, parsed)
		}
	}
}

func parseListed(line string) (ref, error) {
	fields := strings.Split(line, " ")
	if len(fields) < 2 || fields[0] != "unborn" && !validHash(fields[0]) {
		return ref{}, errPacket
	}
	parsed := ref{hash: fields[0], name: fields[1]}
	for _, attribute := range fields[2:] {
		name, value, _ := strings.Cut(attribute, ":")
		switch name {
		case "peeled":
			if !validHash(value) {
				return ref{}, errPacket
			}
			parsed.peeled = value
		case "symref-target":
			parsed.symref = value
		}
	}
	return parsed, nil
}

// wish is a request for objects.
type wish struct {
	// want lists the hashes to send, have those that are here already with
	// everything that their trees hold.
	want, have []string
	// shallow lists those of have that are here without their parents.
	shallow []string
	// full asks for the whole history and not for the wanted commits alone.
	full bool
	// depth is how many commits of history to send, 1 if it is not set.
	depth int
}

// fetchRequest writes the wish for a server.
func fetchRequest(info *serverInfo, w wish) []byte {
	if info.v2 {
		return fetchRequestV2(w)
	}
	var p packetWriter
	for i, hash := range w.want {
		if i == 0 {
			p.line("want %s%s", hash, requestCapabilities(info))
			continue
		}
		p.line("want %s", hash)
	}
	for _, hash := range w.shallow {
		p.line("shallow %s", hash)
	}
	if !w.full {
		p.line("deepen %d", max(1, w.depth))
	}
	p.flush()
	for _, hash := range w.have {
		p.line("have %s", hash)
	}
	p.line("done")
	return p.buf
}

func fetchRequestV2(w wish) []byte {
	var p packetWriter
	p.line("command=fetch")
	p.line("%s", agent)
	p.delim()
	// Without this one a server sends shallow clients whole trees each time.
	p.line("thin-pack")
	p.line("ofs-delta")
	p.line("no-progress")
	for _, hash := range w.shallow {
		p.line("shallow %s", hash)
	}
	if !w.full {
		p.line("deepen %d", max(1, w.depth))
	}
	for _, hash := range w.want {
		p.line("want %s", hash)
	}
	for _, hash := range w.have {
		p.line("have %s", hash)
	}
	p.line("done")
	p.flush()
	return p.buf
}

// requestCapabilities picks of a version 0 server's capabilities those that
// this client uses. Azure DevOps serves nobody who does not offer multi_ack.
func requestCapabilities(info *serverInfo) string {
	var b strings.Builder
	for _, name := range [...]string{"multi_ack", "thin-pack", "side-band-64k", "ofs-delta", "no-progress", "shallow"} {
		if info.has(name) {
			b.WriteString(" " + name)
		}
	}
	if info.has("agent") {
		b.WriteString(" " + agent)
	}
	return b.String()
}

// packOf reads the answer to fetchRequest up to its pack and returns the pack.
func packOf(r io.Reader, info *serverInfo, w wish) (io.Reader, error) {
	packets := newPacketReader(r)
	if info.v2 {
		return packOfV2(packets)
	}
	if !w.full {
		if err := skipSection(packets); err != nil {
			return nil, err
		}
	}
	for {
		head, err := packets.r.Peek(8)
		if err != nil {
			return nil, noEOF(err)
		}
		if string(head[:4]) == "PACK" {
			return packets.r, nil
		}
		if text := string(head[4:]); !strings.HasPrefix(text, "ACK ") && !strings.HasPrefix(text, "NAK") && !strings.HasPrefix(text, "ERR ") {
			return &bandReader{packets: packets}, nil
		}
		if _, _, err := packets.line(); err != nil {
			return nil, noEOF(err)
		}
	}
}

// skipSection reads the packets up to the next mark.
func skipSection(packets *packetReader) error {
	for {
		kind, _, err := packets.line()
		if err != nil {
			return noEOF(err)
		}
		if kind != packetData {
			return nil
		}
	}
}

func packOfV2(packets *packetReader) (io.Reader, error) {
	for {
		kind, section, err := packets.line()
		switch {
		case err != nil:
			return nil, noEOF(err)
		case kind != packetData:
			return nil, errPacket
		case section == "packfile":
			return &bandReader{packets: packets}, nil
		}
		if err := skipSection(packets); err != nil {
			return nil, fmt.Errorf("section of the answer: %w", err)
		}
	}
}

// validHash reports whether s is a full SHA-1 in lower case.
func validHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}
