// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	sdk "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/worker"
)

// Limits of what rendering one chart may take.
type Limits struct {
	// Workers is how many charts are rendered at once.
	Workers int
	// Memory is what one of them may take, in bytes.
	Memory int64
	// Timeout is how long it may take, unless the timeout of the release is shorter.
	Timeout time.Duration
	// Output is how many bytes it may render to, and how many the definitions in its
	// directories crds may have.
	Output int64
}

// DefaultLimits returns limits that ordinary charts are far from.
func DefaultLimits() Limits {
	return Limits{Workers: 4, Memory: 256 << 20, Timeout: time.Minute, Output: 8 << 20}
}

// Validate reports every limit that cannot work, by the name of its flag.
func (l Limits) Validate() error {
	var errs []error
	if l.Workers < 1 {
		errs = append(errs, fmt.Errorf("--render-workers must be at least 1, got %d", l.Workers))
	}
	if l.Memory < worker.MinMemory {
		errs = append(errs, fmt.Errorf("--render-memory-limit must be at least %d, got %d", worker.MinMemory, l.Memory))
	}
	if l.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("--render-timeout must be more than 0, got %s", l.Timeout))
	}
	if l.Output <= 0 {
		errs = append(errs, fmt.Errorf("--render-output-limit must be more than 0, got %d", l.Output))
	}
	return errors.Join(errs...)
}

// Renderer renders charts in processes of their own: templates, and patches, can
// take all memory or never end, and nothing but the end of a process stops them.
type Renderer struct {
	limits Limits
	pool   *worker.Pool

	mu sync.Mutex
	// refused has what took more than it may, and the error that told so.
	refused map[subject]error
	// doubtful is how many of these are rendered again right now.
	doubtful int
}

// maxRefused bounds how many of those that took too much are remembered.
const maxRefused = 4096

// subject is what is rendered. Values that come from elsewhere are not told
// apart.
type subject struct {
	uid        types.UID
	generation int64
	chart      uint64
}

// NewRenderer returns a Renderer, which is to be closed. Command is a program
// with its arguments that calls worker.Confine with its last argument, and then
// Work.
func NewRenderer(limits Limits, command []string) *Renderer {
	return &Renderer{limits: limits, refused: map[subject]error{}, pool: worker.New(worker.Options{
		Command: command, Count: limits.Workers, Memory: limits.Memory,
		// What comes back besides what is counted is the values of the charts.
		Message: 2*limits.Output + 1<<20,
	})}
}

// Close ends the processes, and what is rendered in them.
func (r *Renderer) Close() { r.pool.Close() }

// request is what is asked for, and who answers the questions about it.
type request struct {
	job     *Job
	order   *order
	lookups *lookups
	schemas *downloads
	log     *lines
}

// render has a chart rendered.
func (r *Renderer) render(ctx context.Context, q *request) (*rendering, error) {
	who := subject{q.job.UID, q.job.Object.Generation, q.job.Chart.number}
	leave, err := r.enter(who)
	if err != nil {
		return nil, err
	}
	defer leave()
	timeout := min(r.limits.Timeout, q.job.Object.GetTimeout())
	q.order.Limit = r.limits.Output
	var out *answer
	err = r.pool.Do(ctx, timeout, func(conn *worker.Conn) error {
		fresh := *q
		fresh.schemas = &downloads{client: q.job.Schemas}
		out, err = fresh.converse(ctx, conn)
		return err
	})
	if err == nil && out.TooMuch {
		err = worker.ErrTooLarge
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, r.refuse(who, r.explain(err, q.job, timeout), err)
	}
	r.accept(who)
	for _, line := range out.Log {
		q.log.add("%s", line)
	}
	if out.Fault != "" {
		return nil, errors.New(out.Fault)
	}
	return q.result(out)
}

// converse gives the order and answers questions until it is done.
func (q *request) converse(ctx context.Context, conn *worker.Conn) (*answer, error) {
	if err := conn.Send(q.order); err != nil {
		return nil, err
	}
	for {
		var said message
		if err := conn.Receive(&said); err != nil {
			return nil, err
		}
		if said.Answer != nil {
			return said.Answer, nil
		}
		answered, err := q.answer(ctx, &said)
		if err != nil {
			return nil, err
		}
		if err := conn.Send(answered); err != nil {
			return nil, err
		}
	}
}

