package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	cookieName = "session"
	maxText    = 2000
	maxImage   = 2 << 20
	maxBody    = maxImage + 64<<10
	queryFor   = 3 * time.Second // a page that waits longer for the database has failed
)

// imageTypes are the images that every browser shows and that hold no script.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// Site is the page and its routes.
type Site struct {
	log   *slog.Logger
	store *Store
	hub   *Hub
	page  *template.Template
	files map[string][]byte // style and script, by name
}

// NewSite reads the views once; who edits them starts the chat again.
func NewSite(log *slog.Logger, store *Store, hub *Hub, views string) (*Site, error) {
	page, err := template.ParseFiles(filepath.Join(views, "index.html"))
	if err != nil {
		return nil, err
	}
	site := &Site{log: log, store: store, hub: hub, page: page, files: map[string][]byte{}}
	for _, name := range []string{"chat.css", "chat.js"} {
		if site.files[name], err = os.ReadFile(filepath.Join(views, name)); err != nil {
			return nil, err
		}
	}
	return site, nil
}

// Handler returns the routes, guarded against forms of foreign pages.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /signin", s.index)
	mux.HandleFunc("GET /signup", s.index)
	mux.HandleFunc("POST /signin", s.signin)
	mux.HandleFunc("POST /signup", s.signup)
	mux.HandleFunc("POST /signout", s.signout)
	mux.HandleFunc("GET /comment", s.comments)
	mux.HandleFunc("POST /comment", s.say)
	mux.HandleFunc("GET /image/{id}", s.image)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /views/{name}", s.file)
	// The cookie is SameSite=Lax already; this refuses foreign forms by their
	// Sec-Fetch-Site or Origin too. curl sends neither and passes.
	return s.observe(http.NewCrossOriginProtection().Handler(mux))
}

// view is what the page is made of.
type view struct {
	User     *User
	Comments []Comment
	Form     string // "signin" or "signup": which form is open
	Name     string // what was typed
	Error    string
	MaxText  int
}

func (s *Site) index(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, view{Form: strings.TrimPrefix(r.URL.Path, "/")})
}

// render shows the page; it needs the database, on purpose.
func (s *Site) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	ctx, cancel := context.WithTimeout(r.Context(), queryFor)
	defer cancel()
	user, err := s.user(ctx, r)
	if err == nil {
		v.Comments, err = s.store.Recent(ctx)
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	v.User, v.MaxText = user, maxText
	var page bytes.Buffer
	if err := s.page.Execute(&page, v); err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(page.Bytes())
}

// broken answers 503: the fault is ours, most likely the database.
func (s *Site) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	http.Error(w, "The chat does not reach its database.", http.StatusServiceUnavailable)
}

func (s *Site) user(ctx context.Context, r *http.Request) (*User, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, nil
	}
	user, ok, err := s.store.Session(ctx, cookie.Value)
	if err != nil || !ok {
		return nil, err
	}
	return &user, nil
}

func (s *Site) signup(w http.ResponseWriter, r *http.Request) {
	s.enter(w, r, "signup", s.store.SignUp)
}

func (s *Site) signin(w http.ResponseWriter, r *http.Request) {
	s.enter(w, r, "signin", s.store.SignIn)
}

// enter is both ways in: they differ in what they do with name and password.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, form string, way func(context.Context, string, string) (User, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	name, password := strings.TrimSpace(r.FormValue("name")), r.FormValue("password")
	again := view{Form: form, Name: name}
	if again.Error = unusable(name, password); again.Error != "" {
		s.render(w, r, http.StatusUnprocessableEntity, again)
		return
	}
	user, err := way(r.Context(), name, password)
	switch {
	case errors.Is(err, ErrNameTaken):
		again.Error = "This name is taken."
		s.render(w, r, http.StatusConflict, again)
		return
	case errors.Is(err, ErrWrongLogin):
		again.Error = "Name or password is wrong."
		s.render(w, r, http.StatusUnauthorized, again)
		return
	case err != nil:
		s.broken(w, r, err)
		return
	}
	token, expires, err := s.store.StartSession(r.Context(), user)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.Header.Get("X-Forwarded-Proto") == "https",
	})
	s.log.Info(form, "user", user.Name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func unusable(name, password string) string {
	switch {
	case name == "" || utf8.RuneCountInString(name) > 32 || !utf8.ValidString(name):
		return "A name has 1 to 32 characters."
	case len(password) < 6 || len(password) > 72: // bcrypt reads 72 bytes
		return "A password has 6 to 72 characters."
	}
	return ""
}

func (s *Site) signout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		if err := s.store.EndSession(r.Context(), cookie.Value); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Site) comments(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), queryFor)
	defer cancel()
	comments, err := s.store.Recent(ctx)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(comments)
}

func (s *Site) say(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	user, err := s.user(r.Context(), r)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if user == nil {
		s.refuse(w, r, http.StatusUnauthorized, "Sign in to write.")
		return
	}
	text := strings.TrimSpace(r.FormValue("text")) // parses the form, of either encoding
	image, problem := uploaded(r)
	if problem == "" {
		switch n := utf8.RuneCountInString(text); {
		case n == 0 && image == nil:
			problem = "Write something."
		case n > maxText || !utf8.ValidString(text):
			problem = fmt.Sprintf("A comment has up to %d characters.", maxText)
		}
	}
	if problem != "" {
		s.refuse(w, r, http.StatusUnprocessableEntity, problem)
		return
	}
	if err := s.store.Say(r.Context(), *user, text, image); err != nil {
		s.broken(w, r, err)
		return
	}
	s.hub.Wake()
	if fromScript(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// uploaded returns the image of a form, nil if there is none.
func uploaded(r *http.Request) (image []byte, problem string) {
	file, _, err := r.FormFile("image")
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, ""
	}
	if err != nil {
		return nil, "The form could not be read; an image has up to 2 MB."
	}
	defer file.Close()
	image, err = io.ReadAll(io.LimitReader(file, maxImage+1))
	switch {
	case err != nil || len(image) > maxImage:
		return nil, "An image has up to 2 MB."
	case len(image) == 0:
		return nil, "" // the field was left empty
	case !slices.Contains(imageTypes, http.DetectContentType(image)):
		return nil, "An image is a PNG, JPEG, GIF or WebP."
	}
	return image, ""
}

func fromScript(r *http.Request) bool { return r.Header.Get("Accept") == "application/json" }

// refuse tells why, to the page's script in JSON, to a plain form as the page.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, status int, problem string) {
	if !fromScript(r) {
		s.render(w, r, status, view{Form: "signin", Error: problem})
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": problem})
}

func (s *Site) image(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	image, err := s.store.Image(r.Context(), id)
	if errors.Is(err, ErrNoSuchImage) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", http.DetectContentType(image))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(image)
}

func (s *Site) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := s.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	// Not cached: after a deployment the page and its script must fit together.
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

// events is the stream of new comments (server-sent events).
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	comments, leave := s.hub.Join()
	defer leave()
	stream := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, "retry: 1000\n\n")
	// A line now and then keeps the load balancer's idle timeout away.
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	for {
		if err := stream.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			fmt.Fprint(w, ": alive\n\n")
		case c, open := <-comments:
			if !open {
				return
			}
			line, err := json.Marshal(c)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", c.ID, line)
		}
	}
}
