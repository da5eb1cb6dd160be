package runs

import (
	"encoding/binary"
	"errors"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/user"
)

// RecordsName is the variable that holds the requests of a client group or of a service one by one.
func RecordsName(of string) dsv.Name { return dsv.Name(of + ".records") }

// errRecord reports a record that is too short.
var errRecord = errors.New("a record is cut short")

// recordsOf calls fn for each record of a variable, until fn fails.
func recordsOf(h History, n dsv.Name, fn func(record []byte) error) error {
	return blobs(h, n, func(b []byte) error {
		for r := range dmm.Records(b) {
			if err := fn(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// Requests calls fn for each recorded request of a client group, in order of completion per chunk, until fn fails.
func Requests(h History, group string, fn func(user.Record) error) error {
	return blobs(h, RecordsName(group), func(b []byte) error {
		for r := range dmm.Records(b) {
			if len(r) < user.RecordSize {
				return errRecord
			}
			if err := fn(user.DecodeRecord(r)); err != nil {
				return err
			}
		}
		return nil
	})
}

// A Visit is one execution of a service at one of its servers: the unit of the variable SERVICE.records.
type Visit struct {
	Key           uint64
	Arrived, Done dsv.Instant
	CPU           dsv.Instant // CPU demand, ns; of what was withdrawn, what it had got
	Server        int         // index in the topology
	Service       dsv.Instant // how long the resources served it, ns, as measured; 0 where demands are not burned
}

// Visits calls fn for each recorded execution of a service, until fn fails.
func Visits(h History, svc string, fn func(Visit) error) error {
	u := binary.LittleEndian.Uint64
	return blobs(h, RecordsName(svc), func(b []byte) error {
		for r := range dmm.Records(b) {
			if len(r) < service.HostRecordSize {
				return errRecord
			}
			cpu, server := service.UnpackDemand(u(r[24:]))
			v := Visit{Key: u(r), Arrived: dsv.Instant(u(r[8:])), Done: dsv.Instant(u(r[16:])), CPU: dsv.Instant(cpu), Server: server}
			if len(r) >= service.HostRecordSize+8 {
				v.Service = dsv.Instant(u(r[32:]))
			}
			if err := fn(v); err != nil {
				return err
			}
		}
		return nil
	})
}
