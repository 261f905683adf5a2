// Package host is what minato changes on the machine outside its own folders,
// and takes back: names in /etc/hosts, its CA where docker and skopeo look for
// it. It also looks, before anything starts, whether the machine can run
// minato at all. Everything it writes carries the instance's id.
package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// HostsFile is the machine's hosts file.
const HostsFile = "/etc/hosts"

// Name is a line of a hosts file.
type Name struct {
	Name string
	Addr netip.Addr
}

const (
	beginFormat = "# minato %s: made by minato, removed by minato down"
	endFormat   = "# minato %s end"
)

var beginLine = regexp.MustCompile(`^# minato ([0-9a-f]{6}): made by minato`)

// SetNames makes the instance's block of a hosts file hold exactly these names;
// none removes the block. Blocks of instances that are not alive are removed.
// Names that a live instance holds are not taken: they are returned.
//
// The file is changed in place, since it may be mounted somewhere, under its own
// lock, from the first block on: the lines before are never rewritten.
func SetNames(file, id string, names []Name, alive func(id string) bool) (refused []string, err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	old, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	own, blocks := parseHosts(string(old))
	held := map[string]bool{}
	var out strings.Builder
	out.WriteString(own)
	for _, b := range blocks {
		if b.id == id || !alive(b.id) {
			continue
		}
		out.WriteString(b.text)
		for _, n := range b.names() {
			held[n] = true
		}
	}
	var lines []string
	for _, n := range names {
		if held[n.Name] {
			refused = append(refused, n.Name)
			continue
		}
		lines = append(lines, n.Addr.String()+" "+n.Name+"\n")
	}
	if len(lines) > 0 {
		if s := out.String(); s != "" && !strings.HasSuffix(s, "\n") {
			// The block says so, and its removal gives the file back as it was.
			out.WriteString("\n" + noNewline + "\n")
		}
		slices.Sort(lines)
		fmt.Fprintf(&out, beginFormat+"\n%s"+endFormat+"\n", id, strings.Join(lines, ""), id)
	}
	slices.Sort(refused)
	return slices.Compact(refused), replaceTail(f, old, []byte(out.String()))
}

// noNewline stands before the first block of a file whose last line had no end.
const noNewline = "# minato: the line above had no line end"

// block is what one instance wrote.
type block struct {
	id   string
	text string
}

func (b block) names() []string {
	var names []string
	for _, line := range strings.Split(b.text, "\n") {
		if f := strings.Fields(line); len(f) > 1 && !strings.HasPrefix(line, "#") {
			names = append(names, f[1:]...)
		}
	}
	return names
}

// parseHosts separates a hosts file into what is not ours and the blocks. A
// block without an end, left by a crash, ends at the first line that is not of
// the form we write.
func parseHosts(text string) (own string, blocks []block) {
	var rest strings.Builder
	var current *block
	for _, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimRight(line, "\r\n")
		if m := beginLine.FindStringSubmatch(bare); m != nil {
			blocks = append(blocks, block{id: m[1], text: line})
			current = &blocks[len(blocks)-1]
			continue
		}
		switch {
		case current == nil:
			rest.WriteString(line)
		case bare == fmt.Sprintf(endFormat, current.id):
			current.text += line
			current = nil
		case ourLine(bare):
			current.text += line
		default:
			current = nil
			rest.WriteString(line)
		}
	}
	own = rest.String()
	if cut, ok := strings.CutSuffix(own, "\n"+noNewline+"\n"); ok {
		own = cut
	}
	return own, blocks
}

// ourLine tells whether a line could be one that SetNames wrote.
func ourLine(line string) bool {
	f := strings.Fields(line)
	if len(f) != 2 {
		return false
	}
	a, err := netip.ParseAddr(f[0])
	return err == nil && a.Is4()
}

// replaceTail writes what differs, from the first differing byte on.
func replaceTail(f *os.File, old, want []byte) error {
	if bytes.Equal(old, want) {
		return nil
	}
	same := 0
	for same < len(old) && same < len(want) && old[same] == want[same] {
		same++
	}
	if _, err := f.WriteAt(want[same:], int64(same)); err != nil {
		return err
	}
	if len(want) < len(old) {
		if err := f.Truncate(int64(len(want))); err != nil {
			return err
		}
	}
	return f.Sync()
}
