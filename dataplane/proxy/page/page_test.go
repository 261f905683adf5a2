package page

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	want := "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
	if got := Of(http.StatusServiceUnavailable); got != want {
		t.Errorf("%q", got)
	}
	for status, title := range map[int]string{404: "404 Not Found", 504: "504 Gateway Time-out", 460: "460", 463: "463"} {
		if !strings.Contains(Of(status), "<h1>"+title+"</h1>") {
			t.Errorf("%d: %q", status, Of(status))
		}
	}
}

// TestDate: the line is one that clients read, and says now.
func TestDate(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	line := string(AppendDate([]byte("x")))
	text, ok := strings.CutPrefix(line, "xDate: ")
	at, err := http.ParseTime(strings.TrimSuffix(text, "\r\n"))
	if !ok || err != nil || at.Before(before) || at.After(time.Now()) || !strings.HasSuffix(line, "\r\n") {
		t.Errorf("%q: %v, %v", line, at, err)
	}
}
