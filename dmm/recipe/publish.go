package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

// listName is the variable that holds the recipes of a run, JSON, and guestPrefix what those of their guests begin with;
// numbers follow, since a variable's name may be as long as names can be.
const (
	listName    dsv.Name = "run.measures"
	guestPrefix dsv.Name = "run.guest_"
)

// Publish writes to a space how variables are to be manipulated where their data arise, for Published. Guests travel in
// variables of their own, so that only who runs one fetches it.
func Publish(ctx context.Context, space dsv.Space, rs map[dsv.Name]dmm.Recipe) error {
	if len(rs) == 0 {
		return nil
	}
	list := make(map[dsv.Name]dmm.Recipe, len(rs))
	guests := 0
	for _, n := range slices.Sorted(maps.Keys(rs)) {
		r := rs[n]
		if r.Wasm != nil {
			d := dsv.Declaration{Name: guestPrefix + dsv.Name(strconv.Itoa(guests)), Kind: dsv.Bytes, Help: "the guest that folds a variable"}
			if err := put(ctx, space, d, dsv.BytesValue(r.Wasm)); err != nil {
				return fmt.Errorf("publish recipes: %w", err)
			}
			r.Wasm = []byte(d.Name) // where it is
			guests++
		}
		list[n] = r
	}
	text, err := json.Marshal(list)
	if err == nil {
		d := dsv.Declaration{Name: listName, Kind: dsv.Text, Help: "how variables of modules are manipulated, JSON"}
		err = put(ctx, space, d, dsv.TextValue(string(text)))
	}
	if err != nil {
		return fmt.Errorf("publish recipes: %w", err)
	}
	return nil
}

func put(ctx context.Context, space dsv.Space, d dsv.Declaration, v dsv.Value) error {
	if err := space.Create(ctx, d); err != nil {
		return err
	}
	_, err := space.Write(ctx, d.Name, v)
	return err
}

// A List is the recipes of a run; of guests, the name of the variable that holds the code. A nil List is empty.
type List map[dsv.Name]dmm.Recipe

// Published reads what Publish wrote; nil where nothing was.
func Published(ctx context.Context, space dsv.Space) (List, error) {
	r, err := space.Read(ctx, listName)
	switch {
	case errors.Is(err, dsv.ErrNotFound) || errors.Is(err, dsv.ErrUnset):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read recipes: %w", err)
	}
	var l List
	if err := json.Unmarshal([]byte(r.Value.Text), &l); err != nil {
		return nil, fmt.Errorf("read recipes: %w", err)
	}
	return l, nil
}

// Make makes the Spec of a variable that is in the list, fetching its guest. ok is false for others.
func (l List) Make(ctx context.Context, space dsv.Space, n dsv.Name, own dmm.Registry) (m *Made, ok bool, err error) {
	r, ok := l[n]
	if !ok {
		return nil, false, nil
	}
	if r.Wasm != nil {
		code, err := space.Read(ctx, dsv.Name(r.Wasm))
		if err != nil {
			return nil, true, fmt.Errorf("measure %s: fetch its guest: %w", n, err)
		}
		r.Wasm = code.Value.Bytes
	}
	m, err = Make(ctx, n, r, own)
	return m, true, err
}
