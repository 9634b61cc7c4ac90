// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/admission"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/view"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/wake"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
	"github.com/weir-gitops/weir/pkg/app"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// Values of --unselected.
const (
	unselectedAllow = "Allow"
	unselectedDeny  = "Deny"
)

// WebhookOptions are the settings of the webhook.
type WebhookOptions struct {
	// Port that every replica answers on.
	Port int
	// URL is where API servers reach a controller outside of their cluster, and
	// empty inside.
	URL string
	// Excluded are namespaces whose pods draw on no quota, besides the
	// controller's own.
	Excluded []string
	// Unselected is Allow or Deny: what becomes of pods with GPUs in namespaces
	// that no quota selects.
	Unselected string
	// Lifetimes of certificates; zero: the defaults.
	Lifetimes webhook.Lifetimes
}

// Bind defines the flags.
func (o *WebhookOptions) Bind(fs *pflag.FlagSet) {
	fs.IntVar(&o.Port, "webhook-port", 9443, "The port on which the API server asks about pods.")
	fs.StringVar(&o.URL, "webhook-url", "", "Where the API server reaches the webhook of a controller outside of the cluster, such as https://quota.example.com:9443. The host is a name; the certificate is made for it. By default it asks the Service "+webhook.ServiceName+".")
	fs.StringSliceVar(&o.Excluded, "excluded-namespaces", systemNamespaces(), "Namespaces of the system, whose pods draw on no quota. The controller's own is always one.")
	fs.StringVar(&o.Unselected, "unselected", unselectedAllow, "What becomes of pods with GPUs in namespaces that no quota selects, as long as there is a quota: Allow or Deny.")
}

// Validate reports every setting that cannot work.
func (o *WebhookOptions) Validate() error {
	var errs []error
	if o.Port < 1 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--webhook-port must be from 1 to 65535, got %d", o.Port))
	}
	if o.Unselected != unselectedAllow && o.Unselected != unselectedDeny {
		errs = append(errs, fmt.Errorf("--unselected must be %s or %s, got %q", unselectedAllow, unselectedDeny, o.Unselected))
	}
	if _, _, err := o.location(""); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// location is the name that API servers reach the webhook by, and the whole URL
// if it is not by its Service.
func (o *WebhookOptions) location(namespace string) (host, whole string, err error) {
	if o.URL == "" {
		return webhook.ServiceName + "." + namespace + ".svc", "", nil
	}
	parsed, err := url.Parse(o.URL)
	switch {
	case err != nil || parsed.Scheme != "https" || parsed.Hostname() == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return "", "", fmt.Errorf("--webhook-url must be like https://host:port, got %q", o.URL)
	case net.ParseIP(parsed.Hostname()) != nil:
		return "", "", fmt.Errorf("--webhook-url needs a host name, since certificates are made for names; got %q", o.URL)
	case parsed.Path != "" && parsed.Path != "/" && parsed.Path != webhook.Path:
		return "", "", fmt.Errorf("--webhook-url has a path; the webhook's is %s: leave it out of %q", webhook.Path, o.URL)
	}
	parsed.Path = webhook.Path
	return parsed.Hostname(), parsed.String(), nil
}

// systemNamespaces draw on no quota by default: what runs there keeps the
// cluster alive, or takes GPUs on behalf of pods that are counted themselves.
func systemNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease", "gpu-operator", "nvidia-gpu-operator", "kai-resource-reservation"}
}

