// Command accesslog writes the access log that the scenario replay-log replays: 15 minutes of a small shop that nobody ever
// visited, in the combined format, gzip'd.
//
//	go run ./scenarios/accesslog > scenarios/replay-log.log.gz
//
// Visits begin at a rate that swings from 0.8 to 2.8 a second within a quarter of an hour; each looks at a few pages, every page brings
// some static files, and some visits search or buy. The same program writes the same bytes.
package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

func main() {
	if err := write(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// length is how long the log is.
const length = 900.0 // seconds

// entry is one line.
type entry struct {
	at     float64 // seconds
	client int
	ask    string
	status int
	bytes  int
	from   string
}

func write(w io.Writer) error {
	z := gzip.NewWriter(w)
	out := bufio.NewWriter(z)
	start := time.Date(2026, 3, 2, 20, 0, 0, 0, time.UTC)
	for _, e := range visits(rand.New(rand.NewPCG(5, 2026))) {
		at := start.Add(time.Duration(e.at * 1e9)).Format("02/Jan/2006:15:04:05 -0700")
		fmt.Fprintf(out, "192.0.2.%d - - [%s] \"%s HTTP/1.1\" %d %d \"%s\" \"Mozilla/5.0 (X11; Linux x86_64) Example/1.0\"\n", e.client, at, e.ask, e.status, e.bytes, e.from)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return z.Close()
}

// visits makes the lines of all visits, in the order of their times.
func visits(r *rand.Rand) []entry {
	const most = 2.8
	var all []entry
	for at := r.ExpFloat64() / most; at < length; at += r.ExpFloat64() / most {
		if rate := 1.8 - math.Cos(2*math.Pi*at/length); r.Float64()*most < rate { // thinned to the swing
			all = append(all, visit(r, at)...)
		}
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.at >= length })
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	return all
}

// visit makes the lines of one.
func visit(r *rand.Rand, at float64) []entry {
	client, from := 1+r.IntN(254), "-"
	var es []entry
	add := func(ask string, status, bytes int) {
		es = append(es, entry{at, client, ask, status, bytes, from})
	}
	page := func(ask, path string, bytes int) {
		add(ask+" "+path, 200, bytes+r.IntN(bytes))
		for _, f := range []string{"/static/shop.css", "/static/shop.js", "/static/logo.svg"}[:1+r.IntN(3)] {
			at += 0.05 * r.ExpFloat64()
			add("GET "+f, 200, 4000+r.IntN(30_000))
		}
		from = "https://shop.example" + path
		at += 6 * r.ExpFloat64()
	}
	page("GET", "/", 6000)
	for r.Float64() < 0.7 {
		switch x := r.Float64(); {
		case x < 0.25:
			page("GET", fmt.Sprintf("/search?q=%s&page=%d", []string{"lamp", "chair", "table", "clock", "shelf"}[r.IntN(5)], 1+r.IntN(3)), 9000)
		case x < 0.90:
			page("GET", fmt.Sprintf("/item/%d", int(200*math.Pow(r.Float64(), 2))), 12_000)
		default:
			add("POST /cart", 303, 0)
			at += 0.1 * r.ExpFloat64()
			page("GET", "/cart", 5000)
		}
	}
	return es
}
