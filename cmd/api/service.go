package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till"
	"till/internal/audit"
	"till/internal/auth"
	"till/internal/billing"
	"till/internal/catalog"
	"till/internal/config"
	"till/internal/customers"
	"till/internal/handlers"
	"till/internal/idempotency"
	"till/internal/overload"
	"till/internal/ratelimit"
	"till/internal/redirect"
	"till/internal/store"
	"till/internal/stripeclient"
	"till/internal/telemetry"
)

// serveOptions are the flags of serve that are no configuration.
type serveOptions struct {
	profiler bool
	// drainPause is how long the load balancer has to notice that readiness is
	// off, before the listener closes.
	drainPause time.Duration
	// log is what the logger writes to; nil where a test does not ask for its metrics.
	log *telemetry.Lines
	// stripe carries the calls to Stripe in a test's place; nil is the network.
	stripe http.RoundTripper
}

// service is the program as a value: built whole, then run.
type service struct {
	cfg    *config.Config
	o      serveOptions
	logger *slog.Logger
	dev    *development

	publicListener, opsListener net.Listener
	connections                 *handlers.Connections
	public, ops                 *http.Server

	store     *store.Store
	stripe    *stripeclient.Client
	verifier  *auth.Verifier
	customers *customers.Service
	keys      *idempotency.Service
	gate      *billing.Gate
	audit     *audit.Log
	redis     *ratelimit.Redis // nil without limits.redis_url
	budget    *ratelimit.Budget
	draining  atomic.Bool
	// wasReady is set once and never reset.
	wasReady atomic.Bool
}

// newService builds everything and binds both listeners, so that a port in use
// is an error of the start. Nothing is served yet.
func newService(ctx context.Context, cfg *config.Config, logger *slog.Logger, o serveOptions) (_ *service, err error) {
	s := &service{cfg: cfg, o: o, logger: logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	if cfg.Dev {
		if s.dev, err = develop(cfg, s.publicListener.Addr()); err != nil {
			return nil, err
		}
	}
	registry := telemetry.NewRegistry(version)
	if o.log != nil {
		registry.MustRegister(o.log)
	}
	if err := s.build(ctx, registry); err != nil {
		return nil, err
	}
	s.ops = handlers.NewServer(handlers.Ops(telemetry.MetricsHandler(registry), s.ready, o.profiler), logger)
	// A profile may take longer than an answer of ours.
	s.ops.WriteTimeout = 0
	return s, nil
}

func (s *service) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // or Connections.Stop could not turn anybody away
	if s.publicListener, err = lc.Listen(ctx, "tcp", s.cfg.Addr); err != nil {
		return fmt.Errorf("opening the public listener (TILL_ADDR): %w", err)
	}
	if s.opsListener, err = lc.Listen(ctx, "tcp", s.cfg.OpsAddr); err != nil {
		return fmt.Errorf("opening the operations listener (TILL_OPS_ADDR): %w", err)
	}
	return nil
}

