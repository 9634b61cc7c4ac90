// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"errors"
	"io"
	"strings"
)

const (
	zeroHash = "0000000000000000000000000000000000000000"
	// maxReport bounds the answer to a push, with all that hooks print.
	maxReport = 16 << 20
)

// pushRequest writes the commands of a push, the options, and the pack.
func pushRequest(info *serverInfo, updates []Update, options []string, pack []byte) []byte {
	var b strings.Builder
	wanted := []string{"report-status", "side-band-64k", "quiet"}
	if len(updates) > 1 {
		wanted = append(wanted, "atomic")
	}
	if len(options) > 0 {
		wanted = append(wanted, "push-options")
	}
	for _, name := range wanted {
		if info.has(name) {
			b.WriteString(" " + name)
		}
	}
	if info.has("agent") {
		b.WriteString(" " + agent)
	}
	var p packetWriter
	for i, u := range updates {
		from, to := u.Old, u.target()
		if from == "" {
			from = zeroHash
		}
		if to == "" {
			to = zeroHash
		}
		if i == 0 {
			p.line("%s %s %s\x00%s", from, to, u.Ref, b.String())
			continue
		}
		p.line("%s %s %s", from, to, u.Ref)
	}
	p.flush()
	if len(options) > 0 {
		for _, option := range options {
			p.line("%s", option)
		}
		p.flush()
	}
	return append(p.buf, pack...)
}

// report is what a server says became of a push.
type report struct {
	// unpacked: the server has the objects.
	unpacked bool
	// refused holds the server's reason by reference.
	refused map[string]string
}

// errReport says that a report is not one about the push that was made.
var errReport = errors.New("the server's report about the push is not what the Git protocol asks for")

// readReport reads what became of exactly these references.
func readReport(r io.Reader, multiplexed bool, updates []Update) (report, error) {
	packets := newPacketReader(r)
	if multiplexed {
		packets = newPacketReader(&bandReader{packets: packets})
	}
	rep := report{refused: map[string]string{}}
	kind, line, err := packets.line()
	if err != nil {
		return rep, noEOF(err)
	}
	result, found := strings.CutPrefix(line, "unpack ")
	if kind != packetData || !found {
		return rep, errReport
	}
	rep.unpacked = result == "ok"
	open := map[string]bool{}
	for _, u := range updates {
		open[u.Ref] = true
	}
	for {
		kind, line, err := packets.line()
		switch {
		case err != nil:
			return rep, noEOF(err)
		case kind == packetFlush && len(open) == 0:
			return rep, nil
		case kind != packetData || !rep.take(line, open):
			return rep, errReport
		}
	}
}

// take reads the verdict about one of the open references, and closes it.
func (rep *report) take(line string, open map[string]bool) bool {
	verdict, rest, _ := strings.Cut(line, " ")
	ref, reason, _ := strings.Cut(rest, " ")
	if !open[ref] {
		return false
	}
	delete(open, ref)
	switch verdict {
	case "ok":
		return rep.unpacked
	case "ng":
		rep.refused[ref] = reason
		return true
	}
	return false
}

const movedText = "somebody else changed the branch meanwhile"

// failure returns the error of a report; nil if all went well. Of several
// reasons it is the one that is not about the others.
func (rep report) failure(updates []Update) error {
	if !rep.unpacked {
		return failf(ErrDeclined, "the server did not take the objects of the push: they are against a check of its, or it could not store them")
	}
	var first error
	for _, u := range updates {
		reason, refused := rep.refused[u.Ref]
		if !refused {
			continue
		}
		reason = strings.ToLower(reason)
		if !strings.Contains(reason, "atomic") {
			return explain(u.Ref, reason)
		}
		if first == nil {
			first = failf(ErrDeclined, "the server refused '%s' together with the other references", u.Ref)
		}
	}
	return first
}

// explain turns the words of a server for why it refuses a reference into a class
// and a text of ours. The first match counts.
func explain(ref, reason string) error {
	known := [...]struct {
		words string
		class error
		text  string
	}{
		{"protected branch", ErrProtected, "the branch is protected"},
		{"pre-receive hook", ErrDeclined, "the server's pre-receive hook declined the push: the branch may be protected, or the commit against a rule"},
		{"update hook", ErrDeclined, "the server's update hook declined the push"},
		{"hook declined", ErrDeclined, "a hook of the server declined the push"},
		{"rule violation", ErrDeclined, "the push is against a rule of the repository"},
		{"repository rule", ErrDeclined, "the push is against a rule of the repository"},
		{"delet", ErrProtected, "the server does not let the branch be deleted"},
		{"checked out", ErrProtected, "the branch is checked out in the server's repository, which has a worktree"},
		{"not allowed", ErrProtected, "the server does not let these credentials push to the branch"},
		{"prohibited", ErrProtected, "the server does not let these credentials push to the branch"},
		{"permission", ErrProtected, "the server does not let these credentials push to the branch"},
		{"denied", ErrProtected, "the server does not let these credentials push to the branch"},
		{"fetch first", ErrNonFastForward, movedText},
		{"stale info", ErrNonFastForward, movedText},
		{"incorrect old value", ErrNonFastForward, movedText},
		{"already exists", ErrNonFastForward, movedText},
		{"cannot lock", ErrNonFastForward, movedText},
		{"failed to lock", ErrNonFastForward, movedText},
		{"failed to update", ErrNonFastForward, movedText},
		{"non-fast-forward", ErrProtected, "the server takes only updates that are fast-forward"},
	}
	for i := range known {
		if strings.Contains(reason, known[i].words) {
			return failf(known[i].class, "the server refused '%s': %s", ref, known[i].text)
		}
	}
	return failf(ErrDeclined, "the server refused '%s', for a reason of its own", ref)
}
