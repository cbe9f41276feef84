package native_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

// joined opens a stream of a consumer and gives both its ends.
func joined(b testing.TB, client *native.Client, admitted *linktest.Admitted) (consumer link.Stream, service *linktest.Joined) {
	b.Helper()
	consumer, err := client.DialEarly(b.Context(), gatewayPort)
	if err == nil {
		service, err = admitted.NextJoined(b.Context())
	}
	if err == nil {
		err = native.ReadAnswer(consumer)
	}
	if err != nil {
		b.Fatal(err)
	}
	return consumer, service
}

// drink reads until the stream ends.
func drink(st link.Stream) {
	buffer := make([]byte, 64<<10)
	for {
		if _, err := st.Read(buffer); err != nil {
			return
		}
	}
}

// BenchmarkConsumerBulk moves bytes over a stream to a gateway, as BenchmarkBulk does
// over a visitor's.
func BenchmarkConsumerBulk(b *testing.B) {
	const piece = 4 * (16<<10 - 8)
	for name, further := range map[string]bool{"OneCarrier": false, "FurtherCarriers": true} {
		for _, up := range []bool{true, false} {
			b.Run(name+map[bool]string{true: "/Up", false: "/Down"}[up], func(b *testing.B) {
				client, admitted, closeAll := session(b, true, further)
				defer closeAll()
				consumer, service := joined(b, client, admitted)
				from, to := link.Stream(service), consumer
				if up {
					from, to = consumer, service
				}
				b.SetBytes(piece)
				b.ReportAllocs()
				var reading sync.WaitGroup
				reading.Go(func() { drink(to) })
				buffer := make([]byte, piece)
				for b.Loop() {
					if _, err := from.Write(buffer); err != nil {
						b.Fatal(err)
					}
				}
				_ = from.CloseWrite()
				reading.Wait()
				_, _ = consumer.Close(), service.Close()
			})
		}
	}
}

// BenchmarkConsumerDial opens a stream, waits for the answer, exchanges a byte and closes.
func BenchmarkConsumerDial(b *testing.B) {
	client, admitted, closeAll := session(b, true, true)
	defer closeAll()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() {
		for service, err := admitted.NextJoined(ctx); err == nil; service, err = admitted.NextJoined(ctx) {
			go echo(service)
		}
	}()
	one := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		st, err := client.Dial(ctx, gatewayPort)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Write(one); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(st, one); err != nil {
			b.Fatal(err)
		}
		_ = st.Close()
	}
}

// BenchmarkConsumerBesideBulk is the median round trip of a small message of one consumer
// while eight others upload and download, with one connection and with further ones.
func BenchmarkConsumerBesideBulk(b *testing.B) {
	for name, further := range map[string]bool{"OneCarrier": false, "FurtherCarriers": true} {
		b.Run(name, func(b *testing.B) {
			client, admitted, closeAll := session(b, true, further)
			defer closeAll()
			for i := range 8 {
				consumer, service := joined(b, client, admitted)
				from, to := link.Stream(service), consumer
				if i%2 == 0 {
					from, to = consumer, service
				}
				go drink(to)
				go func() { _, _ = io.Copy(from, endless{}) }()
			}
			consumer, service := joined(b, client, admitted)
			go echo(service)
			message := make([]byte, 64)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := consumer.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(consumer, message); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