// build connects the packages, from the ground up.
func (s *service) build(ctx context.Context, reg prometheus.Registerer) (err error) {
	cfg := s.cfg
	if s.store, err = store.Open(ctx, cfg.Database.URL.Reveal(), nil); err != nil {
		return err
	}
	if err := s.store.Register(reg); err != nil {
		return err
	}
	if s.redis, err = openRedis(cfg.Limits); err != nil {
		return err
	}
	if s.budget, err = newBudget(cfg, s.redis, reg, s.logger); err != nil {
		return err
	}
	if s.stripe, err = stripeclient.New(stripeclient.Options{
		Key: cfg.Stripe.Key, BaseURL: cfg.Stripe.APIBase, Version: cfg.Stripe.Version, Versions: cfg.Stripe.Versions, Connected: cfg.Stripe.Connected,
		URLHosts: s.sessionHosts(), Budget: s.budget, Transport: s.o.stripe, Metrics: reg,
	}); err != nil {
		return err
	}
	if s.verifier, err = auth.New(cfg.Auth.Issuers, auth.Options{
		Cookie: cfg.Auth.CookieName, TokenCache: cfg.Auth.TokenCache, Metrics: reg, Logger: s.logger,
	}); err != nil {
		return err
	}
	redirects, err := redirect.New(cfg.Redirects)
	if err != nil {
		return err
	}
	subjects := customers.SubjectForm(cfg.Stripe.MetadataSubject)
	s.customers, err = customers.New(s.store, s.stripe, reg, customers.Options{
		SubjectForm: subjects, Version: s.stripe.CustomerVersion(), Logger: s.logger,
	})
	if err != nil {
		return err
	}
	plans := catalog.New(cfg.Plans, cfg.Portals)
	s.gate = billing.NewGate(billing.GateOptions{
		Stripe: s.stripe, Accounts: s.store, Catalog: plans, Account: cfg.Stripe.WorkedFor(),
		Livemode: s.stripe.Livemode(), Fingerprint: stripeclient.Fingerprint(cfg.Stripe.Key, cfg.Stripe.Connected), Logger: s.logger,
	})
	if s.keys, err = idempotency.New(s.store.Keys(), reg, idempotency.Options{Logger: s.logger}); err != nil {
		return err
	}
	useCases, err := billing.New(billing.Options{
		Gate: s.gate, Catalog: plans, Customers: s.customers, Redirects: redirects, Idempotency: s.keys,
		Stripe: s.stripe, Metrics: reg, SubjectForm: subjects,
	})
	if err != nil {
		return err
	}
	s.audit, err = audit.New(audit.Options{
		Store: s.store, Metrics: reg, Logger: s.logger, Mode: cfg.Audit.Mode, Retention: cfg.Audit.Retention,
	})
	if err != nil {
		return err
	}
	limits, err := s.limits(reg)
	if err != nil {
		return err
	}
	limiter, err := overload.New(overload.Options{
		Places: overload.PlacesFor(debug.SetMemoryLimit(-1), cfg.Limits.Connections), Metrics: reg,
	})
	if err != nil {
		return err
	}
	surface, err := handlers.New(handlers.Options{
		Service: useCases, Auth: s.verifier, Limits: limits, Limiter: limiter, Audit: s.audit, Ready: s.ready, Origins: cfg.Auth.Origins,
		Apps: redirects, TrustedProxies: cfg.TrustedProxies,
		LoopbackOrigins: cfg.Dev, OpenAPI: till.OpenAPI, Metrics: reg, Logger: s.logger, Dev: s.dev.routes(),
	})
	if err != nil {
		return err
	}
	s.public = handlers.NewServer(s.dev.mount(surface), s.logger)
	s.connections, err = handlers.LimitConnections(s.public, s.publicListener, handlers.ConnectionOptions{
		Limit: cfg.Limits.Connections, TrustedProxies: cfg.TrustedProxies, Metrics: reg,
	})
	if err != nil {
		return err
	}
	s.publicListener = s.connections
	return nil
}

// limits are those of callers, counted together with the other replicas if there is Redis.
func (s *service) limits(reg prometheus.Registerer) (*ratelimit.Limits, error) {
	in := s.cfg.Limits
	return ratelimit.New(ratelimit.Options{
		OwnerWritesPerMinute: in.OwnerWritesPerMinute, AddressPerMinute: in.AddressPerMinute, Replicas: in.Replicas,
		Redis: s.redis, Salt: stripeclient.Fingerprint(s.cfg.Stripe.Key, s.cfg.Stripe.Connected), Metrics: reg,
	})
}

// sessionHosts are the hosts that session URLs may have besides Stripe's.
func (s *service) sessionHosts() []string {
	if s.dev == nil {
		return nil
	}
	u, err := url.Parse(s.cfg.PublicURL)
	if err != nil {
		return nil
	}
	return []string{u.Host}
}

// ready reports whether requests can be served. What was ready once stays so
// until it stops: a dependency that is down for all replicas must not leave the
// load balancer without a target.
func (s *service) ready() error {
	switch {
	case s.draining.Load():
		return errors.New("shutting down")
	case s.wasReady.Load():
		return nil
	case !s.verifier.Ready():
		return errors.New("no issuer's keys are known yet")
	case !s.gate.Ready():
		return errors.New("the Stripe account is not known yet")
	default:
		s.wasReady.Store(true)
		return nil
	}
}

// close releases what newService took.
func (s *service) close() error {
	var errs []error
	for _, l := range []net.Listener{s.publicListener, s.opsListener} {
		// A listener that was served is closed already.
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.customers != nil {
		s.customers.Close()
	}
	if s.stripe != nil {
		s.stripe.Close()
	}
	s.budget.Close()
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	return errors.Join(append(errs, s.dev.close())...)
}
