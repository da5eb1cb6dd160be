package replay_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the tests when a goroutine of a replay outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
