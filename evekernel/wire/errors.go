package wire

import (
	"context"
	"errors"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// A Code says on the wire which error it was.
type Code string

// The codes.
const (
	CodeNotFound     Code = "not_found"
	CodeUnset        Code = "unset"
	CodeExists       Code = "exists"
	CodeStale        Code = "stale"
	CodeKind         Code = "kind"
	CodeName         Code = "name"
	CodeTooLarge     Code = "too_large"
	CodeHist         Code = "hist"
	CodeGap          Code = "gap"
	CodeClosed       Code = "closed"
	CodeNoHistory    Code = "no_history"
	CodeBarrier      Code = "failed_barrier"
	CodeAttributes   Code = "attributes"
	CodeFilter       Code = "filter"
	CodeUnauthorized Code = "unauthorized"
	CodeProtocol     Code = "protocol"
	CodeCanceled     Code = "canceled"
	CodeError        Code = "error"
)

// The errors of a connection.
var (
	// ErrUnauthorized reports that the kernel refused the token.
	ErrUnauthorized = errors.New("wrong token")
	// ErrProtocol reports that a peer broke a rule of the protocol.
	ErrProtocol = errors.New("protocol violated")
)

type sentinel struct {
	code Code
	err  error
}

func sentinels() []sentinel {
	return []sentinel{
		{CodeNotFound, dsv.ErrNotFound},
		{CodeUnset, dsv.ErrUnset},
		{CodeExists, dsv.ErrExists},
		{CodeStale, dsv.ErrStale},
		{CodeKind, dsv.ErrKind},
		{CodeName, dsv.ErrName},
		{CodeTooLarge, dsv.ErrTooLarge},
		{CodeHist, dsv.ErrHist},
		{CodeGap, dsv.ErrGap},
		{CodeClosed, dsv.ErrClosed},
		{CodeNoHistory, dsv.ErrNoHistory},
		{CodeBarrier, egs.ErrBarrier},
		{CodeAttributes, egs.ErrAttributes},
		{CodeFilter, egs.ErrFilter},
		{CodeUnauthorized, ErrUnauthorized},
		{CodeProtocol, ErrProtocol},
		{CodeCanceled, context.Canceled},
	}
}

// An Error is an error that crossed the wire. Its message is the peer's; errors.Is finds the sentinel of its code.
type Error struct {
	Code Code
	Msg  string
}

func (e *Error) Error() string {
	if e.Msg == "" {
		return string(e.Code)
	}
	return e.Msg
}

// Unwrap returns the sentinel that the code stands for, nil for a code without one.
func (e *Error) Unwrap() error {
	for _, s := range sentinels() {
		if s.code == e.Code {
			return s.err
		}
	}
	return nil
}

// A Fault is an error as it travels.
type Fault struct {
	Code Code   `json:"code"`
	Msg  string `json:"msg,omitempty"`
}

// Err returns the error that travelled; nil for a Fault without a code.
func (f *Fault) Err() error {
	if f.Code == "" {
		return nil
	}
	return &Error{Code: f.Code, Msg: f.Msg}
}

// FaultOf returns err as it travels: the zero Fault for nil.
func FaultOf(err error) Fault {
	if err == nil {
		return Fault{}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return Fault{Code: e.Code, Msg: err.Error()}
	}
	for _, s := range sentinels() {
		if errors.Is(err, s.err) {
			return Fault{Code: s.code, Msg: err.Error()}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Fault{Code: CodeCanceled, Msg: err.Error()}
	}
	return Fault{Code: CodeError, Msg: err.Error()}
}

// FaultsOf returns the errors that were joined into err, each as it travels.
func FaultsOf(err error) []Fault {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		// A wrapped error with several causes also unwraps to a list; only a plain join reads as its parts do.
		parts := j.Unwrap()
		if errors.Join(parts...).Error() == err.Error() {
			var fs []Fault
			for _, p := range parts {
				fs = append(fs, FaultsOf(p)...)
			}
			return fs
		}
	}
	return []Fault{FaultOf(err)}
}

// JoinFaults returns the errors that travelled as one; nil for none.
func JoinFaults(fs []Fault) error {
	errs := make([]error, 0, len(fs))
	for i := range fs {
		errs = append(errs, fs[i].Err())
	}
	return errors.Join(errs...)
}
