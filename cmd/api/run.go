package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"till/internal/store"
)

// drainLimit is how long running requests have at the end, after the pause: more than the
// longest of them takes, and with the pause less than the half minute that a process has
// in Kubernetes.
const drainLimit = 24 * time.Second

// run serves until ctx ends or something that must run has died, then drains
// and releases everything.
func (s *service) run(ctx context.Context) error {
	s.logger.Info("serving", "version", version, "addr", s.publicListener.Addr().String(),
		"ops_addr", s.opsListener.Addr().String(), "dev", s.cfg.Dev, "livemode", s.stripe.Livemode(), "memory_limit", memoryLimit())
	g, running := errgroup.WithContext(ctx)
	// What requests need outlives the signal: it ends when the servers have.
	needed, release := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return served(s.public.Serve(s.publicListener)) })
	g.Go(func() error { return served(s.ops.Serve(s.opsListener)) })
	g.Go(func() error { return s.verifier.Run(needed) })
	if s.redis != nil {
		g.Go(func() error { return s.redis.Run(needed, s.logger) })
	}
	migrated := make(chan struct{})
	g.Go(func() error {
		defer close(migrated)
		return s.migrate(needed)
	})
	g.Go(func() error {
		<-migrated
		return s.audit.Run(needed)
	})
	g.Go(func() error {
		<-migrated
		return s.gate.Run(needed)
	})
	g.Go(func() error {
		<-migrated
		return s.customers.Run(needed, s.gate.Account)
	})
	g.Go(func() error {
		<-migrated
		return s.keys.Run(needed)
	})
	g.Go(func() error {
		<-running.Done()
		defer release()
		// Only a wish to stop leaves time for a pause; after a failure nobody waits.
		return s.drain(ctx.Err() != nil)
	})
	err := g.Wait()
	s.logger.Info("stopped")
	return errors.Join(err, s.close())
}

// migrate brings the database up to date. One that is absent is waited for: a
// start must not depend on the order in which things come up.
func (s *service) migrate(ctx context.Context) error {
	const soon, atMost = 250 * time.Millisecond, 2 * time.Second
	for pause := soon; ; pause = min(2*pause, atMost) {
		err := s.store.Migrate(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return nil
		case store.IsHopeless(err):
			return err
		}
		s.logger.Warn("waiting for the database", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// drain takes the service out of the load balancer, then lets requests finish.
func (s *service) drain(orderly bool) error {
	s.draining.Store(true)
	s.connections.Drain()
	orderly = orderly && !s.cfg.Dev && s.o.drainPause > 0
	if orderly {
		time.Sleep(s.o.drainPause)
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	var err error
	if orderly {
		err = s.connections.Stop(ctx)
	}
	err = errors.Join(err, s.public.Shutdown(ctx))
	if err != nil {
		s.logger.Warn("requests were cut off", "error", err)
		err = s.public.Close()
	}
	// Last, so that the end can be watched.
	return errors.Join(err, s.ops.Close())
}

func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
