package awslogs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Options are the driver's options, read and checked.
type Options struct {
	Group        string
	Region       string
	StreamPrefix string
	CreateGroup  bool
	// Multiline is what a line begins with that begins an event; nil when every
	// line is one.
	Multiline *regexp.Regexp
	// NonBlocking is the mode. Here a container writes to a spool on disk from
	// which its log is delivered: it waits for CloudWatch in neither mode, and
	// what does not fit the buffer of non-blocking mode is not dropped.
	NonBlocking bool
	Buffer      int64 // bytes
}

// The modes, and the buffer that non-blocking has unless told otherwise.
const (
	Blocking      = "blocking"
	NonBlocking   = "non-blocking"
	defaultBuffer = 10 << 20
)

var known = []string{
	OptionGroup, OptionRegion, OptionStreamPrefix, OptionCreateGroup, OptionMultiline, OptionDatetime, OptionMode, OptionBuffer,
}

// Parse reads options in the words of the driver. mode is what holds when they
// name none: the account's defaultLogDriverMode.
func Parse(options map[string]string, mode string) (Options, error) {
	o := Options{Group: options[OptionGroup], Region: options[OptionRegion], StreamPrefix: options[OptionStreamPrefix]}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(known, name) {
			return o, fmt.Errorf("unknown log opt '%s' for awslogs log driver", name)
		}
	}
	if o.Group == "" {
		return o, fmt.Errorf("must specify a value for log opt '%s'", OptionGroup)
	}
	var err error
	if text, given := options[OptionCreateGroup]; given {
		if o.CreateGroup, err = strconv.ParseBool(text); err != nil {
			return o, fmt.Errorf("must specify valid value for log opt '%s': %w", OptionCreateGroup, err)
		}
	}
	if err := o.mode(options, mode); err != nil {
		return o, err
	}
	pattern, isPattern := options[OptionMultiline]
	format, isFormat := options[OptionDatetime]
	switch {
	case isPattern && isFormat:
		return o, fmt.Errorf("you cannot configure log opt '%s' and '%s' at the same time", OptionDatetime, OptionMultiline)
	case isFormat:
		pattern = datetimePattern(format)
	case !isPattern:
		return o, nil
	}
	if o.Multiline, err = regexp.Compile(pattern); err != nil {
		return o, fmt.Errorf("awslogs could not parse multiline pattern key %q: %w", pattern, err)
	}
	return o, nil
}

func (o *Options) mode(options map[string]string, mode string) error {
	if given := options[OptionMode]; given != "" {
		mode = given
	}
	buffer, sized := options[OptionBuffer]
	switch mode {
	case Blocking:
		if sized {
			return fmt.Errorf("logger: max-buffer-size option is only supported with 'mode=%s'", NonBlocking)
		}
		return nil
	case NonBlocking:
		o.NonBlocking, o.Buffer = true, defaultBuffer
		if !sized {
			return nil
		}
		var err error
		if o.Buffer, err = parseSize(buffer); err != nil {
			return fmt.Errorf("error parsing option max-buffer-size: %w", err)
		}
		return nil
	}
	return fmt.Errorf("logger: logging mode not supported: %s", mode)
}

// sizePattern is a size such as 25m, 1.5 GiB or 4096.
var sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKmMgGtT]?)(?:[iI]?[bB])?$`)

func parseSize(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("invalid size: '%s'", text)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("invalid size: '%s'", text)
	}
	if i := strings.Index("kmgt", strings.ToLower(m[2])); m[2] != "" {
		f *= float64(int64(1) << (10 * (i + 1)))
	}
	if f < 1 || f > 1<<50 {
		return 0, fmt.Errorf("invalid size: '%s'", text)
	}
	return int64(f), nil
}

// datetimes are what the conversions of strftime match.
var datetimes = map[byte]string{
	'a': `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`,
	'A': `(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)`,
	'b': `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`,
	'B': `(?:January|February|March|April|May|June|July|August|September|October|November|December)`,
	'd': `(?:0[1-9]|[12]\d|3[01])`,
	'f': `\d{6}`,
	'H': `(?:[01]\d|2[0-3])`,
	'I': `(?:0[1-9]|1[0-2])`,
	'j': `(?:[0-2]\d\d|3[0-5]\d|36[0-6])`,
	'L': `\.\d{3}`,
	'm': `(?:0[1-9]|1[0-2])`,
	'M': `[0-5]\d`,
	'p': `[AP]M`,
	'S': `[0-5]\d`,
	'w': `[0-6]`,
	'y': `\d{2}`,
	'Y': `\d{4}`,
	'z': `[+-]\d{4}`,
	'Z': `[A-Z]{1,4}T`,
}

// datetimePattern is the regular expression that a format of strftime stands
// for. What is not a conversion is an expression as it is: brackets are written
// with a backslash, as AWS's examples do.
func datetimePattern(format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' && i+1 < len(format) && datetimes[format[i+1]] != "" {
			i++
			b.WriteString(datetimes[format[i]])
			continue
		}
		b.WriteByte(format[i])
	}
	return b.String()
}
