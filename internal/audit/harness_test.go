package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"till/internal/audit"
	"till/internal/problem"
	"till/internal/store/storetest"
)

// desk is a Log with a store that can fail, and everything it emits.
type desk struct {
	*audit.Log
	t        *testing.T
	store    *failing
	registry *prometheus.Registry
	lines    *buffer
	stop     context.CancelFunc
	ended    chan struct{}
}

// newDesk is for a test within synctest; run says whether Run is called.
func newDesk(t *testing.T, o audit.Options, run bool) *desk {
	t.Helper()
	d := &desk{t: t, store: &failing{}, registry: prometheus.NewRegistry(), lines: &buffer{}, ended: make(chan struct{})}
	o.Store, o.Metrics, o.Logger = d.store, d.registry, slog.New(slog.NewJSONHandler(d.lines, nil))
	var err error
	if d.Log, err = audit.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	d.stop = stop
	if !run {
		close(d.ended)
		return d
	}
	go func() {
		defer close(d.ended)
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return d
}

// end stops the Log as the program does.
func (d *desk) end() {
	d.stop()
	<-d.ended
}

func event(object string, outcome problem.Code) audit.Event {
	return audit.Event{
		Actor:  audit.Actor{Account: "acct_1", Issuer: "https://id.example.com/", Kind: "user", Subject: "alice"},
		Action: audit.CheckoutCreate, Object: object, Customer: "cus_1", Outcome: outcome, RequestID: "req-" + object, Client: "192.0.2.1/32",
	}
}

// rows are the objects of the events in the database.
func (d *desk) rows() map[string]int {
	d.t.Helper()
	events, err := d.store.Events(context.Background(), audit.Position{}, time.Now().Add(time.Hour), 1_000_000)
	if err != nil {
		d.t.Fatal(err)
	}
	found := map[string]int{}
	for _, e := range events {
		found[e.Object]++
	}
	return found
}

// logged are the objects of the events in the log, by the level of their line.
func (d *desk) logged(level string) map[string]int {
	d.t.Helper()
	found := map[string]int{}
	for line := range strings.Lines(d.lines.String()) {
		var l struct {
			Level string
			Event *struct{ Object string }
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			d.t.Fatalf("%v: %s", err, line)
		}
		if l.Event != nil && l.Level == level {
			found[l.Event.Object]++
		}
	}
	return found
}

// metric is the value of a series without labels, or with the one.
func (d *desk) metric(name, label string) float64 {
	d.t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	d.t.Fatalf("no series %s %s", name, label)
	return 0
}

var errAway = errors.New("the database has gone away")

// failing is a store in memory of which fault says what goes wrong.
type failing struct {
	storetest.Audit
	mu    sync.Mutex
	fault storetest.Fault
	asked []int
}

// hang is a fault: the call waits for the end of its context.
const hang storetest.Fault = -1

func (f *failing) set(fault storetest.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// batches are the sizes of what the store was asked to write.
func (f *failing) batches() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func (f *failing) AppendEvents(ctx context.Context, events []audit.Event) error {
	f.mu.Lock()
	fault := f.fault
	f.asked = append(f.asked, len(events))
	f.mu.Unlock()
	switch fault {
	case hang:
		<-ctx.Done()
		return ctx.Err()
	case storetest.Before:
		return errAway
	}
	if err := f.Audit.AppendEvents(ctx, events); err != nil || fault == storetest.None {
		return err
	}
	return errAway
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bubble runs a test on a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}
