package report

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"testing"
)

// TestPNGIsWhatWasPainted checks that a picture's file holds each pixel, whatever way it is written.
func TestPNGIsWhatWasPainted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	whole := image.NewRGBA(image.Rect(0, 0, 61, 47))
	draw.Draw(whole, whole.Rect, image.White, image.Point{}, draw.Src)
	for range 300 {
		whole.Set(rnd.IntN(61), rnd.IntN(47), color.NRGBA{uint8(rnd.Uint32()), uint8(rnd.Uint32()), uint8(rnd.Uint32()), 255})
	}
	clear := image.NewRGBA(whole.Rect)
	copy(clear.Pix, whole.Pix)
	clear.Set(3, 4, color.NRGBA{})
	for name, want := range map[string]image.Image{
		"opaque": whole, "a part of it": whole.SubImage(image.Rect(5, 7, 40, 30)), "one pixel": whole.SubImage(image.Rect(9, 9, 10, 10)),
		"with a hole": clear,
	} {
		b, err := encodePNG(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		origin := want.Bounds().Min
		if got.Bounds().Size() != want.Bounds().Size() {
			t.Fatalf("%s: got %v, want the size of %v", name, got.Bounds(), want.Bounds())
		}
		for y := range want.Bounds().Dy() {
			for x := range want.Bounds().Dx() {
				r, g, bl, a := got.At(x, y).RGBA()
				wr, wg, wb, wa := want.At(origin.X+x, origin.Y+y).RGBA()
				if [4]uint32{r, g, bl, a} != [4]uint32{wr, wg, wb, wa} {
					t.Fatalf("%s: at %d,%d got %v, want %v", name, x, y, got.At(x, y), want.At(origin.X+x, origin.Y+y))
				}
			}
		}
	}
}
