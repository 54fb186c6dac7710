package main

import (
	"math"
	"strconv"
)

type fields map[string]value

// value is a field's: one of these is there. Numbers are text, since JSON's own lose bits.
type value struct {
	Float    *string `json:"float"`
	Integer  *string `json:"integer"`
	Unsigned *string `json:"unsigned"`
	Boolean  *bool   `json:"boolean"`
	String   *string `json:"string"`
}

// What floats computed in another order of operations may differ by.
const tolerance = 1e-12

func integerValue(number int64) value {
	text := strconv.FormatInt(number, 10)
	return value{Integer: &text}
}

func floatValue(number float64) value {
	text := strconv.FormatFloat(number, 'g', -1, 64)
	return value{Float: &text}
}

// integer and float are 0 and not a number where the file has neither.
func (v value) integer() int64 {
	number, _ := strconv.ParseInt(*v.Integer, 10, 64)
	return number
}

func (v value) float() float64 {
	number, err := strconv.ParseFloat(*v.Float, 64)
	if err != nil {
		return math.NaN()
	}
	return number
}

func isFinite(number float64) bool {
	return !math.IsNaN(number) && !math.IsInf(number, 0)
}

func sameFields(c *checker, name string, expected, derived fields) {
	same(c, name, "the number of fields", len(expected), len(derived))
	for key, value := range expected {
		sameValue(c, name, key, value, derived[key])
	}
}

func sameValue(c *checker, name, key string, expected, derived value) {
	switch {
	case expected.Float != nil && derived.Float != nil:
		left, right := expected.float(), derived.float()
		if math.Signbit(left) != math.Signbit(right) || !(math.Abs(left-right) <= tolerance*math.Abs(left)) {
			c.differs(name, "%s is %v in the file, and should be %v", key, left, right)
		}
	case expected.Integer != nil && derived.Integer != nil:
		same(c, name, key, *expected.Integer, *derived.Integer)
	case expected.Unsigned != nil && derived.Unsigned != nil:
		same(c, name, key, *expected.Unsigned, *derived.Unsigned)
	case expected.Boolean != nil && derived.Boolean != nil:
		same(c, name, key, *expected.Boolean, *derived.Boolean)
	default:
		c.differs(name, "%s is of another type, or missing", key)
	}
}
