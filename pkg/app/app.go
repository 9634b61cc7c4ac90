// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	helper "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/weir-gitops/weir/pkg/measure"
	"github.com/weir-gitops/weir/pkg/watch"
)

// App is a controller process before its start.
type App struct {
	// Name of the controller, such as "source-controller".
	Name string
	// Config talks to the API server with bounded requests in flight.
	Config  *rest.Config
	Manager ctrl.Manager
	Log     logr.Logger
	Events  events.Recorder
	Metrics measure.Metrics

	departure *departure
	probes    *probes

	// leases talks to the API server of leases: a renewal waits for no slot, or
	// requests that hang would take the leadership away.
	leases *rest.Config
	guard  *counterpart
	lock   *guardedLock // nil without leader election
}

// Settings are what a controller tells New of itself.
type Settings struct {
	// Name of the controller, as Flux names it: leases, events and field
	// managers carry it.
	Name string
	// Replaces names further controllers whose objects this one reconciles
	// too, beside its own namesake: it does not lead while one of them does.
	Replaces []string
	// Scheme knows every kind that the controller handles as a Go type.
	Scheme *runtime.Scheme
	// Owned are the kinds that the controller reconciles. The label selector
	// of the flags counts for these and no others.
	Owned []client.Object
	// Finalizers of those kinds; an object that loses them is no longer
	// measured.
	Finalizers []string
	// Prepare, if set, is called once an API server answers, before anything is set
	// up: it may wait, for ctx at most.
	Prepare func(ctx context.Context, config *rest.Config, log logr.Logger) error
	// Config overrides the kubeconfig of the environment.
	Config *rest.Config
	// Log overrides the logger that the options describe.
	Log *logr.Logger
	// Grace is how long what runs in the manager gets to end when the process
	// stops; the lease is held until then. Zero: 30 seconds.
	Grace time.Duration
}

// New validates the options and prepares everything up to the start. From then on
// the liveness probe is answered; Run has to be called, or the process to end. It
// waits for an API server that is away, and for Prepare, until ctx ends; then the error
// is ErrStopped. Other errors name the flag or the server that they come from.
func New(ctx context.Context, s Settings, o *Options) (_ *App, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	log := newLog(s, o)
	limitHeap(log)
	o.logMoot(log)
	app := &App{Name: s.Name, Log: log}
	if app.probes, err = newProbes(ctx, log, o.HealthAddr); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			app.probes.close()
		}
	}()
	cfg, err := connect(ctx, s, log)
	if err != nil {
		return nil, err
	}
	app.connected(cfg, o)
	if err := app.setupGuard(o, s.Replaces); err != nil {
		return nil, err
	}
	options, err := app.managerOptions(s, o)
	if err != nil {
		return nil, err
	}
	if app.Manager, err = ctrl.NewManager(cfg, options); err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	if err := app.Manager.Add(&clock{list: app.guard.list}); err != nil {
		return nil, fmt.Errorf("watch over the API server's history: %w", err)
	}
	if app.lock != nil {
		if err := app.Manager.Add(app.lock); err != nil {
			return nil, fmt.Errorf("watch over the leadership: %w", err)
		}
	}
	if app.departure, err = newDeparture(app, s, o); err != nil {
		return nil, err
	}
	if err := app.Manager.Add(app.departure); err != nil {
		return nil, fmt.Errorf("watch for an uninstall: %w", err)
	}
	recorder, err := events.NewRecorder(log, o.EventsAddr, s.Name, events.WithManager(app.Manager))
	if err != nil {
		return nil, fmt.Errorf("set up events for --events-addr: %w", err)
	}
	app.Events = teller{recorder, log.WithName("event"), s.Scheme}
	return app, app.setupMetrics(s)
}

// connect returns how to talk to the API server, once that answers and what has to
// come first is done.
func connect(ctx context.Context, s Settings, log logr.Logger) (*rest.Config, error) {
	cfg := s.Config
	if cfg == nil {
		var err error
		if cfg, err = ctrl.GetConfig(); err != nil {
			return nil, fmt.Errorf("find a Kubernetes API server: %w", err)
		}
		if err := awaitServer(ctx, log, cfg, reachPause); err != nil {
			return nil, err
		}
	}
	if s.Prepare == nil {
		return cfg, nil
	}
	err := s.Prepare(ctx, cfg, log)
	if ctx.Err() != nil {
		err = ErrStopped
	}
	return cfg, err
}

// connected sets how to talk to the API server, with what bounds the requests.
func (a *App) connected(cfg *rest.Config, o *Options) {
	a.Config = rest.AddUserAgent(cfg, a.Name)
	// Outermost comes what was wrapped last: the time in the line for a slot
	// is no time of the API server's.
	limitPatience(a.Config, o.RequestTimeout)
	a.leases = rest.CopyConfig(a.Config)
	a.leases.QPS, a.leases.Burst = -1, -1
	LimitInFlight(a.Config, o.MaxInFlight)
}

// setupMetrics registers the metrics of what is reconciled.
func (a *App) setupMetrics(s Settings) (err error) {
	if a.Metrics, err = measure.New(ctrlmetrics.Registry, a.Manager, s.Finalizers...); err != nil {
		return err
	}
	resources, err := measure.NewResources(a.Name, a.LeaseName(), a.Manager.GetCache(), s.Scheme, a.Manager.Elected(), s.Owned)
	if err != nil {
		return err
	}
	return measure.Register(ctrlmetrics.Registry, resources)
}

