package metrics

import (
	"encoding/binary"
	"errors"
	"math"
)

// Value is a value that was seen Count times.
type Value struct{ Value, Count float64 }

// Sample is what was told of a metric for a moment: values, or only their
// statistics.
type Sample struct {
	Time  int64  // milliseconds since 1970
	Unit  string // "" for none
	High  bool   // kept by the second; otherwise by the minute
	Count float64
	Sum   float64
	Min   float64
	Max   float64
	// Values are what the statistics are of; nil when only these are known.
	Values []Value
}

// Of is the sample of values.
func Of(time int64, unit string, high bool, values []Value) Sample {
	s := Sample{Time: time, Unit: unit, High: high, Min: math.Inf(1), Max: math.Inf(-1), Values: values}
	for _, v := range values {
		s.Count += v.Count
		s.Sum += v.Value * v.Count
		s.Min, s.Max = min(s.Min, v.Value), max(s.Max, v.Value)
	}
	return s
}

// The bits of a stored sample's first byte.
const (
	bitHigh   = 1 << iota
	bitValues // values follow, otherwise statistics
	bitOnce   // each value was seen once: no counts
)

var errSample = errors.New("metrics: half a sample")

// encode makes the bytes that are stored; the time is the record's.
func (s Sample) encode() []byte {
	bits := byte(0)
	if s.High {
		bits |= bitHigh
	}
	b := append([]byte{bits, byte(len(s.Unit))}, s.Unit...)
	if s.Values == nil {
		for _, f := range []float64{s.Count, s.Sum, s.Min, s.Max} {
			b = appendFloat(b, f)
		}
		return b
	}
	once := true
	for _, v := range s.Values {
		once = once && v.Count == 1
	}
	b[0] |= bitValues
	if once {
		b[0] |= bitOnce
	}
	b = binary.AppendUvarint(b, uint64(len(s.Values)))
	for _, v := range s.Values {
		b = appendFloat(b, v.Value)
		if !once {
			b = appendFloat(b, v.Count)
		}
	}
	return b
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// decode reads a sample that was stored.
func decode(time int64, b []byte) (Sample, error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return Sample{}, errSample
	}
	bits, unit := b[0], string(b[2:2+int(b[1])])
	b = b[2+int(b[1]):]
	next := func() float64 {
		f := math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
		return f
	}
	if bits&bitValues == 0 {
		if len(b) != 32 {
			return Sample{}, errSample
		}
		return Sample{Time: time, Unit: unit, High: bits&bitHigh != 0, Count: next(), Sum: next(), Min: next(), Max: next()}, nil
	}
	n, read := binary.Uvarint(b)
	size := uint64(16)
	if bits&bitOnce != 0 {
		size = 8
	}
	if read <= 0 || n > uint64(len(b))/size || uint64(len(b)-read) != n*size {
		return Sample{}, errSample
	}
	b = b[read:]
	values := make([]Value, n)
	for i := range values {
		values[i] = Value{next(), 1}
		if bits&bitOnce == 0 {
			values[i].Count = next()
		}
	}
	return Of(time, unit, bits&bitHigh != 0, values), nil
}
