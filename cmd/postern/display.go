package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/inspect"
)

// display is what appears beside the log: a person gets a screen, or a few rows where
// the terminal cannot do better; a program gets the public URLs on stdout, one a line,
// the first one https, and, once the agent has been online, what goes wrong on stderr;
// a log on stdout gets nothing in its way.
type display struct {
	streams  ioStreams
	ui       console.UI
	color    string
	quiet    bool // stdout belongs to the log
	total    *totalMeter
	failures *console.Failures
}

// display decides what a person gets to see. With an error it is nothing.
func (c *agentCommand) display(file config.Config, log openLog) (*display, error) {
	d := &display{streams: c.streams, quiet: log.toStdout, total: &totalMeter{}}
	out, _ := c.streams.Out.(*os.File)
	var err error
	if d.ui, err = console.ChooseUI(file.ConsoleUI, out, c.streams.Env); err != nil {
		return d, err
	}
	switch {
	case log.toStdout:
		d.ui = console.NoUI
	case log.onScreen && d.ui == console.ScreenUI:
		d.ui = console.RowsUI // the log's lines would run across a screen
	}
	d.color, err = console.ChooseColor(file.ConsoleColor)
	return d, err
}

// logger has the screen learn of what goes wrong.
func (d *display) logger(log *slog.Logger) *slog.Logger {
	if d.ui != console.ScreenUI {
		return log
	}
	d.failures = console.NewFailures(log.Handler())
	return slog.New(d.failures)
}

// events are what is shown as it happens; the screen looks by itself.
func (d *display) events() agent.Events {
	switch {
	case d.quiet || d.ui == console.ScreenUI:
		return agent.Events{}
	case d.ui == console.RowsUI:
		return rowEvents(console.NewRows(d.streams.Out))
	}
	return d.urlEvents()
}

// count has the screen's numbers counted, beside whoever counts already.
func (d *display) count(settings *agent.Config) {
	if d.ui == console.ScreenUI {
		d.total.next, settings.Meter = settings.Meter, d.total
	}
}

func (d *display) urlEvents() agent.Events {
	events := rowEvents(console.NewRows(d.streams.Err))
	events.Online = func(o agent.Online) { _, _ = fmt.Fprintln(d.streams.Out, console.Harmless(o.URL)) } // a reader that left is no reason to stop
	status, ready, troubled := events.Status, false, false
	events.Status = func(s session.Status) { // nothing, while nothing is wrong
		// Programs take a word on stderr for a failed start, and the first attempts
		// for no failure.
		ready = ready || s.State == session.Online
		if ready && (s.Why != nil || troubled) {
			status(s)
		}
		troubled = s.Why != nil
	}
	return events
}

func rowEvents(rows *console.Rows) agent.Events {
	return agent.Events{
		Status:  func(s session.Status) { rows.Status(string(s.State), s.Why) },
		Online:  func(o agent.Online) { rows.Forwarding(o.Name, o.URL, o.Upstream) },
		Refused: rows.Offline,
		Stopped: rows.Offline,
	}
}

// start covers the terminal, where that was decided, until end is called, which gives
// it back. ctx is the agent's: quit ends it, and a signal does.
func (d *display) start(ctx context.Context, quit func(), a *agent.Agent, web *webService) (end func()) {
	if d.ui != console.ScreenUI {
		return func() {}
	}
	screen := &console.Screen{
		Source:  &agentView{agent: a, display: d, web: web},
		Out:     d.streams.Out.(*os.File),
		Environ: os.Environ(),
		Color:   d.color,
		Quit:    quit,
		Abort:   func() { os.Exit(128 + int(syscall.SIGINT)) }, // as the second signal ends a process
	}
	if in, ok := d.streams.In.(*os.File); ok && isTerminal(in) {
		screen.In = in
	}
	showing, hide := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := screen.Run(showing); err != nil && ctx.Err() == nil {
			d.fallBack(a)
		}
	}()
	go d.awaitSecondSignal(ctx, ended, hide)
	return func() {
		hide()
		<-ended
	}
}

// fallBack shows rows on a terminal that a screen cannot use after all.
func (d *display) fallBack(a *agent.Agent) {
	rows := console.NewRows(d.streams.Out)
	a.Listen(rowEvents(rows))
	now := a.Status()
	rows.Status(string(now.State), now.Why)
	for _, e := range a.Endpoints() {
		switch {
		case e.Online:
			rows.Forwarding(e.Name, e.URL, e.Address)
		case e.Refusal != nil:
			rows.Offline(e.Name, e.Refusal)
		}
	}
}

// awaitSecondSignal gives the terminal back before a second signal ends the process.
func (d *display) awaitSecondSignal(ctx context.Context, ended <-chan struct{}, hide func()) {
	select {
	case <-ctx.Done():
	case <-ended:
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	select {
	case sig := <-signals:
		hide()
		<-ended
		number, _ := sig.(syscall.Signal)
		os.Exit(128 + int(number))
	case <-ended:
	}
}

// agentView is a running agent as the screen sees it.
type agentView struct {
	agent   *agent.Agent
	display *display
	web     *webService
}

// shownRequests is more than there are rows on a screen.
const shownRequests = 200

// View is the agent now.
func (v *agentView) View() console.View {
	now := v.agent.Status()
	view := console.View{
		State: string(now.State), Why: now.Why, Latency: now.Latency,
		Banner: now.Session.Banner, Account: now.Session.AccountName, Region: now.Session.Region,
		Version: version(),
		Failure: v.display.failures.Latest(),
	}
	for _, e := range v.agent.Endpoints() {
		view.Forwarding = append(view.Forwarding, console.Forwarding{Name: e.Label, URL: e.URL, Upstream: e.Address, Refusal: e.Refusal})
	}
	n := v.display.total.meter.Numbers(time.Now())
	view.Connections = console.Numbers{
		Total: n.Count, Open: n.Gauge, Rate1: n.Rate1, Rate5: n.Rate5,
		P50: time.Duration(n.P50), P90: time.Duration(n.P90),
	}
	if v.web.listener != nil { // else nobody looks at requests
		view.WebInterface = "http://" + v.web.listener.Addr().String()
		for _, x := range v.web.recorder.Store().List(inspect.Filter{}, shownRequests) {
			view.Requests = append(view.Requests, requestRow(x))
		}
	}
	return view
}

// requestRow is an exchange in one row.
func requestRow(x *inspect.Exchange) console.Request {
	row := console.Request{At: x.Start}
	var target string
	row.Method, target, _ = x.Request.RequestLine()
	row.Path, _, _ = strings.Cut(target, "?") // what follows may be a secret
	switch {
	case x.Response != nil:
		_, row.Status, _ = x.Response.StatusLine()
	case x.Done:
		row.Status = x.Problem
	}
	return row
}

// totalMeter counts the connections of all endpoints together.
type totalMeter struct {
	meter inspect.Meter
	next  session.Meter // nil: nobody else counts
}

// StreamBegan counts.
func (t *totalMeter) StreamBegan(endpoint string) {
	t.meter.Begin(time.Now())
	if t.next != nil {
		t.next.StreamBegan(endpoint)
	}
}

// StreamEnded counts and times.
func (t *totalMeter) StreamEnded(endpoint string, took time.Duration) {
	t.meter.End(took)
	if t.next != nil {
		t.next.StreamEnded(endpoint, took)
	}
}
