package e2e_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"golang.ngrok.com/ngrok/v2"
)

// sdkVariable has this test's program serve a directory through ngrok's Go SDK, as it is
// published, from wherever it is started.
const sdkVariable = "POSTERN_TEST_SDK"

type sdkOrders struct {
	Server, CA, Token, URL, Dir string
}

func runSDK(raw string) int {
	var o sdkOrders
	err := json.Unmarshal([]byte(raw), &o)
	if err == nil {
		err = o.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (o sdkOrders) run(ctx context.Context) error {
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	agent, err := ngrok.NewAgent(ngrok.WithAgentConnectURL(o.Server), ngrok.WithAgentConnectCAs(pool), ngrok.WithAuthtoken(o.Token),
		ngrok.WithEventHandler(func(e ngrok.Event) {
			if gone, is := e.(*ngrok.EventAgentDisconnected); is {
				fmt.Fprintln(os.Stderr, "disconnected:", gone.Error)
			}
		}))
	if err != nil {
		return err
	}
	listener, err := agent.Listen(ctx, ngrok.WithURL(o.URL))
	if err != nil {
		return err
	}
	return http.Serve(listener, http.FileServer(http.Dir(o.Dir)))
}
