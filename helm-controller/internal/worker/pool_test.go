// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// do has a child of the pool do something, and returns what it says.
func do(ctx context.Context, p *Pool, timeout time.Duration, told string) (string, error) {
	said := ""
	err := p.Do(ctx, timeout, func(c *Conn) (err error) {
		said, err = tell(c, told)
		return err
	})
	return said, err
}

func TestWhatEndsAChild(t *testing.T) {
	t.Parallel()
	p := newPool(t, 2)
	isDied := func(cause Cause) func(error) bool {
		return func(err error) bool {
			died, ok := errors.AsType[*DiedError](err)
			return ok && died.Cause == cause
		}
	}
	for told, c := range map[string]struct {
		timeout time.Duration
		want    func(error) bool
	}{
		"eat":  {deadline, isDied(Memory)},
		"dive": {deadline, isDied(Stack)},
		"exit": {deadline, isDied(Ended)},
		"hang": {time.Second, func(err error) bool { return errors.Is(err, ErrTimeout) }},
		"talk": {deadline, func(err error) bool { return errors.Is(err, ErrTooLarge) }},
	} {
		t.Run(told, func(t *testing.T) {
			t.Parallel()
			if _, err := do(t.Context(), p, c.timeout, told); err == nil || !c.want(err) {
				t.Errorf("the error is %v", err)
			}
			if said, err := do(t.Context(), p, deadline, "pid"); err != nil || said == "" {
				t.Errorf("afterwards: %q, %v", said, err)
			}
		})
	}
}

func TestAChildThatWasKilledIsReplaced(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	tries := 0
	err := p.Do(t.Context(), deadline, func(c *Conn) error {
		tries++
		said, err := tell(c, "pid")
		if err != nil || tries > 1 {
			return err
		}
		if err := kill(said); err != nil {
			return err
		}
		_, err = tell(c, "hang")
		return err
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries: %v", tries, err)
	}
	// One that is idle too.
	idle, err := do(t.Context(), p, deadline, "pid")
	if err != nil {
		t.Fatal(err)
	}
	if err := kill(idle); err != nil {
		t.Fatal(err)
	}
	if said, err := do(t.Context(), p, deadline, "pid"); err != nil || said == idle {
		t.Errorf("%s answers after %s: %v", said, idle, err)
	}
}

func kill(pid string) error {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	return syscall.Kill(number, syscall.SIGKILL)
}

func TestChildrenAreFewAndStay(t *testing.T) {
	t.Parallel()
	p := newPool(t, 2)
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			said, err := do(t.Context(), p, deadline, "pid")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[said]++
		})
	}
	all.Wait()
	if len(seen) > 2 {
		t.Errorf("there were %d children", len(seen))
	}
	p.mu.Lock()
	idle := p.idle[0]
	p.mu.Unlock()
	p.dismiss(idle)
	p.dismiss(idle)
	if idle.alive() {
		t.Error("a child that was dismissed is there")
	}
	if said, err := do(t.Context(), p, deadline, "environment"); err != nil || strings.Contains(said, "KUBE") || !strings.Contains(said, "GOMAXPROCS=1") {
		t.Errorf("the environment is %q: %v", said, err)
	}
}

func TestWhoIsCanceled(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	cause := errors.New("there is news")
	ctx, cancel := context.WithCancelCause(t.Context())
	var all sync.WaitGroup
	begun := make(chan struct{}, 2)
	for range 2 { // one works, one waits
		all.Go(func() {
			err := p.Do(ctx, deadline, func(c *Conn) error {
				begun <- struct{}{}
				_, err := tell(c, "hang")
				return err
			})
			if !errors.Is(err, cause) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	<-begun
	cancel(cause)
	all.Wait()
	if _, err := do(t.Context(), p, deadline, "pid"); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLeft counts what the process has, so it does not run beside
// others.
func TestNothingIsLeft(t *testing.T) {
	count := func() (files, routines int) {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open), runtime.NumGoroutine()
	}
	run := func() {
		p := New(options(3))
		var all sync.WaitGroup
		for _, told := range []string{"pid", "eat", "exit", "pid", "talk", "dive", "pid"} {
			all.Go(func() { _, _ = do(t.Context(), p, deadline, told) })
		}
		all.Wait()
		p.Close()
		p.Close()
		if _, err := do(t.Context(), p, deadline, "pid"); err == nil {
			t.Error("work begins after the end")
		}
	}
	run() // the first one opens what the runtime keeps
	files, routines := count()
	run()
	for end := time.Now().Add(deadline); ; {
		nowFiles, nowRoutines := count()
		if nowFiles <= files && nowRoutines <= routines {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d files and %d goroutines, and before %d and %d", nowFiles, nowRoutines, files, routines)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func TestCloseEndsWorkUnderWay(t *testing.T) {
	t.Parallel()
	p := New(options(1))
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- p.Do(t.Context(), deadline, func(c *Conn) error {
			close(begun)
			_, err := tell(c, "hang")
			return err
		})
	}()
	<-begun
	p.Close()
	if err := <-done; err == nil {
		t.Error("it did not fail")
	}
}

// A child that is busy does not see that its input has ended.
func TestNoChildOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	owner := exec.CommandContext(t.Context(), "/proc/self/exe", ownerArg)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(said)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	for end := time.Now().Add(deadline); !gone(pid); {
		if time.Now().After(end) {
			t.Fatalf("process %s is there", pid)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// gone reports whether a process has ended, whoever is to collect it.
func gone(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ") || strings.Contains(string(stat), ") X ")
}

func TestConfineRefusesTooLittle(t *testing.T) {
	t.Parallel()
	if err := Confine(MinMemory - 1); err == nil {
		t.Error("no error")
	}
}

func TestRename(t *testing.T) {
	comm := func() string {
		name, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(name))
	}
	before := comm()
	t.Cleanup(func() { Rename(before) })
	Rename("worker-renamed")
	if got := comm(); got != "worker-renamed" {
		t.Errorf("the process is called %q", got)
	}
}
