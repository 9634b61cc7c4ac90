// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-gitops/weir/hack/chaos/judge"
	"github.com/weir-gitops/weir/hack/chaos/wire"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	// commitEvery and publishEvery are the rhythm of the load.
	commitEvery  = 2 * time.Second
	publishEvery = 10 * time.Second
)

// A load makes commits and publishes models, and knows what the cluster is to
// hold therefore. Git and the registry are reached over wires that can be cut.
type load struct {
	git      *testkit.GitServer
	registry *testkit.Registry
	gitWire  *wire.Wire
	regWire  *wire.Wire

	apps, models *testkit.GitRepo

	mu        sync.Mutex
	commits   []judge.Commit          // of the repository of apps
	versions  []judge.Commit          // of the release, numbered by its version
	published int                     // the newest model
	read      map[string]judge.Commit // of the models, by lines of the log
	paused    bool
}

// newLoad serves the repositories and the registry on an address that the
// controllers reach.
func newLoad(ctx context.Context, host, dir string) (_ *load, err error) {
	l := &load{read: map[string]judge.Commit{}}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.git, err = testkit.NewGitServer(dir); err != nil { //nolint:contextcheck // The server goes on until close.
		return nil, err
	}
	if l.gitWire, err = wire.New(ctx, host, strings.TrimPrefix(l.git.URL, "http://")); err != nil {
		return nil, err
	}
	if l.registry, err = testkit.NewRegistry(); err != nil {
		return nil, err
	}
	if l.regWire, err = wire.New(ctx, host, l.registry.Host); err != nil {
		return nil, err
	}
	if l.apps, err = testkit.NewGitRepo(ctx, filepath.Join(dir, "apps.git")); err != nil {
		return nil, err
	}
	if l.models, err = testkit.NewGitRepo(ctx, filepath.Join(dir, "models.git")); err != nil {
		return nil, err
	}
	if _, err := l.models.Git(ctx, "config", "core.logAllRefUpdates", "always"); err != nil {
		return nil, err
	}
	_, err = l.models.Commit(ctx, testkit.GitCommit{
		Message: "Serve the first ranker",
		Files:   testkit.Files(map[string]string{"ranker.yaml": modelFile(l.regWire.Addr)}),
	})
	return l, errors.Join(err, l.publish(), l.commit(ctx))
}

func (l *load) close() {
	for _, w := range []*wire.Wire{l.gitWire, l.regWire} {
		if w != nil {
			w.Close()
		}
	}
	if l.git != nil {
		l.git.Close()
	}
	if l.registry != nil {
		l.registry.Close()
	}
}

// tie is what connects the load to a cluster.
func (l *load) tie() string { return tie("http://"+l.gitWire.Addr, l.regWire.Addr) }

// run makes commits and publishes models until ctx ends, except while paused.
func (l *load) run(ctx context.Context) error {
	commits, models := time.NewTicker(commitEvery), time.NewTicker(publishEvery)
	defer commits.Stop()
	defer models.Stop()
	for {
		var act func() error
		select {
		case <-ctx.Done():
			return nil
		case <-commits.C:
			act = func() error { return l.commit(ctx) }
		case <-models.C:
			act = l.publish
		}
		if l.isPaused() {
			continue
		}
		if err := act(); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// pause stops the load, or lets it go on.
func (l *load) pause(paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = paused
}

func (l *load) isPaused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paused
}

// commit makes the next commit, now and then with a new version of the release.
func (l *load) commit(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next(ctx, len(l.commits)%releaseEvery == 0)
}

// everything makes a commit with a new version of the release and publishes a
// model, so that every controller has work.
func (l *load) everything(ctx context.Context) error {
	l.mu.Lock()
	err := l.next(ctx, true)
	l.mu.Unlock()
	return errors.Join(err, l.publish())
}

// next makes a commit. It is written down before anybody can see it.
func (l *load) next(ctx context.Context, release bool) error {
	now, number := time.Now(), len(l.commits)+1
	if release {
		version := len(l.versions) + 1
		held, err := state(strings.ReplaceAll(versionMap, "{{ .Values.version | quote }}", strconv.Quote(strconv.Itoa(version))))
		if err != nil {
			return err
		}
		l.versions = append(l.versions, judge.Commit{Number: version, At: now, Holds: held})
	}
	text := manifests(number, len(l.versions))
	held, err := state(text)
	if err != nil {
		return err
	}
	l.commits = append(l.commits, judge.Commit{Number: number, At: now, Holds: held})
	_, err = l.apps.Commit(ctx, testkit.GitCommit{
		Message: fmt.Sprintf("Commit %d", number), When: now, Files: appFiles(number, text),
	})
	return err
}

// publish puts the next model into the registry.
func (l *load) publish() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.published + 1
	_, err := l.registry.Push(ranker, fmt.Sprintf("1.0.%d", next), testkit.RegistryImage{Content: strconv.Itoa(next)})
	if err == nil {
		l.published = next
	}
	return err
}

// heads are the newest commit, version and model.
func (l *load) heads() (commit, version, published int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.commits), len(l.versions), l.published
}

// history is what Git said so far about apps and the release.
func (l *load) history() (commits, versions []judge.Commit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]judge.Commit(nil), l.commits...), append([]judge.Commit(nil), l.versions...)
}

// modelCommits are the commits of the repository that the automation writes to,
// and the models that its own commits set.
func (l *load) modelCommits(ctx context.Context) (commits []judge.Commit, set []int, err error) {
	// When a commit was pushed is written down here. When it was made is written down
	// by the automation, whose clock may be off.
	log, err := l.models.Git(ctx, "log", "--walk-reflogs", "--date=unix", "--format=%H %gd", "main")
	if err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range slices.Backward(strings.Split(log, "\n")) {
		commit, known := l.read[line]
		if !known {
			if commit, err = l.readModel(ctx, line); err != nil {
				return nil, nil, err
			}
			l.read[line] = commit
		}
		commits = append(commits, commit)
		set = append(set, commit.Number)
	}
	return commits, set[1:], nil // the first one is ours
}

// readModel reads one commit of the models, by its line of the log: "hash
// main@{seconds}".
func (l *load) readModel(ctx context.Context, line string) (judge.Commit, error) {
	hash, stamp, _ := strings.Cut(line, " main@{")
	seconds, err := strconv.ParseInt(strings.TrimSuffix(stamp, "}"), 10, 64)
	if err != nil {
		return judge.Commit{}, fmt.Errorf("read the log of the models: %w", err)
	}
	file, err := l.models.Git(ctx, "show", hash+":ranker.yaml")
	if err != nil {
		return judge.Commit{}, err
	}
	held, err := state(file)
	if err != nil {
		return judge.Commit{}, err
	}
	number, err := strconv.Atoi(release(file))
	if err != nil {
		return judge.Commit{}, fmt.Errorf("read the model of commit %s: %w", hash, err)
	}
	return judge.Commit{Number: number, At: time.Unix(seconds, 0), Holds: held}, nil
}
