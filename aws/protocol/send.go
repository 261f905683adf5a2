package protocol

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"minato/aws"
)

// buffers are reused between answers; one that grew large is let go.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if cap(*b) <= 256<<10 {
		buffers.Put(b)
	}
}

// send writes head and body of an answer.
func send(w http.ResponseWriter, cd codec, status int, body []byte, requestID string) error {
	h := w.Header()
	h.Set("Content-Type", cd.contentType())
	if cd == (cborCodec{}) {
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

func errBadOutput(op *aws.Operation, out any) error {
	return fmt.Errorf("%s answered with a %T that is not its output", op.Action(), out)
}
