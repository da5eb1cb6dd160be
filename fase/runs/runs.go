// Package runs holds the run folder: all that remains of one execution of a scenario, and the figures drawn from it.
//
// The nouns:
//
//   - A [Folder] holds the scenario as run, its inputs, the store of all measurements (run.db), and the results. Whoever
//     creates or opens it is the one opener of its run.db.
//   - A [Summary] holds the results, and only results: equal measurements give equal bytes. [Summarise] computes it from
//     the history in run.db alone, so an interrupted run has one too. docs/summary.md describes each field.
//   - An [Environment] is what the results may depend on: the host, wall times and the noise that a [Probe] saw.
//
// A folder looks like this:
//
//	scenario.yaml     the scenario as run, overrides applied
//	inputs/           the files that it reads
//	run.db            every measurement
//	environment.json  host, versions, wall times, noise
//	summary.json      results; absent until the run has ended
//	report.html, *.svg, *.png
package runs

import (
	"errors"

	"github.com/eve-emulation/eve/dsv"
)

// The names of the files in a run folder.
const (
	ScenarioFile    = "scenario.yaml"
	InputsFolder    = "inputs"
	StoreFile       = "run.db"
	EnvironmentFile = "environment.json"
	SummaryFile     = "summary.json"
)

// The errors of run folders.
var (
	ErrNotEmpty  = errors.New("folder is not empty")
	ErrNotRun    = errors.New("not a run folder")
	ErrNoSummary = errors.New("no summary: the run did not end")
)

// A History is where measurements are read from: run.db.
type History interface {
	// Declarations lists the variables, sorted by name.
	Declarations() []dsv.Declaration
	// History calls fn for the kept changes of one variable with an instant in (from, to], oldest first, until fn fails.
	// An update's delta is valid until fn returns.
	History(n dsv.Name, from, to dsv.Instant, fn func(dsv.Update) error) error
}

// Exit is the exit code of a command that runs scenarios.
type Exit int

// The exit codes. Where several apply, the first in this order does: WrongInput, Failed, Interrupted, GeneratorLimited,
// NotCertified, ExpectFailed.
const (
	ExitOK               Exit = 0
	ExitFailed           Exit = 1   // an error of Eve's or of a module
	ExitWrongInput       Exit = 2   // the command or the scenario is wrong; nothing was started
	ExitExpectFailed     Exit = 3   // a condition of `expect` does not hold, or the books do not balance
	ExitGeneratorLimited Exit = 4   // the clients could not keep their plan, so the results say nothing of the servers
	ExitNotCertified     Exit = 5   // the host was too noisy, and a certified result was asked for
	ExitInterrupted      Exit = 130 // ended early by a signal
)

// Ends are the ways in which a run may have ended, for [Ends.Exit].
type Ends struct {
	WrongInput, Failed, Interrupted, GeneratorLimited, NotCertified, ExpectFailed bool
	BooksBroken                                                                   bool // requests are not accounted for: as if an expectation had failed
}

// Exit returns the exit code by precedence.
func (e Ends) Exit() Exit {
	switch {
	case e.WrongInput:
		return ExitWrongInput
	case e.Failed:
		return ExitFailed
	case e.Interrupted:
		return ExitInterrupted
	case e.GeneratorLimited:
		return ExitGeneratorLimited
	case e.NotCertified:
		return ExitNotCertified
	case e.ExpectFailed, e.BooksBroken:
		return ExitExpectFailed
	default:
		return ExitOK
	}
}
