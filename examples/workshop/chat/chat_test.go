package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// database starts a MariaDB of the test's own and returns its address.
func database(t *testing.T) DatabaseAddress {
	t.Helper()
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		t.Skip("no mariadbd on this machine (make setup installs it)")
	}
	dir, err := os.MkdirTemp("", "chat") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	install := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	setup := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(setup, []byte("GRANT ALL ON *.* TO 'root'@'127.0.0.1' IDENTIFIED BY 'chat-password';\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	daemon := exec.Command(server, "--no-defaults", "--user=root", "--datadir="+data, "--socket="+filepath.Join(dir, "s"),
		"--bind-address=127.0.0.1", "--port="+port, "--init-file="+setup, "--skip-name-resolve", "--innodb-buffer-pool-size=8M")
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return DatabaseAddress{Host: address, User: "root", Password: "chat-password"}
}

// process is one task of the chat, with its own hub, on the given database.
func process(t *testing.T, address DatabaseAddress) (*httptest.Server, *Hub) {
	t.Helper()
	store, err := OpenStore(t.Context(), quiet, address, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	hub := NewHub(quiet, store, 50*time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	go hub.Run(ctx)
	t.Cleanup(cancel)
	site, err := NewSite(quiet, store, hub, "views")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site.Handler())
	t.Cleanup(func() { cancel(); server.Close() })
	return server, hub
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: time.Minute}
}

func body(t *testing.T, answer *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	answer, err := c.Get(url)
	return body(t, answer, err)
}

func post(t *testing.T, c *http.Client, to string, pairs ...string) (int, string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	answer, err := c.PostForm(to, form)
	return body(t, answer, err)
}

