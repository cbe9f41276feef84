package policy_test

import (
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// While a text is compiled, which may take its time, others are; and who compiles the same
// at the same time gets the same program.
func TestNobodyWaitsForAnothersText(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	library := policy.NewLibrary(policy.Editable{Request: func(name string) string {
		if name == "X-Slow" {
			entered <- struct{}{}
			<-proceed
		}
		return ""
	}})
	compile := func(owner, header string, to chan<- *policy.Program) {
		p, err := library.Compile(owner, "on_http_request: [{actions: [{type: remove-headers, config: {headers: ["+header+"]}}]}]", policy.Target{Scheme: postern.HTTPS})
		if err != nil {
			t.Error(err)
		}
		to <- p
	}
	slow, quick := make(chan *policy.Program, 2), make(chan *policy.Program, 1)
	go compile("one", "X-Slow", slow)
	<-entered
	go compile("other", "X-Quick", quick)
	select {
	case <-quick:
	case <-time.After(10 * time.Second):
		t.Fatal("the other text waits")
	}
	go compile("one", "X-Slow", slow)
	<-entered
	close(proceed)
	if first, second := <-slow, <-slow; first != second {
		t.Error("there are two programs of one text")
	}
}
