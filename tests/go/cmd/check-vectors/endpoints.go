package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/sha3"
)

type endpointVectors struct {
	About  string `json:"about"`
	Onions []struct {
		Name       string `json:"name"`
		Text       string `json:"text"`
		Address    string `json:"address"`
		PublicKey  string `json:"public_key"`
		Deployment string `json:"deployment_id"`
	} `json:"onions"`
	Ingests []struct {
		Name       string     `json:"name"`
		Text       string     `json:"text"`
		Deployment string     `json:"deployment_id"`
		Endpoints  []endpoint `json:"endpoints"`
		Written    string     `json:"written"`
	} `json:"ingests"`
	Refused []struct {
		Name   string `json:"name"`
		Text   string `json:"text"`
		Reason string `json:"reason"`
	} `json:"refused"`
}

type endpoint struct {
	Onion string `json:"onion"`
	Port  uint16 `json:"port"`
}

func checkEndpoints(c *checker, text []byte) {
	var vectors endpointVectors
	read(c, text, &vectors)
	for _, onion := range vectors.Onions {
		c.cases++
		address, key, reason := parseOnion(onion.Text)
		same(c, onion.Name, "the reason", "", reason)
		same(c, onion.Name, "the address", onion.Address, address)
		same(c, onion.Name, "the public key", onion.PublicKey, hex.EncodeToString(key))
		same(c, onion.Name, "the deployment ID", onion.Deployment, deploymentOf(address))
	}
	for _, ingest := range vectors.Ingests {
		c.cases++
		deployment, endpoints, reason := parseIngest(ingest.Text)
		same(c, ingest.Name, "the reason", "", reason)
		same(c, ingest.Name, "the deployment ID", ingest.Deployment, deployment)
		same(c, ingest.Name, "the string written anew", ingest.Written, writeIngest(deployment, endpoints))
		if !slices.Equal(ingest.Endpoints, endpoints) {
			c.differs(ingest.Name, "the endpoints should be %v", endpoints)
		}
	}
	for _, ingest := range vectors.Refused {
		c.cases++
		_, _, reason := parseIngest(ingest.Text)
		same(c, ingest.Name, "the reason", ingest.Reason, reason)
	}
}

func parseOnion(text string) (address string, key []byte, reason string) {
	address = strings.Map(lower, strings.TrimSpace(text))
	label, found := strings.CutSuffix(address, ".onion")
	if !found {
		return "", nil, "NotOnion"
	}
	for position, letter := range []rune(label) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz234567", letter) {
			return "", nil, fmt.Sprintf("Character(%d)", position+1)
		}
	}
	if len(label) != 56 {
		return "", nil, fmt.Sprintf("Length(%d)", len(label))
	}
	decoded, err := base32.StdEncoding.DecodeString(strings.ToUpper(label))
	if err != nil {
		return "", nil, err.Error()
	}
	key, checksum, version := decoded[:32], decoded[32:34], decoded[34]
	if version != 3 {
		return "", nil, fmt.Sprintf("Version(%d)", version)
	}
	expected := sha3.Sum256(append(append([]byte(".onion checksum"), key...), version))
	if string(checksum) != string(expected[:2]) {
		return "", nil, "Checksum"
	}
	return address, key, ""
}

// lower leaves letters outside of ASCII alone: Unicode has more than one k.
func lower(letter rune) rune {
	if 'A' <= letter && letter <= 'Z' {
		return letter + 'a' - 'A'
	}
	return letter
}

func deploymentOf(address string) string {
	hash := sha256.Sum256([]byte(address))
	return hex.EncodeToString(hash[:])
}

func parseIngest(text string) (deployment string, endpoints []endpoint, reason string) {
	addresses, given, hasDeployment := strings.Cut(text, "#")
	if hasDeployment {
		id, err := hex.DecodeString(strings.TrimSpace(given))
		if err != nil || len(id) != 32 {
			return "", nil, "Deployment"
		}
		deployment = hex.EncodeToString(id)
	}
	for _, part := range strings.Split(addresses, ",") {
		one, reason := parseEndpoint(strings.TrimSpace(part))
		if reason != "" {
			return "", nil, reason
		}
		endpoints = append(endpoints, one)
	}
	if !hasDeployment {
		if len(endpoints) > 1 {
			return "", nil, "DeploymentMissing"
		}
		deployment = deploymentOf(endpoints[0].Onion)
	}
	return deployment, endpoints, ""
}

func parseEndpoint(text string) (endpoint, string) {
	parsed := endpoint{Port: 80}
	if colon := strings.LastIndexByte(text, ':'); colon >= 0 {
		port, err := strconv.ParseUint(text[colon+1:], 10, 16)
		if err != nil || port == 0 {
			return endpoint{}, "Port"
		}
		parsed.Port, text = uint16(port), text[:colon]
	}
	var reason string
	parsed.Onion, _, reason = parseOnion(text)
	return parsed, reason
}

func writeIngest(deployment string, endpoints []endpoint) string {
	var written []string
	for _, one := range endpoints {
		text := one.Onion
		if one.Port != 80 {
			text += fmt.Sprintf(":%d", one.Port)
		}
		written = append(written, text)
	}
	text := strings.Join(written, ",")
	if len(endpoints) == 1 && deploymentOf(endpoints[0].Onion) == deployment {
		return text
	}
	return text + "#" + deployment
}
