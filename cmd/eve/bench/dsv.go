package bench

import (
	"context"
)

// DSV runs E1, E2 and E3, the speed of variables and of recording, beside peers if wanted; with Config.Scale instead of all
// that one kernel with many connections, variables and watchers.
func DSV(ctx context.Context, cfg Config) (*Report, error) {
	if err := CheckPeers(cfg.Peers); err != nil {
		return nil, err
	}
	if cfg.Scale {
		return measure("dsv --scale", cfg, func(r *Report) error { return (&scale{cfg: cfg}).run(ctx, r) })
	}
	return measure("dsv", cfg,
		func(r *Report) error { return (&e1{cfg: cfg}).run(ctx, r) },
		func(r *Report) error { return (&e2{cfg: cfg}).run(ctx, r) },
		func(r *Report) error { return (&e3{cfg: cfg}).run(ctx, r) },
		func(r *Report) error { return (&throughput{cfg: cfg}).run(ctx, r) },
		func(r *Report) error { return (&hot{cfg: cfg}).run(ctx, r) },
	)
}
