package server

import (
	"slices"
	"strings"

	"github.com/eve-emulation/eve/fase/engine"
	"github.com/eve-emulation/eve/fase/files"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

// filesPath is where the file sets are for plain HTTP: /files/SET draws a file, /files/SET/PATH names one.
const filesPath = "/files/"

// set finds a file set by its name, or -1.
func (s *Server) set(name string) int {
	return slices.IndexFunc(s.cfg.Host.Files, func(f *files.Set) bool { return f.Name() == name })
}

// fileBlocks are what a GET of each set executes.
func fileBlocks(sets []*files.Set) ([]*rdr.Block, error) {
	var bs []*rdr.Block
	for _, s := range sets {
		b, err := rdr.ParseBlock("files", []byte("file "+s.Name()+" reply file"), rdr.Limits{})
		if err != nil {
			return nil, err
		}
		bs = append(bs, b)
	}
	return bs, nil
}

// asksFile reports whether a GET is for a file of this server: its path is only compared with those of the sets.
func (f *front) asksFile(r *engine.Request) bool {
	return len(f.s.gets) > 0 && strings.HasPrefix(string(r.Path()), filesPath)
}

// decodeFile makes a request of the GET of a file.
func (f *front) decodeFile(r *engine.Request) (req service.Request, refusal engine.Response) {
	name, path, one := strings.Cut(strings.TrimPrefix(string(r.Path()), filesPath), "/")
	set := f.s.set(name)
	if set < 0 {
		return req, engine.Response{Status: 404, Body: []byte("no file set " + clip(name) + "\n")}
	}
	req = service.Request{Service: -1, Block: f.s.gets[set], Key: f.key()}
	if one {
		i := f.s.cfg.Host.Files[set].Find(path)
		if i < 0 {
			return req, engine.Response{Status: 404, Body: []byte("no file " + clip(path) + " in " + name + "\n")}
		}
		req.Object = files.NewObject(set, i)
	}
	return req, engine.Response{}
}

// clip is the beginning of what somebody asked for.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// key is that of a request that brings none.
func (f *front) key() rdr.Key {
	f.counter++
	return rdr.Root(f.s.cfg.Seed, 1<<32+uint64(f.s.cfg.Host.Node), f.counter, 0)
}
