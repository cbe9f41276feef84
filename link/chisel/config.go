package chisel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
)

const (
	// mostRequest is the size of a config request, which comes in one message, and
	// mostRemotes what it may ask for.
	mostRequest = 60 << 10
	mostRemotes = 300
	mostHost    = 255
)

// request is the config request, which every client begins with.
type request struct {
	Version string
	Remotes []Remote
}

// encode writes the request as chisel does.
func (r request) encode() []byte {
	b, _ := json.Marshal(r) // strings and bools: it cannot fail
	return b
}

// parseRequest reads a config request. Fields that it does not know are passed over,
// as chisel does: later versions may send more. Errors are for the operator who reads
// them.
func parseRequest(payload []byte) (request, error) {
	var r request
	if len(payload) > mostRequest {
		return r, postern.Errorf(postern.CodeBindInvalid, "the configuration has %d bytes; at most %d are read", len(payload), mostRequest)
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if err := decoder.Decode(&r); err != nil {
		return r, postern.Errorf(postern.CodeBindInvalid, "invalid config").Because(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return r, postern.Errorf(postern.CodeBindInvalid, "invalid config: something follows it")
	}
	switch {
	case len(r.Remotes) == 0:
		return r, postern.Errorf(postern.CodeBindInvalid, "the connector offers no remote; give it at least one, R:<local-port>:<remote-host>:<remote-port>")
	case len(r.Remotes) > mostRemotes:
		return r, postern.Errorf(postern.CodeBindInvalid, "the connector offers %d remotes; one connection can have %d, start several", len(r.Remotes), mostRemotes)
	}
	for i := range r.Remotes {
		if err := r.Remotes[i].check(); err != nil {
			return r, err
		}
	}
	r.Version = frames.Printable(clipped(r.Version))
	return r, nil
}

// check refuses a remote that no gateway can offer, or that no client sends.
func (r *Remote) check() error {
	for _, text := range []string{r.LocalHost, r.LocalPort, r.RemoteHost, r.RemotePort} {
		if len(text) > mostHost || text != frames.Printable(text) || strings.ContainsAny(text, " \n") {
			return postern.Errorf(postern.CodeBindInvalid, "a remote has an address that cannot be one: %q", clipped(text))
		}
	}
	if err := r.Offered(); err != nil {
		return err
	}
	_, local := portOf(r.LocalPort)
	_, remote := portOf(r.RemotePort)
	switch {
	case !local || !remote:
		return postern.Errorf(postern.CodeBindInvalid, "the remote '%s' has a port that is not between 1 and 65535", r)
	case r.RemoteHost == "":
		return postern.Errorf(postern.CodeBindInvalid, "the remote '%s' names no host", r)
	case r.LocalProto != r.RemoteProto || r.LocalProto != "tcp" && r.LocalProto != "udp":
		return postern.Errorf(postern.CodeBindInvalid, "the remote '%s' is neither TCP nor UDP at both ends", r)
	}
	return nil
}

func portOf(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0
}

// Target is what the remote's connections are for, as the extra data of its channels
// have it: "host:port", or "host:port/udp".
func (r Remote) Target() string {
	if r.RemoteProto == "udp" {
		return r.RemoteHost + ":" + r.RemotePort + "/udp"
	}
	return r.RemoteHost + ":" + r.RemotePort
}

// halfCloses tells whether a client of the version goes on with one direction when the
// other has ended. chisel does from 1.12 on; outsystemscc, and what was built from
// source, say 0.0.0-src and do not.
func halfCloses(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor); n < 2 {
		return false
	}
	return major > 1 || major == 1 && minor >= 12
}
