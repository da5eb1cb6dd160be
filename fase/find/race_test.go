//go:build race

package find_test

// raceDetector says that this is many times slower than it would be.
const raceDetector = true
