// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-gitops/weir/hack/cluster/internal/cluster"
)

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		said string
	}{
		"nothing":             {nil, exitUsage, "usage: cluster COMMAND"},
		"help":                {[]string{"--help"}, exitOK, "usage: cluster COMMAND"},
		"help of a command":   {[]string{"up", "-h"}, exitOK, "-gpu-nodes"},
		"unknown command":     {[]string{"start"}, exitUsage, `there is no command "start"`},
		"unknown flag":        {[]string{"down", "--force"}, exitUsage, "flag provided but not defined: -force"},
		"flag of another":     {[]string{"down", "--gpu-nodes=1"}, exitUsage, "flag provided but not defined: -gpu-nodes"},
		"too many arguments":  {[]string{"up", "please"}, exitUsage, "up takes 0 arguments, not 1"},
		"too few arguments":   {[]string{"restore"}, exitUsage, "restore takes 1 arguments, not 0"},
		"bad format":          {[]string{"status", "--output=yaml"}, exitUsage, `output format "yaml": use text or json`},
		"bad name":            {[]string{"up", "--name=../up"}, exitUsage, `name "../up"`},
		"empty name":          {[]string{"up", "--name="}, exitUsage, `name ""`},
		"bad number of nodes": {[]string{"up", "--gpu-nodes=-1"}, exitUsage, "-1 GPU nodes: use 0 to"},
		"bad owner":           {[]string{"up", "--owner-pid=-1"}, exitUsage, "owner process -1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, said bytes.Buffer
			if code := Run(t.Context(), tt.args, &out, &said); code != tt.code {
				t.Errorf("exit code is %d, want %d", code, tt.code)
			}
			if !strings.Contains(said.String(), tt.said) {
				t.Errorf("said %q, want %q in it", said.String(), tt.said)
			}
			if out.Len() > 0 {
				t.Errorf("printed %q for a program to read, want nothing", out.String())
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, args := range [][]string{{"down"}, {"status"}, {"env"}, {"kubectl", "version"}, {"snapshot", "file"}, {"restore", "file"}} {
		var out, said bytes.Buffer
		if code := Run(t.Context(), args, &out, &said); code != exitError {
			t.Errorf("%v: exit code is %d, want %d", args, code, exitError)
		}
		if !strings.HasPrefix(said.String(), "error: ") {
			t.Errorf("%v: said %q, want an error", args, said.String())
		}
	}
}

func TestExports(t *testing.T) {
	t.Parallel()
	state := cluster.State{Kubeconfig: "/home/o'neil/a b/kubeconfig", Assets: "/cache/$(id)"}
	script := exports(state) + `printf '%s\n' "$KUBECONFIG" "$KUBEBUILDER_ASSETS"`
	out, err := exec.Command("/bin/sh", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := state.Kubeconfig + "\n" + state.Assets + "\n"; string(out) != want {
		t.Errorf("a shell reads %q, want %q", out, want)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	const dir = "/clusters/a"
	tests := map[string]struct {
		state cluster.State
		want  []string
	}{
		"absent": {cluster.State{Dir: dir, Phase: cluster.Absent}, []string{"Absent", dir}},
		"dead":   {cluster.State{Dir: dir, Phase: cluster.Dead}, []string{"Dead", "its supervisor was killed", `"down"`}},
		"ready": {
			cluster.State{
				Dir: dir, Phase: cluster.Ready, PID: 41, Version: "v1.98.7", Server: "https://127.0.0.1:6443", GPUNodes: 3,
				Started: time.Now(), Components: []cluster.Component{{Name: "etcd", PID: 42, Log: "/etcd.log"}},
			},
			[]string{"Ready", "v1.98.7", "https://127.0.0.1:6443", "gpu nodes    3", "supervisor   41", "etcd", "42", "/etcd.log"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			r := &runner{out: &out, name: "a"}
			r.describe(tt.state)
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("status is %q, want %q in it", out.String(), want)
				}
			}
		})
	}
}
