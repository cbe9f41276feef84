package main

import (
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// firstGenerationArgs turns a command line without a command, as agents of the first
// generation had it, into one of today: "-subdomain=x 80" is "http -subdomain=x 80",
// "-proto=tcp 22" is "tcp 22", and -httpauth is --basic-auth. Others stay as they are.
// remarks say what was made of it.
func firstGenerationArgs(root *cobra.Command, args []string) (today, remarks []string) {
	flags := map[string]flagKind{}
	collectFlags(root, flags)
	flags["proto"], flags["httpauth"] = valued, valued
	command, address := "http", ""
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !strings.HasPrefix(args[i], "-") || args[i] == "-" {
			if address == "" && !isAddress(args[i]) {
				return args, nil
			}
			address, today = args[i], append(today, args[i])
			continue
		}
		if args[i] == "--" || flags[name] == unknown && len(name) > 1 {
			return args, nil // which says what is wrong with it
		}
		own := []string{args[i]}
		if flags[name] == valued && !joined && i+1 < len(args) {
			i++
			value, own = args[i], append(own, args[i])
		}
		switch name {
		case "proto":
			command, own = protocolOf(value)
		case "httpauth":
			own = []string{"--basic-auth=" + value}
		}
		today = append(today, own...)
	}
	if address == "" {
		return args, nil
	}
	return append([]string{command}, today...), []string{
		"a command line without a command is deprecated; write " + root.Name() + " " + command + " " + address,
	}
}

// protocolOf gives the command, and its flags, for a protocol of the first generation.
func protocolOf(proto string) (command string, flags []string) {
	switch proto {
	case "tcp":
		return "tcp", nil
	case "http+https":
		return "http", []string{"--scheme=http,https"}
	}
	return "http", []string{"--scheme=" + proto} // which refuses what is neither http nor https
}

// isAddress tells whether a word can only be where a service is.
func isAddress(word string) bool {
	if strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://") || strings.HasPrefix(word, "file:///") || strings.HasPrefix(word, "unix:///") {
		return true
	}
	port := word
	if _, after, err := net.SplitHostPort(word); err == nil {
		port = after
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
