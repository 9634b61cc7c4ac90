// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package app starts a Weir controller: flags, logging, the manager with its
// probes and leader election, events, and the checks that come before the
// first reconcile. A controller's own app package adds its flags and wiring.
package app

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/jitter"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	election "k8s.io/client-go/tools/leaderelection"
)

// renewalSlack is how many retry periods the renew deadline must exceed.
const renewalSlack = election.JitterFactor

// Options are the settings that all controllers share; the flags and defaults
// are Flux's.
type Options struct {
	// MetricsAddr is where /metrics is served. "0" serves none.
	MetricsAddr string
	// PprofAddr is where profiles are served, under /debug/pprof. Empty serves
	// none.
	PprofAddr string
	// HealthAddr is where /healthz and /readyz are served. "0" serves none.
	HealthAddr string
	// EventsAddr is the URL that events are POSTed to, besides the API
	// server. Empty posts none.
	EventsAddr string
	// Concurrent is how many objects are reconciled at a time.
	Concurrent int
	// MaxInFlight bounds the requests to API servers under way at a time,
	// watches not counted. The client sets no rate: the server's priority
	// and fairness does.
	MaxInFlight int
	// RequestTimeout is how long a request to an API server may take, watches
	// not counted.
	RequestTimeout time.Duration
	// Namespace is the one that the controller runs in: its lease is there,
	// and with Watch.AllNamespaces off only its objects are reconciled.
	Namespace string

	Log            logger.Options
	LeaderElection leaderelection.Options
	RateLimiter    helper.RateLimiterOptions
	Watch          helper.WatchOptions
	Jitter         jitter.IntervalOptions
	// Gates are bound by each controller, with those that it knows.
	Gates Gates

	moot []*pflag.Flag
}

// Bind defines the flags. Environment: RUNTIME_NAMESPACE sets the namespace.
func (o *Options) Bind(fs *pflag.FlagSet, concurrent int) {
	fs.StringVar(&o.MetricsAddr, "metrics-addr", ":8080", "The address that serves metrics; 0 turns them off.")
	fs.StringVar(&o.PprofAddr, "pprof-addr", "", "The address that serves profiles of the process, such as localhost:6060. They show what it has in memory.")
	fs.StringVar(&o.HealthAddr, "health-addr", ":9440", "The address that serves the health probes; 0 turns them off.")
	fs.StringVar(&o.EventsAddr, "events-addr", "", "The URL that receives a copy of every event.")
	fs.IntVar(&o.Concurrent, "concurrent", concurrent, "How many objects are reconciled at a time.")
	fs.IntVar(&o.MaxInFlight, "kube-api-max-in-flight", 64, "How many requests to API servers may be under way at a time, watches not counted.")
	fs.DurationVar(&o.RequestTimeout, "kube-api-timeout", 90*time.Second, "How long a request to an API server may take, watches not counted.")
	o.Namespace = os.Getenv("RUNTIME_NAMESPACE")
	fs.StringVar(&o.Namespace, "runtime-namespace", o.Namespace, "The namespace that the controller runs in; RUNTIME_NAMESPACE sets the default.")
	o.Moot(fs, map[string]string{
		"kube-api-qps":   "requests are not limited per second, but by how many are under way, see --kube-api-max-in-flight",
		"kube-api-burst": "requests are not limited per second, but by how many are under way, see --kube-api-max-in-flight",
	})
	o.Log.BindFlags(fs)
	o.LeaderElection.BindFlags(fs)
	o.RateLimiter.BindFlags(fs)
	o.Watch.BindFlags(fs)
	o.Jitter.BindFlags(fs)
}

// Validate reports every setting that cannot work.
func (o *Options) Validate() error {
	var errs []error
	if o.Concurrent < 1 {
		errs = append(errs, fmt.Errorf("--concurrent must be at least 1, got %d", o.Concurrent))
	}
	if o.MaxInFlight < 1 {
		errs = append(errs, fmt.Errorf("--kube-api-max-in-flight must be at least 1, got %d", o.MaxInFlight))
	}
	if o.RequestTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--kube-api-timeout must be more than 0, got %s", o.RequestTimeout))
	}
	if o.Jitter.Percentage >= 100 {
		errs = append(errs, fmt.Errorf("--interval-jitter-percentage must be less than 100, got %d", o.Jitter.Percentage))
	}
	if _, err := helper.GetWatchSelector(o.Watch); err != nil {
		errs = append(errs, fmt.Errorf("--watch-label-selector %q: %w", o.Watch.LabelSelector, err))
	}
	if _, err := configsSelector(o.Watch); err != nil {
		errs = append(errs, err)
	}
	if o.LeaderElection.Enable && o.Namespace == "" {
		errs = append(errs, errors.New("leader election needs --runtime-namespace or RUNTIME_NAMESPACE"))
	}
	if e := o.LeaderElection; e.Enable && (e.RetryPeriod <= 0 || float64(e.RenewDeadline) <= renewalSlack*float64(e.RetryPeriod) || e.LeaseDuration <= e.RenewDeadline) {
		errs = append(errs, fmt.Errorf("--leader-election-lease-duration (%s) must be more than --leader-election-renew-deadline (%s), and that more than %.1f times --leader-election-retry-period (%s)",
			e.LeaseDuration, e.RenewDeadline, renewalSlack, e.RetryPeriod))
	}
	if !o.Watch.AllNamespaces && o.Namespace == "" {
		errs = append(errs, errors.New("--watch-all-namespaces=false needs --runtime-namespace or RUNTIME_NAMESPACE"))
	}
	return errors.Join(errs...)
}

// configsSelector selects the ConfigMaps and Secrets whose changes are watched.
func configsSelector(o helper.WatchOptions) (labels.Selector, error) {
	selector, err := labels.Parse(o.ConfigsLabelSelector)
	if err != nil {
		return nil, fmt.Errorf("--watch-configs-label-selector %q: %w", o.ConfigsLabelSelector, err)
	}
	return selector, nil
}

// Moot defines flags of Flux that mean nothing here, each with the reason, so
// that arguments written for Flux work. One that is given is logged.
func (o *Options) Moot(fs *pflag.FlagSet, reasons map[string]string) {
	for name, reason := range reasons {
		fs.String(name, "", "No effect: "+reason+".")
		o.moot = append(o.moot, fs.Lookup(name))
	}
}

// logMoot tells which of the flags and gates that were given have no effect.
func (o *Options) logMoot(log logr.Logger) {
	for _, flag := range o.moot {
		if flag.Changed {
			log.Info("the flag --" + flag.Name + " was given. " + flag.Usage)
		}
	}
	for name, reason := range o.Gates.Mooted() {
		log.Info("the feature gate " + name + " was switched, without effect: " + reason)
	}
}

// Jittered spreads an interval by up to the configured percentage, either way.
// What it returns may be called from several goroutines at a time.
func (o *Options) Jittered() func(time.Duration) time.Duration {
	share := float64(o.Jitter.Percentage) / 100
	return func(interval time.Duration) time.Duration {
		spread := share * (2*rand.Float64() - 1) //#nosec G404 -- spreads load, guards nothing
		return time.Duration(float64(interval) * (1 + spread))
	}
}
