package linux

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseListening(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	got, err := parseListening(strings.NewReader(head +
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n" +
		"   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n" +
		"   2: 0B02000A:0050 1400000A:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"))
	if want := "[127.0.0.1:8080 0.0.0.0:80]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v, want %s", got, err, want)
	}
	got, err = parseListening(strings.NewReader(head +
		"   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0 0\n" +
		"   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0 0 0\n" +
		"   2: 0000000000000000FFFF00000B02000A:0052 00000000000000000000000000000000:0000 0A 0 0 0\n"))
	if want := "[[::]:80 [::1]:81 10.0.2.11:82]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v %v, want %s", got, err, want)
	}
	if got, err := parseListening(strings.NewReader(head + "   0: XY:0050 0:0 0A\n")); err == nil {
		t.Errorf("nonsense is read as %v", got)
	}
}
