// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package complaint

import (
	"regexp"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/redact"
)

// maxText is how many bytes of an event are shown.
const maxText = 256

// names are what an event may call an object by, and the one that stays the
// same when the object is made anew.
type names struct {
	base string
	// all are names and addresses in the place of which base is put.
	all []string
	uid types.UID
}

// namesOf leaves the random end off the name of a pod that has one.
func namesOf(pod *corev1.Pod) names {
	n := names{base: pod.Name, uid: pod.UID, all: []string{pod.Name}}
	owner := metav1.GetControllerOf(pod)
	if prefix := strings.TrimSuffix(pod.GenerateName, "-"); prefix != "" && (owner == nil || owner.Kind != "StatefulSet") {
		n.base = prefix
	}
	for _, ip := range pod.Status.PodIPs {
		n.all = append(n.all, ip.IP)
	}
	return n
}

var (
	// containers finds the IDs of containers and sandboxes; the digests of
	// images, which look alike, say what they are.
	containers = regexp.MustCompile(`(sha256:)?\b[0-9a-f]{64}\b`)
	// backOff finds the time that a back-off has grown to.
	backOff = regexp.MustCompile(`\bback-off [0-9][0-9hms.]* `)
	// clientPort finds the port that a probe came from.
	clientPort = regexp.MustCompile(`:[0-9]+->`)
)

// describe returns reason and message of an event, without what differs from
// one pod to the next, without credentials, and cut.
func describe(e *corev1.Event, n names) string {
	text := strings.Join(strings.Fields(e.Message), " ")
	if n.uid != "" {
		text = strings.NewReplacer("_"+e.InvolvedObject.Namespace+"("+string(n.uid)+")", "", string(n.uid), n.base).Replace(text)
	}
	for _, name := range n.all {
		text = strings.ReplaceAll(text, name, n.base)
	}
	text = regexp.MustCompile(`\b`+regexp.QuoteMeta(n.base)+`-[a-z0-9]{5}\b`).ReplaceAllString(text, n.base)
	text = containers.ReplaceAllStringFunc(text, func(id string) string {
		if strings.HasPrefix(id, "sha256:") {
			return id
		}
		return "…"
	})
	text = backOff.ReplaceAllString(text, "back-off ")
	text = clientPort.ReplaceAllString(text, "->")
	return cut(e.Reason, maxText/4) + ": " + cut(redact.String(text), maxText)
}

// echo reports whether an event only repeats another in fewer words.
func echo(e *corev1.Event) bool { return strings.HasPrefix(e.Message, "Error: ") }

// cut shortens a text to so many bytes, at the end of a character.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	size -= len("…")
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size] + "…"
}
