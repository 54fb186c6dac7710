package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/write"
)

// writeVersion2 writes in every precision, plain and gzipped, at once and in batches.
func writeVersion2(url, token, socket string) error {
	for _, precision := range []time.Duration{time.Nanosecond, time.Microsecond, time.Millisecond, time.Second} {
		for _, gzip := range []bool{false, true} {
			options := influxdb2.DefaultOptions().SetPrecision(precision).SetUseGZip(gzip).SetLogLevel(0)
			if socket != "" {
				dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, "unix", socket)
				}
				options.SetHTTPClient(&http.Client{Transport: &http.Transport{DialContext: dial}})
			}
			client := influxdb2.NewClientWithOptions(url, token, options)
			how := fmt.Sprintf("version 2 gzip=%t socket=%t", gzip, socket != "")
			if err := writeWith(client, how, precision); err != nil {
				return fmt.Errorf("precision %s, gzip %t: %w", precision, gzip, err)
			}
			client.Close()
		}
	}
	return nil
}

func writeWith(client influxdb2.Client, how string, precision time.Duration) error {
	health, err := client.Health(context.Background())
	if err != nil {
		return err
	}
	if health.Status != "pass" {
		return fmt.Errorf("the health is %q", health.Status)
	}
	written := points(how+" at once", precision)
	if err := client.WriteAPIBlocking("org", "bucket").WritePoint(context.Background(), describe2(written)...); err != nil {
		return err
	}
	if err := say(written); err != nil {
		return err
	}
	batches := client.WriteAPI("org", "bucket")
	errors := batches.Errors()
	failed := make(chan error, 1)
	go func() {
		for err := range errors {
			select {
			case failed <- err:
			default:
			}
		}
	}()
	written = points(how+" in batches", precision)
	for _, p := range describe2(written) {
		batches.WritePoint(p)
	}
	batches.Flush()
	select {
	case err := <-failed:
		return err
	default:
		return say(written)
	}
}

// describe2 makes points as this client has them.
func describe2(points []point) []*write.Point {
	described := make([]*write.Point, len(points))
	for i, p := range points {
		described[i] = influxdb2.NewPoint(p.measurement, p.tags, p.fields, p.time)
	}
	return described
}
