package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// herd is many agents in a process of their own, as they are on machines of their own:
// beside visitors and services in the test's process they would hold up those.
type herd struct {
	s       *server
	orders  io.Writer
	reports *json.Decoder
}

// herdOrders is what the process is to know, in the environment variable herdVariable.
type herdOrders struct {
	Address, Authtoken string
	CA                 []byte // PEM
	Agents             int
}

// herdReport answers an order.
type herdReport struct {
	Took  time.Duration
	Wrong string
}

const herdVariable = "POSTERN_E2E_HERD"

// startHerd starts the process, which ends with the test; no agent connects yet.
func startHerd(s *server, agents int) *herd {
	s.t.Helper()
	ca, err := os.ReadFile(s.caFile)
	if err != nil {
		s.t.Fatal(err)
	}
	orders, err := json.Marshal(herdOrders{s.connectURL(), s.authtoken, ca, agents})
	if err != nil {
		s.t.Fatal(err)
	}
	process := exec.CommandContext(s.t.Context(), os.Args[0])
	process.Env, process.Stderr = append(os.Environ(), herdVariable+"="+string(orders)), os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		in.Close()
		process.Wait() //nolint:errcheck // what was wrong with it is in its reports
	})
	return &herd{s, in, json.NewDecoder(out)}
}

// join has all agents connect and bind at once; joined waits for that, and fails the test
// where one could not.
func (h *herd) join() { h.order("join") }

func (h *herd) joined() time.Duration { return h.report() }

// leave ends what sessions there are, and returns once they have ended.
func (h *herd) leave() {
	h.order("leave")
	h.report()
}

func (h *herd) order(what string) {
	if _, err := fmt.Fprintln(h.orders, what); err != nil {
		h.s.t.Fatal(err)
	}
}

func (h *herd) report() time.Duration {
	h.s.t.Helper()
	var r herdReport
	if err := h.reports.Decode(&r); err != nil {
		h.s.t.Fatal(err)
	}
	if r.Wrong != "" {
		h.s.t.Error(r.Wrong)
	}
	return r.Took
}

// runHerd is the process: it does what it reads from standard input, until that ends.
func runHerd(text string) int {
	var orders herdOrders
	if err := json.Unmarshal([]byte(text), &orders); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	agents := make([]*stormAgent, orders.Agents)
	for i := range agents {
		agents[i] = &stormAgent{number: i}
	}
	report := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		began, r := time.Now(), herdReport{}
		switch lines.Text() {
		case "join":
			if err := orders.join(agents); err != nil {
				r.Wrong = err.Error()
			}
		case "leave":
			leave(agents)
		}
		r.Took = time.Since(began)
		if err := report.Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

// join has all join at once.
func (o *herdOrders) join(agents []*stormAgent) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(o.CA)
	config := &tls.Config{RootCAs: pool, ServerName: "connect." + domain, NextProtos: []string{"postern/1"}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	wrong := make([]error, len(agents))
	var all sync.WaitGroup
	for i, agent := range agents {
		all.Go(func() { wrong[i] = agent.join(ctx, o.Address, config, o.Authtoken) })
	}
	all.Wait()
	return errors.Join(wrong...)
}

// leave ends what sessions there are.
func leave(agents []*stormAgent) {
	for _, agent := range agents {
		if agent.client != nil {
			agent.client.Close(&postern.Error{Code: postern.CodeLinkDraining})
			<-agent.client.Closed()
		}
	}
}
