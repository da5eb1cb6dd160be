package judge_test

import (
	"encoding/json"
	"testing"

	"github.com/eve-emulation/eve/fase/judge"
	"github.com/eve-emulation/eve/fase/scenario"
)

func TestFlash(t *testing.T) {
	a, _ := simulated(t, shipped(t, "flash-crowd", scenario.Options{}), judge.Options{})
	b, _ := json.MarshalIndent(a, "", " ")
	t.Log(string(b))
}
