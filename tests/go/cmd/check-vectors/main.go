// Command check-vectors is a second implementation of the wire, version 1, written from docs/wire.md
// alone. It reads the test vectors in the folder that it is given, derives everything anew, and says
// on standard output how many cases of each file it looked at, on standard error what it found to
// be otherwise.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// checker collects what differs.
type checker struct {
	file  string
	cases int
	wrong int
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check-vectors FOLDER")
		os.Exit(2)
	}
	wrong := 0
	for _, part := range []struct {
		name  string
		check func(*checker, []byte)
	}{
		{"parcels", checkParcels},
		{"endpoints", checkEndpoints},
		{"batches", checkBatches},
		{"readings", checkReadings},
		{"rounding", checkRounding},
		{"buckets", checkBuckets},
	} {
		c := &checker{file: part.name}
		text, err := os.ReadFile(filepath.Join(os.Args[1], part.name+".json"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "check-vectors:", err)
			os.Exit(1)
		}
		part.check(c, text)
		fmt.Printf("%s: %d\n", c.file, c.cases)
		wrong += c.wrong
	}
	if wrong != 0 {
		os.Exit(1)
	}
}

// differs reports a case that isn't as the file says.
func (c *checker) differs(name, format string, details ...any) {
	c.wrong++
	fmt.Fprintf(os.Stderr, "%s: %s: %s\n", c.file, name, fmt.Sprintf(format, details...))
}

// same reports a value that isn't the file's.
func same[T comparable](c *checker, name, what string, file, derived T) {
	if file != derived {
		c.differs(name, "%s is %v in the file, and should be %v", what, file, derived)
	}
}

// read fills vectors from a file, in which nothing may be that isn't looked at.
func read(c *checker, text []byte, vectors any) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(vectors); err != nil {
		c.differs("the file", "%v", err)
	}
}

// unhex is for inputs: what isn't hexadecimal is a mistake in the file.
func unhex(c *checker, name, text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		c.differs(name, "%v", err)
	}
	return decoded
}
