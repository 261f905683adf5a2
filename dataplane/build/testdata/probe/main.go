// Command probe is what the builder's tests run in a RUN step: it writes what
// it sees of the network to /seen.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	out, err := os.Create("/seen")
	if err != nil {
		panic(err)
	}
	defer out.Close()
	interfaces, err := net.Interfaces()
	if err != nil {
		panic(err)
	}
	for _, i := range interfaces {
		fmt.Fprintln(out, "interface", i.Name)
	}
	fmt.Fprintln(out, "proxy", os.Getenv("HTTPS_PROXY"))
	if _, err := net.DialTimeout("tcp", os.Args[1], time.Second); err != nil {
		fmt.Fprintln(out, "direct: no")
	} else {
		fmt.Fprintln(out, "direct: yes")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(os.Getenv("HTTPS_PROXY"), "http://"))
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", os.Args[1], os.Args[1])
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(out, "through the proxy:", resp.StatusCode)
}
