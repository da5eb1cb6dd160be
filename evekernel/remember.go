package evekernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/eve-emulation/eve/dsv"
)

// manipulatedPrefix is what the variables begin with in which a kernel tells its successor what stands before others. The
// rest is a hash, since a name may be as long as names can be.
const manipulatedPrefix = "eve.manipulated.v_"

func manipulatedName(n dsv.Name) dsv.Name {
	sum := sha256.Sum256([]byte(n))
	return manipulatedPrefix + dsv.Name(hex.EncodeToString(sum[:8]))
}

// remember keeps a manipulation for the kernel's successor, as long as its variable is there. It is on disk no sooner and
// no later than the variable is.
func (m *manipulations) remember(what *Manipulation) {
	if !m.k.keepsake.on {
		return
	}
	d := dsv.Declaration{Name: manipulatedName(what.Declaration.Name), Kind: dsv.Bytes, Help: "what the kernel's successor puts before a variable, JSON"}
	text, err := json.Marshal(what)
	if err == nil {
		err = m.k.store.Create(context.Background(), d)
	}
	if err == nil {
		_, err = m.k.store.Write(context.Background(), d.Name, dsv.BytesValue(text))
	}
	if err != nil {
		m.k.logf("a successor of this kernel will not manipulate %s: %v", what.Declaration.Name, err)
	}
}

// forget ends that.
func (m *manipulations) forget(n dsv.Name) {
	if m.k.keepsake.on {
		_ = m.k.store.Delete(context.Background(), manipulatedName(n)) // it may not be there
	}
}

// recall puts before variables what stood there in the kernel before this one.
func (m *manipulations) recall() error {
	for _, d := range m.k.store.Declarations() {
		if !strings.HasPrefix(string(d.Name), manipulatedPrefix) {
			continue
		}
		r, err := m.k.store.Read(context.Background(), d.Name)
		var what Manipulation
		if err == nil {
			err = json.Unmarshal(r.Value.Bytes, &what)
		}
		if err == nil {
			err = m.create(context.Background(), &what)
		}
		if err != nil {
			return fmt.Errorf("restore kernel: manipulate %s: %w", what.Declaration.Name, err)
		}
	}
	return nil
}
