package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	bodyLength    = 3785
	requestLength = 3904
	version       = 1

	publicKeyAt = 2
	parcelIDAt  = 34
	lengthAt    = 50
	signatureAt = 52
	payloadAt   = 116
)

type parcelVectors struct {
	About   string          `json:"about"`
	Sealed  []sealedParcel  `json:"sealed"`
	Refused []refusedParcel `json:"refused"`
}

type sealedParcel struct {
	Name       string `json:"name"`
	Seed       string `json:"seed"`
	ParcelID   string `json:"parcel_id"`
	Age        byte   `json:"age"`
	Onion      string `json:"onion"`
	Deployment string `json:"deployment_id"`
	Payload    string `json:"payload"`
	PublicKey  string `json:"public_key"`
	SessionID  string `json:"session_id"`
	Signature  string `json:"signature"`
	Head       string `json:"head"`
	Body       string `json:"body"`
}

type refusedParcel struct {
	Name    string `json:"name"`
	Of      string `json:"of"`
	Length  int    `json:"length"`
	Changes []struct {
		At    int    `json:"at"`
		Bytes string `json:"bytes"`
	} `json:"changes"`
	Deployment string `json:"deployment_id"`
	Reason     string `json:"reason"`
	Lax        bool   `json:"lax"`
}

func checkParcels(c *checker, text []byte) {
	var vectors parcelVectors
	read(c, text, &vectors)
	sealed := map[string]sealedParcel{}
	for _, parcel := range vectors.Sealed {
		c.cases++
		sealed[parcel.Name] = parcel
		checkSealed(c, parcel)
	}
	for _, parcel := range vectors.Refused {
		c.cases++
		origin, found := sealed[parcel.Of]
		if !found {
			c.differs(parcel.Name, "there is no parcel %q", parcel.Of)
			continue
		}
		checkRefused(c, parcel, origin)
	}
}

func checkSealed(c *checker, parcel sealedParcel) {
	key := ed25519.NewKeyFromSeed(unhex(c, parcel.Name, parcel.Seed))
	public := key.Public().(ed25519.PublicKey)
	id := unhex(c, parcel.Name, parcel.ParcelID)
	payload := unhex(c, parcel.Name, parcel.Payload)
	if parcel.Onion != "" {
		deployment := sha256.Sum256([]byte(parcel.Onion))
		same(c, parcel.Name, "the deployment ID", parcel.Deployment, hex.EncodeToString(deployment[:]))
		head := "POST /v1/batch HTTP/1.1\r\nhost: " + parcel.Onion + "\r\ncontent-length: 3785\r\n\r\n"
		same(c, parcel.Name, "the head", parcel.Head, head)
		same(c, parcel.Name, "the request's length", requestLength, len(head)+bodyLength)
	}
	deployment := unhex(c, parcel.Name, parcel.Deployment)
	signature := ed25519.Sign(key, signedMessage(id, deployment, payload))

	body := make([]byte, bodyLength)
	body[0], body[1] = version, parcel.Age
	copy(body[publicKeyAt:], public)
	copy(body[parcelIDAt:], id)
	binary.BigEndian.PutUint16(body[lengthAt:], uint16(len(payload)))
	copy(body[signatureAt:], signature)
	copy(body[payloadAt:], payload)

	same(c, parcel.Name, "the public key", parcel.PublicKey, hex.EncodeToString(public))
	same(c, parcel.Name, "the session ID", parcel.SessionID, sessionID(public))
	same(c, parcel.Name, "the signature", parcel.Signature, hex.EncodeToString(signature))
	same(c, parcel.Name, "the body", parcel.Body, hex.EncodeToString(bytes.TrimRight(body, "\x00")))
	if reason, _ := unseal(body, deployment); reason != "" {
		c.differs(parcel.Name, "refused: %s", reason)
	}
}

func checkRefused(c *checker, parcel refusedParcel, origin sealedParcel) {
	body := make([]byte, max(bodyLength, parcel.Length))
	copy(body, unhex(c, parcel.Name, origin.Body))
	for _, change := range parcel.Changes {
		copy(body[change.At:], unhex(c, parcel.Name, change.Bytes))
	}
	if parcel.Deployment == "" {
		parcel.Deployment = origin.Deployment
	}
	reason, lax := unseal(body[:parcel.Length], unhex(c, parcel.Name, parcel.Deployment))
	same(c, parcel.Name, "the reason", parcel.Reason, reason)
	same(c, parcel.Name, "what a lax verifier says", parcel.Lax, lax)
}

// sessionID is a UUID of version 8 made of a hash of the public key.
func sessionID(public []byte) string {
	hash := sha256.Sum256(append([]byte("undertone session 1\x00"), public...))
	hash[6] = hash[6]&0x0f | 0x80
	hash[8] = hash[8]&0x3f | 0x80
	digits := hex.EncodeToString(hash[:16])
	return fmt.Sprint(digits[:8], "-", digits[8:12], "-", digits[12:16], "-", digits[16:20], "-", digits[20:])
}

func signedMessage(id, deployment, payload []byte) []byte {
	message := append([]byte("undertone parcel 1\x00"), version)
	message = append(message, id...)
	message = append(message, deployment...)
	return append(message, payload...)
}

// unseal says why a body is refused, if it is; and whether a lax verifier would take its signature.
func unseal(body, deployment []byte) (reason string, lax bool) {
	if len(body) != bodyLength {
		return "Length", false
	}
	if body[0] != version {
		return "Version", false
	}
	length := int(binary.BigEndian.Uint16(body[lengthAt:]))
	if length > bodyLength-payloadAt {
		return "PayloadLength", false
	}
	payload, padding := body[payloadAt:payloadAt+length], body[payloadAt+length:]
	if strings.Trim(string(padding), "\x00") != "" {
		return "Padding", false
	}
	public, signature := body[publicKeyAt:parcelIDAt], body[signatureAt:payloadAt]
	message := signedMessage(body[parcelIDAt:lengthAt], deployment, payload)
	if !ed25519.Verify(public, message, signature) {
		return "Signature", false
	}
	if isSmallOrder(public) || isSmallOrder(signature[:32]) {
		return "Signature", true
	}
	return "", true
}

// The y coordinates of the points whose order is 1, 2, 4 or 8, in every encoding that 255 bits allow.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func isSmallOrder(point []byte) bool {
	y := bytes.Clone(point)
	y[31] &= 0x7f
	for _, small := range smallOrder {
		if hex.EncodeToString(y) == small {
			return true
		}
	}
	return false
}
