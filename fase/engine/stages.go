package engine

import "github.com/eve-emulation/eve/fase/engine/stage"

// StageStats is what a stage of an engine has done and how it stands.
type StageStats = stage.Stats

// A Staged is an Engine that has stages.
type Staged interface {
	Engine
	// Stages returns how the stages stand, in their order, which is always the same. Any goroutine may call it.
	Stages() []StageStats
}
