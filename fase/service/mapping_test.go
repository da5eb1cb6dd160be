package service_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/service"
)

// TestMappingsOfManyServers holds a mapping of as many servers as a scenario may have to what a variable holds.
func TestMappingsOfManyServers(t *testing.T) {
	for _, n := range []int{1, 4096, 16384} {
		m := service.Mapping{Epoch: 3, Level: "full", At: 7}
		for i := range n {
			m.Replicas = append(m.Replicas, service.Replica{Server: fmt.Sprintf("web_farm_%d", i+1), Weight: 1, State: service.Serving})
		}
		last := &m.Replicas[n-1]
		last.Weight, last.State = 5, service.Draining
		text := m.Encode()
		if len(text) > dsv.MaxBytes {
			t.Errorf("the mapping of %d servers has %d bytes, want at most %d", n, len(text), dsv.MaxBytes)
		}
		if n <= 4096 && n > 1 && !strings.Contains(text, `"weight":1,"state":"serving"`) {
			t.Errorf("the mapping of %d servers leaves out what is usual", n)
		}
		got, err := service.ParseMapping(text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("the mapping of %d servers: got %.100s, want %.100s", n, got.Encode(), text)
		}
	}
}
