package chisel_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/postern-dev/postern/link/chisel"
)

// udpPacket is chisel's type, under its name, which travels.
type udpPacket struct {
	Src     string
	Payload []byte
}

func TestPacketsAreChisels(t *testing.T) {
	const fromTheWire = "2a7f030101097564705061636b657401ff800001020103537263010c0001075061796c6f6164010a000000"
	if got := hex.EncodeToString([]byte(chisel.PacketType)); got != fromTheWire {
		t.Errorf("the type is %s", got)
	}
	packets := []udpPacket{
		{"127.0.0.1:37047", []byte("ping")}, {"[2001:db8::1]:53", bytesOf(65507)}, {"", []byte("x")}, {"192.0.2.1:1", nil}, {"", nil}, {"a", bytesOf(127)}, {"a", bytesOf(128)},
	}
	ours := []byte(chisel.PacketType)
	var theirs bytes.Buffer
	encoder := gob.NewEncoder(&theirs)
	for _, p := range packets {
		ours = chisel.AppendPacket(ours, p.Src, p.Payload)
		if err := encoder.Encode(p); err != nil {
			t.Fatal(err)
		}
	}
	decoder := gob.NewDecoder(bytes.NewReader(ours))
	next := chisel.Packets(&theirs)
	for _, want := range packets {
		var got udpPacket
		if err := decoder.Decode(&got); err != nil || got.Src != want.Src || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("encoding/gob reads %q with %d bytes, %v", got.Src, len(got.Payload), err)
		}
		source, payload, err := next()
		if err != nil || string(source) != want.Src || !bytes.Equal(payload, want.Payload) {
			t.Errorf("we read %q with %d bytes, %v", source, len(payload), err)
		}
	}
	if _, _, err := next(); err != io.EOF {
		t.Errorf("behind the last one: %v", err)
	}
}

func TestPacketsThatAreNone(t *testing.T) {
	good := chisel.AppendPacket([]byte(chisel.PacketType), "a", []byte("b"))
	for name, in := range map[string]string{
		"nothing before the type":     string(chisel.AppendPacket(nil, "a", []byte("b"))),
		"the type twice":              chisel.PacketType + chisel.PacketType,
		"another field":               strings.Replace(string(good), "Src", "Dst", 1),
		"another type of a field":     strings.Replace(string(good), "Src\x01\x0c", "Src\x01\x04", 1),
		"a gigabyte":                  chisel.PacketType + "\xfc\x40\x00\x00\x00",
		"a length of eight bytes":     "\xf8\xff\xff\xff\xff\xff\xff\xff\xff",
		"cut off":                     string(good[:len(good)-2]),
		"a field too many":            chisel.PacketType + "\x05\xff\x80\x03\x01a",
		"something behind the end":    chisel.PacketType + "\x04\xff\x80\x00\x00",
		"a source without end":        chisel.PacketType + "\x05\xff\x80\x01\x7fa",
		"a source that is no address": string(chisel.AppendPacket([]byte(chisel.PacketType), strings.Repeat("x", 65), nil)),
	} {
		if source, payload, err := chisel.Packets(strings.NewReader(in))(); err == nil || err == io.EOF {
			t.Errorf("%s: %q, %d bytes, %v", name, source, len(payload), err)
		}
	}
}

// What is read is what encoding/gob reads, where we read it at all.
func FuzzPackets(f *testing.F) {
	f.Add([]byte(chisel.PacketType))
	f.Add(chisel.AppendPacket([]byte(chisel.PacketType), "127.0.0.1:1", []byte("hello")))
	f.Add(chisel.AppendPacket(chisel.AppendPacket([]byte(chisel.PacketType), "", nil), "x", bytesOf(300)))
	f.Fuzz(func(t *testing.T, in []byte) {
		next := chisel.Packets(bytes.NewReader(in))
		again := []byte(chisel.PacketType)
		var read []udpPacket
		for {
			source, payload, err := next()
			if err != nil {
				break
			}
			read = append(read, udpPacket{string(source), bytes.Clone(payload)})
			again = chisel.AppendPacket(again, string(source), payload)
		}
		decoder := gob.NewDecoder(bytes.NewReader(again))
		for _, want := range read {
			var got udpPacket
			if err := decoder.Decode(&got); err != nil || got.Src != want.Src || !bytes.Equal(got.Payload, want.Payload) {
				t.Fatalf("%q with %d bytes became %q with %d, %v", want.Src, len(want.Payload), got.Src, len(got.Payload), err)
			}
		}
	})
}

// Between two of our own, datagrams of all sizes pass, and any number of flows.
func TestDatagrams(t *testing.T) {
	const at = "R:8081:target:53/udp"
	_, client, session := join(t, nil, at)
	for i, size := range []int{0, 1, 9012, 9013, 65507} {
		from := "192.0.2.7:" + string(rune('1'+i)) + "000"
		visitor := visit(t, session, at, from)
		want := bytesOf(size)
		for _, piece := range [][]byte{framed(want)[:1], framed(want)[1:]} {
			if _, err := visitor.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		h, st, err := client.Accept(t.Context())
		if err != nil || h.Endpoint != at || h.ClientAddr.String() != from || h.Scheme != "udp" {
			t.Fatalf("%+v, %v", h, err)
		}
		if got, err := readFramed(st); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes arrived as %d, %v", size, len(got), err)
		}
		if _, err := st.Write(framed(want)); err != nil {
			t.Error(err)
		}
		if got, err := readFramed(visitor); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
		_ = visitor.Close()
		_ = st.Close()
	}
}

// Two visitors who seem to have one address are told apart all the same.
func TestDatagramsOfOneAddress(t *testing.T) {
	const at = "R:8081:target:53/udp"
	_, client, session := join(t, nil, at)
	for _, text := range []string{"one", "two"} {
		visitor := visit(t, session, at, "192.0.2.7:4711")
		defer visitor.Close()
		if _, err := visitor.Write(framed([]byte(text))); err != nil {
			t.Fatal(err)
		}
		_, st, err := client.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if got, err := readFramed(st); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
}
