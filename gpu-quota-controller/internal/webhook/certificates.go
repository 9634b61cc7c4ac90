// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/weir-gitops/weir/pkg/watch"
)

// retryPause is the time between two attempts at something that failed.
const retryPause = time.Second

// errNoCertificate answers who connects too early.
var errNoCertificate = errors.New("the webhook has no certificate yet")

// Certificates makes the certificate of the webhook, replaces it in time, and
// shows it. Every replica has one: they share a Secret, and whichever sees
// first that something is due writes it. A Secret that is deleted or damaged is
// written anew from what a replica has in memory.
type Certificates struct {
	// Secrets are those of the controller's namespace.
	Secrets corev1client.SecretInterface
	// Host is the name that API servers reach the webhook by.
	Host      string
	Lifetimes Lifetimes
	Log       logr.Logger
	// Changed is called when other authorities are to be trusted. It must not
	// block.
	Changed func()

	current atomic.Pointer[shown]
}

var _ manager.LeaderElectionRunnable = (*Certificates)(nil)

// shown is what is shown at a time.
type shown struct {
	material
	pair tls.Certificate
}

// NeedLeaderElection is false: every replica serves.
func (c *Certificates) NeedLeaderElection() bool { return false }

// GetCertificate is for tls.Config.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	current := c.current.Load()
	if current == nil {
		return nil, errNoCertificate
	}
	return &current.pair, nil
}

// Trusted is the bundle of authorities that API servers have to trust, as PEM.
// It is nil until there is a certificate.
func (c *Certificates) Trusted() []byte {
	current := c.current.Load()
	if current == nil {
		return nil
	}
	return current.trusted
}

// Check is a readiness check: it fails until there is a certificate to show.
func (c *Certificates) Check(*http.Request) error {
	if c.current.Load() == nil {
		return errNoCertificate
	}
	return nil
}

// Start implements manager.Runnable.
func (c *Certificates) Start(ctx context.Context) error {
	events, err := c.follow(ctx)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(max(min(c.Lifetimes.Ahead/10, c.Lifetimes.Overlap), 100*time.Millisecond))
	defer ticker.Stop()
	for {
		var retry <-chan time.Time
		if err := c.ensure(ctx); err != nil && ctx.Err() == nil {
			c.Log.Error(err, "cannot look after the webhook's certificate")
			retry = time.After(retryPause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-events:
		case <-ticker.C:
		case <-retry:
		}
	}
}

// follow returns a channel that says when the Secret changes.
func (c *Certificates) follow(ctx context.Context) (<-chan struct{}, error) {
	only := func(options metav1.ListOptions) metav1.ListOptions {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, SecretName).String()
		return options
	}
	return signal(ctx, &corev1.Secret{}, &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return c.Secrets.List(ctx, only(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return c.Secrets.Watch(ctx, only(options))
		},
	})
}

// signal runs an informer until ctx ends. The channel has something in it when
// an object appeared, changed or went since it was last read.
func signal(ctx context.Context, kind runtime.Object, source toolscache.ListerWatcher) (<-chan struct{}, error) {
	events := make(chan struct{}, 1)
	tell := func() {
		select {
		case events <- struct{}{}:
		default:
		}
	}
	informer := toolscache.NewSharedIndexInformer(watch.Persistent(source), kind, 0, toolscache.Indexers{})
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(_, _ any) { tell() }, DeleteFunc: func(any) { tell() },
	}); err != nil {
		return nil, fmt.Errorf("watch %T: %w", kind, err)
	}
	go informer.RunWithContext(ctx)
	return events, nil
}

// ensure reads the Secret, renews what is due, and shows the result. Of two
// replicas that write at a time one fails, and uses what the other wrote.
func (c *Certificates) ensure(ctx context.Context) error {
	for {
		again, err := c.attempt(ctx)
		if !again {
			return err
		}
	}
}

func (c *Certificates) attempt(ctx context.Context) (again bool, err error) {
	secret, err := c.Secrets.Get(ctx, SecretName, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return false, fmt.Errorf("read Secret %s: %w", SecretName, err)
	}
	stored := material{}
	if !missing {
		stored = materialOf(secret.Data)
	}
	base := stored
	if current := c.current.Load(); current != nil && !usable(stored) {
		base = current.material
	}
	next, err := issuer{c.Host, c.Lifetimes}.renew(base, time.Now())
	if err != nil {
		return false, err
	}
	if next.equal(stored) {
		return false, c.show(next)
	}
	if missing {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: SecretName, Labels: labels()},
			Type:       corev1.SecretTypeTLS,
			Data:       next.data(),
		}
		_, err = c.Secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		secret = secret.DeepCopy()
		secret.Data = next.data()
		_, err = c.Secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), !missing && apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("write Secret %s: %w", SecretName, err)
	}
	c.Log.Info("renewed the webhook's certificate", "host", c.Host)
	return false, c.show(next)
}

// usable reports whether a pair of the Secret can be shown at all.
func usable(m material) bool {
	_, err := tls.X509KeyPair(m.cert, m.key)
	_, _, broken := parseAuthority(m.ca, m.caKey)
	return err == nil && broken == nil
}

// show uses m from now on. Connections that are open keep what they have.
func (c *Certificates) show(m material) error {
	before := c.current.Load()
	if before != nil && before.equal(m) {
		return nil
	}
	pair, err := tls.X509KeyPair(m.cert, m.key)
	if err != nil {
		return fmt.Errorf("use the certificate of Secret %s: %w", SecretName, err)
	}
	c.current.Store(&shown{material: m, pair: pair})
	if c.Changed != nil {
		c.Changed()
	}
	return nil
}

// labels are on everything that the controller makes for the webhook.
func labels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       "gpu-quota-controller",
		"app.kubernetes.io/part-of":    "weir",
		"app.kubernetes.io/managed-by": "gpu-quota-controller",
	}
}
