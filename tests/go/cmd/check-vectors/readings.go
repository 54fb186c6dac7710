package main

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

type readingVectors struct {
	About string `json:"about"`
	Taken []struct {
		Name     string `json:"name"`
		Kind     string `json:"kind"`
		Fields   fields `json:"fields"`
		Database fields `json:"database"`
	} `json:"taken"`
	Refused []struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Fields fields `json:"fields"`
	} `json:"refused"`
}

// distribution is what a parcel says of a histogram's values.
type distribution struct {
	count         uint64
	sum, min, max int64
	buckets       []bucket // ascending
}

type bucket struct {
	index int
	count uint64
}

func checkReadings(c *checker, text []byte) {
	var vectors readingVectors
	read(c, text, &vectors)
	for _, reading := range vectors.Taken {
		c.cases++
		database, ok := databaseFields(reading.Kind, reading.Fields)
		if !ok {
			c.differs(reading.Name, "refused")
			continue
		}
		sameFields(c, reading.Name, reading.Database, database)
	}
	for _, reading := range vectors.Refused {
		c.cases++
		if _, ok := databaseFields(reading.Kind, reading.Fields); ok {
			c.differs(reading.Name, "taken")
		}
	}
}

// The fields of each kind that stand in every point: their types.
var always = map[string]map[string]string{
	"counter":       {"count": "integer", "delta": "integer"},
	"gauge-integer": {"value": "integer"},
	"gauge-float":   {"value": "float"},
	"meter":         {"count": "integer", "delta": "integer", "m1": "float", "m5": "float", "m15": "float", "mean": "float"},
	"histogram":     {"count": "integer", "delta": "integer"},
	"timer":         {"count": "integer", "delta": "integer", "m1": "float", "m5": "float", "m15": "float", "mean": "float"},
}

// databaseFields makes a parcel's fields those of a database; false if they are refused.
func databaseFields(kind string, wire fields) (fields, bool) {
	database, rest := fields{}, fields{}
	for key, one := range wire {
		kindOfField, known := always[kind][key]
		switch {
		case !known:
			rest[key] = one
		case kindOfField == "integer" && one.Integer != nil:
			database[key] = one
		case kindOfField == "float" && one.Float != nil && isFinite(one.float()):
			database[key] = one
		default:
			return nil, false
		}
	}
	if len(database) != len(always[kind]) {
		return nil, false
	}
	if kind != "histogram" && kind != "timer" {
		return database, len(rest) == 0
	}
	if rate, found := database["mean"]; found {
		database["meanrate"] = rate
		delete(database, "mean")
	}
	delta := wire["delta"].integer()
	if delta == 0 {
		return database, len(rest) == 0
	}
	values, ok := readDistribution(delta, rest)
	if !ok || !values.isPossible() {
		return nil, false
	}
	values.write(database)
	return database, true
}

func readDistribution(delta int64, rest fields) (distribution, bool) {
	values := distribution{count: uint64(delta)}
	extremes := map[string]*int64{"sum": &values.sum, "min": &values.min, "max": &values.max}
	total := new(big.Int)
	for key, one := range rest {
		if extreme := extremes[key]; extreme != nil && one.Integer != nil {
			*extreme = one.integer()
			delete(extremes, key)
			continue
		}
		digits, found := strings.CutPrefix(key, "b")
		index, err := strconv.ParseInt(digits, 10, 32)
		if !found || err != nil || strconv.FormatInt(index, 10) != digits {
			return distribution{}, false
		}
		if one.Unsigned == nil || *one.Unsigned == "0" {
			return distribution{}, false
		}
		count, err := strconv.ParseUint(*one.Unsigned, 10, 64)
		if err != nil {
			return distribution{}, false
		}
		total.Add(total, new(big.Int).SetUint64(count))
		values.buckets = append(values.buckets, bucket{int(index), count})
	}
	slices.SortFunc(values.buckets, func(a, b bucket) int { return a.index - b.index })
	return values, len(extremes) == 0 && delta > 0 && total.Cmp(big.NewInt(delta)) == 0
}

// isPossible says whether extremes and sum agree with the buckets.
func (d distribution) isPossible() bool {
	first, last := d.buckets[0].index, d.buckets[len(d.buckets)-1].index
	if d.min > d.max || bucketOf(d.min) != first || bucketOf(d.max) != last {
		return false
	}
	least, most := new(big.Int), new(big.Int)
	for _, one := range d.buckets {
		lower, upper := boundsOf(one.index)
		count := new(big.Int).SetUint64(one.count)
		least.Add(least, new(big.Int).Mul(big.NewInt(max(lower, d.min)), count))
		most.Add(most, new(big.Int).Mul(big.NewInt(min(upper, d.max)), count))
	}
	sum := big.NewInt(d.sum)
	return (sum.Cmp(least) >= 0 || d.sum == math.MaxInt64) && (sum.Cmp(most) <= 0 || d.sum == math.MinInt64)
}

func (d distribution) write(database fields) {
	database["sum"], database["min"], database["max"] = integerValue(d.sum), integerValue(d.min), integerValue(d.max)
	mean := float64(d.sum) / float64(d.count)
	variance := 0.0
	for _, one := range d.buckets {
		deviation := d.representative(one.index) - mean
		variance += float64(deviation*deviation) * float64(one.count)
	}
	variance /= float64(d.count)
	database["mean"], database["variance"], database["stddev"] = floatValue(mean), floatValue(variance), floatValue(math.Sqrt(variance))
	for key, share := range map[string]float64{"p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999} {
		database[key] = floatValue(d.percentile(share))
	}
}

func (d distribution) percentile(share float64) float64 {
	rank := share * (float64(d.count) + 1)
	if rank < 1 {
		return float64(d.min)
	}
	if rank >= float64(d.count) {
		return float64(d.max)
	}
	below := math.Floor(rank)
	lower, upper := d.at(uint64(below)), d.at(uint64(below)+1)
	return lower + float64((rank-below)*(upper-lower))
}

// at estimates the value of a rank; the first is 1.
func (d distribution) at(rank uint64) float64 {
	if rank <= 1 {
		return float64(d.min)
	}
	if rank >= d.count {
		return float64(d.max)
	}
	seen := uint64(0)
	for _, one := range d.buckets {
		seen += one.count
		if seen >= rank {
			return d.representative(one.index)
		}
	}
	return float64(d.max)
}

func (d distribution) representative(index int) float64 {
	lower, upper := boundsOf(index)
	middle := float64(lower) + float64(uint64(upper)-uint64(lower))/2
	return min(max(middle, float64(d.min)), float64(d.max))
}
