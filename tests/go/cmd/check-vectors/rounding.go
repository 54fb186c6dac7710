package main

import (
	"math"
	"math/big"
	"strconv"
)

type roundingVectors struct {
	About   string `json:"about"`
	Rounded []struct {
		Name   string    `json:"name"`
		Kind   string    `json:"kind"`
		Digits int       `json:"digits"` // 0 for all
		Range  *[2]int64 `json:"range"`
		Fields fields    `json:"fields"`
		Leaves fields    `json:"leaves"`
	} `json:"rounded"`
}

// coarseness is what a schema says of a measurement's numbers.
type coarseness struct {
	digits          int
	least, greatest int64
	ranged          bool
}

func checkRounding(c *checker, text []byte) {
	var vectors roundingVectors
	read(c, text, &vectors)
	for _, one := range vectors.Rounded {
		c.cases++
		how := coarseness{digits: one.Digits, least: math.MinInt64, greatest: math.MaxInt64}
		if one.Range != nil {
			how.least, how.greatest, how.ranged = one.Range[0], one.Range[1], true
		}
		leaves, freeSum := how.leaving(one.Kind, one.Fields)
		if freeSum {
			// Any sum that is possible may leave; how near it is to the truth is the agent's affair.
			leaves["sum"] = one.Leaves["sum"]
			if _, ok := databaseFields(one.Kind, leaves); !ok {
				c.differs(one.Name, "what leaves is refused")
			}
		}
		sameFields(c, one.Name, one.Leaves, leaves)
		// A proxy does it again, and nothing changes.
		again, _ := how.leaving(one.Kind, one.Leaves)
		sameFields(c, one.Name, one.Leaves, again)
	}
}

func (how coarseness) leaving(kind string, wire fields) (leaves fields, freeSum bool) {
	leaves, rest := fields{}, fields{}
	for key, one := range wire {
		switch always[kind][key] {
		case "integer":
			leaves[key] = integerValue(how.integer(one.integer(), nearest))
		case "float":
			leaves[key] = floatValue(how.float(one.float()))
		default:
			rest[key] = one
		}
	}
	if one, found := wire["value"]; found && how.ranged {
		if kind == "gauge-integer" {
			leaves["value"] = integerValue(how.inRange(how.integer(how.inRange(one.integer()), nearest)))
		} else {
			moved := how.float(how.floatInRange(one.float()))
			leaves["value"] = floatValue(how.floatInRange(moved))
		}
	}
	if kind != "histogram" && kind != "timer" || wire["delta"].integer() == 0 {
		return leaves, false
	}
	values, _ := readDistribution(wire["delta"].integer(), rest)
	freeSum = values.min < how.least || values.max > how.greatest
	how.write(how.moved(values), leaves)
	return leaves, freeSum
}

// moved has the values out of the range at its ends, and the sum as it was.
func (how coarseness) moved(values distribution) distribution {
	first, last := bucketOf(how.least), bucketOf(how.greatest)
	var held []bucket
	for _, one := range values.buckets {
		index := min(max(one.index, first), last)
		if n := len(held); n > 0 && held[n-1].index == index {
			held[n-1].count += one.count
			continue
		}
		held = append(held, bucket{index, one.count})
	}
	values.buckets = held
	values.min, values.max = how.inRange(values.min), how.inRange(values.max)
	return values
}

func (how coarseness) write(values distribution, leaves fields) {
	rounded, delta := how.counts(values.buckets, nearest)
	if !delta.IsInt64() {
		rounded, delta = how.counts(values.buckets, towardsZero)
	}
	lower, _ := boundsOf(values.buckets[0].index)
	_, upper := boundsOf(values.buckets[len(values.buckets)-1].index)
	least := max(how.integer(values.min, down), lower, how.least)
	most := min(how.integer(values.max, up), upper, how.greatest)
	sum := how.sum(values.sum, distribution{min: least, max: most, buckets: rounded})
	leaves["delta"] = integerValue(delta.Int64())
	leaves["sum"], leaves["min"], leaves["max"] = integerValue(sum), integerValue(least), integerValue(most)
	for _, one := range rounded {
		text := strconv.FormatUint(one.count, 10)
		leaves["b"+strconv.Itoa(one.index)] = value{Unsigned: &text}
	}
}

func (how coarseness) counts(held []bucket, towards direction) ([]bucket, *big.Int) {
	var rounded []bucket
	sum := new(big.Int)
	for _, one := range held {
		count := how.rounded(new(big.Int).SetUint64(one.count), towards)
		sum.Add(sum, count)
		rounded = append(rounded, bucket{one.index, count.Uint64()})
	}
	return rounded, sum
}

func (how coarseness) sum(sum int64, values distribution) int64 {
	low, high := new(big.Int), new(big.Int)
	for _, one := range values.buckets {
		lower, upper := boundsOf(one.index)
		count := new(big.Int).SetUint64(one.count)
		low.Add(low, new(big.Int).Mul(big.NewInt(max(lower, values.min)), count))
		high.Add(high, new(big.Int).Mul(big.NewInt(min(upper, values.max)), count))
	}
	least, most := held(low), held(high)
	for _, candidate := range []int64{
		how.integer(sum, nearest),
		how.integer(min(max(sum, least), most), nearest),
		how.integer(least, up),
		how.integer(most, down),
	} {
		if least <= candidate && candidate <= most {
			return candidate
		}
	}
	middle := new(big.Int).Add(big.NewInt(least), big.NewInt(most))
	return middle.Quo(middle, big.NewInt(2)).Int64()
}

type direction int

const (
	nearest direction = iota
	up
	down
	towardsZero
)

func (how coarseness) integer(number int64, towards direction) int64 {
	rounded := how.rounded(big.NewInt(number), towards)
	if rounded.IsInt64() || towards != nearest {
		return held(rounded)
	}
	return how.rounded(big.NewInt(number), towardsZero).Int64()
}

// rounded has so many decimal digits, found by writing them.
func (how coarseness) rounded(number *big.Int, towards direction) *big.Int {
	digits := len(new(big.Int).Abs(number).String())
	if how.digits == 0 || digits <= how.digits {
		return number
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits-how.digits)), nil)
	below, above := new(big.Int), new(big.Int)
	below.Div(number, unit) // towards minus infinity, since the unit is positive
	rest := new(big.Int).Sub(number, new(big.Int).Mul(below, unit))
	if rest.Sign() == 0 {
		return number
	}
	above.Add(below, big.NewInt(1))
	half := new(big.Int).Lsh(rest, 1).Cmp(unit)
	takesAbove := false
	switch towards {
	case up:
		takesAbove = true
	case towardsZero:
		takesAbove = number.Sign() < 0
	case nearest:
		takesAbove = half > 0 || half == 0 && below.Bit(0) == 1
	}
	if takesAbove {
		return above.Mul(above, unit)
	}
	return below.Mul(below, unit)
}

func (how coarseness) float(number float64) float64 {
	if how.digits == 0 {
		return number
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(number, 'e', how.digits-1, 64), 64)
	if err != nil {
		return math.Copysign(math.MaxFloat64, number)
	}
	return rounded
}

func (how coarseness) inRange(number int64) int64 {
	return min(max(number, how.least), how.greatest)
}

func (how coarseness) floatInRange(number float64) float64 {
	return min(max(number, float64(how.least)), float64(how.greatest))
}

// held is the number, or the end of 64 bits that is nearest to it.
func held(number *big.Int) int64 {
	if number.IsInt64() {
		return number.Int64()
	}
	if number.Sign() < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}