// LeaseName is the name of the lease that the leader holds, in the namespace of
// the controller.
func (a *App) LeaseName() string { return a.guard.name }

// Run starts the manager and returns when ctx ends. Without leader election
// it first waits until no counterpart of this controller is alive.
//
// It returns an error at once, whatever is under way, when this process must not
// lead any more, since it could not renew its lease. The process has to end then;
// Ended sees to that.
func (a *App) Run(ctx context.Context) error {
	defer a.probes.close()
	if a.lock == nil {
		if err := a.awaitAlone(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	a.probes.started()
	err := a.work(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		// It was told to end, and is not to begin anew.
		return errors.New("stop " + a.Name + ": " + err.Error())
	}
	return fmt.Errorf("run %s: %w", a.Name, err)
}

// work runs the manager until it ends, or the leadership is lost.
func (a *App) work(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lost <-chan error
	if a.lock != nil {
		lost = a.lock.tenure.lost
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Manager.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case err := <-lost:
		return err
	}
}

func (a *App) setupGuard(o *Options, replaces []string) error {
	leases, err := coordinationclient.NewForConfig(a.leases)
	if err != nil {
		return fmt.Errorf("set up the client for leases: %w", err)
	}
	a.guard = &counterpart{leases: leases, name: leaseOfShard(a.Name, o), namespace: o.Namespace}
	for _, name := range replaces {
		a.guard.others = append(a.guard.others, leaseOfShard(name, o))
	}
	return nil
}

// leaseOfShard is the name of the lease that a controller holds while it
// reconciles the objects that the flags select.
func leaseOfShard(controller string, o *Options) string {
	name := controller + "-leader-election"
	if o.Watch.LabelSelector != "" {
		name = leaderelection.GenerateID(name, o.Watch.LabelSelector)
	}
	return name
}

func (a *App) managerOptions(s Settings, o *Options) (ctrl.Options, error) {
	selector, err := helper.GetWatchSelector(o.Watch)
	if err != nil {
		return ctrl.Options{}, err
	}
	selected := map[client.Object]cache.ByObject{}
	for _, kind := range s.Owned {
		selected[kind] = cache.ByObject{Label: selector}
	}
	// Of what specs refer to, only the metadata of labelled objects is
	// watched.
	configs, err := configsSelector(o.Watch)
	if err != nil {
		return ctrl.Options{}, err
	}
	selected[&corev1.Secret{}] = cache.ByObject{Label: configs}
	selected[&corev1.ConfigMap{}] = cache.ByObject{Label: configs}
	var grace *time.Duration
	if s.Grace > 0 {
		grace = &s.Grace
	}
	options := ctrl.Options{
		Scheme:                  s.Scheme,
		GracefulShutdownTimeout: grace,
		Logger:                  a.Log,
		HealthProbeBindAddress:  "0", // we have our own
		Metrics:                 metricsserver.Options{BindAddress: o.MetricsAddr},
		PprofBindAddress:        o.PprofAddr,
		Cache:                   cache.Options{ByObject: selected, NewInformer: newInformer},
		// Secrets and ConfigMaps are read when a spec names them, never
		// cached: the memory would hold every secret of the cluster.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
		Controller: config.Controller{
			MaxConcurrentReconciles: o.Concurrent,
			EnableWarmup:            new(true),
			RecoverPanic:            new(true),
			SkipNameValidation:      new(true),
		},
	}
	if !o.Watch.AllNamespaces {
		options.Cache.DefaultNamespaces = map[string]cache.Config{o.Namespace: {}}
	}
	if !o.LeaderElection.Enable {
		return options, nil
	}
	options.LeaderElection = true
	options.LeaderElectionReleaseOnCancel = o.LeaderElection.ReleaseOnCancel
	options.LeaseDuration = &o.LeaderElection.LeaseDuration
	options.RenewDeadline = &o.LeaderElection.RenewDeadline
	options.RetryPeriod = &o.LeaderElection.RetryPeriod
	if a.lock, err = newLock(rest.CopyConfig(a.leases), a.guard, o.LeaderElection, a.Log); err != nil {
		return options, err
	}
	options.LeaderElectionResourceLockInterface = a.lock
	return options, nil
}

// newInformer returns an informer that is back soon after the API server was
// away.
func newInformer(source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	return toolscache.NewSharedIndexInformer(watch.Persistent(source), example, resync, indexers)
}

// awaitAlone waits until no other controller of this name holds a live lease.
func (a *App) awaitAlone(ctx context.Context) error {
	ticker := time.NewTicker(schemaPoll)
	defer ticker.Stop()
	for {
		reason, err := a.guard.Live(ctx)
		switch {
		case err != nil:
			return err
		case reason == "":
			return nil
		}
		a.Log.Info("not starting: " + reason)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func newLog(s Settings, o *Options) logr.Logger {
	if s.Log != nil {
		return *s.Log
	}
	log := logger.NewLogger(o.Log)
	logger.SetLogger(log)
	// Whoever writes to a logger of the standard library, such as net/http, is
	// read in the same place and form.
	slog.SetDefault(slog.New(logr.ToSlogHandler(log.WithName("runtime"))))
	return log
}
