// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// Config of a Client.
type Config struct {
	// Client and Mapper of the cluster that is applied to, with the controller's
	// own identity there.
	Client dynamic.Interface
	Mapper meta.RESTMapper
	// Namespace of Weir on that cluster.
	Namespace string
	// Kind of the owners that this process asks for.
	Kind string
	// Wake is told that the verdict about an owner is another one than before,
	// unless that is just what Ask waits for. It must not block.
	Wake func(owner types.NamespacedName)
	// Patience is how long Ask waits for a verdict; zero for DefaultPatience.
	Patience time.Duration
	Log      logr.Logger
}

// DefaultPatience is how long Ask waits for a verdict. One comes within
// milliseconds; without a leader none comes at all.
const DefaultPatience = 2 * time.Second

// Client asks on one cluster. It watches the verdicts there from the first time
// that something is asked.
type Client struct {
	config   Config
	requests dynamic.ResourceInterface
	verdicts *verdicts
	// silent is set while nobody answers: then it is not waited for.
	silent atomic.Bool
	// some is set once the cluster was seen to have a GPUQuota, until nobody
	// answers. To list costs up to 100 ms: it waits until the API server's cache
	// has heard from etcd.
	some atomic.Bool
	// follow starts the watch of the verdicts, once.
	follow func()
}

// NewClient returns a Client whose watch ends with ctx.
func NewClient(ctx context.Context, config Config) *Client {
	if config.Patience == 0 {
		config.Patience = DefaultPatience
	}
	c := &Client{
		config:   config,
		requests: config.Client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(config.Namespace),
		verdicts: newVerdicts(config.Kind, config.Wake),
	}
	c.follow = sync.OnceFunc(func() { c.verdicts.follow(ctx, c.requests, config.Log) })
	return c
}

// UnavailableError says that nobody can tell whether there is room. The verdict,
// if one comes, wakes the owner.
type UnavailableError struct {
	// Why in words that stay the same.
	Why string
	Err error
}

// Error leaves out how a connection failed: that has addresses and ports, and is
// another text each time. Err has it.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return e.Why
	}
	if _, ok := errors.AsType[*url.Error](e.Err); ok {
		return e.Why + ": the API server cannot be reached"
	}
	return e.Why + ": " + e.Err.Error()
}

// Unwrap returns the cause, if there is one.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Ask returns the verdict about a request that grows. Where the cluster has no
// GPUQuota, that is Granted and nothing is written. A request that was asked
// before, or of which a part was applied since, is not written again. The error
// is an UnavailableError if nobody answers.
func (c *Client) Ask(ctx context.Context, r Request) (Verdict, error) {
	if !c.some.Load() {
		some, err := c.anyQuota(ctx)
		if err != nil {
			return Verdict{}, err
		}
		if !some && len(r.Quotas) == 0 {
			return Verdict{Answer: Granted}, nil
		}
		c.some.Store(some)
	}
	c.follow()
	done := c.verdicts.expect(r.UID)
	verdict, err := c.ask(ctx, r)
	done(verdict)
	return verdict, err
}

// ask writes a request and waits for the verdict.
func (c *Client) ask(ctx context.Context, r Request) (Verdict, error) {
	hash, verdict, err := c.put(ctx, r)
	if err != nil {
		return Verdict{}, &UnavailableError{"the request for devices cannot be written to namespace " + c.config.Namespace, err}
	}
	if verdict.Hash == hash {
		c.silent.Store(false)
		return verdict, nil
	}
	if verdict, ok := c.await(ctx, r.UID, hash); ok {
		return verdict, nil
	}
	return c.unanswered(ctx, r)
}

// unanswered is what becomes of a request that nobody has answered: without any
// GPUQuota nobody has to.
func (c *Client) unanswered(ctx context.Context, r Request) (Verdict, error) {
	c.some.Store(false)
	if some, err := c.anyQuota(ctx); err == nil && !some && len(r.Quotas) == 0 {
		return Verdict{Answer: Granted}, c.Forget(ctx, r.UID)
	}
	return Verdict{}, &UnavailableError{Why: "gpu-quota-controller does not answer; see that it runs in namespace " + c.config.Namespace}
}

// anyQuota reports whether there is any GPUQuota on the cluster.
func (c *Client) anyQuota(ctx context.Context) (bool, error) {
	mapping, err := c.config.Mapper.RESTMapping(schema.GroupKind{Group: quotav1.GroupVersion.Group, Kind: quotav1.GPUQuotaKind}, quotav1.GroupVersion.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, &UnavailableError{"whether this cluster has GPUQuotas is not known", err}
	}
	list, err := c.config.Client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{Limit: 1})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, &UnavailableError{"the GPUQuotas of this cluster cannot be listed", err}
	}
	return len(list.Items) > 0, nil
}

