package dsv

import (
	"context"
	"errors"
	"fmt"
)

// A Prompt changes a Store without waiting for the disk. What it changed of durable variables must not be acknowledged
// before the Store's Settle: Owes tells whether there is any. It belongs to one goroutine.
type Prompt struct {
	Store *Store
	owes  bool
}

// Owes tells whether a durable variable was changed since it was asked last.
func (p *Prompt) Owes() bool {
	owes := p.owes
	p.owes = false
	return owes
}

// Create is Create of a Space.
func (p *Prompt) Create(_ context.Context, d Declaration) error {
	err := d.Check()
	if err == nil {
		err = p.Store.create(d)
		p.owes = p.owes || d.Durable
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", clip(string(d.Name)), err)
	}
	return nil
}

// Write is Write of a Space.
func (p *Prompt) Write(_ context.Context, n Name, val Value) (Revision, error) {
	rev, durable, err := p.Store.put(n, val, nil)
	p.owes = p.owes || durable
	if err != nil {
		return rev, fmt.Errorf("write %s: %w", clip(string(n)), err)
	}
	return rev, nil
}

// TestAndSet is TestAndSet of a Space.
func (p *Prompt) TestAndSet(_ context.Context, n Name, old Revision, val Value) (Revision, error) {
	rev, durable, err := p.Store.put(n, val, &old)
	p.owes = p.owes || durable
	if err != nil {
		return rev, fmt.Errorf("test and set %s: %w", clip(string(n)), err)
	}
	return rev, nil
}

// Sync is Sync of a Space.
func (p *Prompt) Sync(_ context.Context, deltas []Delta) error {
	errs, durable := p.Store.sync(deltas)
	p.owes = p.owes || durable
	return errors.Join(errs...)
}

// Delete is Delete of a Space.
func (p *Prompt) Delete(_ context.Context, n Name) error {
	durable, err := p.Store.remove(n)
	p.owes = p.owes || durable
	if err != nil {
		return fmt.Errorf("delete %s: %w", clip(string(n)), err)
	}
	return nil
}

// settle ends an operation of a Store, which waits for the disk where it has to.
func (p *Prompt) settle(op string, n Name, err error) error {
	if !p.owes {
		return err
	}
	if serr := p.Store.Settle(); serr != nil {
		err = errors.Join(err, fmt.Errorf("%s %s: %w", op, clip(string(n)), serr))
	}
	return err
}
