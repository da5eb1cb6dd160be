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

// Ways counts the ways in which the manipulator is named: one, unless the Recipe is wrong.
func (r Recipe) Ways() int {
	n := 0
	for _, is := range []bool{r.Name != "", r.Expr != "", r.Wasm != nil} {
		if is {
			n++
		}
	}
	return n
}

// String names the manipulator and its trigger: "ewma, every 100ms".
func (r Recipe) String() string {
	name := r.Name
	switch {
	case r.Expr != "":
		name = r.Expr
	case r.Wasm != nil:
		name = "wasm"
	}
	return name + ", " + r.Sync.String()
}

// Equal says whether both say the same.
func (r Recipe) Equal(o Recipe) bool { return reflect.DeepEqual(r, o) }
