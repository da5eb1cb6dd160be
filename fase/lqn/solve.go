package lqn

import "errors"

// Solve solves a model. The error is that of Check, or ErrUnstable with the name of the host or task.
func (m *Model) Solve() (Solution, error) {
	if _, err := compile(m); err != nil {
		return Solution{}, err
	}
	return Solution{}, errors.ErrUnsupported
}
