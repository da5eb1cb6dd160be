package campaign_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the tests when a goroutine of a study, or of a simulation, outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
