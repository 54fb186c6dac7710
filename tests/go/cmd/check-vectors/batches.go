package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/influxdata/influxdb/v2/models"
	"github.com/klauspost/compress/zstd"
)

const (
	textLimit  = 65536
	pointLimit = 1024
)

type batchVectors struct {
	About string `json:"about"`
	Taken []struct {
		Name       string  `json:"name"`
		Payload    string  `json:"payload"`
		Text       *string `json:"text"`
		TextLength int     `json:"text_length"`
		Canonical  bool    `json:"canonical"` // how our writer writes is in docs/line-protocol.md
		Points     []point `json:"points"`
	} `json:"taken"`
	Refused []struct {
		Name    string `json:"name"`
		Payload string `json:"payload"`
		Reason  string `json:"reason"`
	} `json:"refused"`
}

type point struct {
	Measurement string            `json:"measurement"`
	Tags        map[string]string `json:"tags"`
	Fields      fields            `json:"fields"`
	Intervals   string            `json:"intervals"`
}

func checkBatches(c *checker, file []byte) {
	var vectors batchVectors
	read(c, file, &vectors)
	for _, batch := range vectors.Taken {
		c.cases++
		text, points, reason := decode(unhex(c, batch.Name, batch.Payload))
		same(c, batch.Name, "the reason", "", reason)
		same(c, batch.Name, "the text's length", batch.TextLength, len(text))
		if batch.Text != nil {
			same(c, batch.Name, "the text", *batch.Text, text)
		}
		same(c, batch.Name, "the number of points", len(batch.Points), len(points))
		for n, expected := range batch.Points {
			if n < len(points) {
				samePoint(c, batch.Name, expected, points[n])
			}
		}
	}
	for _, batch := range vectors.Refused {
		c.cases++
		_, _, reason := decode(unhex(c, batch.Name, batch.Payload))
		same(c, batch.Name, "the reason", batch.Reason, reason)
	}
}

func samePoint(c *checker, name string, expected, derived point) {
	same(c, name, "the measurement", expected.Measurement, derived.Measurement)
	same(c, name, "the intervals", expected.Intervals, derived.Intervals)
	same(c, name, "the number of tags", len(expected.Tags), len(derived.Tags))
	for key, value := range expected.Tags {
		same(c, name, "tag "+key, value, derived.Tags[key])
	}
	sameFields(c, name, expected.Fields, derived.Fields)
}

// decode reads a payload, or says why it is refused.
func decode(payload []byte) (text string, points []point, reason string) {
	if len(payload) == 0 || payload[0] != 1 {
		return "", nil, "Encoding"
	}
	decompressed, ok := decompress(payload[1:])
	if !ok {
		return "", nil, "Compression"
	}
	if !utf8.Valid(decompressed) {
		return "", nil, "Text"
	}
	// The zero time stands for a line that has no timestamp.
	parsed, err := models.ParsePointsWithPrecision(decompressed, time.Time{}, "ns")
	if err != nil {
		return "", nil, "Line"
	}
	for n, one := range parsed {
		if n == pointLimit {
			return "", nil, "Points"
		}
		described, reason := describe(one)
		if reason != "" {
			return "", nil, reason
		}
		points = append(points, described)
	}
	return string(decompressed), points, ""
}

// decompress takes exactly one frame, of one segment, without dictionary or checksum (RFC 8878).
func decompress(frame []byte) ([]byte, bool) {
	if len(frame) < 6 || !bytes.HasPrefix(frame, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return nil, false
	}
	if frame[4]&0x3f != 0x20 {
		return nil, false
	}
	at := 5 + []int{1, 2, 4, 8}[frame[4]>>6]
	for last := false; !last; {
		if at+3 > len(frame) {
			return nil, false
		}
		header := int(frame[at]) | int(frame[at+1])<<8 | int(frame[at+2])<<16
		last = header&1 == 1
		switch kind, size := header>>1&3, header>>3; kind {
		case 1: // one byte, many times
			at += 3 + 1
		default:
			at += 3 + size
		}
	}
	if at != len(frame) {
		return nil, false
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(textLimit))
	if err != nil {
		return nil, false
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(frame, nil)
	return text, err == nil && len(text) <= textLimit
}

func describe(one models.Point) (described point, reason string) {
	described = point{Measurement: string(one.Name()), Tags: map[string]string{}, Fields: fields{}}
	for _, tag := range one.Tags() {
		described.Tags[string(tag.Key)] = string(tag.Value)
	}
	isText := false
	for iterator := one.FieldIterator(); iterator.Next(); {
		key := string(iterator.FieldKey())
		if _, twice := described.Fields[key]; twice {
			return point{}, "Line" // InfluxDB's parser takes it
		}
		read, err := readValue(iterator)
		if err != nil {
			return point{}, "Line"
		}
		isText = isText || read.String != nil
		described.Fields[key] = read
	}
	intervals := one.UnixNano()
	if one.Time().IsZero() || intervals < 0 {
		return point{}, "Timestamp"
	}
	if isText {
		return point{}, "StringField"
	}
	described.Intervals = strconv.FormatInt(intervals, 10)
	return described, ""
}

func readValue(iterator models.FieldIterator) (value, error) {
	switch iterator.Type() {
	case models.Float:
		number, err := iterator.FloatValue()
		return floatValue(number), err
	case models.Integer:
		number, err := iterator.IntegerValue()
		return integerValue(number), err
	case models.Unsigned:
		number, err := iterator.UnsignedValue()
		text := strconv.FormatUint(number, 10)
		return value{Unsigned: &text}, err
	case models.Boolean:
		boolean, err := iterator.BooleanValue()
		return value{Boolean: &boolean}, err
	case models.String:
		text := iterator.StringValue()
		return value{String: &text}, nil
	default:
		return value{}, fmt.Errorf("a field has no type")
	}
}