// writeTries is how often a request is written while others write it too.
const writeTries = 5

// put has the request in the cluster. It returns the hash of what is there, and
// the verdict that is there already.
func (c *Client) put(ctx context.Context, r Request) (hash string, verdict Verdict, err error) {
	data, hash, err := Encode(r)
	if err != nil {
		return "", Verdict{}, err
	}
	for range writeTries {
		live, getErr := c.requests.Get(ctx, Name(r.UID), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(getErr):
			_, err = c.requests.Create(ctx, c.object(r.UID, data, hash), metav1.CreateOptions{})
		case getErr != nil:
			return "", Verdict{}, getErr
		default:
			found := read(live)
			if found.Hash == hash || found.Fault == nil && found.Request.Covers(r) {
				return found.Hash, found.Verdict, nil
			}
			err = c.replace(ctx, live, data, hash)
		}
		if err == nil || !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			return hash, Verdict{}, err
		}
	}
	return "", Verdict{}, err
}

// object is a request as a ConfigMap.
func (c *Client) object(owner types.UID, data []byte, hash string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{requestKey: string(data), hashKey: hash}}}
	obj.SetAPIVersion("v1")
	obj.SetKind("ConfigMap")
	obj.SetNamespace(c.config.Namespace)
	obj.SetName(Name(owner))
	obj.SetLabels(map[string]string{Label: LabelValue})
	return obj
}

// replace puts another request into a ConfigMap, unless that has changed since it
// was read. The old verdict stays, for the place in the queue; its hash tells that
// it is about something else.
func (c *Client) replace(ctx context.Context, live *unstructured.Unstructured, data []byte, hash string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": live.GetResourceVersion(), "labels": map[string]string{Label: LabelValue}},
		"data":     map[string]any{requestKey: string(data), hashKey: hash, removedKey: nil},
	})
	if err == nil {
		_, err = c.requests.Patch(ctx, live.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	}
	return err
}

// await waits for the verdict about a hash. Where nobody has answered of late,
// only what is there already counts.
func (c *Client) await(ctx context.Context, owner types.UID, hash string) (Verdict, bool) {
	patience := c.config.Patience
	if c.silent.Load() {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		verdict, changed := c.verdicts.of(owner)
		if verdict.Hash == hash {
			c.silent.Store(false)
			return verdict, true
		}
		select {
		case <-changed:
		case <-timer.C:
			c.silent.Store(true)
			return Verdict{}, false
		case <-ctx.Done():
			return Verdict{}, false
		}
	}
}

// Withdraw takes a request back that is not needed any more: one that nothing was
// granted to, or any if something shrinks, so that what was granted beyond what
// is held is free again. Without a request it costs nothing. With suspected set,
// one that another process has left behind is taken back too.
func (c *Client) Withdraw(ctx context.Context, owner types.UID, shrinks, suspected bool) error {
	known, granted := c.verdicts.granted(owner)
	switch {
	case !known && !(suspected && !c.verdicts.complete()):
		return nil
	case known && granted && !shrinks:
		return nil
	}
	return c.Forget(ctx, owner)
}

// Forget removes the request of an owner, if there is one. It costs a request,
// unless the watch knows that there is none.
func (c *Client) Forget(ctx context.Context, owner types.UID) error {
	if known, _ := c.verdicts.granted(owner); !known && c.verdicts.complete() {
		return nil
	}
	err := c.requests.Delete(ctx, Name(owner), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("take back the request for devices: %w", err)
	}
	c.verdicts.drop(owner)
	return nil
}

// Removed notes with the request what a swap has taken away, so that it is known
// if what was to come in its place does not.
func (c *Client) Removed(ctx context.Context, owner types.UID, what []string) error {
	list, err := json.Marshal(what)
	if err == nil {
		var patch []byte
		patch, err = json.Marshal(map[string]any{"data": map[string]string{removedKey: string(list)}})
		if err == nil {
			_, err = c.requests.Patch(ctx, Name(owner), types.MergePatchType, patch, metav1.PatchOptions{})
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("note what was taken away: %w", err)
	}
	return nil
}

// WasRemoved returns what Removed has noted with a request that is still there.
func (c *Client) WasRemoved(ctx context.Context, owner types.UID) ([]string, error) {
	live, err := c.requests.Get(ctx, Name(owner), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was taken away: %w", err)
	}
	text, _, _ := unstructured.NestedString(live.Object, "data", removedKey)
	var what []string
	if text != "" {
		err = json.Unmarshal([]byte(text), &what)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was taken away: %w", err)
	}
	return what, nil
}

// IsUnavailable reports whether an error says that nobody can tell.
func IsUnavailable(err error) bool {
	_, ok := errors.AsType[*UnavailableError](err)
	return ok
}
