package policy

import (
	"slices"

	"github.com/postern-dev/postern/server/policy/body"
)

// compressResponse encodes answers for visitors that accept it.
func compressResponse() kind {
	return kind{
		name: "compress-response", phases: inResponse, needs: NeedChange, arrives: noteEncodings,
		build: func(c *config) action {
			a := &compression{body.DefaultOffer()}
			if names := c.texts("algorithms", mostAlgorithms); !c.node.get("algorithms").none() {
				offer, err := body.ReadOffer(names)
				if err != nil {
					c.fault("algorithms", "%v", err)
				}
				a.offer = offer
			}
			return a
		},
	}
}

// mostAlgorithms is more than there are.
const mostAlgorithms = 10

type compression struct{ offer body.Offer }

// accepted is what a visitor says about the answer's coding.
type accepted struct {
	encodings []string
	frozen    bool
}

// noteEncodings keeps what the visitor has sent, before a rule takes it off so that the
// service sends plain bodies.
func noteEncodings(e *Evaluation) {
	e.accepted = accepted{slices.Clone(e.request.Values("Accept-Encoding")), body.Frozen(e.request.Values("Cache-Control"))}
}

func (a *compression) run(e *Evaluation) (Verdict, error) {
	h := e.response
	already := len(h.Values("Content-Encoding")) > 0
	compressed := e.world.bodies().Compress(body.Answer{
		Method: e.request.Method(), Accept: e.accepted.encodings, Frozen: e.accepted.frozen,
		Status: h.Status(), Header: h, Length: h.Length(),
	}, a.offer, h.Body())
	if compressed != nil {
		e.setBody(h, body.Changed{ReadCloser: compressed, Length: -1})
	}
	if e.program.asksResults {
		algorithm := ""
		if !already {
			algorithm = h.Get("Content-Encoding")
		}
		e.result("compress", map[string]any{"already_compressed": already, "negotiated_algorithm": algorithm})
	}
	return Verdict{}, nil
}
