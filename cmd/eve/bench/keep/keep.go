//go:build keep

// Package keep keeps a library in go.mod until the bench that compares with it is there.
package keep

import _ "github.com/panjf2000/gnet/v2"
