package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// broken are programs with a fault, for the tests of `minato why`.
//
//	server local TEXT     answers on 127.0.0.1:80 only
//	server port N         answers on another port
//	server slow SECONDS   opens its port so late
//	server hang 0         takes connections and does not answer
//	server code N         answers every request with that status
//	server eat 0          needs more and more memory
//	server reach ADDRESS  ends with 1 when it cannot connect
//	server stubborn 0     does not end on SIGTERM
//	server needs ADDRESS  answers 503 while it cannot connect
var broken = map[string]func(arg string) error{
	"local": func(text string) error { return http.ListenAndServe("127.0.0.1:80", status(200)) },
	"port":  func(n string) error { return http.ListenAndServe(":"+n, status(200)) },
	"slow": func(seconds string) error {
		n, err := strconv.Atoi(seconds)
		if err != nil {
			return err
		}
		fmt.Println("getting ready")
		time.Sleep(time.Duration(n) * time.Second)
		return http.ListenAndServe(":80", status(200))
	},
	"hang": func(string) error {
		return http.ListenAndServe(":80", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	},
	"code": func(n string) error {
		code, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		return http.ListenAndServe(":80", status(code))
	},
	"eat": func(string) error {
		var all [][]byte
		for {
			b := make([]byte, 4<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
			fmt.Println(len(all)*4, "MiB")
			time.Sleep(time.Millisecond)
		}
	},
	"stubborn": func(string) error {
		signal.Ignore(syscall.SIGTERM)
		return http.ListenAndServe(":80", status(200))
	},
	"reach": reach,
	"needs": func(address string) error {
		return http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := reach(address); err != nil {
				fmt.Fprintln(os.Stderr, "the database does not answer:", err)
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
	},
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func reach(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
