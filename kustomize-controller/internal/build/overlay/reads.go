// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// question is what can be asked of the files of a tree. Whoever asks the same questions of two trees and gets the same
// answers cannot tell them apart.
type question byte

const (
	askContent question = 'c'
	askKind    question = 'k'
	askLink    question = 'l'
	askNames   question = 'n'
	askMatches question = 'm'
	askSize    question = 's'
)

const (
	// maxQuestions and maxQuestionBytes are how much of a tree one Reads can tell of. Past that, it is not worth its memory.
	maxQuestions     = 5000
	maxQuestionBytes = 512 << 10
)

type answer [sha256.Size]byte

// Reads is what has been seen of a tree: contents of files, listings of directories, links, and what was looked for and
// not found. It does not change any more, and does not hold the contents.
type Reads struct {
	// questions are each a question with the name that it is about, sorted.
	questions []string
	// sum is that of all questions with their answers.
	sum answer
	// bytes is the length of all names.
	bytes int64
}

// Same tells whether tree gives the same answers. Files laid over it are not looked at.
func (r *Reads) Same(tree *Tree) bool {
	all := sha256.New()
	for _, q := range r.questions {
		add(all, q, tree.answer(question(q[0]), q[1:]))
	}
	return answer(all.Sum(nil)) == r.sum
}

// Size is about how many bytes r takes in memory.
func (r *Reads) Size() int64 {
	return r.bytes + int64(16*len(r.questions)) + 128
}

func add(all hash.Hash, q string, a answer) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(q)))
	all.Write(length[:])
	all.Write([]byte(q))
	all.Write(a[:])
}

// Recorder notes what is seen of a tree. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	answers map[string]answer
	bytes   int64
	lost    bool
}

// Record notes from now on what is seen of the tree, in a new Recorder instead of the one before. Files laid over the tree
// are not of it.
func (t *Tree) Record() *Recorder {
	t.recorder = &Recorder{answers: map[string]answer{}}
	return t.recorder
}

// Reads returns what was noted so far, or nil if that was too much.
func (r *Recorder) Reads() *Reads {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return nil
	}
	reads := &Reads{questions: slices.Sorted(maps.Keys(r.answers)), bytes: r.bytes}
	all := sha256.New()
	for _, q := range reads.questions {
		add(all, q, r.answers[q])
	}
	reads.sum = answer(all.Sum(nil))
	return reads
}

// note takes down a question about name with the answer that makes, unless it is there already.
func (r *Recorder) note(ask question, name string, makes func() answer) {
	if r == nil {
		return
	}
	q := string(ask) + name
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.answers[q]; known || r.lost {
		return
	}
	r.bytes += int64(len(q))
	if len(r.answers) >= maxQuestions || r.bytes > maxQuestionBytes {
		r.lost, r.answers = true, nil
		return
	}
	r.answers[q] = makes()
}

// answer asks the files of the tree anew.
func (t *Tree) answer(ask question, name string) answer {
	switch ask {
	case askContent:
		content, err := t.content(name)
		return answerContent(content, err)
	case askKind:
		info, err := t.root.Stat(name)
		return answerKind(info, err)
	case askLink:
		target, is, err := t.readLink(name)
		return answerLink(target, is, err)
	case askNames:
		entries, err := t.entries(name)
		return answerNames(entries, err)
	case askMatches:
		return answerTexts(t.matches(name))
	case askSize:
		info, err := t.root.Stat(name)
		return answerSize(info, err)
	}
	return answer{}
}

func answerContent(content []byte, err error) answer {
	if err != nil {
		return answerError(err)
	}
	sum := sha256.New()
	sum.Write([]byte{'='})
	sum.Write(content)
	return answer(sum.Sum(nil))
}

func answerKind(info fs.FileInfo, err error) answer {
	if err != nil {
		return answerError(err)
	}
	return answerTexts([]string{info.Mode().Type().String()}, nil)
}

func answerSize(info fs.FileInfo, err error) answer {
	if err != nil {
		return answerError(err)
	}
	return answerTexts([]string{strconv.FormatInt(info.Size(), 10)}, nil)
}

func answerLink(target string, is bool, err error) answer {
	switch {
	case err != nil:
		return answerError(err)
	case !is:
		return answerTexts(nil, nil)
	}
	return answerTexts([]string{target}, nil)
}

func answerNames(entries []fs.DirEntry, err error) answer {
	texts := make([]string, 0, 2*len(entries))
	for _, entry := range entries {
		texts = append(texts, entry.Name(), entry.Type().String())
	}
	return answerTexts(texts, err)
}

// answerTexts is the answer for a list of names or the like, none of which holds a zero byte.
func answerTexts(texts []string, err error) answer {
	if err != nil {
		return answerError(err)
	}
	return sha256.Sum256([]byte("=" + strings.Join(texts, "\x00") + "\x00"))
}

func answerError(err error) answer {
	return sha256.Sum256([]byte("!" + cause(err).Error()))
}

// walked notes the directory that a walk is about to go into.
func (t *Tree) walked(name string) {
	t.recorder.note(askNames, path.Clean(name), func() answer {
		entries, err := t.entries(name)
		return answerNames(entries, err)
	})
}
