package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
)

// configCommand changes, checks and upgrades configuration files.
func configCommand(streams ioStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Change, check or upgrade the agent's configuration file",
		Args:  subcommandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(
		addAuthtokenCommand(streams),
		addAPIKeyCommand(streams),
		addConnectURLCommand(streams),
		addWebTokenCommand(streams),
		configCheckCommand(streams),
		configEditCommand(streams),
		configUpgradeCommand(streams),
	)
	return command
}

func configCheckCommand(streams ioStreams) *cobra.Command {
	file := &configFile{streams: streams}
	var strict bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Check configuration files",
		Long: `Read configuration files as the agent does and say what is wrong with them, with
line and column. With --strict, keys that the agent would pass over are errors too.`,
		Example: "  postern config check --config site.yml --strict",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return file.check(strict) },
	}
	file.register(command.Flags())
	command.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return command
}

func (c *configFile) check(strict bool) error {
	paths, err := c.existing()
	if err != nil {
		return err
	}
	read, err := config.Load(paths...)
	if err != nil {
		return err
	}
	if err := read.Check(); err != nil {
		return err
	}
	if strict && len(read.Warnings) > 0 {
		return postern.Errorf(postern.CodeConfigInvalid, "%s", strings.Join(read.Warnings, "\n"))
	}
	for _, warning := range read.Warnings {
		if _, err := fmt.Fprintf(c.streams.Err, "WARN:  %s\n", console.Harmless(warning)); err != nil {
			return err
		}
	}
	for _, path := range read.Files {
		if _, err := fmt.Fprintf(c.streams.Out, "Valid configuration file at %s\n", path); err != nil {
			return err
		}
	}
	return nil
}

// existing are the files of --config, else the default ones that are there.
func (c *configFile) existing() ([]string, error) {
	if given := splitPaths(c.paths); len(given) > 0 {
		return given, nil
	}
	var found []string
	defaults := c.streams.defaultPaths()
	for _, path := range defaults {
		if exists(path) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "there is no configuration file; looked for %s", strings.Join(defaults, ", "))
	}
	return found, nil
}

func configEditCommand(streams ioStreams) *cobra.Command {
	file := &configFile{streams: streams}
	command := &cobra.Command{
		Use:     "edit",
		Short:   "Open the configuration file in an editor",
		Long:    "Open the configuration file in the editor of the environment's EDITOR, and say afterwards what is wrong with it.",
		Example: "  EDITOR=vi " + streams.Name + " config edit",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return file.edit(cmd) },
	}
	file.register(command.Flags())
	return command
}

func (c *configFile) edit(cmd *cobra.Command) error {
	path, err := c.streams.savePath(c.paths)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := config.WriteFile(path, []byte("version: \"3\"\n")); err != nil {
			return err
		}
	}
	fallback := "nano"
	if runtime.GOOS == "windows" {
		fallback = "notepad"
	}
	words := strings.Fields(cmp.Or(c.streams.Env("EDITOR"), fallback))
	if len(words) == 0 {
		words = []string{fallback}
	}
	editor := exec.CommandContext(cmd.Context(), words[0], append(words[1:], path)...)
	editor.Stdin, editor.Stdout, editor.Stderr = c.streams.In, c.streams.Out, c.streams.Err
	if err := editor.Run(); err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "the editor %q failed: %v; set EDITOR to one that is installed", words[0], err)
	}
	c.paths = []string{path}
	return c.check(false)
}

func configUpgradeCommand(streams ioStreams) *cobra.Command {
	u := &configUpgrade{configFile: configFile{streams: streams}}
	command := &cobra.Command{
		Use:   "upgrade [2|3]",
		Short: "Rewrite a configuration file of an older version",
		Long: `Rewrite a configuration file of an older version, ngrok 1.x included, as version 2 or
3; without a version, the next one. The old file stays beside it: FILE.v1.bak.`,
		Example: "  postern config upgrade --dry-run\n  postern config upgrade 3 --config ngrok.yml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return u.run(args)
		},
	}
	u.register(command.Flags())
	command.Flags().BoolVar(&u.dry, "dry-run", false, "print the new text and change nothing")
	command.Flags().BoolVar(&u.relocate, "relocate", false, "write the new file to the default place")
	return command
}

type configUpgrade struct {
	configFile
	dry, relocate bool
}

func (u *configUpgrade) run(args []string) error {
	path, err := u.source()
	if err != nil {
		return err
	}
	text, err := config.ReadFile(path)
	if err != nil {
		return postern.Errorf(postern.CodeConfigInvalid, "Error reading configuration file '%s': %v", path, err)
	}
	to := ""
	if len(args) > 0 {
		to = args[0]
	}
	upgraded, err := config.Upgrade(path, text, to)
	if err != nil {
		return err
	}
	if u.dry {
		_, err := u.streams.Out.Write(upgraded.Text)
		return err
	}
	target, err := u.target(path)
	if err != nil {
		return err
	}
	return u.replace(path, target, text, upgraded)
}

// source is the file of --config, else the default one that wins.
func (u *configUpgrade) source() (string, error) {
	found, err := u.existing()
	if err != nil {
		return "", err
	}
	if len(found) > 1 && len(u.paths) > 0 {
		return "", postern.Errorf(postern.CodeFlagInvalid, "--config names %d files; this command changes one", len(found))
	}
	return found[len(found)-1], nil
}

func (u *configUpgrade) target(path string) (string, error) {
	if !u.relocate {
		return path, nil
	}
	defaults := u.streams.defaultPaths()
	if len(defaults) == 0 {
		return "", postern.Errorf(postern.CodeFlagInvalid, "there is no home directory to relocate the file to")
	}
	target := defaults[len(defaults)-1]
	if target != path && exists(target) {
		return "", postern.Errorf(postern.CodeConfigInvalid, "%s is there already; remove it, or upgrade without --relocate", target)
	}
	return target, nil
}

// replace keeps the old text beside the file, writes the new one, and tells of it.
func (u *configUpgrade) replace(path, target string, old []byte, upgraded config.Upgraded) error {
	var told strings.Builder
	if upgraded.From == upgraded.To && target == path {
		_, err := fmt.Fprintf(u.streams.Out, "%s is of version %s already\n", path, upgraded.To)
		return err
	}
	backup := path + ".v" + strings.ReplaceAll(upgraded.From, "none", "1") + ".bak"
	if err := config.WriteFile(backup, old); err != nil {
		return err
	}
	if err := config.WriteFile(target, upgraded.Text); err != nil {
		return err
	}
	for _, note := range upgraded.Notes {
		fmt.Fprintf(&told, "  %s\n", note)
	}
	if target != path {
		if err := os.Remove(path); err != nil {
			return postern.Errorf(postern.CodeFileUnreadable, "%s was written, and %s cannot be removed: %v", target, path, err)
		}
		fmt.Fprintf(&told, "Moved to %s\n", target)
	}
	fmt.Fprintf(&told, "Upgraded configuration file: %s (version %s, the old file is %s)\n", target, upgraded.To, filepath.Base(backup))
	_, err := u.streams.Out.Write([]byte(told.String()))
	return err
}
