package console

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	logfmtTime = "2006-01-02T15:04:05-0700"
	termTime   = "01-02|15:04:05"
	termColumn = 40 // where attributes begin
)

func logfmtLine(at time.Time, level slog.Level, message string, fields []field) []byte {
	line := make([]byte, 0, 256)
	line = append(line, "t="...)
	line = at.AppendFormat(line, logfmtTime)
	line = append(line, " lvl="...)
	line = append(line, levelWord(level)...)
	line = append(line, " msg="...)
	line = appendValue(line, message)
	return appendFields(line, fields)
}

func termLine(at time.Time, level slog.Level, message string, fields []field, colour bool) []byte {
	line := make([]byte, 0, 256)
	word := strings.ToUpper(levelWord(level))
	if colour {
		line = fmt.Appendf(line, "\x1b[%dm%s\x1b[0m", levelColour(level), word)
	} else {
		line = append(line, word...)
	}
	line = append(line, '[')
	line = at.AppendFormat(line, termTime)
	line = append(line, "] "...)
	text := printable(message)
	line = append(line, text...)
	if len(fields) > 0 {
		for n := utf8.RuneCountInString(text); n < termColumn; n++ {
			line = append(line, ' ')
		}
	}
	return appendFields(line, fields)
}

func levelColour(level slog.Level) int {
	switch {
	case level >= LevelCrit:
		return 35 // magenta
	case level >= slog.LevelError:
		return 31 // red
	case level >= slog.LevelWarn:
		return 33 // yellow
	case level >= slog.LevelInfo:
		return 32 // green
	}
	return 36 // cyan
}

func appendFields(line []byte, fields []field) []byte {
	for _, f := range fields {
		line = append(line, ' ')
		line = append(line, printableKey(f.key)...)
		line = append(line, '=')
		line = appendValue(line, valueText(f.value))
	}
	return line
}

// jsonLine sorts the keys, as encoding/json does with a map's. An attribute that
// has the name of one of the three standard keys gives way to it.
func jsonLine(at time.Time, level slog.Level, message string, fields []field) []byte {
	object := make(map[string]any, len(fields)+3)
	for _, f := range fields {
		object[f.key] = jsonValue(f.value)
	}
	object["t"] = at.Format(time.RFC3339Nano)
	object["lvl"] = levelWord(level)
	object["msg"] = message
	var line strings.Builder
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return []byte(`{"lvl":"eror","msg":"a log line could not be encoded"}`)
	}
	return []byte(escapeControls(strings.TrimSuffix(line.String(), "\n")))
}

// escapeControls does for DEL and the C1 controls, some of which drive terminals,
// what encoding/json does for those below the blank.
func escapeControls(text string) string {
	control := func(r rune) bool { return 0x7f <= r && r < 0xa0 }
	if strings.IndexFunc(text, control) < 0 {
		return text
	}
	var escaped strings.Builder
	for _, r := range text {
		if control(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
			continue
		}
		escaped.WriteRune(r)
	}
	return escaped.String()
}

func jsonValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool:
		return v.Bool()
	case slog.KindInt64:
		return v.Int64()
	case slog.KindUint64:
		return v.Uint64()
	case slog.KindAny:
		if v.Any() == nil {
			return nil
		}
	}
	return valueText(v)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(logfmtTime)
	case slog.KindAny:
		if v.Any() == nil {
			return "nil"
		}
	}
	return v.String()
}

// appendValue quotes what could be taken for structure, or could drive a terminal.
func appendValue(line []byte, text string) []byte {
	if text != "" && strings.IndexFunc(text, needsQuotes) < 0 && utf8.ValidString(text) {
		return append(line, text...)
	}
	return strconv.AppendQuote(line, text)
}

func needsQuotes(r rune) bool {
	return r == ' ' || r == '=' || r == '"' || r == '\\' || !unicode.IsPrint(r)
}

// printable escapes control characters of a message that stands without quotes.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && utf8.ValidString(text) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

// printableKey keeps a key one word.
func printableKey(key string) string {
	return strings.Map(func(r rune) rune {
		if needsQuotes(r) {
			return '_'
		}
		return r
	}, key)
}
