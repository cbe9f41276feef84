package expression

// request is req.
func (s *schema) request() *structure {
	agent := s.textual("UserAgent", "req.user_agent", fields(
		"name", kind.text, "version", kind.text, "os", kind.text, "os_version", kind.text, "device", kind.text, "url", kind.text,
		"is_mobile", kind.boolean, "is_tablet", kind.boolean, "is_desktop", kind.boolean, "is_bot", kind.boolean,
	))
	url := s.textual("URL", "req.url", fields(
		"raw", kind.text, "scheme", kind.text, "authority", kind.text, "host", kind.text, "port", kind.number, "path", kind.text, "raw_path", kind.text,
		"query", kind.text, "query_params", kind.valuesMap, "uri", kind.text, "user_password", kind.text,
	))
	all := append(s.message("req"), fields("method", kind.text, "host", kind.text, "version", kind.text, "user_agent", agent, "url", url)...)
	return s.structure("Request", "req", headerMaps(all, "headers", "trailers"))
}

// response is res.
func (s *schema) response() *structure {
	all := append(s.message("res"), fields("status_code", kind.number)...)
	return s.structure("Response", "res", headerMaps(all, "headers", "trailers"))
}

// message has the fields that req and res share.
func (s *schema) message(path string) []field {
	prefix := map[string]string{"req": "Request", "res": "Response"}[path]
	cookie := s.structures["Cookie"]
	if cookie == nil {
		cookie = s.structure("Cookie", "the cookie", fields(
			"name", kind.text, "value", kind.text, "domain", kind.text, "path", kind.text, "expires", kind.moment, "max_age", kind.duration,
			"secure", kind.boolean, "http_only", kind.boolean, "same_site", kind.text, "unparsed_attributes", kind.textMap,
		))
	}
	media := s.textual(prefix+"ContentType", path+".content_type", fields("raw", kind.text, "parameters", kind.textMap))
	times := s.structure(prefix+"Times", path+".ts", fields("header_received", kind.moment, "body_received", kind.moment))
	return fields(
		"headers", kind.valuesMap, "trailers", kind.valuesMap, "cookies", mapTo(listOf(cookie.typ())),
		"content_length", kind.number, "content_type", media, "content_encoding", kind.texts, "location", kind.text, "ts", times,
	)
}