// excluded are all namespaces whose pods draw on no quota.
func (o *Options) excluded() []string {
	all := slices.Clone(o.Webhook.Excluded)
	if o.Namespace != "" {
		all = append(all, o.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// setupWebhook adds the webhook to the manager: on every replica the server, its
// certificate and the waker, and on the leader the keeper of the configuration,
// which it returns.
func setupWebhook(a *app.App, o *Options, p *parts) (*webhook.Keeper, *admission.Metrics, error) {
	clients, err := kubernetes.NewForConfig(a.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("make the client for the webhook: %w", err)
	}
	host, location, err := o.Webhook.location(o.Namespace)
	if err != nil {
		return nil, nil, err
	}
	lifetimes := o.Webhook.Lifetimes
	if lifetimes == (webhook.Lifetimes{}) {
		lifetimes = webhook.DefaultLifetimes()
	}
	certificates := &webhook.Certificates{
		Secrets: clients.CoreV1().Secrets(o.Namespace), Host: host, Lifetimes: lifetimes, Log: a.Log.WithName("certificate"),
	}
	deny := o.Webhook.Unselected == unselectedDeny
	keeper := webhook.NewKeeper(&webhook.Keeper{
		Client:    clients.AdmissionregistrationV1().ValidatingWebhookConfigurations(),
		Settings:  webhook.Settings{Namespace: o.Namespace, URL: location, Excluded: o.excluded(), DenyUnselected: deny},
		Selection: func() (webhook.Selection, bool) { return selection(p.view.State()) },
		Trusted:   certificates.Trusted,
		Owner:     func(ctx context.Context) (metav1.OwnerReference, error) { return ownNamespace(ctx, a, o.Namespace) },
		Leaving:   a.Leaving(&quotav1.GPUQuota{}),
		Log:       a.Log.WithName("webhook"),
	})
	certificates.Changed = keeper.Wake
	waker, err := newWaker(a, p)
	if err != nil {
		return nil, nil, err
	}
	p.view.Listen(func(*view.State) { keeper.Wake() })
	metrics := admission.NewMetrics()
	server := webhook.NewServer("", o.Webhook.Port, certificates, &admission.Handler{
		Router: router{p.view, a.Manager.GetAPIReader()}, Ledger: p.ledger, Walker: p.walker, Node: p.holdings.Node,
		Excluded: excludes(o.excluded()), DenyUnselected: deny, Denied: waker, Metrics: metrics, Log: a.Log.WithName("admission"),
	})
	serving := server.StartedChecker()
	for name, check := range map[string]func(*http.Request) error{
		"webhook": func(r *http.Request) error {
			if err := certificates.Check(r); err != nil {
				return err
			}
			return serving(r)
		},
		"quotas": func(*http.Request) error { return known(p.view.State()) },
	} {
		a.AddReadyzCheck(name, check)
	}
	if err := errors.Join(a.Manager.Add(certificates), a.Manager.Add(keeper), a.Manager.Add(waker), a.Manager.Add(server)); err != nil {
		return nil, nil, fmt.Errorf("set up the webhook: %w", err)
	}
	return keeper, metrics, register(metrics, waker, certificates)
}

// newWaker returns a Waker that hears of everything that may make room.
func newWaker(a *app.App, p *parts) (*wake.Waker, error) {
	touching, err := metadata.NewForConfig(a.Config)
	if err != nil {
		return nil, fmt.Errorf("make the client that wakes workloads: %w", err)
	}
	waker := wake.New(p.ledger, touching, a.Name, a.Log.WithName("wake"))
	p.holdings.Listen(func(event holdings.Event) {
		state := p.view.State()
		switch {
		case event.Reset:
			waker.LookAtAll()
		case event.Ended != nil && state != nil:
			waker.Look(state.Root(event.Ended.Namespace))
		}
	})
	p.view.Listen(func(*view.State) { waker.LookAtAll() })
	return waker, nil
}

func excludes(namespaces []string) func(string) bool {
	set := make(map[string]bool, len(namespaces))
	for _, namespace := range namespaces {
		set[namespace] = true
	}
	return func(namespace string) bool { return set[namespace] }
}

func known(state *view.State) error {
	if state == nil {
		return errors.New("what quotas select is not known yet")
	}
	return nil
}

// router finds quotas by the View.
type router struct {
	view *view.View
	live client.Reader
}

// Owner implements admission.Router. The API server asks only where quotas may
// select: if none is known to, the labels that are known may be old.
func (r router) Owner(ctx context.Context, namespace string) (admission.Route, bool, error) {
	quota, root, ok, err := r.view.Owner(ctx, namespace)
	if err != nil {
		return admission.Route{}, false, err
	}
	forest := r.view.State().Forest
	if !ok {
		object := namespaceMetadata()
		if err := r.live.Get(ctx, client.ObjectKey{Name: namespace}, object); err != nil {
			return admission.Route{}, false, fmt.Errorf("find the GPUQuota of namespace %s: %w", namespace, err)
		}
		if quota, root, ok = forest.Owner(namespace, object.Labels); !ok {
			return admission.Route{}, false, nil
		}
	}
	catalogue := forest.Catalogue(root)
	if catalogue == nil {
		return admission.Route{}, false, fmt.Errorf("GPUQuota %q is being moved or removed: try again in a moment", quota)
	}
	return admission.Route{Quota: quota, Root: root, Catalogue: catalogue}, true, nil
}

// selection is what API servers have to ask about: the namespaces of all quotas
// of which a limit is enforced or warned about, be it of the quota or of one
// above.
func selection(state *view.State) (webhook.Selection, bool) {
	selected := webhook.Selection{}
	if state == nil {
		return selected, false
	}
	var extra []string
	for _, root := range state.Forest.Roots() {
		if catalogue := state.Forest.Catalogue(root); catalogue != nil {
			extra = append(extra, catalogue.Extra()...)
		}
		for _, quota := range state.Forest.Members(root) {
			if slices.ContainsFunc(state.Forest.Path(quota.Name), func(name string) bool {
				spec := &state.Forest.Quota(name).Spec
				return !spec.Suspend && spec.Enforcement.Admission != quotav1.Off
			}) {
				selected.Add(&quota.Spec)
			}
		}
	}
	selected.Condition = gpu.Expression(extra...)
	return selected, true
}

// ownNamespace is what the webhook's configuration goes with.
func ownNamespace(ctx context.Context, a *app.App, name string) (metav1.OwnerReference, error) {
	namespace := namespaceMetadata()
	if err := a.Manager.GetAPIReader().Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
		return metav1.OwnerReference{}, fmt.Errorf("read namespace %s, which owns the webhook's configuration: %w", name, err)
	}
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: name, UID: namespace.UID}, nil
}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
}
