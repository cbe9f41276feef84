package console

import (
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/postern-dev/postern"
)

// UI is what a person gets to see.
type UI int

// The kinds of UI.
const (
	NoUI     UI = iota // nothing but the log, or what programs read
	RowsUI             // Rows
	ScreenUI           // a Screen
)

// ChooseUI decides by the setting console_ui (true, false or iftty, the default) and
// by what the program writes to: a Screen needs a terminal that can move its cursor,
// in the foreground of whoever sits there; Rows are for other terminals, and for files
// where the setting is true. Other settings are CodeConfigInvalid.
func ChooseUI(setting string, out *os.File, env func(string) string) (UI, error) {
	switch setting {
	case "false":
		return NoUI, nil
	case "", "iftty", "true":
	default:
		return NoUI, postern.Errorf(postern.CodeConfigInvalid, "console_ui is %q, and not one of true, false, iftty", setting)
	}
	switch {
	case out == nil || !term.IsTerminal(int(out.Fd())):
		if setting == "true" {
			return RowsUI, nil
		}
		return NoUI, nil
	case env("TERM") == "dumb" || !inForeground(out):
		return RowsUI, nil
	}
	return ScreenUI, nil
}

// ChooseColor reads the setting console_ui_color. Other settings than black, the
// default, and transparent are CodeConfigInvalid.
func ChooseColor(setting string) (string, error) {
	switch setting {
	case "", "black":
		return "black", nil
	case "transparent":
		return setting, nil
	}
	return "", postern.Errorf(postern.CodeConfigInvalid, "console_ui_color is %q, and not one of black, transparent", strings.ToValidUTF8(setting, "?"))
}