// answer answers a question.
func (q *request) answer(ctx context.Context, said *message) (*reply, error) {
	switch {
	case said.Chart != nil:
		whole, err := full(q.job.Chart.parsed)
		return &reply{Chart: &whole}, err
	case said.Lookup != nil:
		return q.lookups.get(ctx, said.Lookup), nil
	case said.Schema != nil:
		return q.schemas.reply(ctx, said.Schema), nil
	}
	return nil, errors.New("the process that renders asks for nothing")
}

// result makes of an answer what the release stores.
func (q *request) result(out *answer) (*rendering, error) {
	chart, err := out.Chart.restore(q.job.Chart.parsed)
	if err != nil {
		return nil, err
	}
	made := &rendering{chart: chart, values: q.order.Values, manifest: out.Manifest, notes: out.Notes, kinds: out.mappings()}
	if q.order.Before != nil {
		made.values = out.Values
	}
	if made.values == nil {
		made.values = map[string]any{}
	}
	if len(out.Hooks) > 0 {
		made.hooks = []*sdk.Hook{}
		if err := json.Unmarshal(out.Hooks, &made.hooks); err != nil {
			return nil, fmt.Errorf("read the hooks of the chart: %w", err)
		}
	}
	return made, nil
}

// explain words what ended a process.
func (r *Renderer) explain(err error, job *Job, timeout time.Duration) error {
	const look = "look in its templates, values and post-renderers for what calls itself or repeats without end, or raise "
	chart := fmt.Sprintf("chart %s %s", job.Chart.Name, job.Chart.Version)
	died, ok := errors.AsType[*worker.DiedError](err)
	switch {
	case errors.Is(err, worker.ErrTimeout) && timeout < r.limits.Timeout:
		return fmt.Errorf("rendering %s takes more than %s, the timeout of the release; %sspec.timeout", chart, timeout, look)
	case errors.Is(err, worker.ErrTimeout):
		return fmt.Errorf("rendering %s takes more than %s; %sthe controller's --render-timeout", chart, timeout, look)
	case errors.Is(err, worker.ErrTooLarge):
		return fmt.Errorf("%s renders to more than %s, or its directories crds hold more; %sthe controller's --render-output-limit", chart, inMiB(r.limits.Output), look)
	case ok && died.Cause == worker.Memory:
		return fmt.Errorf("rendering %s takes more than %s of memory; %sthe controller's --render-memory-limit", chart, inMiB(r.limits.Memory), look)
	case ok && died.Cause == worker.Stack:
		return fmt.Errorf("rendering %s takes more than %s of stack: its templates call themselves, perhaps by tpl on a value that has tpl in it; "+
			"the controller's --render-memory-limit is four times that", chart, inMiB(r.limits.Memory/4))
	}
	return fmt.Errorf("render %s: %w", chart, err)
}

func inMiB(size int64) string {
	if size < 1<<20 {
		return fmt.Sprintf("%d bytes", size)
	}
	return fmt.Sprintf("%d MiB", size>>20)
}

// enter lets a subject in, until the function is called. What took too much
// before may take half of the processes at most; if others do, it is told what it
// was told then.
func (r *Renderer) enter(who subject) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.refused[who]
	if before == nil {
		return func() {}, nil
	}
	if r.doubtful >= max(1, r.limits.Workers/2) {
		return nil, before
	}
	r.doubtful++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.doubtful--
	}, nil
}

// refuse remembers what took too much, which anything but an early end is.
func (r *Renderer) refuse(who subject, told, cause error) error {
	died, ok := errors.AsType[*worker.DiedError](cause)
	if !errors.Is(cause, worker.ErrTimeout) && !(ok && died.Cause != worker.Ended) {
		return told
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refused) >= maxRefused {
		clear(r.refused) // they show themselves again
	}
	r.refused[who] = told
	return told
}

func (r *Renderer) accept(who subject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.refused, who)
}

// postOf describes the post-renderers of a job: the part of the HelmRelease that
// they are made of.
func postOf(job *Job) ([]byte, error) {
	if job.Post == nil {
		return nil, nil
	}
	obj := job.Object
	part := map[string]any{
		"metadata": map[string]any{"name": obj.Name, "namespace": obj.Namespace},
		"spec": map[string]any{
			"postRenderers": obj.Spec.PostRenderers, "postRenderStrategy": obj.Spec.PostRenderStrategy, "commonMetadata": obj.Spec.CommonMetadata,
		},
	}
	text, err := json.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("write the post-renderers: %w", err)
	}
	return text, nil
}
