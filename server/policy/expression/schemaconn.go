package expression

import "strings"

// connection is conn.
func (s *schema) connection() *structure {
	return s.structure("Connection", "conn", fields(
		"client_ip", s.address("ClientAddress", "conn.client_ip"),
		"client_port", kind.number,
		"server_ip", s.address("ServerAddress", "conn.server_ip"),
		"server_port", kind.number,
		"server_region", kind.text,
		"bytes_in", kind.number, "bytes_out", kind.number,
		"ts", s.structure("ConnectionTimes", "conn.ts", fields("start", kind.moment, "end", kind.moment)),
		"geo", s.structure("Geo", "conn.geo", fields(
			"city", kind.text, "country", kind.text, "country_code", kind.text, "latitude", kind.text, "longitude", kind.text, "radius", kind.text, "subdivision", kind.text,
		)),
		"k8s", s.pod(),
		"tls", s.tls(),
	))
}

// address is what is known of an address of the internet.
func (s *schema) address(name, path string) *structure {
	place := func(which string) *structure {
		all := fields(
			"city", kind.text, "continent", kind.text, "country", kind.text, "country_code", kind.text, "is_eu", kind.boolean,
			"metro_code", kind.text, "subdivision", kind.text, "timezone", kind.text,
		)
		if which == "location" {
			all = append(all, fields("latitude", kind.text, "longitude", kind.text, "postal_code", kind.text, "radius", kind.text)...)
		}
		return s.structure(name+strings.ToUpper(which[:1])+which[1:], path+".geo."+which, all)
	}
	return s.textual(name, path, fields(
		"is_on_blocklist", kind.boolean, "is_tor_node", kind.boolean, "categories", kind.texts,
		"as", s.structure(name+"System", path+".as", fields("number", kind.number, "organization", kind.text)),
		"geo", s.structure(name+"Geo", path+".geo", fields("location", place("location"), "registered_location", place("registered_location"))),
	))
}

func (s *schema) pod() *structure {
	metadata := s.structure("PodMetadata", "conn.k8s.pod.metadata", fields(
		"name", kind.text, "namespace", kind.text, "annotations", kind.textMap, "error_code", kind.text, "error_message", kind.text,
	))
	pod := s.structure("Pod", "conn.k8s.pod", fields("id", kind.text, "metadata", metadata))
	return s.structure("Kubernetes", "conn.k8s", fields("pod", pod))
}

func (s *schema) tls() *structure {
	return s.structure("TLS", "conn.tls", fields(
		"version", kind.text, "sni", kind.text, "cipher_suite", kind.text, "negotiated_alpn", kind.text, "session_resumed", kind.boolean, "ja4_fingerprint", kind.text,
		"client", s.certificate("Client", "conn.tls.client"), "server", s.certificate("Server", "conn.tls.server"),
	))
}

func (s *schema) certificate(side, path string) *structure {
	extension := s.structures["Extension"]
	if extension == nil {
		extension = s.structure("Extension", "the extension", fields("id", kind.text, "critical", kind.boolean, "value", kind.octets))
	}
	distinguished := func(which string) *structure {
		return s.textual(side+strings.ToUpper(which[:1])+which[1:], path+"."+which, fields(
			"common_name", kind.text, "country", kind.texts, "locality", kind.texts, "organization", kind.texts, "organizational_unit", kind.texts,
			"postal_code", kind.texts, "province", kind.texts, "street_address", kind.texts,
		))
	}
	return s.structure(side+"Certificate", path, fields(
		"subject", distinguished("subject"), "issuer", distinguished("issuer"),
		"san", s.textual(side+"Names", path+".san", fields("dns_names", kind.texts, "email_addresses", kind.texts, "ip_addresses", kind.texts, "uris", kind.texts)),
		"serial_number", kind.text, "signature_algorithm", kind.text, "pem", kind.text, "extensions", listOf(extension.typ()),
		"validity", s.structure(side+"Validity", path+".validity", fields("not_before", kind.moment, "not_after", kind.moment)),
	))
}
