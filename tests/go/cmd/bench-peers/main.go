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
	"sync/atomic"
	"time"

	"github.com/influxdata/influxdb/v2/models"
	"github.com/rcrowley/go-metrics"
	"golang.org/x/sys/unix"
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

// calls returns the time of the slowest thread, of the first try in which all of them ran at once: what
// they do to each other shows only then.
func calls(threads, times int, call func(int64)) time.Duration {
	for began := time.Now(); ; {
		slowest, together := once(threads, times, call)
		if together || time.Since(began) > 300*time.Millisecond {
			return slowest
		}
	}
}

func once(threads, times int, call func(int64)) (slowest time.Duration, together bool) {
	type run struct {
		begin             time.Time
		took, onProcessor time.Duration
	}
	var (
		ready atomic.Int64
		done  sync.WaitGroup
		runs  = make([]run, threads)
	)
	for thread := range runs {
		done.Add(1)
		go func(thread int) {
			defer done.Done()
			runtime.LockOSThread()
			// Whoever sleeps wakes up too late.
			for ready.Add(1); ready.Load() < int64(threads); {
			}
			begin, before := time.Now(), onProcessor()
			for turn := 0; turn < times; turn++ {
				call(numbers[turn%count])
			}
			runs[thread] = run{begin, time.Since(begin), onProcessor() - before}
		}(thread)
	}
	done.Wait()
	together = true
	for _, each := range runs {
		slowest = max(slowest, each.took)
	}
	for _, each := range runs {
		apart := each.begin.Sub(runs[0].begin).Abs()
		if each.onProcessor < each.took*9/10 || apart > slowest/10 {
			together = false
		}
	}
	return slowest, together
}

// onProcessor is how long this thread has been on a processor.
func onProcessor() time.Duration {
	var spec unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spec); err != nil {
		panic(err)
	}
	return time.Duration(spec.Nano())
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
