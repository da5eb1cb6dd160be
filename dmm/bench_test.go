package dmm_test

import (
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
)

func BenchmarkWrite(b *testing.B) {
	for _, m := range dmm.Shipped().Names() {
		if m == "records" {
			continue
		}
		b.Run(m, func(b *testing.B) {
			set, err := dmm.NewSet(1, 0, []dmm.Spec{{Name: "x", Manipulator: m, Param: 0.1, Sync: dmm.Trigger{Every: 100 * time.Millisecond}}})
			if err != nil {
				b.Fatal(err)
			}
			v := set.Var("x")
			b.ReportAllocs()
			at := dsv.Instant(0)
			for b.Loop() {
				at++
				v.Write(at, float64(at&1023)*1e-5+0.001)
			}
		})
	}
}

func BenchmarkWriteShared(b *testing.B) {
	set, err := dmm.NewSet(1, 0, []dmm.Spec{{Name: "x", Manipulator: "histogram", Sync: dmm.Trigger{Every: 100 * time.Millisecond}}})
	if err != nil {
		b.Fatal(err)
	}
	v := set.Var("x")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		at := dsv.Instant(0)
		for pb.Next() {
			at++
			v.Write(at, float64(at&1023)*1e-5+0.001)
		}
	})
}
