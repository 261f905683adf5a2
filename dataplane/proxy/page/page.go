// Package page is what ALB's own answers say.
package page

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Server is how ALB names itself.
const Server = "awselb/2.0"

// reasons are ALB's phrases, where they are not net/http's.
var reasons = map[int]string{
	http.StatusServiceUnavailable: "Service Temporarily Unavailable",
	http.StatusGatewayTimeout:     "Gateway Time-out",
	http.StatusMethodNotAllowed:   "Not Allowed",
	http.StatusRequestURITooLong:  "Request-URI Too Large",
	http.StatusRequestTimeout:     "Request Time-out",
}

// Reason is ALB's phrase for a status.
func Reason(status int) string {
	if r, ok := reasons[status]; ok {
		return r
	}
	return http.StatusText(status)
}

// Of is the body ALB gives to answers of its own.
func Of(status int) string {
	title := strings.TrimSpace(strconv.Itoa(status) + " " + Reason(status))
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
}

// dateLine is the Date of a second.
type dateLine struct {
	second int64
	text   []byte
}

var today atomic.Pointer[dateLine]

// AppendDate appends the line of a head that says the date.
func AppendDate(out []byte) []byte { return append(out, Date()...) }

// Date is the Date of now, as a line of a head.
func Date() []byte {
	now := time.Now()
	d := today.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateLine{now.Unix(), now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")}
		today.Store(d)
	}
	return d.text
}
