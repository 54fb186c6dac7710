// Command write-points writes points with InfluxDB's own clients for Go, of version 2 and 1.
//
//	write-points [-base SECONDS] URL TOKEN [SOCKET]
//
// With SOCKET, the client of version 2 goes through that unix socket. Times are within three hours of -base,
// in seconds since 1970; without it they are of 2023, and some are before 1970. No two points are of the same
// series and time. Each line of standard output is a point that was written, as {measurement, tags, fields, timestamp}: numbers
// are strings, floats the 64 bits of their value, the timestamp in nanoseconds.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

type point struct {
	measurement string
	tags        map[string]string
	fields      map[string]interface{}
	time        time.Time
}

// base is what times are near to; 0 without the option.
var base = flag.Int64("base", 0, "seconds since 1970 that all times are near to")

func main() {
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: write-points [-base SECONDS] URL TOKEN [SOCKET]")
		os.Exit(2)
	}
	url, token, socket := flag.Arg(0), flag.Arg(1), flag.Arg(2)
	if err := writeVersion2(url, token, socket); err != nil {
		fmt.Fprintln(os.Stderr, "version 2:", err)
		os.Exit(1)
	}
	if socket != "" {
		return
	}
	if err := writeVersion1(url, token); err != nil {
		fmt.Fprintln(os.Stderr, "version 1:", err)
		os.Exit(1)
	}
}

// points has every type, and text that has to be escaped (but no line break, which the client of
// version 2 doesn't write as it is); its times are whole units of a precision. How they are written is part of
// their name.
func points(how string, precision time.Duration) []point {
	seconds, early := int64(1_700_000_000), -2_000_000_000*time.Second
	if *base != 0 {
		seconds, early = *base, -precision
	}
	at := time.Unix(seconds, 123_456_789).Truncate(precision)
	name := how + ", of " + precision.String()
	return []point{
		{name, map[string]string{"host": "web 1", "a,b": "c=d"}, map[string]interface{}{
			"float":    1.5,
			"integer":  int64(math.MinInt64),
			"unsigned": uint64(math.MaxUint64),
			"boolean":  true,
			"string":   "a \"quoted\" \\ text",
		}, at},
		{name, map[string]string{"ünïcode": "✓"}, map[string]interface{}{
			"tiny": math.SmallestNonzeroFloat64, "huge": -math.MaxFloat64, "no": false,
		}, at.Add(precision)},
		{name, nil, map[string]interface{}{"value": 0.1}, at.Add(early).Truncate(precision)},
	}
}

// say prints what was written.
func say(written []point) error {
	out := json.NewEncoder(os.Stdout)
	for _, p := range written {
		fields := [][3]string{}
		for key, value := range p.fields {
			kind, text, err := describe(value)
			if err != nil {
				return err
			}
			fields = append(fields, [3]string{key, kind, text})
		}
		tags := p.tags
		if tags == nil {
			tags = map[string]string{}
		}
		err := out.Encode(map[string]interface{}{
			"measurement": p.measurement,
			"tags":        tags,
			"fields":      fields,
			"timestamp":   strconv.FormatInt(p.time.UnixNano(), 10),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func describe(value interface{}) (kind, text string, err error) {
	switch value := value.(type) {
	case float64:
		return "float", strconv.FormatUint(math.Float64bits(value), 10), nil
	case int64:
		return "integer", strconv.FormatInt(value, 10), nil
	case uint64:
		return "unsigned", strconv.FormatUint(value, 10), nil
	case bool:
		return "boolean", strconv.FormatBool(value), nil
	case string:
		return "string", value, nil
	default:
		return "", "", fmt.Errorf("%T is no type of a field", value)
	}
}
