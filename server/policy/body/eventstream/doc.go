// Package eventstream reads and changes streams of server-sent events (text/event-stream,
// WHATWG HTML §9.2) while they pass. What is not changed stays as it is, byte for byte:
// comments, fields that nobody knows, the ends of lines.
package eventstream