func TestChat(t *testing.T) {
	address := database(t)
	one, _ := process(t, address)
	two, _ := process(t, address) // the second task makes no schema anew
	stranger := browser(t)

	t.Run("an empty chat is an empty list", func(t *testing.T) {
		if code, got := get(t, stranger, one.URL+"/comment"); code != 200 || strings.TrimSpace(got) != "[]" {
			t.Fatalf("%d %q", code, got)
		}
	})

	// Two servers on 127.0.0.1 share cookies: ports do not count.
	minato := browser(t)
	t.Run("sign up", func(t *testing.T) {
		if code, page := post(t, minato, one.URL+"/signup", "name", "minato", "password", "harbour"); code != 200 || !strings.Contains(page, "minato") {
			t.Fatalf("%d %s", code, page)
		}
		for _, c := range []struct {
			way, name, password string
			code                int
		}{
			{"/signup", "minato", "another", http.StatusConflict},
			{"/signup", "", "harbour", http.StatusUnprocessableEntity},
			{"/signup", "short", "12345", http.StatusUnprocessableEntity},
			{"/signup", strings.Repeat("n", 33), "harbour", http.StatusUnprocessableEntity},
			{"/signup", "long", strings.Repeat("p", 73), http.StatusUnprocessableEntity},
			{"/signin", "minato", "wrong password", http.StatusUnauthorized},
			{"/signin", "nobody", "harbour", http.StatusUnauthorized},
			{"/signin", "Minato", "harbour", http.StatusUnauthorized}, // names are told apart by case
		} {
			if code, _ := post(t, stranger, one.URL+c.way, "name", c.name, "password", c.password); code != c.code {
				t.Errorf("%s as %q: %d, want %d", c.way, c.name, code, c.code)
			}
		}
	})

	t.Run("a session holds on another task", func(t *testing.T) {
		if code, got := post(t, minato, two.URL+"/comment", "text", "こんにちは <b>港</b> 🚢"); code != 200 {
			t.Fatalf("%d %s", code, got)
		}
	})

	t.Run("comments are public, in UTF-8, and never markup", func(t *testing.T) {
		code, raw := get(t, stranger, one.URL+"/comment")
		var comments []Comment
		if err := json.Unmarshal([]byte(raw), &comments); code != 200 || err != nil {
			t.Fatal(code, err, raw)
		}
		if len(comments) != 1 || comments[0].Text != "こんにちは <b>港</b> 🚢" || comments[0].Name != "minato" || time.Since(comments[0].Created).Abs() > time.Minute {
			t.Fatalf("%+v", comments)
		}
		if !strings.Contains(raw, "こんにちは") {
			t.Errorf("escaped: %s", raw)
		}
		if _, page := get(t, stranger, one.URL+"/"); strings.Contains(page, "<b>港") || !strings.Contains(page, "&lt;b&gt;港") {
			t.Error("the page holds a comment's markup as markup")
		}
	})

	t.Run("who has not signed in writes nothing", func(t *testing.T) {
		if code, _ := post(t, stranger, one.URL+"/comment", "text", "x"); code != http.StatusUnauthorized {
			t.Error(code)
		}
		if code, _ := post(t, minato, one.URL+"/comment", "text", "  "); code != http.StatusUnprocessableEntity {
			t.Error("an empty comment:", code)
		}
	})

	t.Run("a form of another site is refused", func(t *testing.T) {
		request, _ := http.NewRequest("POST", one.URL+"/comment", strings.NewReader("text=x"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := minato.Do(request)
		if code, _ := body(t, answer, err); code != http.StatusForbidden {
			t.Error(code)
		}
	})

	t.Run("images", func(t *testing.T) {
		gif := []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
		for _, c := range []struct {
			content []byte
			code    int
		}{{gif, 200}, {[]byte("<html><script>alert(1)</script>"), 422}, {bytes.Repeat([]byte("x"), maxImage+1), 422}} {
			var form bytes.Buffer
			w := multipart.NewWriter(&form)
			part, _ := w.CreateFormFile("image", "image.gif")
			part.Write(c.content)
			w.Close()
			answer, err := minato.Post(one.URL+"/comment", w.FormDataContentType(), &form)
			if code, got := body(t, answer, err); code != c.code {
				t.Errorf("%.20q: %d, want %d: %.200s", c.content, code, c.code, got)
			}
		}
		_, raw := get(t, stranger, two.URL+"/comment")
		var comments []Comment
		if err := json.Unmarshal([]byte(raw), &comments); err != nil || len(comments) != 2 || comments[1].Image == "" {
			t.Fatal(err, raw)
		}
		answer, err := stranger.Get(two.URL + comments[1].Image)
		if _, got := body(t, answer, err); got != string(gif) || answer.Header.Get("Content-Type") != "image/gif" {
			t.Errorf("%q %s", got, answer.Header.Get("Content-Type"))
		}
		if code, _ := get(t, stranger, two.URL+"/image/999999"); code != 404 {
			t.Error(code)
		}
	})

	t.Run("a comment reaches the open page of another task", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		request, _ := http.NewRequestWithContext(ctx, "GET", two.URL+"/events", nil)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if code, _ := post(t, minato, one.URL+"/comment", "text", "from afar"); code != 200 {
			t.Fatal(code)
		}
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "from afar") {
				return
			}
		}
		t.Fatal("the stream ended without it:", lines.Err())
	})

	t.Run("the last fifty", func(t *testing.T) {
		for i := range shown + 3 {
			if code, _ := post(t, minato, one.URL+"/comment", "text", fmt.Sprint("number ", i)); code != 200 {
				t.Fatal(code)
			}
		}
		_, raw := get(t, stranger, two.URL+"/comment")
		var comments []Comment
		if err := json.Unmarshal([]byte(raw), &comments); err != nil || len(comments) != shown || comments[0].Text != "number 3" || comments[shown-1].Text != fmt.Sprint("number ", shown+2) {
			t.Fatal(err, len(comments), comments[0])
		}
	})

	t.Run("signing out ends the session everywhere", func(t *testing.T) {
		home, _ := url.Parse(one.URL)
		token := minato.Jar.Cookies(home)
		post(t, minato, one.URL+"/signout")
		request, _ := http.NewRequest("POST", two.URL+"/comment", strings.NewReader("text=x"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.AddCookie(token[0])
		answer, err := http.DefaultClient.Do(request)
		if code, _ := body(t, answer, err); code != http.StatusUnauthorized {
			t.Error("the old cookie is still good:", code)
		}
	})

	t.Run("SIGTERM: requests finish, streams close", func(t *testing.T) { stops(t, address) })

	t.Run("a refused password is not waited for", func(t *testing.T) {
		wrong := address
		wrong.Password = "wrong"
		start := time.Now()
		if _, err := OpenStore(t.Context(), quiet, wrong, time.Minute); err == nil || !strings.Contains(err.Error(), "refuses DB_USER") || time.Since(start) > 30*time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

func stops(t *testing.T, address DatabaseAddress) {
	store, err := OpenStore(t.Context(), quiet, address, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hub := NewHub(quiet, store, time.Hour)
	site, err := NewSite(quiet, store, hub, "views")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/", site.Handler())
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		time.Sleep(300 * time.Millisecond)
		fmt.Fprint(w, "finished")
	})
	ctx, term := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, quiet, listener, mux, hub) }()
	base := "http://" + listener.Addr().String()

	stream, err := http.Get(base + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	slow := make(chan string, 1)
	go func() {
		answer, err := http.Get(base + "/slow")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		slow <- string(b)
	}()
	<-entered
	start := time.Now()
	term()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Error("the stream broke:", err)
	}
	if got := <-slow; got != "finished" {
		t.Error(got)
	}
	if err := <-done; err != nil || time.Since(start) >= shutdownFor {
		t.Error(err, time.Since(start))
	}
}

func TestDatabaseThatStaysAway(t *testing.T) {
	away := DatabaseAddress{Host: "127.0.0.1:1", User: "root"}
	if _, err := OpenStore(t.Context(), quiet, away, 700*time.Millisecond); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1 did not answer within 700ms") {
		t.Error(err)
	}
	if _, err := OpenStore(t.Context(), quiet, DatabaseAddress{}, time.Second); err == nil || !strings.Contains(err.Error(), "DB_HOST") {
		t.Error(err)
	}
}

// TestPageWithoutDatabase is what the load balancer's health check meets.
func TestPageWithoutDatabase(t *testing.T) {
	address := database(t)
	store, err := OpenStore(t.Context(), quiet, address, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	site, err := NewSite(quiet, store, NewHub(quiet, store, time.Second), "views")
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	answer := httptest.NewRecorder()
	site.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if answer.Code != http.StatusServiceUnavailable {
		t.Error(answer.Code)
	}
}
