// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// layout names the files of a cluster's directory.
type layout string

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{string(l)}, parts...)...)
}

// lock is held by the supervisor as long as it lives. Its presence marks the directory as a cluster's, so it is
// created first and removed last.
func (l layout) lock() string       { return l.path(".weir-cluster.lock") }
func (l layout) state() string      { return l.path("cluster.json") }
func (l layout) control() string    { return l.path("control.sock") }
func (l layout) kubeconfig() string { return l.path("kubeconfig") }
func (l layout) data() string       { return l.path("etcd") }
func (l layout) stages() string     { return l.path("stages.yaml") }

func (l layout) log(component string) string   { return l.path("logs", component+".log") }
func (l layout) cert(name string) string       { return l.path("pki", name+".crt") }
func (l layout) key(name string) string        { return l.path("pki", name+".key") }
func (l layout) componentConf(n string) string { return l.path("conf", n+".kubeconfig") }

// claim checks that dir is absent, empty or a cluster's, so that nothing else is ever removed.
func claim(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the cluster directory: %w", err)
	}
	if _, err := os.Stat(layout(dir).lock()); err != nil {
		return fmt.Errorf("%w: the directory %s holds something that is not a cluster; name another one", ErrOptions, dir)
	}
	return nil
}

// wipe removes everything from a cluster's directory but its lock.
func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear the cluster directory: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if path == layout(dir).lock() {
			continue
		}
		if err := removeAll(path); err != nil {
			return fmt.Errorf("clear the cluster directory: %w", err)
		}
	}
	return nil
}

// remove removes a cluster's directory. The caller holds its lock.
func remove(dir string) error {
	if err := wipe(dir); err != nil {
		return err
	}
	for _, path := range []string{layout(dir).lock(), dir} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the cluster directory: %w", err)
		}
	}
	return nil
}

// removeAll is os.RemoveAll for a directory that a process which is just being killed may write a last file into.
func removeAll(path string) error {
	const patience, pause = 5 * time.Second, 20 * time.Millisecond
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := os.RemoveAll(path)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-ticker.C
	}
}

// A Phase says what a cluster is doing.
type Phase string

// The phases of a cluster.
const (
	Absent    Phase = "Absent"    // there is none
	Starting  Phase = "Starting"  // components come up
	Ready     Phase = "Ready"     // it serves
	Restoring Phase = "Restoring" // etcd goes back to a snapshot; it does not serve
	Stopping  Phase = "Stopping"  // it goes away
	Dead      Phase = "Dead"      // its supervisor was killed; only files are left
)

// State is what is known about a cluster. Paths are absolute.
type State struct {
	Name       string      `json:"name"`
	Dir        string      `json:"dir"`
	Phase      Phase       `json:"phase"`
	PID        int         `json:"pid,omitempty"` // of the supervisor
	Version    string      `json:"version,omitempty"`
	Server     string      `json:"server,omitempty"`
	Kubeconfig string      `json:"kubeconfig,omitempty"`
	Assets     string      `json:"assets,omitempty"`
	GPUNodes   int         `json:"gpuNodes"`
	Started    time.Time   `json:"started,omitzero"`
	Components []Component `json:"components,omitempty"`

	// What follows is set if there is a real node.

	// NodeAddress is where the node's servers are, from inside and from this machine.
	NodeAddress string `json:"nodeAddress,omitempty"`
	// HostAddress is this machine's address on its link to the node; pods reach it.
	HostAddress string `json:"hostAddress,omitempty"`
	// Registry is the address of the registry that the node pulls all images from.
	Registry string `json:"registry,omitempty"`
	// Init is the number of the first process of the namespaces.
	Init int `json:"init,omitempty"`
	// Link and Cgroup name what is on this machine beside processes and the directory.
	Link   string `json:"link,omitempty"`
	Cgroup string `json:"cgroup,omitempty"`
}

// Component is one process of a cluster.
type Component struct {
	Name string `json:"name"`
	PID  int    `json:"pid"` // 0 if somebody stopped it
	// Restarts is how often it ended by itself and was started again, which only the components beside a real node are.
	Restarts int    `json:"restarts,omitempty"`
	Log      string `json:"log"`
}

// write puts the state into the cluster's directory, whole or not at all.
func (s State) write() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(layout(s.Dir).state(), append(data, '\n'))
}

// readState returns what the supervisor last wrote into dir.
func readState(dir string) (State, error) {
	data, err := os.ReadFile(layout(dir).state())
	if err != nil {
		return State{}, err
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("read %s: %w", layout(dir).state(), err)
	}
	return s, nil
}

// writeFile writes a file that only the user can read, by way of a temporary one.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, data, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
