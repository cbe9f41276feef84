package authority

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/postern-dev/postern"
)

// Layout is how the files of a CA are named.
type Layout string

const (
	// Tree has a folder for each server and each client.
	Tree Layout = "tree"
	// Guide has all files in one folder, under the names of ngrok's site-to-site guide:
	// ca-crt.pem, ca-key.pem, server-crt.pem, server-key.pem, client-crt.pem,
	// client-key.pem.
	Guide Layout = "guide"
)

const (
	listFile   = "crl.pem"
	issuedDir  = "issued"
	lockFile   = ".lock"
	readmeFile = "README.txt"
)

func (l Layout) check() error {
	if l != Tree && l != Guide {
		return postern.Errorf(postern.CodeFlagInvalid, "--layout %q is neither %s nor %s", string(l), Tree, Guide)
	}
	return nil
}

func (l Layout) caCertificate() string { return l.certificate("ca") }
func (l Layout) caKey() string         { return l.key("ca") }

// certificate names a certificate's file: role is "ca", "server" or "client".
func (l Layout) certificate(role string) string {
	if l == Guide {
		return role + "-crt.pem"
	}
	return role + ".pem"
}

func (l Layout) key(role string) string {
	if l == Guide {
		return role + "-key.pem"
	}
	return role + ".key"
}

func (l Layout) request(role string) string {
	if l == Guide {
		return role + "-csr.pem"
	}
	return role + ".csr"
}

// archive names a PKCS #12 file.
func (l Layout) archive(role string) string { return role + ".p12" }

// readme names the page of a role.
func (l Layout) readme(role string) string {
	if l == Guide {
		return role + "-" + readmeFile
	}
	return readmeFile
}

// folder is where the files of a server or client go, within the CA's directory.
func (l Layout) folder(role, name string) string {
	if l == Guide {
		return "."
	}
	return filepath.Join(role+"s", folderName(name))
}

// folderName makes a name one of a folder on every system, and two names never the same.
func folderName(name string) string {
	var plain strings.Builder
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '@', r == '+', r == '.':
			plain.WriteRune(r)
		default:
			plain.WriteByte('_')
		}
	}
	folder := strings.Trim(plain.String(), ".")
	if folder == name && !reservedByWindows(folder) && !strings.HasPrefix(folder, "-") {
		return folder
	}
	sum := sha256.Sum256([]byte(name))
	return "_" + strings.TrimLeft(folder, "_-") + "-" + hex.EncodeToString(sum[:4])
}

// reservedByWindows tells of names that are devices there, with any extension.
func reservedByWindows(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) && stem[3] >= '0' && stem[3] <= '9'
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }
