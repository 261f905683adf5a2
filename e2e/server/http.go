package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// server http 'METHOD URL [BODY]' makes a request and writes the status and the
// answer.
func init() {
	broken["http"] = func(text string) error {
		method, rest, _ := strings.Cut(text, " ")
		url, body, _ := strings.Cut(rest, " ")
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		fmt.Printf("status %d\n%s\n", resp.StatusCode, answer)
		return err
	}
}
