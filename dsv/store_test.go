package dsv_test

import (
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/dsv/dsvtest"
)

func TestStoreIsASpace(t *testing.T) {
	dsvtest.Run(t, func(t *testing.T) dsv.Space {
		s := dsv.NewStore(nil)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
