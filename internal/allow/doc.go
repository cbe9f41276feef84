// Package allow reads the rules of private gateways: which ports may be offered (Ports),
// which targets may be dialled (Targets), and where a server lets gateways listen
// (Listen). The server, its API and the connector in the private network share the one
// grammar, so that a rule means the same wherever it is written:
//
//	8081  9000-9100  53/udp  1024-65535/tcp  *        ports
//	db.corp.example:5432  *.corp.example:443  10.0.0.0/8:*  [fd00::/8]:1024-65535   targets
//	127.0.0.0/8  10.1.2.0/24:8000-8999  [::1/128]     where to listen
//
// Everything is read strictly. Values are immutable and may be shared; errors are
// *postern.Error with CodeRuleInvalid and name the rule.
package allow
