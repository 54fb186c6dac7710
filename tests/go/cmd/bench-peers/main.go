// Command bench-peers measures Go libraries for `make bench`: go-metrics, and InfluxDB 2's own parser of
// line protocol.
//
// Each line of standard input is a question, each line of standard output its answer: the nanoseconds
// that it took, by the slowest thread.
//
//	counter|gauge|meter|histogram|timer THREADS CALLS
//	parse LINES TIMES KIND<tab>KIND…
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/influxdata/influxdb/v2/models"
	"github.com/rcrowley/go-metrics"
)

func main() {
	questions := bufio.NewScanner(os.Stdin)
	questions.Buffer(nil, 1<<20)
	for questions.Scan() {
		took, err := answer(questions.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-peers:", err)
			os.Exit(1)
		}
		fmt.Println(took.Nanoseconds())
	}
}

func answer(question string) (time.Duration, error) {
	words := strings.SplitN(question, " ", 4)
	if len(words) < 3 {
		return 0, errors.New("a question has at least three words")
	}
	first, err := strconv.Atoi(words[1])
	if err != nil {
		return 0, err
	}
	second, err := strconv.Atoi(words[2])
	if err != nil {
		return 0, err
	}
	// What an earlier question left isn't collected on the time of this one.
	runtime.GC()
	if words[0] == "parse" && len(words) == 4 {
		return parse(first, second, strings.Split(words[3], "\t"))
	}
	call, err := instrument(words[0])
	if err != nil {
		return 0, err
	}
	return calls(first, second, call), nil
}

// instrument makes a new one, so that none remembers what another was told.
func instrument(name string) (func(int64), error) {
	switch name {
	case "counter":
		counter := metrics.NewCounter()
		return func(int64) { counter.Inc(1) }, nil
	case "gauge":
		gauge := metrics.NewGauge()
		return func(number int64) { gauge.Update(number) }, nil
	case "meter":
		meter := metrics.NewMeter()
		return func(int64) { meter.Mark(1) }, nil
	case "histogram":
		// The sample that go-metrics advises, and its timers have.
		histogram := metrics.NewHistogram(metrics.NewExpDecaySample(1028, 0.015))
		return func(number int64) { histogram.Update(number) }, nil
	case "timer":
		timer := metrics.NewTimer()
		return func(number int64) { timer.Update(time.Duration(number)) }, nil
	}
	return nil, fmt.Errorf("there is no instrument %q", name)
}

const count = 1024

// numbers are of all magnitudes up to 2^30.
var numbers = func() (numbers [count]int64) {
	state := uint64(1)
	random := func() uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 33
	}
	for i := range numbers {
		numbers[i] = int64(1 + random()>>(random()%30))
	}
	return numbers
}()

func calls(threads, times int, call func(int64)) time.Duration {
	var (
		ready, done sync.WaitGroup
		start       = make(chan struct{})
		took        = make([]time.Duration, threads)
	)
	for thread := range took {
		ready.Add(1)
		done.Add(1)
		go func(thread int) {
			defer done.Done()
			runtime.LockOSThread()
			ready.Done()
			<-start
			begin := time.Now()
			for turn := 0; turn < times; turn++ {
				call(numbers[turn%count])
			}
			took[thread] = time.Since(begin)
		}(thread)
	}
	ready.Wait()
	close(start)
	done.Wait()
	slowest := took[0]
	for _, each := range took {
		slowest = max(slowest, each)
	}
	return slowest
}

func parse(lines, times int, kinds []string) (time.Duration, error) {
	var text strings.Builder
	for number := 0; number < lines; number++ {
		fmt.Fprintf(&text, "%s %d\n", kinds[number%len(kinds)], 1_700_000_000_000_000_000+number)
	}
	bytes := []byte(text.String())
	begin := time.Now()
	for range times {
		points, err := models.ParsePointsWithPrecision(bytes, time.Time{}, "ns")
		if err != nil {
			return 0, err
		}
		if len(points) != lines {
			return 0, fmt.Errorf("%d points of %d lines", len(points), lines)
		}
	}
	return time.Since(begin), nil
}
