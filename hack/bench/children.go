// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-gitops/weir/hack/platform"
)

// ticksPerSecond is the unit of processor time in /proc, on every Linux.
const ticksPerSecond = 100

// Places in /proc/<pid>/stat behind the name of the program.
const (
	statParent   = 1
	statUser     = 11
	statSystem   = 12
	statChildren = 13 // user and system, of those that have ended
)

// family adds up the processes that a process has started: the most resident
// memory that each ever had, in MiB, of those that are there, less the files that
// are in memory anyway because they run the same program; and the processor time
// of all, in seconds.
func family(pid int) (memory, cpu float64, err error) {
	own, err := statOf(strconv.Itoa(pid))
	if err != nil {
		return 0, 0, err
	}
	cpu = own[statChildren] + own[statChildren+1]
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, 0, err
	}
	for _, dir := range all {
		stat, err := statOf(filepath.Base(dir))
		if err != nil || int(stat[statParent]) != pid {
			continue // another's, or gone by now
		}
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return 0, 0, err
		}
		peak, err := platform.PeakMemory(child)
		if err != nil {
			return 0, 0, err
		}
		memory += peak - sharedFiles(child)
		cpu += stat[statUser] + stat[statSystem]
	}
	return memory, cpu / ticksPerSecond, nil
}

// statOf returns the numbers of /proc/<pid>/stat, from the state on.
func statOf(pid string) ([]float64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) <= statChildren+1 {
		return nil, fmt.Errorf("the kernel does not tell what process %s uses", pid)
	}
	out := make([]float64, len(fields))
	for i, field := range fields[1:] {
		if out[i+1], err = strconv.ParseFloat(field, 64); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sharedFiles returns how many MiB of files a process has in memory.
func sharedFiles(pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}
