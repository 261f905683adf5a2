package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"minato/aws/sigv4"
)

// signedRequest is one call of an awsJson service as it goes over the wire. The
// same bytes may be sent many times: a signature holds for some minutes, and the
// server checks it each time.
func signedRequest(address, service, target, key, secret string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+address+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	sigv4.Signer{AccessKeyID: key, Secret: secret, Region: region, Service: service}.Sign(req, body, time.Now())
	var raw bytes.Buffer
	err = req.Write(&raw)
	return raw.Bytes(), err
}

// hammer sends a request over n connections, each as soon as it has its answer,
// for a time; the first answer that is not 200 ends it.
func hammer(ctx context.Context, address string, request []byte, n int, d time.Duration) (latencies []float64, perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var (
		mu   sync.Mutex
		wait sync.WaitGroup
	)
	begin := time.Now()
	for range n {
		wait.Go(func() {
			mine, e := hammerOne(ctx, address, request)
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, mine...)
			if e != nil {
				err = e
				cancel()
			}
		})
	}
	wait.Wait()
	return latencies, float64(len(latencies)) / time.Since(begin).Seconds(), err
}

func hammerOne(ctx context.Context, address string, request []byte) (latencies []float64, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { c.Close() }()
	r := bufio.NewReaderSize(c, 64<<10)
	for ctx.Err() == nil {
		begin := time.Now()
		if err := c.SetDeadline(begin.Add(10 * time.Second)); err != nil {
			return nil, err
		}
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		again, err := readAnswer(r)
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, milliseconds(time.Since(begin)))
		if !again { // some servers close after each answer
			c.Close()
			if c, err = net.Dial("tcp", address); err != nil {
				return nil, err
			}
			r.Reset(c)
		}
	}
	return latencies, nil
}

// readAnswer reads one answer with a Content-Length, which must be 200; it
// tells whether the connection stays.
func readAnswer(r *bufio.Reader) (keep bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	ok := bytes.Contains(line, []byte(" 200 "))
	first := string(bytes.TrimSpace(line))
	keep = bytes.HasPrefix(line, []byte("HTTP/1.1"))
	length := 0
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return false, err
		}
		if len(line) <= 2 {
			break
		}
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(key, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return false, err
			}
		case bytes.EqualFold(key, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			keep = false
		}
	}
	if !ok {
		body, _ := io.ReadAll(io.LimitReader(r, int64(min(length, 500)))) // the status is told in any case
		return false, fmt.Errorf("%s: %s", first, body)
	}
	_, err = r.Discard(length)
	return keep, err
}

// visitors ask for a page at a fixed rate, whatever the answers take, and count
// those that did not get it.
type visitors struct {
	made, failed int
	firstFailure string
}

// visit runs until ctx ends.
func visit(ctx context.Context, url string, perSecond int) visitors {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var (
		v    visitors
		mu   sync.Mutex
		wait sync.WaitGroup
		room = make(chan struct{}, 512) // requests under way
	)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			wait.Wait()
			return v
		case <-tick.C:
		}
		room <- struct{}{}
		wait.Go(func() {
			defer func() { <-room }()
			err := get(client, url)
			mu.Lock()
			defer mu.Unlock()
			v.made++
			if err != nil {
				v.failed++
				if v.firstFailure == "" {
					v.firstFailure = err.Error()
				}
			}
		})
	}
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answered %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
