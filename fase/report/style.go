package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	xfont "golang.org/x/image/font"
)

// Sizes of the pictures, in points.
const (
	pictureWidth vg.Length = 720
	panelHeight  vg.Length = 112
	thinHeight   vg.Length = 78
	labelRow     vg.Length = 12
)

func rgb(x uint32) color.NRGBA {
	return color.NRGBA{R: uint8(x >> 16), G: uint8(x >> 8), B: uint8(x), A: 255}
}

func faint(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// hues is how many colours there are.
const hues = 8

// hue returns the i-th colour of Okabe and Ito's palette, which colour-blind people can tell apart too.
func hue(i int) color.NRGBA {
	palette := [hues]uint32{0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x7a5195, 0x666666}
	return rgb(palette[i%hues])
}

// dash returns the i-th dash pattern; the first is solid.
func dash(i int) []vg.Length {
	patterns := [...][]vg.Length{nil, {5, 2}, {1.5, 1.5}, {6, 2, 1.5, 2}}
	return patterns[i%len(patterns)]
}

func ink() color.NRGBA      { return rgb(0x222222) }
func paleInk() color.NRGBA  { return rgb(0x666666) }
func gridTone() color.NRGBA { return rgb(0xe4e4e4) }
func warmTone() color.NRGBA { return rgb(0xefeadb) }

func textStyle(size vg.Length, c color.Color, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: f, Handler: plot.DefaultTextHandler}
}

func lineStyle(c color.Color, width vg.Length, dashes []vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: width, Dashes: dashes}
}

// shorten cuts a text of others to at most n characters, and replaces what cannot be drawn.
func shorten(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
