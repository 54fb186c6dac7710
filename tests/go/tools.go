//go:build tools

// Package tests names the programs that tests build from source, so that go.sum covers them.
package tests

import (
	_ "github.com/influxdata/influxdb/v2/cmd/influxd"
	_ "github.com/influxdata/pkg-config"
)
