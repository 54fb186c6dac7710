package main

import (
	"fmt"
	"time"

	client "github.com/influxdata/influxdb1-client/v2"
)

// writeVersion1 creates a database as old programs do, and writes in every precision that
// this client gets right (it says "us" and means "ns"), plain and gzipped.
func writeVersion1(url, password string) error {
	for name, precision := range map[string]time.Duration{
		"ns": time.Nanosecond, "ms": time.Millisecond,
		"s": time.Second, "m": time.Minute, "h": time.Hour,
	} {
		for _, encoding := range []client.ContentEncoding{client.DefaultEncoding, client.GzipEncoding} {
			if err := writeOnce(url, password, name, precision, encoding); err != nil {
				return fmt.Errorf("precision %s, encoding %q: %w", name, encoding, err)
			}
		}
	}
	return nil
}

func writeOnce(url, password, name string, precision time.Duration, encoding client.ContentEncoding) error {
	c, err := client.NewHTTPClient(client.HTTPConfig{
		Addr: url, Username: "user", Password: password, WriteEncoding: encoding,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.Ping(time.Second); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	answer, err := c.Query(client.NewQuery("CREATE DATABASE \"a database\"", "", ""))
	if err == nil {
		err = answer.Error()
	}
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	batch, err := client.NewBatchPoints(client.BatchPointsConfig{Database: "a database", Precision: name})
	if err != nil {
		return err
	}
	written := points(fmt.Sprintf("version 1 %q", encoding), precision)
	for _, p := range written {
		described, err := client.NewPoint(p.measurement, p.tags, p.fields, p.time)
		if err != nil {
			return err
		}
		batch.AddPoint(described)
	}
	if err := c.Write(batch); err != nil {
		return err
	}
	return say(written)
}
