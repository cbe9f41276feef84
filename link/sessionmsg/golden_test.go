package sessionmsg_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// ngrok-go decodes our replies, and we its requests, by exactly these keys. Each
// case is a whole message as it stands on the wire.
func TestMessagesOnTheWire(t *testing.T) {
	no := "no"
	name, pooling := "web", true
	tests := []struct {
		name    string
		message any
		wire    string
	}{
		{"Auth", sessionmsg.Auth{
			Version:  []string{"3", "2"},
			ClientID: "cl_1",
			Extra: sessionmsg.AuthExtra{
				OS: "linux", Arch: "amd64", Authtoken: "tok", Version: "1.0", Hostname: "h", UserAgent: "ua",
				Metadata: "m", Cookie: "c", HeartbeatInterval: 10e9, HeartbeatTolerance: 15e9,
				StopUnsupportedError: &no, RestartUnsupportedError: new(string),
				ProxyType: "none", ConfigVersion: "3", ClientType: "ngrok-go", LegNumber: 1,
			},
		}, `{"Version":["3","2"],"ClientId":"cl_1","Extra":{"OS":"linux","Arch":"amd64","Authtoken":"tok","Version":"1.0",
			"Hostname":"h","UserAgent":"ua","Metadata":"m","Cookie":"c","HeartbeatInterval":10000000000,"HeartbeatTolerance":15000000000,
			"Fingerprint":null,"UpdateUnsupportedError":null,"StopUnsupportedError":"no","RestartUnsupportedError":"",
			"ProxyType":"none","MutualTLS":false,"ServiceRun":false,"ConfigVersion":"3","CustomInterface":false,"CustomCAs":false,
			"ClientType":"ngrok-go","LegNumber":1}}`},
		{"AuthResp", sessionmsg.NewAuthResp(&sessionmsg.Auth{Version: []string{"3"}},
			link.Welcome{SessionID: "ts_1", ClientID: "cl_1", Cookie: "c", AccountName: "a", Region: "local", Banner: "b"}, "1.2"),
			`{"Version":"3","ClientId":"cl_1","Error":"","Extra":{"Version":"1.2","Region":"local","Cookie":"c","AccountName":"a",
			"SessionDuration":0,"PlanName":"","Banner":"b","DeprecationWarning":null,"ConnectAddresses":[],"AgentSessionID":"ts_1","AgentMetrics":null}}`},
		{"Bind", sessionmsg.Bind{ID: "i", Proto: "https", ForwardsTo: "f", ForwardsProto: "http2", Opts: json.RawMessage(`{"URL":""}`),
			Extra: sessionmsg.BindExtra{Name: "n", Token: "t", Metadata: "m", Description: "d", PoolingEnabled: true}},
			`{"Id":"i","Proto":"https","ForwardsTo":"f","ForwardsProto":"http2","Opts":{"URL":""},
			"Extra":{"Name":"n","Token":"t","IPPolicyRef":"","Metadata":"m","Description":"d","Bindings":null,"PoolingEnabled":true}}`},
		{"BindResp", sessionmsg.BindResp{ID: "i", URL: "https://a.test", Proto: "https", Opts: json.RawMessage(`{}`),
			Extra: sessionmsg.BindRespExtra{Token: "t", TunnelID: "ep_1"}},
			`{"Id":"i","URL":"https://a.test","Proto":"https","Opts":{},"Error":"","Extra":{"Token":"t","TunnelID":"ep_1"}}`},
		{"Unbind", sessionmsg.Unbind{ID: "i"}, `{"Id":"i","Extra":null}`},
		{"UnbindResp", sessionmsg.UnbindResp{}, `{"Error":"","Extra":null}`},
		{"StartTunnelWithLabel", sessionmsg.StartTunnelWithLabel{Labels: map[string]string{"edge": "e"}, ForwardsTo: "f", Metadata: "m"},
			`{"Labels":{"edge":"e"},"ForwardsTo":"f","ForwardsProto":"","Metadata":"m"}`},
		{"StartTunnelWithLabelResp", sessionmsg.StartTunnelWithLabelResp{ID: "i"}, `{"Id":"i","Error":""}`},
		{"PatchTunnelState", sessionmsg.PatchTunnelState{TunnelID: "ep_1", Name: &name, PoolingEnabled: &pooling},
			`{"TunnelId":"ep_1","Name":"web","PoolingEnabled":true}`},
		{"PatchTunnelStateResp", sessionmsg.PatchTunnelStateResp{}, `{"Error":""}`},
		{"SrvInfo", sessionmsg.SrvInfo{}, `{}`},
		{"SrvInfoResp", sessionmsg.SrvInfoResp{Region: "local"}, `{"Region":"local"}`},
		{"Restart", sessionmsg.Restart{}, `{}`},
		{"Stop", sessionmsg.Stop{}, `{}`},
		{"Update", sessionmsg.Update{Version: "1", PermitMajorVersion: true}, `{"Version":"1","PermitMajorVersion":true}`},
		{"CommandResp", sessionmsg.CommandResp{Error: "x"}, `{"Error":"x"}`},
		{"StopTunnel", sessionmsg.StopTunnel{ID: "i", Message: "m", ErrorCode: "ERR_NGROK_300"},
			`{"Id":"i","Message":"m","ErrorCode":"ERR_NGROK_300"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := sessionmsg.Encode(tt.message)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("\n", "", "\t", "").Replace(tt.wire)
			if diff := cmp.Diff(want, string(raw)); diff != "" {
				t.Errorf("on the wire (-want +got):\n%s", diff)
			}
		})
	}
}
