// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxPacket is the largest packet of the protocol, its length field included.
const maxPacket = 65520

// packetKind tells data from the marks between them.
type packetKind int

const (
	packetData  packetKind = iota
	packetFlush            // 0000: end of a message
	packetDelim            // 0001: end of a section
	packetEnd              // 0002: end of a response
)

// errPacket says that what the server sends is not the Git protocol.
var errPacket = errors.New("the answer is not in the Git protocol")

// packetReader splits a stream into packets: four hexadecimal digits of
// length, and the data.
type packetReader struct {
	r   *bufio.Reader
	buf [maxPacket]byte
}

func newPacketReader(r io.Reader) *packetReader {
	return &packetReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// next returns the next packet; its data is valid until the following call.
// At the end of the stream it returns io.EOF, in the middle of a packet
// io.ErrUnexpectedEOF.
func (p *packetReader) next() (packetKind, []byte, error) {
	if _, err := io.ReadFull(p.r, p.buf[:4]); err != nil {
		return 0, nil, err
	}
	length, err := strconv.ParseUint(string(p.buf[:4]), 16, 16)
	if err != nil {
		return 0, nil, errPacket
	}
	switch {
	case length == 0:
		return packetFlush, nil, nil
	case length == 1:
		return packetDelim, nil, nil
	case length == 2:
		return packetEnd, nil, nil
	case length < 4 || length > maxPacket:
		return 0, nil, errPacket
	}
	data := p.buf[:length-4]
	if _, err := io.ReadFull(p.r, data); err != nil {
		return 0, nil, noEOF(err)
	}
	return packetData, data, nil
}

// line is next for a text packet: without the line break, and with an error
// of the remote turned into an error.
func (p *packetReader) line() (packetKind, string, error) {
	kind, data, err := p.next()
	if err != nil {
		return 0, "", err
	}
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
	}
	text := string(data)
	if err := remoteError(text); err != nil {
		return 0, "", err
	}
	return kind, text, nil
}

// noEOF turns the end of a stream where more must follow into an error that
// nobody mistakes for a proper end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// packetWriter builds a request in memory; requests are small.
type packetWriter struct{ buf []byte }

func (p *packetWriter) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...) + "\n"
	p.buf = fmt.Appendf(p.buf, "%04x%s", len(text)+4, text)
}

func (p *packetWriter) flush() { p.buf = append(p.buf, "0000"...) }
func (p *packetWriter) delim() { p.buf = append(p.buf, "0001"...) }

// The channels of a multiplexed response.
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// bandReader reads the data channel of a multiplexed response up to its flush.
type bandReader struct {
	packets *packetReader
	rest    []byte
	done    bool
}

func (b *bandReader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.done {
			return 0, io.EOF
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *bandReader) fill() error {
	kind, data, err := b.packets.next()
	switch {
	case err != nil:
		return noEOF(err)
	case kind != packetData:
		b.done = true
		return nil
	case len(data) == 0:
		return errPacket
	}
	switch data[0] {
	case bandData:
		b.rest = data[1:]
		return nil
	case bandProgress:
		return nil
	case bandError:
		return errRemoteAborted
	}
	return errPacket
}
