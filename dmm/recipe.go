package dmm

import "reflect"

// A Recipe says in data how a variable is manipulated, as scenarios and the wire carry it: one of a manipulator's name,
// an expression, and a WebAssembly guest. Package dmm/recipe makes a [Spec] of it.
type Recipe struct {
	Name string   `json:"name,omitempty"` // a manipulator that Eve has, or that the program brings
	Expr string   `json:"expr,omitempty"` // such as 0.9*shadow + 0.1*sample
	Init *float64 `json:"init,omitempty"` // of an expression: the shadow before the first sample; nil: that sample
	Wasm []byte   `json:"wasm,omitempty"` // a guest's code

	Param float64 `json:"param,omitempty"`
	Sync  Trigger `json:"sync"`
}

// Equal says whether both say the same.
func (r Recipe) Equal(o Recipe) bool { return reflect.DeepEqual(r, o) }
