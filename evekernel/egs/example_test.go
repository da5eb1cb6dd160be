package egs_test

import (
	"context"
	"fmt"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// Two helpers say how busy they are; who asks reaches those that have room, and takes the first answer.
func Example() {
	ctx := context.Background()
	hub := egs.NewHub(egs.Config{})
	work := egs.Channel{Name: "work", Attrs: []egs.Attr{{Name: "demand", Kind: dsv.Float, Unit: "s"}}}
	for name, load := range map[string]float64{"idle": 0.1, "busy": 0.9} {
		svc := hub.Member(name)
		if err := svc.Open(ctx, work); err != nil {
			panic(err)
		}
		var sink egs.Subscription
		sink, err := svc.Subscribe(ctx, egs.SubscribeRequest{
			Channel: "work",
			Facts:   map[string]dsv.Value{"load": dsv.FloatValue(load)},
			Out:     egs.FilterSpec{Expr: "demand < 50ms and sink.load < 80%"},
			Handler: func(e egs.Event) {
				if err := sink.Answer(ctx, e, egs.Event{Data: []byte("send it to " + name)}); err != nil {
					panic(err)
				}
			},
		})
		if err != nil {
			panic(err)
		}
	}
	source, err := hub.Member("full").Attach(ctx, "work")
	if err != nil {
		panic(err)
	}
	for _, demand := range []float64{0.038, 0.38} {
		q, err := source.Ask(ctx, egs.Event{Values: []dsv.Value{dsv.FloatValue(demand)}})
		if err != nil {
			panic(err)
		}
		answer, err := q.First(ctx)
		fmt.Printf("asked %d: %q %v\n", q.Asked(), answer.Data, err)
	}
	fmt.Println(hub.Close())
	// Output:
	// asked 1: "send it to idle" <nil>
	// asked 0: "" ask work: nobody was asked
	// <nil>
}
