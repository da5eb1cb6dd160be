package resource

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
)

// A ledger writes lines, in order, as the values of one variable with history. Who adds a line does not wait.
type ledger struct {
	env  *modules.Env
	name dsv.Name
	wake chan struct{} // capacity 1

	mu    sync.Mutex // guards lines
	lines []any
}

func newLedger(ctx context.Context, env *modules.Env, name, help string) (*ledger, error) {
	l := &ledger{env: env, name: dsv.Name(name), wake: make(chan struct{}, 1)}
	err := env.Space().Create(ctx, dsv.Declaration{Name: l.name, Kind: dsv.Text, Help: help, History: true})
	return l, err
}

// add adds a line, which json can write.
func (l *ledger) add(line any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes lines until ctx ends.
func (l *ledger) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		if err := l.flush(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// closeTimeout bounds what is written when a module ends.
const closeTimeout = 2 * time.Second

// flush writes what was added.
func (l *ledger) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	for {
		l.mu.Lock()
		if len(l.lines) == 0 {
			l.mu.Unlock()
			return nil
		}
		line := l.lines[0]
		l.lines = l.lines[1:]
		l.mu.Unlock()
		b, err := json.Marshal(line)
		if err == nil {
			_, err = l.env.Space().Write(ctx, l.name, dsv.TextValue(string(b)))
		}
		if err != nil {
			return err
		}
	}
}
