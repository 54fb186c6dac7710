// Command parse-lines says how InfluxDB 2's own parser reads line protocol.
//
// Each line of standard input is a request: {"text": "line protocol"}. Each line of standard output
// answers the request of the same number: the points that were accepted, and an error if anything
// was refused. Numbers are strings, floats the 64 bits of their value, so that nothing is lost.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/influxdata/influxdb/v2/models"
)

type request struct {
	Text string `json:"text"`
}

type answer struct {
	Points []point `json:"points"`
	Error  string  `json:"error,omitempty"`
}

type point struct {
	Measurement string      `json:"measurement"`
	Tags        [][2]string `json:"tags"`
	Fields      [][3]string `json:"fields"` // key, type, value
	Timestamp   *string     `json:"timestamp"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "parse-lines:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	requests := json.NewDecoder(bufio.NewReader(in))
	buffered := bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var asked request
		if err := requests.Decode(&asked); err == io.EOF {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		if err := answers.Encode(parse(asked.Text)); err != nil {
			return err
		}
	}
}

func parse(text string) answer {
	// The zero time stands for a line that has no timestamp.
	parsed, err := models.ParsePointsWithPrecision([]byte(text), time.Time{}, "ns")
	result := answer{Points: []point{}}
	if err != nil {
		result.Error = err.Error()
	}
	for _, p := range parsed {
		read, err := describe(p)
		if err != nil {
			result.Error = err.Error()
			continue
		}
		result.Points = append(result.Points, read)
	}
	return result
}

// describe also reports what InfluxDB's accessors panic on, as they do for some malformed strings.
func describe(p models.Point) (described point, err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("panic: %v", failure)
		}
	}()
	described = point{Measurement: string(p.Name()), Tags: [][2]string{}, Fields: [][3]string{}}
	for _, tag := range p.Tags() {
		described.Tags = append(described.Tags, [2]string{string(tag.Key), string(tag.Value)})
	}
	for fields := p.FieldIterator(); fields.Next(); {
		kind, value, err := describeValue(fields)
		if err != nil {
			return described, err
		}
		described.Fields = append(described.Fields, [3]string{string(fields.FieldKey()), kind, value})
	}
	if !p.Time().IsZero() {
		nanoseconds := strconv.FormatInt(p.UnixNano(), 10)
		described.Timestamp = &nanoseconds
	}
	return described, nil
}

func describeValue(fields models.FieldIterator) (kind, value string, err error) {
	switch fields.Type() {
	case models.Float:
		float, err := fields.FloatValue()
		return "float", strconv.FormatUint(math.Float64bits(float), 10), err
	case models.Integer:
		integer, err := fields.IntegerValue()
		return "integer", strconv.FormatInt(integer, 10), err
	case models.Unsigned:
		unsigned, err := fields.UnsignedValue()
		return "unsigned", strconv.FormatUint(unsigned, 10), err
	case models.Boolean:
		boolean, err := fields.BooleanValue()
		return "boolean", strconv.FormatBool(boolean), err
	case models.String:
		return "string", fields.StringValue(), nil
	default:
		return "", "", fmt.Errorf("a field has no type: %q", fields.FieldKey())
	}
}
