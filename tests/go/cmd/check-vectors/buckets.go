package main

import (
	"math"
	"strconv"
)

type bucketVectors struct {
	About  string `json:"about"`
	Values []struct {
		Value string `json:"value"`
		Index int    `json:"index"`
		Lower string `json:"lower"`
		Upper string `json:"upper"`
	} `json:"values"`
}

func checkBuckets(c *checker, text []byte) {
	var vectors bucketVectors
	read(c, text, &vectors)
	for _, one := range vectors.Values {
		c.cases++
		value, err := strconv.ParseInt(one.Value, 10, 64)
		if err != nil {
			c.differs(one.Value, "%v", err)
		}
		lower, upper := boundsOf(one.Index)
		same(c, one.Value, "the index", one.Index, bucketOf(value))
		same(c, one.Value, "the lower bound", one.Lower, strconv.FormatInt(lower, 10))
		same(c, one.Value, "the upper bound", one.Upper, strconv.FormatInt(upper, 10))
	}
}

// bucketOf counts halvings until 16 to 31 remain, as the document defines it.
func bucketOf(value int64) int {
	magnitude := uint64(value)
	if value < 0 {
		magnitude = -magnitude
	}
	halvings := 0
	for ; magnitude > 31; halvings++ {
		magnitude /= 2
	}
	index := 16*halvings + int(magnitude)
	if value < 0 {
		return -index
	}
	return index
}

// boundsOf gives the smallest and the largest value of a bucket.
func boundsOf(index int) (lower, upper int64) {
	if index == -960 {
		return math.MinInt64, math.MinInt64
	}
	if index < 0 {
		lower, upper = boundsOf(-index)
		return -upper, -lower
	}
	if index < 32 {
		return int64(index), int64(index)
	}
	halvings := index/16 - 1
	lower = int64(index-16*halvings) << halvings
	return lower, lower + (1<<halvings - 1)
}
