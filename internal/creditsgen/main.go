// Command creditsgen writes the licences of the modules that cmd/postern is built of,
// for every system it is released for. "go generate ./cmd/postern/credits" runs it.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	out := flag.String("out", "credits.txt", "file to write")
	flag.Parse()
	text, err := generate()
	if err == nil {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "creditsgen:", err)
		os.Exit(1)
	}
}

// generate groups the modules that have the same licence, to the letter.
func generate() (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	directories := map[string]string{"Go " + strings.TrimPrefix(runtime.Version(), "go"): strings.TrimSpace(string(root))}
	for _, system := range []string{"linux", "darwin", "windows", "freebsd"} {
		if err := modules(system, directories); err != nil {
			return "", err
		}
	}
	byLicence := map[string][]string{}
	for module, directory := range directories {
		licence, err := licenceIn(directory)
		if err != nil {
			return "", fmt.Errorf("%s: %w", module, err)
		}
		byLicence[licence] = append(byLicence[licence], module)
	}
	groups := slices.Collect(maps.Keys(byLicence))
	for _, licence := range groups {
		slices.Sort(byLicence[licence])
	}
	slices.SortFunc(groups, func(a, b string) int { return cmp.Compare(byLicence[a][0], byLicence[b][0]) })
	var text strings.Builder
	text.WriteString("Postern is built of these modules, under these licences.\n")
	for _, licence := range groups {
		text.WriteString("\n" + strings.Repeat("=", 80) + "\n")
		for _, module := range byLicence[licence] {
			text.WriteString("\n  " + module + " ")
		}
		text.WriteString("\n\n" + licence + "\n")
	}
	return text.String(), nil
}

// modules notes the modules of the program for one system, with their directories.
func modules(system string, directories map[string]string) error {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "github.com/postern-dev/postern/cmd/postern")
	list.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w", system, err)
	}
	for line := range strings.Lines(string(out)) {
		if module, directory, found := strings.Cut(strings.TrimSpace(line), "\t"); found {
			directories[module] = directory
		}
	}
	return nil
}

// licenceIn reads every file of a module that is a licence or a notice.
func licenceIn(directory string) (string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if entry.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(directory, entry.Name()))
		if err != nil {
			return "", err
		}
		parts = append(parts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("no licence in %s", directory)
	}
	return strings.Join(parts, "\n\n"), nil
}
