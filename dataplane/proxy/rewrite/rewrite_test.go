package rewrite

import (
	"testing"

	"pgregory.net/rapid"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

func request(t rapid.TB, host, url string) *http1.Request {
	r := &http1.Request{}
	if err := r.Parse([]byte("GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRewrite(t *testing.T) {
	for name, c := range map[string]struct {
		host, url *proxy.Substitution
		asked     [2]string
		want      [2]string
		status    string
	}{
		"host of the documentation": {
			&proxy.Substitution{Regex: "^mywebsite-(.+).com$", Replace: "internal.dev.$1.myweb.com"}, nil,
			[2]string{"mywebsite-example.com", "/project-a"},
			[2]string{"internal.dev.example.myweb.com", "/project-a"},
			Success,
		},
		"address of the documentation": {
			nil, &proxy.Substitution{Regex: "^/dp/([A-Za-z0-9]+)/?$", Replace: "/product.php?id=$1"},
			[2]string{"a.example", "/dp/B09G3HRMW"},
			[2]string{"a.example", "/product.php?id=B09G3HRMW"},
			Success,
		},
		"the query too":     {nil, &proxy.Substitution{Regex: `^/old\?(.*)$`, Replace: "/new?$1&more"}, [2]string{"a", "/old?x=1"}, [2]string{"a", "/new?x=1&more"}, Success},
		"no match":          {&proxy.Substitution{Regex: "^b$", Replace: "c"}, &proxy.Substitution{Regex: "^/x$", Replace: "/y"}, [2]string{"a", "/"}, [2]string{"a", "/"}, ""},
		"the first only":    {nil, &proxy.Substitution{Regex: "/api", Replace: ""}, [2]string{"a", "/api/x/api"}, [2]string{"a", "/x/api"}, Success},
		"a group next text": {nil, &proxy.Substitution{Regex: "^/(a)(b)?$", Replace: "/$1x$2$"}, [2]string{"a", "/a"}, [2]string{"a", "/ax$"}, Success},
		"no path":           {nil, &proxy.Substitution{Regex: "^/", Replace: ""}, [2]string{"a", "/x"}, [2]string{"a", "/x"}, InvalidPath},
		"no address":        {nil, &proxy.Substitution{Regex: "^/", Replace: "/ HTTP/1.1\r\nX: "}, [2]string{"a", "/x"}, [2]string{"a", "/x"}, InvalidPath},
		"no host":           {&proxy.Substitution{Regex: "a", Replace: ""}, nil, [2]string{"a", "/"}, [2]string{"a", "/"}, InvalidHost},
		"a host with lines": {&proxy.Substitution{Regex: "a", Replace: "b\r\nX: y"}, nil, [2]string{"a", "/"}, [2]string{"a", "/"}, InvalidHost},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := Compile(&proxy.Rewrite{Host: c.host, URL: c.url})
			if err != nil {
				t.Fatal(err)
			}
			r := request(t, c.asked[0], c.asked[1])
			status := w.Do(r)
			url := string(r.Path)
			if r.HasQuery {
				url += "?" + string(r.Query)
			}
			if status != c.status || string(r.Host) != c.want[0] || url != c.want[1] {
				t.Errorf("%q: %s %s", status, r.Host, url)
			}
		})
	}
	for _, s := range []proxy.Substitution{{Regex: "(", Replace: ""}, {Regex: "a", Replace: "$1"}, {Regex: "(a)", Replace: "$2"}, {Regex: `\p{L}`}, {Regex: "(a)", Replace: "$99999999999999999999"}, {Regex: "(a)", Replace: "$0"}, {Regex: `(?=a)`}, {Regex: `(a)\1`}} {
		if _, err := Compile(&proxy.Rewrite{URL: &s}); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// TestNeverMalformed: whatever is put in, what is sent on can be read again as it is
// meant.
func TestNeverMalformed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching("[ab/?#%\r\n $1 é-]{0,6}")
		w, err := Compile(&proxy.Rewrite{Host: &proxy.Substitution{Regex: "(a)", Replace: text.Draw(t, "host")}, URL: &proxy.Substitution{Regex: "/(a)?", Replace: text.Draw(t, "url")}})
		if err != nil {
			t.Skip()
		}
		r := request(t, "a.example", "/a/b?c")
		if w.Do(r) != Success {
			return
		}
		target := string(r.Path)
		if r.HasQuery {
			target += "?" + string(r.Query)
		}
		again := request(t, string(r.Host), target)
		if string(again.Path) != string(r.Path) || string(again.Query) != string(r.Query) || string(again.Host) != string(r.Host) {
			t.Errorf("%q at %q became %q at %q", target, r.Host, again.Target, again.Host)
		}
	})
}

// FuzzRewrite: whatever patterns and requests say, a request that was rewritten
// is still one: written and read again it is the same.
func FuzzRewrite(f *testing.F) {
	f.Add("^(.*)$", "x.$1", "^/a(.*)", "/b$1?c", "a.example", "/a/b?q")
	f.Add("a", "b\r\nX: y", "^/", "/ HTTP/1.1\r\n", "a", "/")
	f.Add(".", "$0$1", "(", "$", "a", "/%0d%0a")
	f.Fuzz(func(t *testing.T, hostPattern, host, urlPattern, url, askedHost, asked string) {
		w, err := Compile(&proxy.Rewrite{Host: &proxy.Substitution{Regex: hostPattern, Replace: host}, URL: &proxy.Substitution{Regex: urlPattern, Replace: url}})
		if err != nil {
			return
		}
		var r http1.Request
		if r.Parse([]byte("GET "+asked+" HTTP/1.1\r\nHost: "+askedHost+"\r\n\r\n")) != nil {
			return
		}
		if w.Do(&r) != Success {
			return
		}
		target := string(r.Path)
		if r.HasQuery {
			target += "?" + string(r.Query)
		}
		var again http1.Request
		if err := again.Parse([]byte("GET " + target + " HTTP/1.1\r\nHost: " + string(r.Host) + "\r\n\r\n")); err != nil {
			t.Fatalf("%q of %q is no request: %v", target, r.Host, err)
		}
		if string(again.Host) != string(r.Host) || string(again.Path) != string(r.Path) || string(again.Query) != string(r.Query) || len(again.Fields) != 1 {
			t.Fatalf("%q of %q is read as %q of %q, %d fields", target, r.Host, again.Path, again.Host, len(again.Fields))
		}
	})
}
