package http1

// Response is the head of a response. Its slices lie in the buffer it was
// parsed from.
type Response struct {
	common
	Status int
	Reason []byte
}

// Parse reads a whole head, its final empty line included. head tells that the
// response answers a HEAD request. The Response may be used again.
func (r *Response) Parse(b []byte, head bool) error {
	first, rest, _ := line(b)
	*r = Response{common: common{Fields: r.Fields[:0]}}
	if len(first) < 12 || string(first[:7]) != "HTTP/1." || first[7] < '0' || first[7] > '9' || first[8] != ' ' {
		return bad("malformed status line")
	}
	r.Minor = min(int(first[7]-'0'), 1)
	code, ok := decimal(first[9:12])
	if !ok || code < 100 || code > 599 || len(first) > 12 && first[12] != ' ' || !all(first[12:], isValue) {
		return bad("malformed status line")
	}
	r.Status = int(code)
	if len(first) > 13 {
		r.Reason = first[13:]
	}
	var err error
	if r.Fields, r.lf, err = ParseFields(rest, r.Fields); err != nil {
		return err
	}
	if err := r.frame(false); err != nil {
		return err
	}
	switch {
	case head || r.Status < 200 || r.Status == 204 || r.Status == 304:
		r.Framing = NoBody // whatever the fields say: RFC 9112, 6.3
	case r.Framing == NoBody:
		r.Framing, r.Close = UntilClose, true
	}
	return nil
}
