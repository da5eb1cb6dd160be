package wire

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func newCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec(CBOR)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// level holds the coding by hand to the library: what it decodes, the library decodes equally, and what it encodes, the
// library encodes in the same bytes.
func level(t *testing.T, c *Codec, b []byte) (byHand bool) {
	t.Helper()
	f, n := readHot(b)
	if n == 0 {
		return false
	}
	want, m, err := c.decode(b)
	if err != nil || m != n || want.bodies() != 1 {
		t.Fatalf("%x: %s of %d bytes by hand; the library: %d bytes, error %v", b, f.Type(), n, m, err)
	}
	if !equal(f, want) {
		t.Fatalf("%x: by hand %+v, by the library %+v", b, f, want)
	}
	if !c.hot(f) {
		return true
	}
	got := appendHot(nil, f)
	if lib, err := c.encode(f); err != nil || !bytes.Equal(got, lib) {
		t.Fatalf("%+v: by hand %x, by the library %x (error %v)", f, got, lib, err)
	}
	return true
}

// equal is reflect.DeepEqual for frames that may hold NaN.
func equal(f, g *Frame) bool {
	if reflect.DeepEqual(f, g) {
		return true
	}
	a, b := nan(reflect.ValueOf(f)), nan(reflect.ValueOf(g))
	return a && b
}

// nan tells whether there is a NaN anywhere in v.
func nan(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float64:
		return math.IsNaN(v.Float())
	case reflect.Pointer:
		return !v.IsNil() && nan(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			if nan(field) {
				return true
			}
		}
	}
	return false
}

func goldenBytes(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.cbor.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden frames: %d, error %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(string(bytes.TrimSpace(text)))
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = b
	}
	return all
}

// TestHot checks on the golden frames which ones are coded by hand, and that the library agrees.
func TestHot(t *testing.T) {
	c := newCodec(t)
	hot := map[string]bool{
		"read": true, "write": true, "test_and_set": true, "join": true, "create": true, "res_create": true, "res_read": true,
		"packed": true, "res_info": true, "ack_all": true, "upd": true, "upd_deleted": true,
	}
	for name, b := range goldenBytes(t) {
		name = name[:len(name)-len(".cbor.hex")]
		if got := level(t, c, b); got != hot[name] {
			t.Errorf("%s is coded by hand: %v, want %v", name, got, hot[name])
		}
	}
}

// TestHotLeaves checks that every field that the coding by hand does not know makes it leave the frame to the library.
func TestHotLeaves(t *testing.T) {
	c := newCodec(t)
	known := map[string]string{
		"req": " ID Op Name Decl Value Old ", "res": " ID Var Rev Reading Info ", "batch": " Seq Packed ", "ack": " Seq ",
		"upd": " Watch Name Rev Reading Delta Deleted Skipped ",
	}
	for _, f := range []*Frame{{Req: &Req{ID: 1}}, {Res: &Res{ID: 1}}, {Batch: &Batch{Seq: 1}}, {Ack: &Ack{Seq: 1}}, {Upd: &Upd{}}} {
		if !c.hot(f) {
			t.Fatalf("%s without anything is left to the library", f.Type())
		}
		body := reflect.ValueOf(f).Elem().FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, f.Type()) }).Elem()
		for i := range body.NumField() {
			field, name := body.Field(i), body.Type().Field(i).Name
			fill(field)
			if got, want := c.hot(f), strings.Contains(known[f.Type()], " "+name+" "); got != want {
				t.Errorf("%s with %s: by hand %v, want %v", f.Type(), name, got, want)
			}
			field.SetZero()
		}
	}
}

// TestHotNested checks that no field of what is nested is lost.
func TestHotNested(t *testing.T) {
	c := newCodec(t)
	value := Int(1)
	for _, make := range []func() (*Frame, any){
		func() (*Frame, any) { d := new(Decl); return &Frame{Req: &Req{Decl: d}}, d },
		func() (*Frame, any) { i := new(Info); return &Frame{Res: &Res{Info: i}}, i },
		func() (*Frame, any) { r := new(Reading); return &Frame{Res: &Res{Reading: r}}, r },
		func() (*Frame, any) { v := new(Value); return &Frame{Req: &Req{Value: v}}, v },
		func() (*Frame, any) { d := &Delta{Value: &Value{Int: &value}}; return &Frame{Upd: &Upd{Delta: d}}, d },
	} {
		_, body := make()
		for i := range reflect.TypeOf(body).Elem().NumField() {
			f, body := make()
			if field := reflect.ValueOf(body).Elem().Field(i); field.CanSet() {
				fill(field)
			}
			if !c.hot(f) {
				continue
			}
			got := appendHot(nil, f)
			if lib, err := c.encode(f); err != nil || !bytes.Equal(got, lib) {
				t.Errorf("%T with %s: by hand %x, by the library %x (error %v)", body, reflect.TypeOf(body).Elem().Field(i).Name, got, lib, err)
			}
		}
	}
}

// fill sets v to something that is not zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64, reflect.Uint32:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
	}
}

// FuzzHot holds the coding by hand to the library.
func FuzzHot(f *testing.F) {
	c := newCodec(f)
	for _, b := range goldenBytes(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			level(t, c, b)
			_, n, err := c.next(b)
			if err != nil {
				return
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("a frame of %d bytes in %d", n, len(b))
			}
			b = b[n:]
		}
	})
}
